//! An office in which every table of every view has a row: of those without any, a comparison with
//! what the logs say would compare nothing with nothing.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        AddToProspectListRequest, CancelOrderRequest, Card, ChangePolicyRequest,
        CreateProspectListRequest, GetAccountRequest, ListStaffRequest, MarkAbsentRequest,
        RecordShipmentRequest, RegisterOrderRequest, RegisterProspectRequest, UnusualReading,
    },
    common::Money,
    contacts::{
        AddContactPersonRequest, ConfirmErasureRequest, ErasureGround, ErasureState,
        GetErasureRequest, RequestErasureRequest,
    },
    notifications::RegisterWebhookRequest,
};
use tests::{
    background::{instant, request_id},
    client::Client,
    eventually,
    mixed_load::{changes, promises, set_up},
    office::Office,
    population::World,
    views::empty_tables,
};

const SEED: u64 = 20_260_310;
const PATIENCE: Duration = Duration::from_mins(1);
/// So many cards a day are nothing unusual.
const USUAL: u32 = 3;

/// A generated office, work on top of it, and by hand what neither of them has.
pub(super) async fn happens(office: &Office) -> anyhow::Result<()> {
    World::generate(SEED).load(office).await?;
    let accounts = set_up(office, 20).await?;
    let manager = office.client("s-11")?;
    let made = promises(&manager, &accounts, 60).await?;
    changes(office, &made).await?;

    let admin = office.client("admin")?;
    // Neither the first nor the last, which have another owner by now.
    let account = accounts.get(1).context("an account")?;
    let order = order(&manager, account).await?;
    let shipment = RecordShipmentRequest {
        request_id: request_id(),
        order_id: order,
        quantity: "12 т".to_owned(),
        ..RecordShipmentRequest::default()
    };
    manager.orders().record_shipment(shipment).await?;
    cancel_an_order(&manager, account).await?;
    draw_up_a_list(&admin).await?;
    go_on_leave(&admin).await?;
    forget(office, &admin, account).await?;
    read_unusually_much(&admin, &manager, &accounts).await?;
    tell_an_integrator(&admin).await?;

    let empty = || async { empty_tables(office) };
    let none = |empty: &anyhow::Result<Vec<String>>| empty.as_ref().is_ok_and(Vec::is_empty);
    let empty = eventually(PATIENCE, empty, none).await?;
    ensure!(empty.is_empty(), "nothing to compare in {empty:?}");
    Ok(())
}

/// Nothing is ever sent there: what is compared is the view of webhooks, not their deliveries.
async fn tell_an_integrator(admin: &Client) -> anyhow::Result<()> {
    let request = RegisterWebhookRequest {
        request_id: request_id(),
        url: "https://localhost:9/orders".to_owned(),
        events: vec!["account.order_registered".to_owned()],
        ..RegisterWebhookRequest::default()
    };
    admin.webhooks().register_webhook(request).await?;
    Ok(())
}

async fn order(manager: &Client, account_id: &str) -> anyhow::Result<String> {
    let request = RegisterOrderRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    let answer = manager.accounts().register_order(request).await?;
    Ok(answer.into_inner().order_id)
}

async fn cancel_an_order(manager: &Client, account_id: &str) -> anyhow::Result<()> {
    let request = CancelOrderRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        order_id: order(manager, account_id).await?,
        reason: "передумали".to_owned(),
    };
    manager.accounts().cancel_order(request).await?;
    Ok(())
}

/// With a member, who has an address.
async fn draw_up_a_list(admin: &Client) -> anyhow::Result<()> {
    let request = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "ООО «Почта»".to_owned(),
            phones: vec!["+7 902 000-00-01".to_owned()],
            emails: vec!["office@example.org".to_owned()],
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    let registered = admin.accounts().register_prospect(request).await?;
    let request = CreateProspectListRequest {
        request_id: request_id(),
        name: "Обзвон марта".to_owned(),
        ..CreateProspectListRequest::default()
    };
    let list = admin.prospects().create_prospect_list(request).await?;
    let request = AddToProspectListRequest {
        request_id: request_id(),
        list_id: list.into_inner().list_id,
        account_ids: vec![registered.into_inner().account_id],
    };
    admin.prospects().add_to_prospect_list(request).await?;
    Ok(())
}

async fn go_on_leave(admin: &Client) -> anyhow::Result<()> {
    let staff = admin
        .staff()
        .list_staff(ListStaffRequest::default())
        .await?;
    let staff = staff.into_inner().staff;
    let id = |external_id: &str| {
        let found = staff.iter().find(|one| one.external_id == external_id);
        found.map(|one| one.id.clone()).context("a manager")
    };
    let request = MarkAbsentRequest {
        request_id: request_id(),
        staff_id: id("s-12")?,
        substitute_id: id("s-11")?,
        from: None,
        until: Some(instant("2026-03-20T09:00:00+03:00")),
        reason: "отпуск".to_owned(),
    };
    admin.staff().mark_absent(request).await?;
    Ok(())
}

/// Asked for by one administrator, confirmed by another.
async fn forget(office: &Office, admin: &Client, account_id: &str) -> anyhow::Result<()> {
    let request = AddContactPersonRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        name: "Соколова Вера".to_owned(),
        phones: vec!["+7 902 000-00-02".to_owned()],
        emails: vec!["v.sokolova@example.org".to_owned()],
        ..AddContactPersonRequest::default()
    };
    let added = admin.contacts().add_contact_person(request).await?;
    let person_id = added.into_inner().person_id;
    let request = RequestErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
        ground: ErasureGround::Demand.into(),
        ..RequestErasureRequest::default()
    };
    let other = office.client("v-ad")?;
    other.contacts().request_erasure(request).await?;
    let request = ConfirmErasureRequest {
        request_id: request_id(),
        person_id: person_id.clone(),
    };
    admin.contacts().confirm_erasure(request).await?;
    let state = || async {
        let request = GetErasureRequest {
            person_id: person_id.clone(),
            ..GetErasureRequest::default()
        };
        let answer = admin.contacts().get_erasure(request).await?.into_inner();
        let erasure = answer.erasure.context("no erasure")?;
        anyhow::Ok(erasure.state())
    };
    let state = eventually(PATIENCE, state, |state| {
        matches!(state, Ok(ErasureState::Erased))
    });
    let state = state.await?;
    ensure!(state == ErasureState::Erased, "{state:?}");
    Ok(())
}

/// After the policy was changed, whose view would have its row without that.
async fn read_unusually_much(
    admin: &Client,
    manager: &Client,
    accounts: &[String],
) -> anyhow::Result<()> {
    let request = ChangePolicyRequest {
        request_id: request_id(),
        personal_data_by_operator_only: Some(false),
        unusual_reading: Some(UnusualReading {
            at_least: USUAL,
            times_usual: 2,
        }),
        reason: "маленький отдел".to_owned(),
        ..ChangePolicyRequest::default()
    };
    admin.policy().change_policy(request).await?;
    for account_id in &accounts[1..=2 + USUAL as usize] {
        let request = GetAccountRequest {
            account_id: account_id.clone(),
            ..GetAccountRequest::default()
        };
        manager.accounts().get_account(request).await?;
    }
    Ok(())
}
