//! What was sent and what came of it: one line before a command is sent, one when it ends.
//!
//! JSON Lines in a file, written at once, so that it outlives the run.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    Sent {
        cmd: Uuid,
        attempt: u32,
        user: String,
        service: String,
        method: String,
        stream: Option<String>,
        expected: Option<i64>,
        invoked_ms: u64,
    },
    Ended {
        cmd: Uuid,
        attempt: u32,
        outcome: Outcome,
        ended_ms: u64,
    },
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok {
        told: Told,
        /// The answer as it came, in hex.
        answer: String,
    },
    /// Refused for good: nothing of it may be stored.
    Failed { code: String },
    /// No answer, or one that leaves open what was done.
    Unknown { code: String },
}

/// What an answer says of what was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// One stream, up to this version and position, by events of these types.
    Recorded {
        version: i64,
        position: i64,
        events: Vec<String>,
        /// May have found it so already and recorded nothing.
        perhaps_nothing: bool,
    },
    /// So many streams got an event of this type.
    Fanned { events: String, count: i64 },
    /// One event, up to this version of its stream, and for it another one at this position: of the
    /// stream with the same id and of the type `then`, whoever of the service was first to record it.
    Followed {
        version: i64,
        position: i64,
        event: String,
        then: String,
    },
}

/// A command with everything that is known of it.
#[derive(Debug, Clone)]
pub struct Entry {
    pub cmd: Uuid,
    pub user: String,
    pub service: String,
    pub method: String,
    pub stream: Option<String>,
    /// Of the first attempt, on the clock of the run.
    pub invoked_ms: u64,
    pub ended_ms: u64,
    pub outcomes: Vec<Outcome>,
}

impl Entry {
    pub fn told(&self) -> Option<&Told> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Ok { told, .. } => Some(told),
            Outcome::Failed { .. } | Outcome::Unknown { .. } => None,
        })
    }

    pub fn failed(&self) -> Option<&str> {
        self.outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Failed { code } => Some(code.as_str()),
            Outcome::Ok { .. } | Outcome::Unknown { .. } => None,
        })
    }
}

impl Outcome {
    /// The bytes of a good answer.
    pub fn answer(&self) -> Option<Vec<u8>> {
        let Self::Ok { answer, .. } = self else {
            return None;
        };
        let digits = (0..answer.len()).step_by(2);
        digits
            .map(|at| u8::from_str_radix(answer.get(at..at + 2)?, 16).ok())
            .collect()
    }
}

pub struct Ledger {
    file: Mutex<File>,
    began: Instant,
    settled: AtomicU64,
}

impl Ledger {
    pub fn create(path: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            file: Mutex::new(File::create(path)?),
            began: Instant::now(),
            settled: AtomicU64::new(0),
        })
    }

    pub fn now_ms(&self) -> u64 {
        self.began.elapsed().as_millis() as u64
    }

    /// How many attempts ended in an answer.
    pub fn settled(&self) -> u64 {
        self.settled.load(Ordering::Relaxed)
    }

    pub fn write(&self, line: &Line) -> anyhow::Result<()> {
        if let Line::Ended { outcome, .. } = line
            && !matches!(outcome, Outcome::Unknown { .. })
        {
            self.settled.fetch_add(1, Ordering::Relaxed);
        }
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(file.write_all(&text)?)
    }
}

/// All commands of a ledger, in the order in which they were first sent.
pub fn read(path: &Path) -> anyhow::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut index = BTreeMap::new();
    for line in BufReader::new(File::open(path)?).lines() {
        match serde_json::from_str(&line?)? {
            Line::Sent {
                cmd,
                user,
                service,
                method,
                stream,
                invoked_ms,
                ..
            } => {
                index.entry(cmd).or_insert_with(|| {
                    entries.push(Entry {
                        cmd,
                        user,
                        service,
                        method,
                        stream,
                        invoked_ms,
                        ended_ms: u64::MAX,
                        outcomes: Vec::new(),
                    });
                    entries.len() - 1
                });
            }
            Line::Ended {
                cmd,
                outcome,
                ended_ms,
                ..
            } => {
                if let Some(entry) = index.get(&cmd).and_then(|at| entries.get_mut(*at)) {
                    entry.ended_ms = ended_ms;
                    entry.outcomes.push(outcome);
                }
            }
        }
    }
    Ok(entries)
}
