//! How often and how fast a lost database is tried again.

use std::{future::Future, time::Duration};

use backon::{BackoffBuilder, ExponentialBuilder};

use crate::error::is_transient;

/// 20 ms, 40, 80 … 1 s, about seven seconds in all: a restart of PostgreSQL takes less.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    (0..12).map(|n| Duration::from_millis((20 << n).min(1000)))
}

/// 1 ms, 2, 4 … 64 ms, each longer by chance: those who came too late together do not come back
/// together.
pub(crate) fn turns() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(Duration::from_millis(1))
        .with_max_delay(Duration::from_millis(64))
        .with_jitter()
        .without_max_times()
        .build()
}

/// Reads again when the connection turns out to be dead, because the pool does not test
/// connections before it hands them out. Only for statements that change nothing.
pub(crate) async fn read<T, F: Future<Output = Result<T, sqlx::Error>>>(
    mut attempt: impl FnMut() -> F,
) -> Result<T, sqlx::Error> {
    for pause in pauses() {
        match attempt().await {
            // Waiting for a free connection has taken its time already.
            Err(error) if is_transient(&error) && !matches!(error, sqlx::Error::PoolTimedOut) => {
                tracing::debug!(%error, "event log read failed, trying again");
                tokio::time::sleep(pause).await;
            }
            settled => return settled,
        }
    }
    attempt().await
}
