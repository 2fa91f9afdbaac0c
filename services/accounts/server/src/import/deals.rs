//! A file of deals: open ones, and those of the past with their end.

use std::collections::{HashMap, HashSet};

use accounts_domain::{
    deal::{Changes, Closing, Command, Deal, Opening, Rejection},
    pipeline::{self, Pipeline, Published},
};
use api::accounts::{DealRow, ImportDealsRequest, ImportDealsResponse};
use es::Rejection as _;
use es_postgres::ExecuteError;
use kit::{
    AccountEntry, AppError, Ctx, Service, Snapshot, Violations,
    import::{
        Accounts, Fate, New, check_size, external_id, refusal, required_past, row_of, settle,
    },
};
use uuid::Uuid;
use vocabulary::{DealId, PipelineId, StaffId, normalise};

use super::orders::{amount, owner_then};
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
    accounts: Accounts,
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
    let named = req.rows.iter().map(|row| row.account.as_str());
    let known = Known {
        ctx,
        directory: &directory,
        accounts: Accounts::visible(service, ctx, named).await?,
        pipelines: pipelines(service, &req.rows).await?,
    };
    let rows = req.rows.iter();
    let rows: Vec<_> = rows.map(|row| (row.row, known.read(row))).collect();
    let ids = rows.iter().flat_map(|(_, row)| row);
    let ids: Vec<_> = ids.map(|(id, _)| *id).collect();
    let seen = deals::accounts_of(service.pool(), &ids).await?;
    let seen = service.directory.answering(seen).await?;

    let unless_seen = |(id, opening): (DealId, Opening)| match seen.get(&id) {
        Some(account_id) if *account_id == opening.account_id => Err(Fate::Repeated(id.0)),
        Some(_) => Err(taken()),
        None => Ok(New::<Deal> {
            id: id.0,
            stream: id.0,
            owner: None,
            command: Command::Open(Box::new(opening)),
        }),
    };
    let rows = rows.into_iter();
    let rows = rows.map(|(number, row)| (number, row.and_then(unless_seen)));
    let rows = rows.collect();
    let (results, position) = settle::<Deal>(service, ctx, rows, req.dry_run, refused).await?;
    Ok(ImportDealsResponse {
        results,
        position: Some(position),
    })
}

fn taken() -> Fate {
    Fate::of_another_account(Rejection::ExternalIdTaken.reason())
}

fn refused(id: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Rejected(Rejection::Exists) => Ok(Fate::Repeated(id)),
        ExecuteError::Rejected(Rejection::ExternalIdTaken) => Ok(taken()),
        error => refusal(error, "external_id"),
    }
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

impl Known<'_> {
    fn read(&self, row: &DealRow) -> Result<(DealId, Opening), Fate> {
        let mut v = Violations::new();
        let external_id = external_id(&mut v, &row.external_id);
        let account = self.accounts.read(&mut v, &row.account);
        let account = account.map(|(_, account)| account);
        let pipeline_id = pipeline::id_of(&row.pipeline);
        let rules = self.pipelines.get(&pipeline_id);
        if rules.is_none() {
            v.add("pipeline", "is not known");
        }
        let changes = Self::changes(&mut v, row);
        let opened_at = required_past(&mut v, self.ctx, "opened_at", &row.opened_at);
        let closing = self.closing(&mut v, row);
        let owner = self.owner(&mut v, row, account.as_ref(), closing.is_some());
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
            at: required_past(v, self.ctx, "closed_at", &row.closed_at),
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
