//! One leader among the replicas of a service.
//!
//! PostgreSQL keeps a lock for as long as the connection of its holder lives, and ends a connection
//! on which it hears nothing for a while: so a leader that hangs is replaced. Each leader has a
//! higher number than the one before; what it writes carries the number, so that one which wakes up
//! too late writes nothing.

use std::time::Duration;

use kill_point::kill_point;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::time::timeout;

/// How long a leader may be silent.
const SILENCE: &str = "set idle_session_timeout = '8s'";
/// How often it says that it is there, and how long PostgreSQL may take to answer.
const HEARTBEAT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// How often a follower tries to lead.
const ELECTION: Duration = Duration::from_secs(1);

/// Leadership, as long as [`Lease::keep`] does not return.
pub struct Lease {
    connection: PgConnection,
    fence: i64,
}

impl Lease {
    /// Waits, for as long as it takes, until nobody else leads.
    pub async fn acquire(pool: &PgPool) -> Self {
        loop {
            match Self::try_acquire(pool).await {
                Ok(Some(lease)) => return lease,
                Ok(None) => {}
                Err(error) => tracing::debug!("no election: {error}"),
            }
            tokio::time::sleep(ELECTION).await;
        }
    }

    async fn try_acquire(pool: &PgPool) -> Result<Option<Self>, sqlx::Error> {
        let mut connection = pool.acquire().await?.detach();
        let leads: bool =
            sqlx::query_scalar("select pg_try_advisory_lock(hashtextextended('leader', 0))")
                .fetch_one(&mut connection)
                .await?;
        if !leads {
            connection.close().await?;
            return Ok(None);
        }
        let fence = sqlx::query_scalar(
            "insert into views.leader (fence, since) values (1, now())
             on conflict (single) do update set fence = leader.fence + 1, since = excluded.since
             returning fence",
        )
        .fetch_one(&mut connection)
        .await?;
        kill_point!("leader.elected");
        sqlx::raw_sql(SILENCE).execute(&mut connection).await?;
        Ok(Some(Self { connection, fence }))
    }

    /// Higher than that of any leader before.
    pub fn fence(&self) -> i64 {
        self.fence
    }

    /// Returns when the leadership is lost.
    pub async fn keep(mut self) {
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            match timeout(ANSWER, self.connection.ping()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(fence = self.fence, "leadership lost: {error}");
                    return;
                }
                Err(_elapsed) => {
                    tracing::warn!(fence = self.fence, "leadership not confirmed in time");
                    return;
                }
            }
        }
    }
}

/// Whether the leader with this number still leads; nobody takes its place until the transaction
/// ends.
pub(crate) async fn leads_in_tx(tx: &mut PgConnection, fence: i64) -> Result<bool, sqlx::Error> {
    let newest: Option<i64> = sqlx::query_scalar("select fence from views.leader for share")
        .fetch_optional(tx)
        .await?;
    Ok(newest == Some(fence))
}
