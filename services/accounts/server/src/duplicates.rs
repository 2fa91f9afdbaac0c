//! Records of the same company: found, merged, told apart.

use std::collections::{BTreeMap, HashMap};

use accounts_domain::account::{Account, Command, Event, Merge};
use api::accounts::{
    CheckDuplicateRequest, CheckDuplicateResponse, DuplicateHit, MergeAccountsRequest,
    MergeAccountsResponse, UnmergeAccountsRequest, UnmergeAccountsResponse,
    duplicates_service_server::DuplicatesService,
};
use es_postgres::{ExecuteError, Outcome};
use kit::{AppError, Ctx, Service, Violations};
use tonic::{Request, Response, Status};
use vocabulary::{AccountId, Email, PhoneNumber, StaffId};

use crate::{
    claims, owners,
    views::{companies, people},
    wire::{MAX_TEXT, caught_up},
};

/// So often another merge is faster, and no more.
const ATTEMPTS: usize = 8;
const ABSENT: AppError = AppError::NotFound { what: "account" };

pub(crate) struct Duplicates {
    service: Service,
}

impl Duplicates {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn check(
        &self,
        ctx: &Ctx,
        req: &CheckDuplicateRequest,
    ) -> Result<Vec<DuplicateHit>, AppError> {
        let mut v = Violations::new();
        if req.phones.is_empty() && req.emails.is_empty() {
            crate::accounts::phone_or_email(&mut v, "phones", "emails");
        }
        // Parsed for the faults; compared one by one, to say which of the request it is.
        v.phones("phones", &req.phones);
        v.emails("emails", &req.emails);
        v.finish()?;
        let phones = named("phones", &req.phones, |text| {
            PhoneNumber::parse(text).ok().map(|phone| phone.to_string())
        });
        let emails = named("emails", &req.emails, |text| {
            let email = Email::parse(text).ok()?;
            Some(email.to_string().to_lowercase())
        });
        let texts = |of: &[(String, String)]| of.iter().map(|(text, _)| text.clone()).collect();
        let (numbers, addresses): (Vec<_>, Vec<_>) = (texts(&phones), texts(&emails));
        let found = companies::reached_by(self.service.pool(), &numbers, &addresses).await?;

        let ids: Vec<_> = found.iter().map(|(_, id)| *id).collect();
        let known = self.service.known_accounts(&ids).await?;
        let mut hits = BTreeMap::new();
        for (text, id) in found {
            let Some(account) = known.get(&id) else {
                continue;
            };
            let (_, matches) = hits.entry(account.id).or_insert((*account, Vec::new()));
            for (matched, field) in phones.iter().chain(&emails) {
                if *matched == text && !matches.contains(field) {
                    matches.push(field.clone());
                }
            }
        }
        let owners = hits.values().filter_map(|(account, _)| account.owner_id);
        let names = short_names(&self.service, &owners.collect::<Vec<_>>()).await?;
        let mut answer = Vec::with_capacity(hits.len());
        for (id, (account, matches)) in hits {
            let owner = account.owner_id;
            let seen = account.is_visible(ctx.sees(), ctx.now);
            let told = seen || self.service.node.config.prospects.show_owners;
            answer.push(DuplicateHit {
                account_id: if seen || owner.is_none() {
                    id.to_string()
                } else {
                    String::new()
                },
                in_pool: owner.is_none(),
                owner: match owner.filter(|_| told) {
                    Some(owner) => names.get(&owner).cloned().unwrap_or_default(),
                    None => String::new(),
                },
                matches,
            });
        }
        Ok(answer)
    }

    /// The record itself, whatever it was merged into, if the caller sees it.
    async fn visible(&self, ctx: &Ctx, id: AccountId) -> Result<AccountId, AppError> {
        Ok(self.service.visible_account(ctx, id).await?.id)
    }

    async fn merge(
        &self,
        ctx: &Ctx,
        req: &MergeAccountsRequest,
    ) -> Result<MergeAccountsResponse, AppError> {
        let mut v = Violations::new();
        let survivor: Option<AccountId> = v.id("survivor_id", &req.survivor_id);
        let merged: Option<AccountId> = v.id("merged_id", &req.merged_id);
        if survivor.is_some() && survivor == merged {
            v.add("merged_id", "must be another one than survivor_id");
        }
        let reason = v.required("reason", &req.reason, MAX_TEXT);
        let (survivor, merged) = v.checked(survivor.zip(merged))?;
        for _ in 0..ATTEMPTS {
            caught_up(&self.service).await?;
            let survivor_id = self.visible(ctx, survivor).await?;
            self.visible(ctx, merged).await?;
            let standing = self.service.log.load::<Account>(survivor_id.0).await?.state;
            let command = Command::Merge(Merge {
                id: merged,
                survivor_id,
                survivor_is_client: standing.client,
                reason: reason.clone(),
                now: ctx.now,
            });
            let log = &self.service.log;
            match log
                .execute::<Account>(&ctx.command(), merged.0, command)
                .await
            {
                // The survivor was merged a moment ago: the one it was merged into survives.
                Err(ExecuteError::Taken { .. }) => {}
                Err(error) => return Err(claims::worded(ctx, error)),
                Ok(outcome) => {
                    let survivor_id = outcome.state.merged_into.unwrap_or(survivor_id);
                    return Ok(MergeAccountsResponse {
                        survivor_id: survivor_id.to_string(),
                        recorded: Some(self.service.recorded(&outcome)),
                    });
                }
            }
        }
        Err(AppError::Unavailable(
            "a merge was overtaken again and again".to_owned(),
        ))
    }

    async fn unmerge(
        &self,
        ctx: &Ctx,
        req: &UnmergeAccountsRequest,
    ) -> Result<UnmergeAccountsResponse, AppError> {
        let mut v = Violations::new();
        let merged: Option<AccountId> = v.id("merged_id", &req.merged_id);
        let reason = v.required("reason", &req.reason, MAX_TEXT);
        let merged = v.checked(merged)?;
        caught_up(&self.service).await?;
        if let Err(unseen) = self.visible(ctx, merged).await {
            // Apart again, it may be in the pool, or somebody's whom the caller does not see.
            let first = self.service.answered_or(ctx, unseen).await?;
            return Ok(self.unmerged(&first));
        }
        let record = self.service.log.load::<Account>(merged.0).await?.state;
        let directory = self.service.directory.snapshot();
        // Whoever sees the survivor must not get to see by this what somebody else owns.
        if !ctx.sees().includes_owner(record.owner_id) {
            return Err(ABSENT);
        }
        let owner_left = record
            .owner_id
            .is_some_and(|owner| !directory.staff(owner).is_some_and(owners::can_own));
        let command = Command::Unmerge {
            id: merged,
            reason,
            owner_left,
        };
        let context = ctx.command();
        let log = &self.service.log;
        let outcome = log.execute::<Account>(&context, merged.0, command).await?;
        Ok(self.unmerged(&outcome))
    }

    fn unmerged(&self, outcome: &Outcome<Account>) -> UnmergeAccountsResponse {
        let survivor = outcome.events.iter().find_map(|event| match event {
            Event::Unmerged(unmerged) => Some(unmerged.survivor_id),
            _ => None,
        });
        UnmergeAccountsResponse {
            survivor_id: survivor.map_or_else(String::new, |id| id.to_string()),
            recorded: Some(self.service.recorded(outcome)),
        }
    }
}

/// Никитин П. О.
pub(crate) async fn short_names(
    service: &Service,
    ids: &[StaffId],
) -> Result<HashMap<StaffId, String>, sqlx::Error> {
    let names = people::names_of(service.pool(), ids).await?;
    let names = names.into_iter();
    Ok(names.map(|(id, name)| (id, shortened(&name))).collect())
}

/// What was asked for, as it is compared, and its name in the request.
fn named(
    field: &str,
    texts: &[String],
    read: impl Fn(&str) -> Option<String>,
) -> Vec<(String, String)> {
    let texts = texts.iter().enumerate();
    texts
        .filter_map(|(index, text)| Some((read(text)?, format!("{field}[{index}]"))))
        .collect()
}

fn shortened(name: &str) -> String {
    let mut words = name.split_whitespace();
    let mut short = words.next().unwrap_or_default().to_owned();
    for initial in words.filter_map(|word| word.chars().next()) {
        short.push(' ');
        short.push(initial);
        short.push('.');
    }
    short
}

#[tonic::async_trait]
impl DuplicatesService for Duplicates {
    async fn check_duplicate(
        &self,
        request: Request<CheckDuplicateRequest>,
    ) -> Result<Response<CheckDuplicateResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        let hits = self.check(&ctx, &req).await?;
        Ok(Response::new(CheckDuplicateResponse { hits }))
    }

    async fn merge_accounts(
        &self,
        request: Request<MergeAccountsRequest>,
    ) -> Result<Response<MergeAccountsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.merge(&ctx, &req).await?))
    }

    async fn unmerge_accounts(
        &self,
        request: Request<UnmergeAccountsRequest>,
    ) -> Result<Response<UnmergeAccountsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.unmerge(&ctx, &req).await?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_told_as_in_a_list_of_staff() {
        assert_eq!(shortened("Никитин Павел Олегович"), "Никитин П. О.");
        assert_eq!(shortened("Никитин"), "Никитин");
        assert_eq!(shortened(""), "");
    }
}
