//! A file of deals: open ones, and those of the past with their end.

use std::collections::{HashMap, HashSet};

use accounts_domain::{
    deal::{Changes, Closing, Command, Deal, Opening, Rejection},
    pipeline::{self, Pipeline, Published},
};
use api::accounts::{DealRow, ImportDealsRequest, ImportDealsResponse};
use es::{Aggregate, Rejection as _};
use es_postgres::ExecuteError;
use kit::{AccountEntry, AppError, Ctx, Service, Snapshot, Violations};
use vocabulary::{AccountId, DealId, PipelineId, StaffId, normalise};

use super::{
    Fate,
    accounts::past,
    check_size,
    orders::{amount, owner_then},
    refusal, rejected, row_of,
};
use crate::{
    accounts::MAX_PLACE,
    owners,
    views::deals,
    wire::{MAX_ID, MAX_TEXT, caught_up},
};

/// What rows speak of.
struct Known<'a> {
    ctx: &'a Ctx,
    directory: &'a Snapshot,
    /// Those that the caller sees.
    accounts: HashMap<AccountId, AccountEntry>,
    pipelines: HashMap<PipelineId, Published>,
}

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: ImportDealsRequest,
) -> Result<ImportDealsResponse, AppError> {
    check_size(req.rows.len())?;
    caught_up(service).await?;
    let directory = service.directory.snapshot();
    let known = Known {
        ctx,
        directory: &directory,
        accounts: visible_accounts(service, ctx, &req.rows).await?,
        pipelines: pipelines(service, &req.rows).await?,
    };
    let rows: Vec<_> = req.rows.iter().map(|row| known.read(row)).collect();
    let ids: Vec<_> = rows.iter().flatten().map(|(id, _)| *id).collect();
    let seen = deals::accounts_of(service.pool(), &ids).await?;
    let mut seen = service.directory.answering(seen).await?;

    let mut fates = Vec::with_capacity(rows.len());
    let mut commands = Vec::new();
    for row in rows {
        let fate = match row {
            Ok((id, opening)) => match seen.get(&id) {
                Some(account_id) if *account_id == opening.account_id => Fate::Repeated(id.0),
                Some(_) => taken(),
                None => {
                    let account_id = opening.account_id;
                    let command = Command::Open(Box::new(opening));
                    // The same decision as the log will make: a dry run says what would happen.
                    match Deal::decide(&None, command.clone()) {
                        Ok(_) => {
                            seen.insert(id, account_id);
                            commands.push((fates.len(), (ctx.command(), id.0, command)));
                            Fate::Created(id.0)
                        }
                        Err(rejection) => rejected(&rejection),
                    }
                }
            },
            Err(fate) => fate,
        };
        fates.push(fate);
    }
    let mut reached = *service.log.head().borrow();
    if !req.dry_run {
        let (indexes, commands): (Vec<_>, Vec<_>) = commands.into_iter().unzip();
        let outcomes = service.log.execute_many::<Deal>(commands).await;
        for (index, outcome) in indexes.into_iter().zip(outcomes) {
            let Some(fate) = fates.get_mut(index) else {
                continue;
            };
            match (outcome, &*fate) {
                (Ok(outcome), _) => reached = reached.max(outcome.position),
                // Somebody imported the same row in this moment.
                (Err(ExecuteError::Rejected(Rejection::Exists)), Fate::Created(id)) => {
                    *fate = Fate::Repeated(*id);
                }
                (Err(error), _) => *fate = refusal(error, "external_id")?,
            }
        }
    }
    let results = req.rows.iter().zip(fates);
    Ok(ImportDealsResponse {
        results: results.map(|(row, fate)| fate.result(row.row)).collect(),
        position: Some(service.position(reached)),
    })
}

fn taken() -> Fate {
    Fate::refused(
        "external_id",
        "is used for another account",
        Rejection::ExternalIdTaken.reason(),
    )
}

async fn visible_accounts(
    service: &Service,
    ctx: &Ctx,
    rows: &[DealRow],
) -> Result<HashMap<AccountId, AccountEntry>, AppError> {
    let ids: Vec<_> = rows.iter().map(account_of).collect();
    let mut accounts = service.directory.accounts(&ids).await?;
    accounts.retain(|_, account| account.is_visible(ctx.sees(), ctx.now));
    Ok(accounts)
}

async fn pipelines(
    service: &Service,
    rows: &[DealRow],
) -> Result<HashMap<PipelineId, Published>, AppError> {
    let ids: HashSet<_> = rows
        .iter()
        .map(|row| pipeline::id_of(&row.pipeline))
        .collect();
    let mut found = HashMap::new();
    for id in ids {
        let pipeline::State(published) = service.log.load::<Pipeline>(id.0).await?.state;
        found.extend(published.map(|published| (id, published)));
    }
    Ok(found)
}

fn account_of(row: &DealRow) -> AccountId {
    AccountId::of_external(&normalise(&row.account))
}

impl Known<'_> {
    fn read(&self, row: &DealRow) -> Result<(DealId, Opening), Fate> {
        let mut v = Violations::new();
        let external_id = v.required_line("external_id", &row.external_id, MAX_ID);
        let account = self.accounts.get(&account_of(row));
        if account.is_none() {
            v.add("account", "is not known");
        }
        let pipeline_id = pipeline::id_of(&row.pipeline);
        let rules = self.pipelines.get(&pipeline_id);
        if rules.is_none() {
            v.add("pipeline", "is not known");
        }
        let changes = Self::changes(&mut v, row);
        if row.opened_at.trim().is_empty() {
            v.add("opened_at", "must not be empty");
        }
        let opened_at = past(&mut v, "opened_at", &row.opened_at, self.ctx);
        let closing = self.closing(&mut v, row);
        let owner = self.owner(&mut v, row, account, closing.is_some());
        let stage = v.line("stage", &row.stage, MAX_ID);
        let id = DealId::of_external(&external_id);
        let row = account.zip(rules).map(|(account, rules)| Opening {
            account_id: account.id,
            external_id: Some(external_id),
            pipeline_id,
            rules: rules.clone(),
            stage,
            owner: owner.map(|id| owners::owner_in(self.directory, id, opened_at)),
            changes,
            opened_at,
            closing,
        });
        row_of(v, row.map(|opening| (id, opening)))
    }

    fn changes(v: &mut Violations, row: &DealRow) -> Changes {
        let amount = match row.amount.trim() {
            "" => None,
            text => amount(v, text, row.currency.trim()),
        };
        let product = v.line("product", &row.product, MAX_PLACE);
        Changes {
            amount,
            product: Some(product).filter(|text| !text.is_empty()),
            ..Changes::default()
        }
    }

    fn closing(&self, v: &mut Violations, row: &DealRow) -> Option<Closing> {
        let lost_reason = v.optional("lost_reason", &row.lost_reason, MAX_TEXT);
        if row.closed_at.trim().is_empty() {
            if !lost_reason.is_empty() {
                v.add("closed_at", "must not be empty when there is a lost_reason");
            }
            return None;
        }
        Some(Closing {
            at: past(v, "closed_at", &row.closed_at, self.ctx),
            lost_reason: Some(lost_reason).filter(|text| !text.is_empty()),
        })
    }

    /// An open deal is the company's owner's; one of the past was somebody's.
    fn owner(
        &self,
        v: &mut Violations,
        row: &DealRow,
        account: Option<&AccountEntry>,
        closed: bool,
    ) -> Option<StaffId> {
        let present = account.and_then(|account| account.owner_id);
        match normalise(&row.owner).as_str() {
            "" => present,
            external_id if closed => Some(owner_then(v, self.ctx, self.directory, external_id)),
            external_id => {
                if account.is_some() && present != Some(StaffId::of_external(external_id)) {
                    v.add(
                        "owner",
                        "must be the owner of the account while the deal is open",
                    );
                }
                present
            }
        }
    }
}
