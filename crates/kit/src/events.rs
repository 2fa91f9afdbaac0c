//! Where the views and reactions of a service read a log.

use es_postgres::projection::{Batch, Cursor, OwnLog, Source, SourceError};

/// The own log, or another service's.
pub(crate) enum Events {
    Own(OwnLog),
    Bus(Box<bus::Foreign>),
    /// From its owner alone, without the bus.
    Owner(bus::Pages),
}

impl Source for Events {
    fn service(&self) -> &'static str {
        match self {
            Self::Own(log) => log.service(),
            Self::Bus(foreign) => foreign.service(),
            Self::Owner(pages) => pages.service(),
        }
    }

    async fn next(&mut self, after: &Cursor, limit: usize) -> Result<Batch, SourceError> {
        match self {
            Self::Own(log) => log.next(after, limit).await,
            Self::Bus(foreign) => Box::pin(foreign.next(after, limit)).await,
            Self::Owner(pages) => pages.next(after, limit).await,
        }
    }
}
