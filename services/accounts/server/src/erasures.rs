//! A person was erased: the telephones and addresses of that person go from every card and every
//! saved view that has them, the card of a company that was the person goes altogether with the
//! bytes of its documents, and then the keys.

mod terms;

use std::collections::{BTreeSet, HashSet};

use accounts_domain::{
    account::{Account, Command, Points, State},
    card, deal,
    saved_view::{self, SavedView, Texts},
};
use es::{Personal, Recorded};
use es_postgres::{
    CommandContext,
    projection::{ApplyError, Reaction},
};
use kill_point::kill_point;
use kit::{
    AppError, Service,
    erasure::{self, Demand},
    objects::Objects,
    stop_list::{fingerprints, of_email, of_phone},
};
use uuid::Uuid;
use vocabulary::AccountId;

use crate::{
    views::{
        companies::{self, Reachable},
        saved_views,
    },
    wire::caught_up,
};
use terms::Terms;

pub(crate) struct Erasures {
    pub(crate) service: Service,
    pub(crate) objects: Objects,
}

/// Cards looked through at once.
const PAGE: i64 = 5_000;

impl Reaction for Erasures {
    const NAME: &'static str = erasure::Erasures::NAME;
    const SOURCES: &'static [&'static str] = erasure::Erasures::SOURCES;
    const EVENTS: &'static [&'static str] = erasure::Erasures::EVENTS;

    /// A card may have to do with several persons: one erasure after the other.
    fn touches(&self, _event: &Recorded) -> Vec<Uuid> {
        vec![Uuid::nil()]
    }

    async fn react(&self, _source: &str, event: &Recorded) -> Result<(), ApplyError> {
        let context = erasure::because_of(&self.service, event);
        Ok(self.erase(&context, Demand::read(event)?).await?)
    }
}

impl Erasures {
    async fn erase(&self, context: &CommandContext, mut demand: Demand) -> Result<(), AppError> {
        let mut stopped: HashSet<String> = demand.stop_list.iter().cloned().collect();
        let companies = demand.subjects.iter();
        let companies: Vec<_> = companies.filter_map(|of| of.id(card::SUBJECT)).collect();
        let mut cards = Vec::new();
        for id in companies.into_iter().map(AccountId) {
            let account = self.load(id).await?;
            let points = (
                account.ever.phones.as_slice(),
                account.ever.emails.as_slice(),
            );
            let stop_list = fingerprints(&self.service.log, points.0, points.1);
            stopped.extend(stop_list.iter().cloned());
            cards.push((id, account, stop_list));
        }
        let own = self.among(&stopped, self.load(demand.account_id).await?.ever);
        // First: later nobody can read in the cards what is to be looked for.
        self.forget_in_views(context, &stopped, &own, &cards)
            .await?;
        for (id, account, stop_list) in cards {
            self.tell(context, id, Command::Erase { stop_list }).await?;
            self.objects.destroy(&[&id.to_string()]).await?;
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
        kill_point!("erasure.cards_cleared");
        erasure::carry_out(&self.service, context, &demand).await?;
        Ok(())
    }

    async fn forget_in_views(
        &self,
        context: &CommandContext,
        stopped: &HashSet<String>,
        own: &Points,
        cards: &[(AccountId, State, Vec<String>)],
    ) -> Result<(), AppError> {
        let of_cards = cards.iter().map(|(_, account, _)| account);
        let phones = of_cards.clone().flat_map(|account| &account.ever.phones);
        let names = of_cards.filter_map(|account| account.details.name.as_ref());
        let terms = Terms {
            log: &self.service.log,
            stopped,
            phones: phones.chain(&own.phones).collect(),
            names: names
                .filter_map(Personal::get)
                .map(String::as_str)
                .collect(),
        };
        if terms.is_empty() {
            return Ok(());
        }
        caught_up(&self.service).await?;
        for view in saved_views::all(self.service.pool()).await? {
            let texts = view.filter.0.texts().chain([&view.name]);
            let texts: BTreeSet<String> =
                texts.filter(|text| terms.are_in(text)).cloned().collect();
            if !texts.is_empty() {
                let texts = Texts(texts);
                let command = saved_view::Command::Forget { texts };
                let log = &self.service.log;
                log.execute::<SavedView>(context, view.id, command).await?;
            }
        }
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
