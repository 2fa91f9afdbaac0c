use futures::TryStreamExt;
use sqlx::Row as _;
use uuid::Uuid;

use crate::{
    Log, LogError,
    chain::{Chain, GENESIS, Hash},
    error::is_transient,
    retry,
    row::{Row, select_events},
};

/// What one statement reads. Rows are taken one by one, so their size does not matter.
const PAGE: i64 = 2_000;

/// How far a log is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Last position found in order.
    pub verified: i64,
    /// The hash there, as recomputed.
    pub hash: [u8; 32],
    /// Where the log says it ends.
    pub head: i64,
    pub epoch: Uuid,
    pub fault: Option<Fault>,
}

/// The first place where the log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub position: i64,
    pub what: String,
}

impl Log {
    /// Recomputes the chain behind position `from` (0: all of it) up to the head as of now.
    pub async fn verify(
        &self,
        from: i64,
        mut progress: impl FnMut(i64),
    ) -> Result<Verdict, LogError> {
        let (head, head_hash, epoch) = self.stored_head().await?;
        let mut verdict = Verdict {
            verified: from,
            hash: GENESIS,
            head,
            epoch,
            fault: None,
        };
        let mut chain = match self.stored_hash(from).await? {
            Some(hash) => Chain::from(hash),
            None => return Ok(verdict.broken_at(from, "missing")),
        };

        let mut pauses = retry::pauses();
        while verdict.verified < head {
            let up_to = head.min(verdict.verified + PAGE);
            let before = verdict.verified;
            match self.follow(&mut chain, &mut verdict, up_to).await {
                Ok(None) => {
                    pauses = retry::pauses();
                    progress(verdict.verified);
                }
                Ok(Some(fault)) => return Ok(verdict.broken(fault)),
                // What was found in order stays so: it goes on from there.
                Err(error) if is_transient(&error) => {
                    if verdict.verified > before {
                        pauses = retry::pauses();
                    }
                    match pauses.next() {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error.into()),
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
        verdict.hash = chain.hash();
        if verdict.hash != head_hash {
            return Ok(verdict.broken_at(head, "hash is not the one the head has"));
        }
        if self.has_more_than_head().await? {
            return Ok(verdict.broken("lies behind the head"));
        }
        Ok(verdict)
    }

    /// Checks what comes behind the verified part; says what is wrong with the first event that is
    /// not in order.
    async fn follow(
        &self,
        chain: &mut Chain,
        verdict: &mut Verdict,
        up_to: i64,
    ) -> Result<Option<&'static str>, sqlx::Error> {
        let mut rows = sqlx::query(select_events!("log.read($1, $2)"))
            .bind(verdict.verified)
            .bind(up_to)
            .fetch(self.pool());
        while let Some(row) = rows.try_next().await? {
            let row = Row::read(&row)?;
            if row.position != verdict.verified + 1 {
                return Ok(Some("missing"));
            }
            if chain.add(&row.link()) != row.hash[..] {
                return Ok(Some("content does not match its hash"));
            }
            verdict.verified = row.position;
        }
        Ok((verdict.verified < up_to).then_some("missing"))
    }

    async fn stored_head(&self) -> Result<(i64, Hash, Uuid), LogError> {
        let row = retry::read(|| {
            sqlx::query("select position, hash, epoch from log.head order by position desc limit 1")
                .fetch_one(self.pool())
        })
        .await?;
        Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    }

    async fn stored_hash(&self, position: i64) -> Result<Option<Hash>, LogError> {
        if position == 0 {
            return Ok(Some(GENESIS));
        }
        Ok(retry::read(|| {
            sqlx::query_scalar("select hash from log.events where position = $1")
                .bind(position)
                .fetch_optional(self.pool())
        })
        .await?)
    }

    /// One statement, so one moment: appends going on meanwhile do not look like a fault.
    async fn has_more_than_head(&self) -> Result<bool, LogError> {
        Ok(retry::read(|| {
            sqlx::query_scalar(
                "select exists (select from log.events e \
                 where e.position > (select max(h.position) from log.head h))",
            )
            .fetch_one(self.pool())
        })
        .await?)
    }
}

impl Verdict {
    /// The fault is right behind what was found in order.
    fn broken(self, what: &str) -> Self {
        let position = self.verified + 1;
        self.broken_at(position, what)
    }

    fn broken_at(mut self, position: i64, what: &str) -> Self {
        self.fault = Some(Fault {
            position,
            what: what.to_owned(),
        });
        self
    }
}
