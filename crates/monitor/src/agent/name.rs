//! The default name of a process: its program, or the script that an interpreter runs.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
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
    /// Words before the script.
    words: &'static [&'static str],
    /// Without one of `names` there is no script.
    only_named: bool,
}

const PLAIN: Interpreter =
    Interpreter { name: "", with_value: &[], names: &[], inline: &["-c"], words: &[], only_named: false };

const INTERPRETERS: [Interpreter; 14] = [
    Interpreter { name: "python", with_value: &["-X", "-W"], names: &["-m"], ..PLAIN },
    Interpreter { name: "pypy", with_value: &["-X", "-W"], names: &["-m"], ..PLAIN },
    Interpreter { name: "node", with_value: &NODE_VALUES, inline: &NODE_INLINE, ..PLAIN },
    Interpreter { name: "nodejs", with_value: &NODE_VALUES, inline: &NODE_INLINE, ..PLAIN },
    Interpreter { name: "deno", inline: &["eval", "-e"], words: &["run"], ..PLAIN },
    Interpreter { name: "bun", inline: &["-e"], words: &["run"], ..PLAIN },
    Interpreter { name: "ruby", with_value: &["-I", "-r", "-C"], inline: &["-e"], ..PLAIN },
    Interpreter { name: "perl", with_value: &["-I"], inline: &["-e", "-E"], ..PLAIN },
    Interpreter { name: "php", with_value: &["-d", "-S", "-t"], names: &["-f"], inline: &["-r"], ..PLAIN },
    Interpreter { name: "java", with_value: &["-cp", "-classpath", "-p"], names: &["-jar"], only_named: true, ..PLAIN },
    Interpreter { name: "sh", with_value: &["-o"], ..PLAIN },
    Interpreter { name: "bash", with_value: &["-o", "-O", "--rcfile"], ..PLAIN },
    Interpreter { name: "dash", with_value: &["-o"], ..PLAIN },
    Interpreter { name: "zsh", with_value: &["-o"], ..PLAIN },
];
const NODE_VALUES: [&str; 4] = ["-r", "--require", "--import", "--loader"];
const NODE_INLINE: [&str; 4] = ["-e", "--eval", "-p", "--print"];

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
            let option = argument.to_str().unwrap_or_default();
            if self.names.contains(&option) {
                let named = arguments.next()?;
                // A module keeps its dots, a file loses its ending.
                return if option == "-m" { Some(text(named)) } else { stem(named) };
            }
            if self.inline.contains(&option) || option == "-" {
                return None;
            }
            if self.with_value.contains(&option) {
                arguments.next()?;
            } else if !argument.as_bytes().starts_with(b"-") && !self.words.contains(&option) {
                return if self.only_named { None } else { stem(argument) };
            }
        }
        None
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
