//! The process really dies, at the pass it was told, by a signal it cannot catch.

use std::{os::unix::process::ExitStatusExt, process::Command};

use kill_point::{ARMED, kill_point};

const PASSED: &str = "passed the point";

/// Run again below in a process of its own; by itself it only passes the point.
#[test]
fn victim() {
    for _ in 0..3 {
        kill_point!("victim");
        println!("{PASSED}");
    }
}

#[test]
fn dies_at_the_pass_it_was_told() {
    let run = |armed: &str| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env(ARMED, armed)
            .output()
            .unwrap()
    };
    let killed = run("victim:2");
    assert_eq!(killed.status.signal(), Some(9));
    let passes = |output: &[u8]| String::from_utf8_lossy(output).matches(PASSED).count();
    assert_eq!(passes(&killed.stdout), 1);
    let spared = run("other:1");
    assert!(spared.status.success());
    assert_eq!(passes(&spared.stdout), 3);
}
