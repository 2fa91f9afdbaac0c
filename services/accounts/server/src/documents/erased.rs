//! A company that was a person is forgotten: the bytes of its documents go.

use accounts_domain::deal;
use es::Recorded;
use es_postgres::projection::{ApplyError, Reaction};
use kit::{erasure::CarriedOut, objects::Objects};
use uuid::Uuid;

/// The erasure itself destroys them before it is said to be done (`erasures.rs`). This comes after
/// it, for what was being uploaded in that moment.
pub(crate) struct ErasedDocuments {
    pub(crate) objects: Objects,
}

impl Reaction for ErasedDocuments {
    const NAME: &'static str = "erased_documents";
    const SOURCES: &'static [&'static str] = &["accounts"];
    const EVENTS: &'static [&'static str] = &["erasure.carried_out"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        if let Some(done) = CarriedOut::read(event)? {
            let companies = done.subjects.iter();
            let companies: Vec<Uuid> = companies.filter_map(|of| of.id(deal::SUBJECT)).collect();
            for id in companies {
                self.objects.destroy(&[&id.to_string()]).await?;
            }
        }
        Ok(())
    }
}
