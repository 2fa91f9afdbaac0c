use sqlx::Row as _;

use crate::{
    Log, LogError,
    chain::{Chain, GENESIS, Hash},
    retry,
};

const PAGE: i64 = 2_000;

/// How far a log is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Last position found in order.
    pub verified: i64,
    /// Where the log says it ends.
    pub head: i64,
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
        let (head, head_hash) = self.stored_head().await?;
        let mut verdict = Verdict {
            verified: from,
            head,
            fault: None,
        };
        let mut chain = match self.stored_hash(from).await? {
            Some(hash) => Chain::from(hash),
            None => return Ok(verdict.broken_at(from, "missing")),
        };

        while verdict.verified < head {
            let up_to = head.min(verdict.verified + PAGE);
            let rows = self.rows(verdict.verified, up_to).await?;
            if rows.is_empty() {
                return Ok(verdict.broken("missing"));
            }
            for row in &rows {
                if row.position != verdict.verified + 1 {
                    return Ok(verdict.broken("missing"));
                }
                if chain.add(&row.link()) != row.hash[..] {
                    return Ok(verdict.broken("content does not match its hash"));
                }
                verdict.verified = row.position;
            }
            progress(verdict.verified);
        }
        if chain.hash() != head_hash {
            return Ok(verdict.broken_at(head, "hash is not the one the head has"));
        }
        if self.has_more_than_head().await? {
            return Ok(verdict.broken("lies behind the head"));
        }
        Ok(verdict)
    }

    async fn stored_head(&self) -> Result<(i64, Hash), LogError> {
        let row = retry::read(|| {
            sqlx::query("select position, hash from log.head order by position desc limit 1")
                .fetch_one(self.pool())
        })
        .await?;
        Ok((row.try_get(0)?, row.try_get(1)?))
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
