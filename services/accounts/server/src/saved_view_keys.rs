//! A list is kept in other words, or not at all any more: the key of what was there before is
//! destroyed.

use accounts_domain::saved_view::{Changed, SavedView};
use es::Recorded;
use es_postgres::projection::{ApplyError, Reaction};
use kit::Service;

pub(crate) struct SavedViewKeys {
    pub(crate) service: Service,
}

impl Reaction for SavedViewKeys {
    const NAME: &'static str = "saved_view_keys";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &["saved_view.changed", "saved_view.deleted"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let log = &self.service.log;
        let subject = if event.event_type == "saved_view.changed" {
            let Changed { supersedes, .. } = event.fields()?;
            supersedes
        } else {
            let view = log.load::<SavedView>(event.stream.id).await?.state.saved;
            view.map(|view| view.filter.subject().clone())
        };
        if let Some(subject) = subject {
            log.erase(&[subject], self.service.node.clock.now()).await?;
        }
        Ok(())
    }
}
