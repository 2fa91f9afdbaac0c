//! A file of orders.

use accounts_domain::account::{Account, Command, Order, Rejection, Taken};
use api::accounts::{ImportOrdersRequest, ImportOrdersResponse, OrderRow};
use es_postgres::ExecuteError;
use kit::{
    AppError, Ctx, Service, Snapshot, Violations,
    import::{
        Accounts, Fate, New, check_size, external_id, refusal, required_past, row_of, settle,
    },
};
use uuid::Uuid;
use vocabulary::{AccountId, Money, OrderId, StaffId, normalise};

use super::precision;
use crate::{owners, views::orders, wire::caught_up};

struct Row {
    account_id: AccountId,
    order: Order,
}

pub(crate) async fn run(
    service: &Service,
    ctx: &Ctx,
    req: ImportOrdersRequest,
) -> Result<ImportOrdersResponse, AppError> {
    check_size(req.rows.len())?;
    caught_up(service).await?;
    let directory = service.directory.snapshot();
    let named = req.rows.iter().map(|row| row.account.as_str());
    let visible = Accounts::visible(service, ctx, named).await?;
    let rows = req.rows.iter();
    let rows: Vec<_> = rows
        .map(|row| (row.row, read(ctx, &directory, &visible, row)))
        .collect();
    let orders = rows.iter().flat_map(|(_, row)| row);
    let orders: Vec<_> = orders.map(|row| row.order.id).collect();
    let known = orders::find(service.pool(), &orders).await?;
    let accounts = known.iter();
    let accounts = accounts.map(|(id, order)| (*id, AccountId(order.account_id)));
    let accounts = service.directory.answering(accounts.collect()).await?;

    let unless_known = |Row { account_id, order }| match known.get(&order.id) {
        Some(_) if accounts.get(&order.id) != Some(&account_id) => Err(taken()),
        Some(known) if order.repeats(&known.known()) => Err(Fate::Repeated(order.id.0)),
        Some(_) => Err(Fate::against(&Rejection::OrderExists)),
        None => Ok(New::<Account> {
            id: order.id.0,
            stream: account_id.0,
            owner: None,
            command: Command::RegisterOrder(order),
        }),
    };
    let rows = rows.into_iter();
    let rows = rows.map(|(number, row)| (number, row.and_then(unless_known)));
    let rows = rows.collect();
    let (results, position) = settle::<Account>(service, ctx, rows, req.dry_run, refused).await?;
    Ok(ImportOrdersResponse {
        results,
        position: Some(position),
    })
}

fn taken() -> Fate {
    Fate::of_another_account("ORDER_TAKEN")
}

fn refused(_: Uuid, error: ExecuteError<Rejection>) -> Result<Fate, AppError> {
    match error {
        ExecuteError::Taken { .. } => Ok(taken()),
        error => refusal(error, "external_id"),
    }
}

fn read(ctx: &Ctx, directory: &Snapshot, visible: &Accounts, row: &OrderRow) -> Result<Row, Fate> {
    let mut v = Violations::new();
    let external_id = external_id(&mut v, &row.external_id);
    let account = visible.read(&mut v, &row.account);
    let account = account.map(|(_, account)| account);
    let amount = amount(&mut v, &row.amount, row.currency.trim());
    let ordered_at = required_past(&mut v, ctx, "ordered_at", &row.ordered_at);
    let owner = match normalise(&row.owner).as_str() {
        "" => account.and_then(|account| account.owner_id),
        external_id => Some(owner_then(&mut v, ctx, directory, external_id)),
    };
    let row = account.zip(amount).map(|(account, amount)| Row {
        account_id: account.id,
        order: Order {
            id: OrderId::of_external(&external_id),
            external_id: Some(external_id),
            amount,
            ordered_at,
            precision: precision(ordered_at, ctx),
            taken: Taken::Import,
            owner: owner.map(|id| owners::owner_in(directory, id, ordered_at)),
            now: None,
        },
    });
    row_of(v, row)
}

/// Both columns are looked at, whatever is wrong with the other.
pub(super) fn amount(v: &mut Violations, amount: &str, currency: &str) -> Option<Money> {
    let nothing = v.parsed("currency", Money::try_new(0, currency));
    let currency = nothing.map_or_else(|| "XXX".to_owned(), |nothing| nothing.currency);
    v.parsed("amount", Money::parse(amount, &currency))
}

/// Who owned the account then may have left since; but nobody imports sales for others than those
/// whose figures they see.
pub(super) fn owner_then(
    v: &mut Violations,
    ctx: &Ctx,
    directory: &Snapshot,
    external_id: &str,
) -> StaffId {
    let id = StaffId::of_external(external_id);
    if directory.staff(id).is_none() {
        v.add("owner", "is not a member of staff");
    } else if !ctx.sees_by(directory).includes(id) {
        v.add("owner", "must be somebody whose accounts the importer sees");
    }
    id
}
