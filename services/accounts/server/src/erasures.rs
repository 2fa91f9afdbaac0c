//! A person was erased: the telephones and addresses of that person go from every card that has
//! them, the card of a company that was the person goes altogether, and then the keys.

use std::collections::HashSet;

use accounts_domain::{
    account::{Account, Command, Points, State},
    card, deal,
};
use es::Recorded;
use es_postgres::{
    CommandContext,
    projection::{ApplyError, Reaction},
};
use kit::{
    AppError, Service,
    erasure::{self, Demand},
    stop_list::{fingerprints, of_email, of_phone},
};
use uuid::Uuid;
use vocabulary::AccountId;

use crate::{
    views::companies::{self, Reachable},
    wire::caught_up,
};

pub(crate) struct Erasures {
    pub(crate) service: Service,
}

/// Cards looked through at once.
const PAGE: i64 = 5_000;

impl Reaction for Erasures {
    const NAME: &'static str = erasure::Erasures::NAME;
    const SOURCES: &'static [&'static str] = erasure::Erasures::SOURCES;

    /// A card may have to do with several persons: one erasure after the other.
    fn touches(&self, event: &Recorded) -> Vec<Uuid> {
        vec![if event.event_type == "data_subject.erased" {
            Uuid::nil()
        } else {
            event.stream.id
        }]
    }

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        if let Some(demand) = Demand::read(event)? {
            let context = erasure::because_of(&self.service, event);
            self.erase(&context, demand).await?;
        }
        Ok(())
    }
}

impl Erasures {
    async fn erase(&self, context: &CommandContext, mut demand: Demand) -> Result<(), AppError> {
        let mut stopped: HashSet<String> = demand.stop_list.iter().cloned().collect();
        let companies = demand.subjects.iter();
        let companies: Vec<_> = companies.filter_map(|of| of.id(card::SUBJECT)).collect();
        for id in companies.into_iter().map(AccountId) {
            let account = self.load(id).await?;
            let points = (
                account.ever.phones.as_slice(),
                account.ever.emails.as_slice(),
            );
            let stop_list = fingerprints(&self.service.log, points.0, points.1);
            stopped.extend(stop_list.iter().cloned());
            self.tell(context, id, Command::Erase { stop_list }).await?;
            // The card may have been sealed anew before, and what is said in deals has a key of its own.
            for subject in [account.details.subject(id), deal::subject(id)] {
                if !demand.subjects.contains(&subject) {
                    demand.subjects.push(subject);
                }
            }
        }
        for id in self.cards_with(&stopped, demand.account_id).await? {
            let points = self.load(id).await?.ever;
            let points = self.among(&stopped, points);
            self.tell(context, id, Command::Forget { id, points })
                .await?;
        }
        erasure::carry_out(&self.service, context, &demand).await?;
        Ok(())
    }

    async fn load(&self, id: AccountId) -> Result<State, AppError> {
        Ok(self.service.log.load::<Account>(id.0).await?.state)
    }

    /// An account that accounts does not have is no fault of the person.
    async fn tell(
        &self,
        context: &CommandContext,
        id: AccountId,
        command: Command,
    ) -> Result<(), AppError> {
        let log = &self.service.log;
        match log
            .execute::<Account>(context, id.0, command)
            .await
            .map_err(AppError::from)
        {
            Ok(_) | Err(AppError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The person's own, which may have had them in the past, and whoever has one of them now.
    async fn cards_with(
        &self,
        stopped: &HashSet<String>,
        own: AccountId,
    ) -> Result<Vec<AccountId>, AppError> {
        let mut found = vec![own];
        if stopped.is_empty() {
            return Ok(found);
        }
        caught_up(&self.service).await?;
        let mut after = None;
        loop {
            let page = companies::reachable(self.service.pool(), after, PAGE).await?;
            let Some(last) = page.last() else {
                return Ok(found);
            };
            after = Some(last.account_id);
            let with = page.iter().filter(|card| self.has_one_of(stopped, card));
            found.extend(with.map(|card| AccountId(card.account_id)));
        }
    }

    fn has_one_of(&self, stopped: &HashSet<String>, card: &Reachable) -> bool {
        let log = &self.service.log;
        card.phones
            .iter()
            .any(|phone| stopped.contains(&of_phone(log, phone)))
            || card
                .emails
                .iter()
                .any(|email| stopped.contains(&of_email(log, email)))
    }

    fn among(&self, stopped: &HashSet<String>, mut points: Points) -> Points {
        let log = &self.service.log;
        points
            .phones
            .retain(|phone| stopped.contains(&of_phone(log, phone.as_str())));
        points
            .emails
            .retain(|email| stopped.contains(&of_email(log, email.as_str())));
        points
    }
}
