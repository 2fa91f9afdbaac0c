//! Where chance comes from: every choice of a run follows from one printed number.

use std::hash::{DefaultHasher, Hash, Hasher};

use uuid::Uuid;

/// Repeats the choices of an earlier run.
pub const VARIABLE: &str = "KONTAKTY_FAULTS_SEED";

#[derive(Debug, Clone, Copy)]
pub struct Seed(u64);

impl Seed {
    /// From the environment, else a new one; printed in either case.
    pub fn of_this_run() -> Self {
        let given = std::env::var(VARIABLE)
            .ok()
            .and_then(|text| text.parse().ok());
        Self::given(given.unwrap_or_else(|| fastrand::u64(..)))
    }

    pub fn given(seed: u64) -> Self {
        println!("seed {seed}: {VARIABLE}={seed} repeats the choices of this run");
        Self(seed)
    }

    /// Chance for one part of the run, the same whatever the other parts do.
    pub fn rng(self, part: impl Hash) -> fastrand::Rng {
        let mut hasher = DefaultHasher::new();
        (self.0, part).hash(&mut hasher);
        fastrand::Rng::with_seed(hasher.finish())
    }
}

pub fn random_id(rng: &mut fastrand::Rng) -> Uuid {
    uuid::Builder::from_random_bytes(rng.u128(..).to_le_bytes()).into_uuid()
}

/// One of a list that is not empty.
pub fn one_of<'a, T>(rng: &mut fastrand::Rng, list: &'a [T]) -> &'a T {
    &list[rng.usize(..list.len())]
}
