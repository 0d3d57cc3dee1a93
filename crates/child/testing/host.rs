//! A program that keeps a child, for the tests: `switchboard-child-host BASE USER COMMAND [ARGUMENT...]`.
//!
//! Prints `child`, `guardian` and `directory` of the child, then obeys the lines of its standard input: `stop`,
//! `drop`, `wait`. Prints `ended: HOW` where it waits for that. `END_SIGNAL` is the signal that asks the child to end.

use std::io::BufRead;
use std::path::Path;
use std::time::Duration;
use switchboard_child::{Launch, User, init, sweep};

const SIGTERM: i32 = 15;
const LONG: Duration = Duration::from_secs(60);

fn main() {
    init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [base, user, program, arguments @ ..] = arguments.as_slice() else { panic!("BASE USER COMMAND") };
    println!("swept {}", sweep(Path::new(base)));
    let user = if user == "-" { User::current() } else { User::named(user).expect("a user") };
    let started = Launch::new(Path::new(base), user).and_then(|mut launch| {
        if let Ok(signal) = std::env::var("END_SIGNAL") {
            launch.end_signal(signal.parse().expect("a signal"));
        }
        launch.spawn(program, arguments)
    });
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            println!("error: {error}");
            return;
        }
    };
    println!("child {}\nguardian {}\ndirectory {}", child.id(), child.guardian_id(), child.directory().display());
    let mut child = Some(child);
    for line in std::io::stdin().lock().lines() {
        match line.expect("a line").as_str() {
            "stop" => println!("ended: {:?}", child.take().expect("a child").stop(SIGTERM)),
            "wait" => println!("ended: {:?}", child.as_ref().expect("a child").wait(LONG)),
            _ => drop(child.take()),
        }
    }
}
