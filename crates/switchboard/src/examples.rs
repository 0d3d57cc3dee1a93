//! Examples of the commands that start services and of those that print, for their `--help`.

pub(crate) const PROGRAM: &str = "\
Examples:
  switchboard                               start everything
  switchboard listen /topic/news            print what is published there
  switchboard send /topic/news 'hello'      publish one message
  seq 10 | switchboard send /queue/jobs -l  one job a line
  switchboard config > switchboard.toml     all settings, explained
  switchboard up --config switchboard.toml --set outbox=16MiB
  switchboard status --watch                who is connected, what waits where
  switchboard queues                        what waits in queues
  switchboard bench --subscribers 8         how fast is the broker here";

pub(crate) const UP: &str = "\
Examples:
  switchboard up
  switchboard up --config switchboard.toml --data /srv/switchboard
  switchboard up --set rows.database=postgres://db/shop --set news.listen=
  switchboard up --channel '/queue/jobs,max-deliveries=3,queue=64MiB'";

pub(crate) const BROKER: &str = "\
Examples:
  switchboard broker
  switchboard broker --listen 0.0.0.0:25000 --memory 2GiB
  switchboard broker --channel '/topic/ticks/>,policy=drop-old' --log warn";

pub(crate) const CONFIG: &str = "\
Examples:
  switchboard config > switchboard.toml        every setting, explained
  switchboard config --set memory=1GiB --json  the settings in force
  switchboard config check switchboard.toml";

pub(crate) const CHECK: &str = "\
Examples:
  switchboard config check switchboard.toml
  switchboard config | switchboard config check -";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  source <(switchboard completions bash)  for this shell
  switchboard completions fish | source
  switchboard completions zsh > ~/.zfunc/_switchboard";

pub(crate) const MAN: &str = "\
Examples:
  switchboard man ~/.local/share/man
  man switchboard-listen
  man switchboard.toml";
