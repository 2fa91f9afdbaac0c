//! What black-box tests share: an office of their own, the real campaign, and patience.

mod apart;
pub mod background;
pub mod campaign;
pub mod chain;
pub mod client;
pub mod contract;
pub mod documents;
pub mod load;
pub mod mixed_load;
pub mod office;
pub mod oracle;
pub mod population;
pub mod psql;
pub mod rows;
pub mod views;

use std::time::{Duration, Instant};

/// Asks until the answer is good; the last answer when it never is within `patience`.
pub async fn eventually<T, F: Future<Output = T>>(
    patience: Duration,
    mut ask: impl FnMut() -> F,
    good: impl Fn(&T) -> bool,
) -> T {
    let until = Instant::now() + patience;
    loop {
        let answer = ask().await;
        if good(&answer) || Instant::now() > until {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
