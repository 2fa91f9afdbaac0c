use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};

const MIN: Duration = Duration::from_millis(50);
const MAX: Duration = Duration::from_secs(5);

/// Pauses that grow to five seconds, with jitter so that replicas do not knock together.
pub struct Backoff(ExponentialBackoff);

impl Default for Backoff {
    fn default() -> Self {
        Self(
            ExponentialBuilder::new()
                .with_min_delay(MIN)
                .with_max_delay(MAX)
                .with_jitter()
                .without_max_times()
                .build(),
        )
    }
}

impl Backoff {
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    pub async fn wait(&mut self) {
        tokio::time::sleep(self.0.next().unwrap_or(MAX)).await;
    }
}
