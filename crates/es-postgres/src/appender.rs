//! Group commit: one task per process writes whatever appends are waiting as one statement.
//!
//! The task remembers the head it wrote last, and the versions and request ids of late, so that it
//! can number, refuse and hash a batch before it asks the database anything. The database compares
//! the head. Where that shows that somebody else has written, or a unique index objects, or the
//! connection breaks, the batch is settled again behind a lock, request by request (`slow`).

mod facts;
mod memory;
mod plan;
mod slow;
mod statement;

use std::{sync::Arc, time::Duration};

use kill_point::kill_point;
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use uuid::Uuid;

use crate::{
    Append, AppendError, Appended, LogError, error::is_transient, keys::Claim, life::Known,
};

use facts::Facts;
use memory::Memory;
use plan::{Head, plan};

const BATCH_EVENTS: usize = 1_000;
const BATCH_BYTES: usize = 4 << 20;
/// How often the scheduler lets callers that the last batch woke hand over their next append, as long
/// as some do: no timer needed. Once is not enough, for another worker may still hold some of them.
const TURNS: usize = 4;
/// A database that does not answer for so long is given up; the outcome is then looked up.
const PATIENCE: Duration = Duration::from_secs(20);
/// The same for a new connection.
const CONNECTING: Duration = Duration::from_secs(5);

pub(crate) type Answer = Result<Appended, AppendError>;

/// One append and who waits for it.
pub(crate) struct Job {
    append: Append,
    /// As the database has it.
    stream: Arc<str>,
    claims: Vec<Claim>,
    answer: oneshot::Sender<Answer>,
    /// The life of the log that it was decided and sealed in.
    epoch: Uuid,
    events: usize,
    bytes: usize,
}

impl Job {
    pub(crate) fn new(
        append: Append,
        claims: Vec<Claim>,
        epoch: Uuid,
        answer: oneshot::Sender<Answer>,
    ) -> Self {
        let payloads: usize = append.events.iter().map(|event| event.payload.len()).sum();
        Self {
            events: append.events.len(),
            bytes: payloads + append.events.len() * append.metadata.len(),
            stream: append.stream.to_string().into(),
            append,
            claims,
            epoch,
            answer,
        }
    }
}

pub(crate) struct Appender {
    pool: PgPool,
    jobs: mpsc::Receiver<Job>,
    known: Arc<Known>,
    connection: Option<PgConnection>,
    /// As this task wrote or read it last; none before the first batch.
    head: Option<Head>,
    memory: Memory,
    /// The last batch could not be written: do not let each of the next ones wait that long.
    down: bool,
    last_batch: usize,
}

/// What became of a try without locks.
enum Fast {
    Settled(Vec<Answer>),
    /// Nothing was written; the facts are not as remembered.
    Doubt,
    /// Written or not: the connection broke.
    Unknown,
}

impl Appender {
    pub(crate) fn new(pool: PgPool, jobs: mpsc::Receiver<Job>, known: Arc<Known>) -> Self {
        Self {
            pool,
            jobs,
            known,
            connection: None,
            head: None,
            memory: Memory::default(),
            down: false,
            last_batch: 1,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut left_over = None;
        while let Some(batch) = self.collect(&mut left_over).await {
            let answers = self.settle(&batch).await;
            self.note(&answers);
            kill_point!("append.before_answer");
            for (job, answer) in batch.into_iter().zip(answers) {
                let written = answer.as_ref().ok().filter(|appended| !appended.repeated);
                let written = written.map(|appended| (appended.version, appended.position));
                // The caller may have gone away; the event is there all the same.
                let _ = job.answer.send(answer);
                // Callers are awake by now and make their next appends.
                if let Some((version, position)) = written {
                    self.memory.keep(job.stream, version, position, job.append);
                }
            }
        }
    }

    /// All that waits, up to the limits. `None` when there is nobody left to ask for anything.
    async fn collect(&mut self, left_over: &mut Option<Job>) -> Option<Vec<Job>> {
        let waiting = left_over.take().or_else(|| self.jobs.try_recv().ok());
        let alone = waiting.is_none() && self.last_batch == 1;
        let first = match waiting {
            Some(job) => job,
            None => self.jobs.recv().await?,
        };
        let (mut events, mut bytes) = (first.events, first.bytes);
        let mut batch = vec![first];
        // A single caller would only be held up, perhaps even moved to another core.
        let turns = if alone { 0 } else { TURNS };
        'open: for turn in 0..=turns {
            let before = batch.len();
            while let Ok(job) = self.jobs.try_recv() {
                events += job.events;
                bytes += job.bytes;
                if events > BATCH_EVENTS || bytes > BATCH_BYTES {
                    *left_over = Some(job);
                    break 'open;
                }
                batch.push(job);
            }
            let nobody_came = turn > 0 && batch.len() == before;
            if turn == turns || nobody_came {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.last_batch = batch.len();
        Some(batch)
    }

    async fn settle(&mut self, batch: &[Job]) -> Vec<Answer> {
        match self.fast(batch).await {
            Fast::Settled(answers) => answers,
            Fast::Doubt => self.slow(batch, false).await,
            Fast::Unknown => self.slow(batch, true).await,
        }
    }

    async fn fast(&mut self, batch: &[Job]) -> Fast {
        let (Some(head), Some(connection)) = (&self.head, &mut self.connection) else {
            return Fast::Doubt;
        };
        if is_of_another_life(batch, head) {
            return Fast::Doubt;
        }
        let Some(plan) = plan(batch, head, Facts::remembered(&self.memory)) else {
            return Fast::Doubt;
        };
        if plan.is_empty() {
            return Fast::Settled(plan.answers);
        }
        kill_point!("append.before_statement");
        match within(PATIENCE, statement::append(connection, head, &plan)).await {
            Ok(true) => {
                kill_point!("append.after_commit");
                self.head = Some(plan.head);
                Fast::Settled(plan.answers)
            }
            Ok(false) => {
                // Another replica writes, or a backup was restored: what is remembered is history.
                self.memory = Memory::default();
                Fast::Doubt
            }
            Err(error) if is_transient(&error) => {
                tracing::warn!(%error, "event log append interrupted");
                self.connection = None;
                Fast::Unknown
            }
            Err(error) => {
                tracing::debug!(%error, "event log append refused");
                Fast::Doubt
            }
        }
    }

    fn note(&mut self, answers: &[Answer]) {
        let is_down =
            |answer: &Answer| matches!(answer, Err(AppendError::Log(LogError::Unavailable(_))));
        self.down |= answers.iter().any(is_down);
        if let Some(head) = &self.head {
            self.known.see(head.epoch, head.position);
        }
    }

    async fn connect(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
        let mut connection = pool.acquire().await?.detach();
        // Statistics come late to a new table, and a batch must not scan one; a plan that has to is no
        // reason to compile it. A lock must not outlive a process that hangs.
        sqlx::raw_sql(
            "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; set jit = off; \
             set statement_timeout = '15s'; set idle_in_transaction_session_timeout = '10s'",
        )
        .execute(&mut connection)
        .await?;
        connection.ping().await?;
        Ok(connection)
    }
}

/// Whether the log was restored from a backup since something in the batch was decided.
fn is_of_another_life(batch: &[Job], head: &Head) -> bool {
    batch.iter().any(|job| job.epoch != head.epoch)
}

/// No answer for long is as good as a broken connection.
async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    match timeout(patience, work).await {
        Ok(done) => done,
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}
