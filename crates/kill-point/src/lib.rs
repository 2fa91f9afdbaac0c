//! Places in the code where a test can kill the process as a power cut would: no destructor runs,
//! nothing is flushed, nobody is told.
//!
//! `KONTAKTY_KILL_POINT=append.after_commit:3` kills at the third pass of that point. A build
//! without debug assertions has neither the points nor a way to arm them.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// `POINT:N`: which point, and at which of its passes.
pub const ARMED: &str = "KONTAKTY_KILL_POINT";

/// A place where order matters: what is durable before it, and what is not yet.
///
/// The name is a literal and used once, because the list of points is read from the sources.
#[macro_export]
macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(debug_assertions)]
        $crate::pass($name);
    };
}

/// Kills the process if this pass is the one.
pub fn pass(point: &str) {
    static KILL: OnceLock<Option<Kill>> = OnceLock::new();
    let kill = KILL.get_or_init(|| Kill::parse(&std::env::var(ARMED).ok()?));
    if kill.as_ref().is_some_and(|kill| kill.is_due(point)) {
        die();
    }
}

struct Kill {
    point: String,
    passes_left: AtomicU32,
}

impl Kill {
    fn parse(text: &str) -> Option<Self> {
        let (point, nth) = text.rsplit_once(':')?;
        Some(Self {
            point: point.to_owned(),
            passes_left: AtomicU32::new(nth.parse().ok()?),
        })
    }

    fn is_due(&self, point: &str) -> bool {
        self.point == point && self.passes_left.fetch_sub(1, Ordering::Relaxed) == 1
    }
}

fn die() -> ! {
    // Only the caller's own process, and a signal that cannot be caught.
    let _ = kill(Pid::this(), Signal::SIGKILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_due_once_at_the_named_pass() {
        let kill = Kill::parse("append.after_commit:2").unwrap();
        let passes = ["append.after_commit", "other", "append.after_commit"];
        let due = passes.map(|point| kill.is_due(point));
        assert_eq!(due, [false, false, true]);
        assert!(!kill.is_due("append.after_commit"));
        assert!(Kill::parse("append.after_commit").is_none());
    }
}
