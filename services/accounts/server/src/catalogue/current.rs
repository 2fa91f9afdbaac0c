use std::sync::{Arc, Mutex, PoisonError};

use accounts_domain::catalogue::{self as domain, Catalogue, State};
use es::{Aggregate, StreamId};
use kit::{AppError, Service};

/// The catalogue as of now. Clones share it.
#[derive(Clone)]
pub(crate) struct Current {
    service: Service,
    known: Arc<Mutex<Arc<Known>>>,
}

#[derive(Default)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) version: i64,
}

impl Current {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
            known: Arc::default(),
        }
    }

    /// Asks the log for its version, which is one step in an index, and reads it only when it has
    /// changed: what was published a moment ago counts, in whichever replica.
    pub(crate) async fn get(&self) -> Result<Arc<Known>, AppError> {
        let stream = StreamId::new(Catalogue::CATEGORY, domain::id());
        let version: i64 = sqlx::query_scalar(
            "select coalesce(max(version), 0) from log.events where stream = $1",
        )
        .bind(stream.to_string())
        .fetch_one(self.service.pool())
        .await?;
        let known = Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner));
        if known.version >= version {
            return Ok(known);
        }
        let loaded = self.service.log.load::<Catalogue>(domain::id()).await?;
        let newer = Arc::new(Known {
            state: loaded.state,
            version: loaded.version,
        });
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&newer);
        Ok(newer)
    }
}
