//! A card was sealed anew: the key of what was there before is destroyed.

use accounts_domain::account::CardSealedAnew;
use es::Recorded;
use es_postgres::projection::{ApplyError, Reaction};
use kit::Service;

pub(crate) struct SupersededKeys {
    pub(crate) service: Service,
}

impl Reaction for SupersededKeys {
    const NAME: &'static str = "superseded_keys";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &["account.card_sealed_anew"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let sealed: CardSealedAnew = event.fields()?;
        let now = self.service.node.clock.now();
        self.service.log.erase(&[sealed.supersedes], now).await?;
        Ok(())
    }
}
