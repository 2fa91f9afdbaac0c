//! Erasure as every service carries it out: contacts has recorded that a person is to be erased,
//! and each service destroys its own copies of the keys, then says so in its own log.
//!
//! The order is what makes it safe. Once the keys are gone nothing can be sealed for these subjects
//! any more, so an event behind `erasure.carried_out` never brings their data; and the views of the
//! service, which read its log in order, take out there what the events before had brought.

mod carried_out;

use es::{Recorded, Subject};
use es_postgres::{
    CommandContext,
    projection::{ApplyError, Reaction},
};
use kill_point::kill_point;
use serde::Deserialize;
use uuid::Uuid;
use vocabulary::{AccountId, PersonId};

pub use carried_out::{CarriedOut, Erasure, Event};

use crate::{AppError, Service, reaction};

/// What is to be erased: read from `data_subject.erased` of contacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    pub person_id: PersonId,
    /// Where the person is.
    pub account_id: AccountId,
    /// The person, and the account when that is the person too.
    pub subjects: Vec<Subject>,
    /// Fingerprints of telephones and addresses that are not to be used again.
    pub stop_list: Vec<String>,
}

impl Demand {
    pub fn read(event: &Recorded) -> Result<Self, ApplyError> {
        #[derive(Deserialize)]
        struct Fields {
            account_id: AccountId,
            subjects: Vec<Subject>,
            stop_list: Vec<String>,
        }
        let fields: Fields = event.fields()?;
        Ok(Self {
            person_id: PersonId(event.stream.id),
            account_id: fields.account_id,
            subjects: fields.subjects,
            stop_list: fields.stop_list,
        })
    }
}

/// The reaction that every service has to an erasure.
pub struct Erasures {
    service: Service,
}

impl Erasures {
    pub fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }
}

impl Reaction for Erasures {
    const NAME: &'static str = "erasures";
    const SOURCES: &'static [&'static str] = &["contacts"];
    const EVENTS: &'static [&'static str] = &["data_subject.erased"];

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let context = because_of(&self.service, event);
        carry_out(&self.service, &context, &Demand::read(event)?).await?;
        Ok(())
    }
}

/// The context of what a service does because of an erasure.
pub fn because_of(service: &Service, event: &Recorded) -> CommandContext {
    CommandContext {
        // What is destroyed already changes nothing a second time.
        request_id: None,
        ..reaction::context::<Erasures>(service, event)
    }
}

/// Destroys and then records it; a second time changes nothing. Gives the position in the service's
/// log from which its views have nothing left.
pub async fn carry_out(
    service: &Service,
    context: &CommandContext,
    demand: &Demand,
) -> Result<i64, AppError> {
    let destroyed = service.log.erase(&demand.subjects, context.now).await?;
    kill_point!("erasure.keys_destroyed");
    let done = CarriedOut {
        account_id: demand.account_id,
        subjects: demand.subjects.clone(),
        keys: destroyed.keys,
        texts: destroyed.texts,
    };
    let id: Uuid = demand.person_id.into();
    let outcome = service.log.execute::<Erasure>(context, id, done).await?;
    Ok(outcome.position)
}
