//! What people write about somebody beside the cards: why money went back, why nothing was entered,
//! what they search for.

use anyhow::Context;
use api::{
    accounts::{
        DeleteViewRequest, GetAccountRequest, GetOrderRequest, ListAccountsRequest,
        ListSavedViewsRequest, Payment, RecordPaymentRequest, ReversePaymentRequest,
        SaveViewRequest, SavedView,
    },
    common::Money,
    planning::{
        CompleteTaskRequest, DataEntryRequest, DataEntryState, DeclineDataEntryRequest,
        ListAccountsWithoutNextStepRequest, ListDataEntryRequestsRequest, RequestDataEntryRequest,
        TaskState,
    },
};
use tests::background::request_id;

use super::known::Known;

/// Asked for by a manager, and not entered.
pub(super) async fn decline_data_entry(known: &Known, person_id: &str) -> anyhow::Result<()> {
    let request = RequestDataEntryRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        person_id: person_id.to_owned(),
        what: "Канарейкин переехал".to_owned(),
    };
    let petrov = known.office.client("s-11")?;
    let asked = petrov.data_entry().request_data_entry(request).await?;
    let decline = DeclineDataEntryRequest {
        request_id: request_id(),
        data_entry_id: asked.into_inner().data_entry_id,
        reason: "Аркадий Хотенович против".to_owned(),
    };
    let operator = known.office.client("s-30")?;
    operator.data_entry().decline_data_entry(decline).await?;
    Ok(())
}

pub(super) async fn declined(known: &Known) -> anyhow::Result<Vec<DataEntryRequest>> {
    let request = ListDataEntryRequestsRequest {
        state: DataEntryState::Declined.into(),
        account_id: known.account_id.clone(),
        min_positions: known.heads().await?,
        ..ListDataEntryRequestsRequest::default()
    };
    let mut admin = known.office.admin.data_entry();
    let answer = admin.list_data_entry_requests(request).await?;
    Ok(answer.into_inner().requests)
}

/// Gives the id of the view.
pub(super) async fn keep_view(known: &Known, name: &str, query: &str) -> anyhow::Result<String> {
    let request = SaveViewRequest {
        request_id: request_id(),
        name: name.to_owned(),
        filter: Some(ListAccountsRequest {
            query: query.to_owned(),
            ..ListAccountsRequest::default()
        }),
        ..SaveViewRequest::default()
    };
    let petrov = known.office.client("s-11")?;
    let saved = petrov.saved_views().save_view(request).await?;
    Ok(saved.into_inner().view_id)
}

pub(super) async fn delete_view(known: &Known, view_id: String) -> anyhow::Result<()> {
    let request = DeleteViewRequest {
        request_id: request_id(),
        view_id,
    };
    let petrov = known.office.client("s-11")?;
    petrov.saved_views().delete_view(request).await?;
    Ok(())
}

/// Name and query of each.
pub(super) async fn views(known: &Known) -> anyhow::Result<Vec<(String, String)>> {
    let request = ListSavedViewsRequest {
        min_positions: known.heads().await?,
    };
    let petrov = known.office.client("s-11")?;
    let answer = petrov.saved_views().list_saved_views(request).await?;
    let shown = |view: SavedView| (view.name, view.filter.unwrap_or_default().query);
    Ok(answer.into_inner().views.into_iter().map(shown).collect())
}

/// The only order of the account.
async fn order_id(known: &Known) -> anyhow::Result<String> {
    let request = GetAccountRequest {
        account_id: known.account_id.clone(),
        min_positions: known.heads().await?,
    };
    let answer = known.office.admin.accounts().get_account(request).await?;
    let account = answer.into_inner().account.context("an account")?;
    let order = account.orders.into_iter().next().context("an order")?;
    Ok(order.id)
}

/// Gives the id of the payment.
pub(super) async fn pay(known: &Known) -> anyhow::Result<String> {
    let request = RecordPaymentRequest {
        request_id: request_id(),
        order_id: order_id(known).await?,
        amount: Some(Money {
            minor_units: 100,
            currency: "RUB".to_owned(),
        }),
        ..RecordPaymentRequest::default()
    };
    let paid = known.office.admin.orders().record_payment(request).await?;
    Ok(paid.into_inner().payment_id)
}

pub(super) async fn pay_back(known: &Known, payment_id: String) -> anyhow::Result<()> {
    let request = ReversePaymentRequest {
        request_id: request_id(),
        order_id: order_id(known).await?,
        payment_id,
        reason: "Канарейкин передумал".to_owned(),
        ..ReversePaymentRequest::default()
    };
    known.office.admin.orders().reverse_payment(request).await?;
    Ok(())
}

pub(super) async fn payments(known: &Known) -> anyhow::Result<Vec<Payment>> {
    let request = GetOrderRequest {
        order_id: order_id(known).await?,
        min_positions: known.heads().await?,
    };
    let answer = known.office.admin.orders().get_order(request).await?;
    Ok(answer.into_inner().payments)
}

/// Does all that is planned with the company, and gives the companies with which nothing is.
pub(super) async fn without_next_step(known: &Known) -> anyhow::Result<Vec<String>> {
    let mut planning = known.office.admin.planning();
    for task in known.tasks().await? {
        if task.state() == TaskState::Open {
            let request = CompleteTaskRequest {
                request_id: request_id(),
                task_id: task.id,
                ..CompleteTaskRequest::default()
            };
            planning.complete_task(request).await?;
        }
    }
    let request = ListAccountsWithoutNextStepRequest {
        min_positions: known.heads().await?,
        ..ListAccountsWithoutNextStepRequest::default()
    };
    let answer = planning.list_accounts_without_next_step(request).await?;
    let accounts = answer.into_inner().accounts.into_iter();
    Ok(accounts.map(|one| one.account_id).collect())
}
