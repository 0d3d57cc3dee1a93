//! The default name of a process: its program, or the script that an interpreter runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// The rules by which an interpreter finds its script.
struct Interpreter {
    /// Its name, to which a version may be appended: `python3.12`.
    name: &'static str,
    /// Options whose value is a separate argument.
    with_value: &'static [&'static str],
    /// Options whose value names what is run.
    names: &'static [&'static str],
    /// Options after which the arguments are no script: the program is in the command line.
    inline: &'static [&'static str],
    /// Letters that may stand together behind one dash: `-lc`, `-euo pipefail`, `-mhttp.server`.
    letters: Letters,
    /// Words before the script.
    words: &'static [&'static str],
    /// Without one of `names` there is no script.
    only_named: bool,
}

/// Letters of options by what follows them; any other letter is a switch.
struct Letters {
    /// The program; what comes after it are the program's arguments.
    inline: &'static str,
    /// A name of what is run: the rest of the argument, or else the next one.
    names: &'static str,
    /// A value: the rest of the argument, or else the next one.
    values: &'static str,
    /// A value, which is the rest of the argument.
    rests: &'static str,
    /// A value, which is the next argument whatever the rest is.
    nexts: &'static str,
}

/// The meaning of letters behind one dash.
enum Meaning<'a> {
    Inline,
    Named(&'a str),
    /// The next argument is a value.
    Next,
    Switches,
}

const NONE: Letters = Letters { inline: "", names: "", values: "", rests: "", nexts: "" };
const SHELL: Letters = Letters { inline: "cs", nexts: "oO", ..NONE };
const PYTHON: Letters = Letters { inline: "c", names: "m", values: "XW", ..NONE };
const RUBY: Letters = Letters { inline: "e", values: "IrCEF", rests: "iKTWx", ..NONE };
const PERL: Letters = Letters { inline: "eE", values: "I", rests: "iMmFxdDC", ..NONE };
const PHP: Letters = Letters { inline: "rRBE", names: "fF", values: "cdStz", ..NONE };

const PLAIN: Interpreter =
    Interpreter { name: "", with_value: &[], names: &[], inline: &[], letters: NONE, words: &[], only_named: false };

const INTERPRETERS: [Interpreter; 14] = [
    Interpreter { name: "python", with_value: &["--check-hash-based-pycs"], letters: PYTHON, ..PLAIN },
    Interpreter { name: "pypy", letters: PYTHON, ..PLAIN },
    Interpreter { name: "node", with_value: &NODE_VALUES, inline: &NODE_INLINE, ..PLAIN },
    Interpreter { name: "nodejs", with_value: &NODE_VALUES, inline: &NODE_INLINE, ..PLAIN },
    Interpreter { name: "deno", inline: &["eval", "-e"], words: &["run"], ..PLAIN },
    Interpreter { name: "bun", inline: &["-e", "--eval", "-p", "--print"], words: &["run"], ..PLAIN },
    Interpreter { name: "ruby", letters: RUBY, ..PLAIN },
    Interpreter { name: "perl", letters: PERL, ..PLAIN },
    Interpreter { name: "php", inline: &["--run"], names: &["--file"], letters: PHP, ..PLAIN },
    Interpreter { name: "java", with_value: &["-cp", "-classpath", "-p"], names: &["-jar"], only_named: true, ..PLAIN },
    Interpreter { name: "sh", letters: SHELL, ..PLAIN },
    Interpreter { name: "bash", with_value: &["--rcfile", "--init-file"], letters: SHELL, ..PLAIN },
    Interpreter { name: "dash", letters: SHELL, ..PLAIN },
    Interpreter { name: "zsh", letters: SHELL, ..PLAIN },
];
const NODE_VALUES: [&str; 4] = ["-r", "--require", "--import", "--loader"];
const NODE_INLINE: [&str; 5] = ["-e", "--eval", "-p", "--print", "-pe"];

/// The name of what a command line runs.
pub(super) fn of(command: &[OsString]) -> String {
    let Some((program, arguments)) = command.split_first() else { return String::new() };
    let program = text(Path::new(program).file_name().unwrap_or(program));
    let interpreter = INTERPRETERS.iter().find(|interpreter| interpreter.is(&program));
    interpreter.and_then(|interpreter| interpreter.script(arguments)).unwrap_or(program)
}

/// The name of a process that runs.
pub(super) fn of_process(pid: u32) -> io::Result<String> {
    let own = std::fs::read_to_string(format!("/proc/{pid}/comm"))?.trim_end().to_owned();
    let line = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    let arguments: Vec<OsString> =
        line.split(|&byte| byte == 0).map(|argument| OsString::from_vec(argument.to_vec())).collect();
    // A process may have put anything there; its own name is cut to 15 bytes, if it has not been changed.
    let program = arguments.first().map(|program| text(Path::new(program).file_name().unwrap_or(program)));
    let is_known = program.is_some_and(|program| !own.is_empty() && program.starts_with(&own));
    Ok(if is_known { of(&arguments) } else { own })
}

impl Interpreter {
    fn is(&self, program: &str) -> bool {
        let version = program.strip_prefix(self.name);
        version.is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    }

    fn script(&self, arguments: &[OsString]) -> Option<String> {
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let option = argument.to_string_lossy();
            // A long option and its value may be one argument.
            let name = option.split_once('=').map_or(&*option, |(name, _)| name);
            if self.names.contains(&name) {
                return stem(arguments.next()?);
            }
            if self.inline.contains(&name) || option == "-" {
                return None;
            }
            if self.with_value.contains(&&*option) {
                arguments.next()?;
            } else if let Some(letters) = option.strip_prefix('-') {
                match self.letters.meaning(letters) {
                    Meaning::Inline => return None,
                    Meaning::Named("") => return self.named(arguments.next()?),
                    Meaning::Named(name) => return self.named(OsStr::new(name)),
                    Meaning::Next => drop(arguments.next()?),
                    Meaning::Switches => {}
                }
            } else if !self.words.contains(&&*option) {
                return if self.only_named { None } else { stem(argument) };
            }
        }
        None
    }

    /// A module of Python keeps its dots, a file loses its ending.
    fn named(&self, name: &OsStr) -> Option<String> {
        if self.letters.names == PYTHON.names { Some(text(name)) } else { stem(name) }
    }
}

impl Letters {
    fn meaning<'a>(&self, letters: &'a str) -> Meaning<'a> {
        // A long option.
        if letters.starts_with('-') {
            return Meaning::Switches;
        }
        let mut takes_next = false;
        for (at, letter) in letters.char_indices() {
            let rest = &letters[at + letter.len_utf8()..];
            if self.inline.contains(letter) {
                return Meaning::Inline;
            } else if self.names.contains(letter) {
                return Meaning::Named(rest);
            } else if self.values.contains(letter) {
                return if rest.is_empty() { Meaning::Next } else { Meaning::Switches };
            } else if self.rests.contains(letter) {
                return Meaning::Switches;
            }
            takes_next |= self.nexts.contains(letter);
        }
        if takes_next { Meaning::Next } else { Meaning::Switches }
    }
}

fn stem(path: &OsStr) -> Option<String> {
    Path::new(path).file_stem().map(text).filter(|stem| !stem.is_empty())
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(line: &str) -> String {
        of(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_script_gives_its_name_to_the_interpreter_that_runs_it() {
        for (line, expected) in [
            ("python3 worker.py", "worker"),
            ("/usr/bin/python3.12 -u -X dev /srv/app/worker.py --verbose", "worker"),
            ("python3 -m http.server 8000", "http.server"),
            ("python3 -W ignore -c pass x.py", "python3"),
            ("python3 -", "python3"),
            ("python3", "python3"),
            ("python-config x.py", "python-config"),
            ("node --require ts-node/register server.js", "server"),
            ("node -e 1 x.js", "node"),
            ("deno run -A main.ts", "main"),
            ("ruby -I lib bin/run.rb", "run"),
            ("perl -w tool.pl", "tool"),
            ("java -Xmx1g -cp a.jar -jar orders.jar", "orders"),
            ("java -cp a.jar com.example.Main", "java"),
            ("sh -e deploy.sh now", "deploy"),
            ("bash -c sleep", "bash"),
            ("bash -lc /srv/run", "bash"),
            ("sh -ec /srv/run", "sh"),
            ("bash -s deploy", "bash"),
            ("bash -euo pipefail deploy.sh", "deploy"),
            ("bash -o pipefail deploy.sh", "deploy"),
            ("bash --rcfile a.rc deploy.sh", "deploy"),
            ("bash --norc deploy.sh", "deploy"),
            ("perl -ne print x.txt", "perl"),
            ("perl -i.bak -pe s/a/b/ x.txt", "perl"),
            ("perl -MTime::HiRes -Ilib tool.pl", "tool"),
            ("ruby -ne puts x.txt", "ruby"),
            ("ruby -rjson tool.rb", "tool"),
            ("node -pe 1 x.js", "node"),
            ("node --eval=1 x.js", "node"),
            ("python3 -uc pass x.py", "python3"),
            ("python3 -cpass x.py", "python3"),
            ("python3 -Wcache worker.py", "worker"),
            ("python3 -um http.server", "http.server"),
            ("python3 -mhttp.server", "http.server"),
            ("php -nr 1; x.php", "php"),
            ("php -f jobs.php", "jobs"),
            ("./orders x.py", "orders"),
            ("/opt/a.b/orders.bin", "orders.bin"),
            ("sleep 5", "sleep"),
        ] {
            assert_eq!(name(line), expected, "{line}");
        }
    }

    #[test]
    fn a_process_that_runs_is_named_as_its_command_would_be() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        // Between fork and exec it is still this program.
        let began = std::time::Instant::now();
        while of_process(child.id()).expect("it runs") != "sleep" {
            assert!(began.elapsed().as_secs() < 25, "{:?}", of_process(child.id()));
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("ended");
        assert_eq!(of_process(child.id()).expect_err("ended").kind(), io::ErrorKind::NotFound);
    }
}
