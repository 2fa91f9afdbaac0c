//! A claim keeps others away from a prospect, and ends by itself.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::{GetAccountRequest, ListClaimsRequest, RegisterOrderRequest, RenewClaimRequest},
    common::Money,
    log::ReadEventsRequest,
};
use tests::{
    background::{Background, code, instant, reason, request_id},
    client::Client,
    eventually,
};
use tonic::Code;

use super::{call_to, claim, company, count, heads, refusal};

const PATIENCE: Duration = Duration::from_secs(5);

/// S-10: two managers do not call the same prospect (T-008, N-11).
#[tokio::test]
async fn s10_two_managers_do_not_call_the_same_prospect() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let acc_2001 = company(&office, "acc-2001", "+7 900 000-10-01", "").await?;
    let acc_2002 = company(&office, "acc-2002", "8-900-000-10-01", "").await?;
    let (kuznetsov, fyodorova) = (office.client("s-13")?, office.client("s-22")?);
    let (mut one, mut other) = (kuznetsov.prospects(), fyodorova.prospects());
    let (first, second) = tokio::join!(
        one.claim_prospect(claim(&acc_2001)),
        other.claim_prospect(claim(&acc_2001))
    );
    let (winner, loser, refused, granted) = match (first, second) {
        (Ok(granted), Err(refused)) => (&kuznetsov, &fyodorova, refused, granted),
        (Err(refused), Ok(granted)) => (&fyodorova, &kuznetsov, refused, granted),
        both => anyhow::bail!("{both:?}"),
    };
    let granted = granted.into_inner();
    ensure!(
        granted.until == Some(instant("2026-03-13T10:30:00+03:00")),
        "{granted:?}"
    );
    ensure!(
        (refused.code(), reason(&refused).as_str()) == (Code::FailedPrecondition, "CLAIMED")
            && refused.message() == "claimed until 10:30",
        "{refused:?}"
    );
    ensure!(count(&office, "accounts", "account.claim_granted").await? == 1);

    let refused = refusal(loser.prospects().claim_prospect(claim(&acc_2002)).await)?;
    ensure!(
        reason(&refused) == "PHONE_CLAIMED" && refused.message().starts_with("phone claimed"),
        "{refused:?}"
    );
    // The loser has no number to dial, and nothing that was said is taken from the loser.
    let seen = heads(&office, "accounts").await?;
    for account in [&acc_2001, &acc_2002] {
        let request = GetAccountRequest {
            account_id: account.clone(),
            min_positions: seen.clone(),
        };
        let hidden = loser.accounts().get_account(request).await;
        ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
        let call = loser
            .contacts()
            .log_interaction(call_to(account, &seen))
            .await;
        ensure!(code(&call) == Code::NotFound, "{call:?}");
    }
    // Not even who sees the whole base speaks with it.
    let call = office
        .admin
        .contacts()
        .log_interaction(call_to(&acc_2001, &seen))
        .await;
    ensure!(reason(&refusal(call)?) == "CLAIMED");
    ensure!(office.events("contacts").await?.is_empty());
    let claims = winner
        .prospects()
        .list_claims(ListClaimsRequest {
            min_positions: seen,
        })
        .await?;
    ensure!(claims.into_inner().claims.len() == 1);

    office.at("2026-03-13T10:29:59+03:00").await?;
    let renew = RenewClaimRequest {
        request_id: request_id(),
        account_id: acc_2001.clone(),
    };
    let renewed = winner.prospects().renew_claim(renew).await?.into_inner();
    ensure!(
        renewed.until == Some(instant("2026-03-13T10:59:59+03:00")),
        "{renewed:?}"
    );
    office.at("2026-03-13T10:59:58+03:00").await?;
    let refused = refusal(loser.prospects().claim_prospect(claim(&acc_2001)).await)?;
    ensure!(refused.message() == "claimed until 10:59:59", "{refused:?}");

    office.at("2026-03-13T11:00:00+03:00").await?;
    let granted = loser
        .prospects()
        .claim_prospect(claim(&acc_2001))
        .await?
        .into_inner();
    ensure!(
        granted.until == Some(instant("2026-03-13T11:30:00+03:00")),
        "{granted:?}"
    );
    ensure!(count(&office, "accounts", "account.claim_granted").await? == 2);
    ensure!(count(&office, "accounts", "account.claim_expired").await? == 1);

    // In time the first interaction makes the holder the owner.
    let recorded = granted.recorded.and_then(|recorded| recorded.position);
    let seen: Vec<_> = recorded.into_iter().collect();
    let logged = loser
        .contacts()
        .log_interaction(call_to(&acc_2001, &seen))
        .await?;
    ensure!(logged.get_ref().recorded.is_some());
    let owner = owner_becomes_known(&office, &acc_2001).await?;
    let loser_id = if std::ptr::eq(loser, &raw const kuznetsov) {
        "s-13"
    } else {
        "s-22"
    };
    ensure!(owner == office.staff[loser_id], "{owner}");
    ensure!(count(&office, "accounts", "account.owner_assigned").await? == 1);
    // Nobody else calls that number now, whichever card it is on.
    let refused = refusal(winner.prospects().claim_prospect(claim(&acc_2002)).await)?;
    ensure!(reason(&refused) == "PHONE_OWNED", "{refused:?}");
    // The owner may look at the other card, and the timer gives back what nobody asks for.
    let granted = loser
        .prospects()
        .claim_prospect(claim(&acc_2002))
        .await?
        .into_inner();
    ensure!(granted.until.is_some());
    office.at("2026-03-13T12:00:00+03:00").await?;
    let expired = eventually(
        PATIENCE,
        || count(&office, "accounts", "account.claim_expired"),
        |expired| matches!(expired, Ok(2)),
    )
    .await?;
    ensure!(expired == 2, "{expired}");
    Ok(())
}

async fn owner_becomes_known(office: &Background, account_id: &str) -> anyhow::Result<String> {
    let owner = async || {
        let request = GetAccountRequest {
            account_id: account_id.to_owned(),
            ..GetAccountRequest::default()
        };
        let account = office.admin.accounts().get_account(request).await?;
        let account = account.into_inner().account.unwrap_or_default();
        anyhow::Ok(account.owner_id)
    };
    eventually(
        PATIENCE,
        owner,
        |owner| matches!(owner, Ok(owner) if !owner.is_empty()),
    )
    .await
}

/// S-10, N-11: of 1,000 attempts at once one is granted, and one event is written.
#[tokio::test]
async fn of_a_thousand_attempts_one_is_granted() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let account = company(&office, "acc-2003", "+7 900 000-10-03", "").await?;
    let mut callers = Vec::new();
    for staff in ["s-11", "s-12", "s-13", "s-21", "s-22"] {
        callers.push(office.client(staff)?);
    }
    let attempts = (0..1_000).map(|number| {
        let client: &Client = &callers[number % callers.len()];
        let (mut prospects, request) = (client.prospects(), claim(&account));
        async move { prospects.claim_prospect(request).await }
    });
    let answers = futures::future::join_all(attempts).await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    ensure!(refused.len() == 999, "{} were refused", refused.len());
    for refusal in refused {
        ensure!(
            reason(refusal) == "CLAIMED" && refusal.message() == "claimed until 10:30",
            "{refusal:?}"
        );
    }
    ensure!(count(&office, "accounts", "account.claim_granted").await? == 1);
    Ok(())
}

/// S-10, T-008, T-022: who takes an order under a claim owns the company with it, and it is that
/// one's sale.
#[tokio::test]
async fn a_sale_under_a_claim_is_the_holders() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let account_id = company(&office, "acc-2004", "+7 900 000-10-04", "").await?;
    let kuznetsov = office.client("s-13")?;
    kuznetsov
        .prospects()
        .claim_prospect(claim(&account_id))
        .await?;
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    for _ in 0..2 {
        let sold = kuznetsov.accounts().register_order(order.clone()).await?;
        ensure!(sold.into_inner().converted);
    }
    let owner = owner_becomes_known(&office, &account_id).await?;
    ensure!(owner == office.staff["s-13"], "{owner}");
    let request = ReadEventsRequest {
        service: "accounts".to_owned(),
        limit: 1_000,
        ..ReadEventsRequest::default()
    };
    let events = office.admin.log("accounts").read_events(request).await?;
    let events = events.into_inner().events.into_iter();
    let mut orders = events.filter(|event| event.r#type == "account.order_registered");
    let order = orders.next().context("no order")?;
    let order: serde_json::Value = serde_json::from_slice(&order.payload)?;
    ensure!(order["owner_id"] == owner.as_str(), "{order}");
    ensure!(orders.next().is_none(), "it was sold twice");
    for event in ["account.owner_assigned", "account.claim_released"] {
        ensure!(count(&office, "accounts", event).await? == 1, "{event}");
    }
    Ok(())
}
