//! One company at a time.

use std::collections::HashSet;

use accounts_domain::{
    account::{Account, Command, Event, Order, Registration, Rejection},
    card::Card,
};
use api::accounts::{
    AssignOwnerRequest, AssignOwnerResponse, CancelOrderRequest, CancelOrderResponse,
    ChangeAccountDetailsRequest, ChangeAccountDetailsResponse, RegisterOrderRequest,
    RegisterOrderResponse, RegisterProspectRequest, RegisterProspectResponse, ReturnToPoolRequest,
    ReturnToPoolResponse,
};
use es::{Rejection as _, Violation};
use es_postgres::{ExecuteError, Outcome};
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, Money, OrderId, Role};

use super::{cards, extras};
use crate::{
    catalogue::Known,
    claims,
    orders::words::{precision, taken},
    owners, policy,
    views::{companies, orders},
    wire::{MAX_ID, MAX_TEXT, caught_up},
};

/// Merges and hand-overs that happen while one command is given: nobody is so fast.
const ATTEMPTS: usize = 8;

/// A command on an account, or on the one that it was merged into a moment ago.
pub(crate) async fn execute(
    service: &Service,
    ctx: &Ctx,
    mut id: AccountId,
    mut command: Command,
) -> Result<Outcome<Account>, AppError> {
    let context = ctx.command();
    for _ in 0..ATTEMPTS {
        let log = &service.log;
        match log
            .execute::<Account>(&context, id.0, command.clone())
            .await
        {
            Err(ExecuteError::Rejected(Rejection::Merged { into })) => {
                id = into;
                command = command.for_survivor(into);
            }
            executed => return executed.map_err(|error| claims::worded(ctx, error)),
        }
    }
    Err(AppError::Unavailable(
        "the account is being merged".to_owned(),
    ))
}

/// The account that the caller sees as of now, whatever the views have missed so far: the survivor
/// where it was merged.
pub(crate) async fn check_visible(
    service: &Service,
    ctx: &Ctx,
    id: AccountId,
) -> Result<AccountId, AppError> {
    caught_up(service).await?;
    Ok(service.visible_account(ctx, id).await?.id)
}

pub(super) async fn register_prospect(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: RegisterProspectRequest,
) -> Result<RegisterProspectResponse, AppError> {
    let mut v = Violations::new();
    let external_id = v.line("external_id", &req.external_id, MAX_ID);
    let external_id = Some(external_id).filter(|text| !text.is_empty());
    let card = cards::card(&mut v, known, req.card.unwrap_or_default());
    extras::check_linked(service, ctx, &mut v, "card.", &card.extras.links).await?;
    let named = v.optional_id("owner_id", &req.owner_id);
    let owner = owners::candidate(service, &mut v, "owner_id", named).await?;
    let stopped = service.stopped(&card.phones, &card.emails).await?;
    stopped.phones(&mut v, "card.phones", &card.phones);
    stopped.emails(&mut v, "card.emails", &card.emails);
    v.finish()?;
    if let Some(owner) = owner {
        owners::check_may_give(service, ctx, owner)?;
    }
    if !req.despite_duplicates
        && let Some(first) = refuse_duplicate(service, ctx, &card).await?
    {
        return Ok(registered(service, &first));
    }
    let own = (ctx.role() == Role::Manager).then(|| ctx.staff_id());
    let owner = owner
        .or(own)
        .map(|id| owners::owner_at(service, id, ctx.now));

    let id = match &external_id {
        Some(external_id) => AccountId::of_external(external_id),
        None => AccountId(ctx.new_id()),
    };
    let fresh = external_id.is_none();
    let command = Command::Register(Registration {
        id,
        external_id,
        card,
        owner,
        registered_at: ctx.now,
        status: known.state.first_status().map(|entry| entry.key.clone()),
        origin: None,
    });
    let outcome = if fresh {
        let context = ctx.command();
        service
            .log
            .execute_new::<Account>(&context, id.0, command)
            .await?
    } else {
        execute(service, ctx, id, command).await?
    };
    Ok(registered(service, &outcome))
}

fn registered(service: &Service, outcome: &Outcome<Account>) -> RegisterProspectResponse {
    RegisterProspectResponse {
        account_id: outcome.id.to_string(),
        recorded: Some(service.recorded(outcome)),
    }
}

/// A company that can be reached like another one is probably the same: it is found before it is
/// there twice. What the same request has registered before is no other one: that is given back.
async fn refuse_duplicate(
    service: &Service,
    ctx: &Ctx,
    card: &Card,
) -> Result<Option<Outcome<Account>>, AppError> {
    let numbered = |field: &str, of: Vec<String>| -> Vec<(String, String)> {
        let of = of.into_iter().enumerate();
        of.map(|(index, text)| (text, format!("card.{field}[{index}]")))
            .collect()
    };
    let phones = card.phones.iter().map(ToString::to_string).collect();
    let emails = card
        .emails
        .iter()
        .map(|email| email.to_string().to_lowercase());
    let mut points = numbered("phones", phones);
    let emails = numbered("emails", emails.collect());
    let texts = |of: &[(String, String)]| of.iter().map(|(text, _)| text.clone()).collect();
    let (numbers, addresses): (Vec<_>, Vec<_>) = (texts(&points), texts(&emails));
    let known = companies::reached_by(service.pool(), &numbers, &addresses).await?;
    if known.is_empty() {
        return Ok(None);
    }
    if let Some(first) = service.log.answered(&ctx.command()).await? {
        return Ok(Some(first));
    }
    points.extend(emails);
    let known: HashSet<_> = known.into_iter().map(|(text, _)| text).collect();
    let violations = points.into_iter().filter(|(text, _)| known.contains(text));
    Err(AppError::FailedPrecondition {
        reason: "DUPLICATE".into(),
        message: "a company that is reached so is there already".to_owned(),
        facts: Vec::new(),
        violations: violations
            .map(|(_, field)| Violation::new(field, "is on another card already"))
            .collect(),
    })
}

pub(super) async fn change_details(
    service: &Service,
    known: &Known,
    ctx: Ctx,
    req: ChangeAccountDetailsRequest,
) -> Result<ChangeAccountDetailsResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("account_id", &req.account_id);
    let mut changes = cards::changes(&mut v, known, &req);
    let links = changes.extras.links.as_deref().unwrap_or_default();
    extras::check_linked(service, &ctx, &mut v, "", links).await?;
    let ctx = ctx.expecting(&mut v, req.expected_version);
    let phones = changes.phones.as_deref().unwrap_or_default();
    let emails = changes.emails.as_deref().unwrap_or_default();
    let stopped = service.stopped(phones, emails).await?;
    stopped.phones(&mut v, "phones", phones);
    stopped.emails(&mut v, "emails", emails);
    let id = v.checked(id)?;
    let id = check_visible(service, &ctx, id).await?;
    if let Some(links) = &mut changes.extras.links {
        extras::keep_hidden(service, &ctx, id, links).await?;
    }
    if changes.touch_personal_data() {
        policy::check_may_change_personal_data(service, &ctx).await?;
    }
    let command = Command::ChangeDetails { id, changes };
    let outcome = execute(service, &ctx, id, command).await?;
    Ok(ChangeAccountDetailsResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn assign_owner(
    service: &Service,
    ctx: &Ctx,
    req: AssignOwnerRequest,
) -> Result<AssignOwnerResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("account_id", &req.account_id);
    let named = v.id("owner_id", &req.owner_id);
    let owner = owners::candidate(service, &mut v, "owner_id", named).await?;
    let (id, owner) = v.checked(id.zip(owner))?;
    let id = check_visible(service, ctx, id).await?;
    owners::check_may_give(service, ctx, owner)?;
    let to = owners::owner_at(service, owner, ctx.now);
    let outcome = execute(service, ctx, id, Command::AssignOwner { to, now: ctx.now }).await?;
    Ok(AssignOwnerResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn return_to_pool(
    service: &Service,
    ctx: &Ctx,
    req: ReturnToPoolRequest,
) -> Result<ReturnToPoolResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("account_id", &req.account_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let id = v.checked(id)?;
    let outcome = match check_visible(service, ctx, id).await {
        Ok(id) => execute(service, ctx, id, Command::ReturnToPool { id, reason }).await?,
        // Who has returned it may not see it in the pool.
        Err(unseen) => service.answered_or(ctx, unseen).await?,
    };
    Ok(ReturnToPoolResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn register_order(
    service: &Service,
    ctx: &Ctx,
    req: RegisterOrderRequest,
) -> Result<RegisterOrderResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("account_id", &req.account_id);
    let external_id = v.line("external_id", &req.external_id, MAX_ID);
    let external_id = Some(external_id).filter(|text| !text.is_empty());
    let amount = req.amount.unwrap_or_default();
    let amount = v.parsed(
        "amount",
        Money::try_new(amount.minor_units, &amount.currency),
    );
    let ordered_at = v.past_instant("ordered_at", req.ordered_at.as_ref(), ctx.now);
    let taken = taken(req.channel);
    if taken.is_none() {
        v.add("channel", "must be phone, import or other");
    }
    let (id, (amount, taken)): (AccountId, _) = v.checked(id.zip(amount.zip(taken)))?;

    let order_id = match &external_id {
        Some(external_id) => OrderId::of_external(external_id),
        None => OrderId(ctx.new_id()),
    };
    let order = Order {
        id: order_id,
        external_id,
        amount,
        ordered_at,
        precision: precision(req.ordered_at.as_ref()),
        taken,
        owner: None,
        now: Some(ctx.now),
    };
    let outcome = sell(service, ctx, id, order).await?;
    // A repeated request brings the id that was drawn the first time.
    let order_id = outcome.events.iter().find_map(order_of).unwrap_or(order_id);
    Ok(RegisterOrderResponse {
        order_id: order_id.to_string(),
        converted: outcome
            .events
            .iter()
            .any(|event| matches!(event, Event::ConvertedToClient(_))),
        recorded: Some(service.recorded(&outcome)),
    })
}

/// A sale never counts for the owner of a moment ago: the log itself is asked who that is, and again
/// when the account goes to somebody in this very moment.
async fn sell(
    service: &Service,
    ctx: &Ctx,
    id: AccountId,
    order: Order,
) -> Result<Outcome<Account>, AppError> {
    let mut sold = Err(AppError::Internal("nothing was tried".to_owned()));
    for _ in 0..ATTEMPTS {
        let id = check_visible(service, ctx, id).await?;
        let account = service.log.load::<Account>(id.0).await?.state;
        // Who sells under a claim owns it with the sale.
        let holder = account.claim_at(ctx.now).map(|claim| claim.holder.id);
        let seller = holder.filter(|holder| ctx.is(*holder));
        let owner = account.owner_id.or(seller);
        let order = Order {
            owner: owner.map(|owner| owners::owner_at(service, owner, order.ordered_at)),
            ..order.clone()
        };
        sold = execute(service, ctx, id, Command::RegisterOrder(order)).await;
        let changed = Rejection::OwnerChanged.reason();
        if !sold.as_ref().is_err_and(|error| error.reason() == changed) {
            break;
        }
    }
    sold
}

fn order_of(event: &Event) -> Option<OrderId> {
    match event {
        Event::OrderRegistered(order) => Some(order.order_id),
        _ => None,
    }
}

pub(super) async fn cancel_order(
    service: &Service,
    ctx: &Ctx,
    req: CancelOrderRequest,
) -> Result<CancelOrderResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id("account_id", &req.account_id);
    let order_id = v.id("order_id", &req.order_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let (id, order_id) = v.checked(id.zip(order_id))?;
    let id = check_visible(service, ctx, id).await?;
    // It stays where it was registered: perhaps on a record that was merged into this one.
    let standing = orders::accounts_of(service.pool(), &[order_id]).await?;
    let ids = service.directory.ids_of(id).await?;
    let id = standing
        .get(&order_id)
        .filter(|id| ids.contains(&id.0))
        .map_or(id, |id| *id);
    let command = Command::CancelOrder {
        id,
        order_id,
        reason,
    };
    let outcome = execute(service, ctx, id, command).await?;
    Ok(CancelOrderResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}
