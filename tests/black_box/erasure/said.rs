//! What people write about somebody beside the cards: why money went back, why nothing was entered,
//! why something was given up, what they search for.

use std::time::Duration;

use anyhow::{Context, bail};
use api::{
    accounts::{
        AssignOwnerRequest, CancelOrderRequest, ChangeAccountStatusRequest, DeleteViewRequest,
        GetAccountHistoryRequest, GetAccountRequest, GetAccountStateRequest, GetOrderRequest,
        GetStatusHistoryRequest, ListAccountsRequest, ListDealsRequest, ListSavedViewsRequest,
        LoseDealRequest, OpenDealRequest, Payment, PipelineStage, PublishPipelineRequest,
        RecordPaymentRequest, ReturnToPoolRequest, ReversePaymentRequest, SaveViewRequest,
        SavedView, SuspendDealRequest,
    },
    common::Money,
    planning::{
        CancelTaskRequest, CompleteTaskRequest, DataEntryRequest, DataEntryState,
        DeclineDataEntryRequest, ListAccountsWithoutNextStepRequest, ListDataEntryRequestsRequest,
        ReassignTaskRequest, RequestDataEntryRequest, RescheduleTaskRequest, Task, TaskState,
    },
};
use tests::{
    background::{instant, request_id},
    eventually,
};

use super::known::Known;

/// What is told of [`explain`], in small letters.
pub(super) const WHY: [&str; 3] = ["доволен вполне", "ушёл к другим", "нашёл дешевле"];

/// One task is put off and given to somebody else, the others are given up. Gives the one that is left.
pub(super) async fn change_tasks(known: &Known) -> anyhow::Result<String> {
    let all = |tasks: &anyhow::Result<Vec<Task>>| tasks.as_ref().is_ok_and(|all| all.len() == 3);
    let tasks = eventually(Duration::from_secs(20), || known.tasks(), all).await?;
    let [first, second, third] = &tasks[..] else {
        bail!("{tasks:?}")
    };
    let mut planning = known.office.admin.planning();
    let reschedule = RescheduleTaskRequest {
        request_id: request_id(),
        task_id: first.id.clone(),
        due_at: "2026-03-13T10:00:00+03:00".to_owned(),
        reason: "Канарейкин просил позже".to_owned(),
        ..RescheduleTaskRequest::default()
    };
    planning.reschedule_task(reschedule).await?;
    let reassign = ReassignTaskRequest {
        request_id: request_id(),
        task_id: first.id.clone(),
        assignee_id: known.office.staff["s-10"].clone(),
        reason: "Аркадий Хотенович просил начальника".to_owned(),
    };
    planning.reassign_task(reassign).await?;
    for task in [second, third] {
        cancel_task(known, &task.id).await?;
    }
    Ok(first.id.clone())
}

pub(super) async fn cancel_task(known: &Known, task_id: &str) -> anyhow::Result<()> {
    let request = CancelTaskRequest {
        request_id: request_id(),
        task_id: task_id.to_owned(),
        reason: "Канарейкин передумал, звонить на 8 900 777-00-71 нельзя".to_owned(),
    };
    known.office.admin.planning().cancel_task(request).await?;
    Ok(())
}

/// Says why, wherever that is asked about a company. Gives a deal that is still open.
pub(super) async fn explain(known: &Known) -> anyhow::Result<String> {
    let account_id = || known.account_id.clone();
    let mut accounts = known.office.admin.accounts();
    change_status(known, "contacted", "Канарейкин доволен вполне").await?;
    let cancel = CancelOrderRequest {
        request_id: request_id(),
        account_id: account_id(),
        order_id: order_id(known).await?,
        reason: "Канарейкин отказался".to_owned(),
    };
    accounts.cancel_order(cancel).await?;
    let give_back = ReturnToPoolRequest {
        request_id: request_id(),
        account_id: account_id(),
        reason: "Канарейкин ушёл к другим".to_owned(),
    };
    accounts.return_to_pool(give_back).await?;
    let assign = AssignOwnerRequest {
        request_id: request_id(),
        account_id: account_id(),
        owner_id: known.office.staff["s-11"].clone(),
    };
    accounts.assign_owner(assign).await?;
    let mut deals = known.office.admin.deals();
    let pipeline = PublishPipelineRequest {
        request_id: request_id(),
        name: "Корм".to_owned(),
        stages: vec![PipelineStage {
            name: "Новая".to_owned(),
            ..PipelineStage::default()
        }],
        ..PublishPipelineRequest::default()
    };
    let published = deals.publish_pipeline(pipeline).await?.into_inner();
    let open = || OpenDealRequest {
        request_id: request_id(),
        account_id: account_id(),
        pipeline_id: published.pipeline_id.clone(),
        ..OpenDealRequest::default()
    };
    let lost = deals.open_deal(open()).await?.into_inner().deal_id;
    lose_deal(known, &lost).await?;
    let put_off = deals.open_deal(open()).await?.into_inner().deal_id;
    let suspend = SuspendDealRequest {
        request_id: request_id(),
        deal_id: put_off.clone(),
        until: Some(instant("2026-04-01T09:00:00+03:00")),
        reason: "Аркадий Хотенович в отпуске".to_owned(),
    };
    deals.suspend_deal(suspend).await?;
    Ok(put_off)
}

pub(super) async fn change_status(known: &Known, status: &str, reason: &str) -> anyhow::Result<()> {
    let request = ChangeAccountStatusRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        ..ChangeAccountStatusRequest::default()
    };
    let mut cards = known.office.admin.cards();
    cards.change_account_status(request).await?;
    Ok(())
}

pub(super) async fn lose_deal(known: &Known, deal_id: &str) -> anyhow::Result<()> {
    let request = LoseDealRequest {
        request_id: request_id(),
        deal_id: deal_id.to_owned(),
        reason: "Канарейкин нашёл дешевле".to_owned(),
    };
    known.office.admin.deals().lose_deal(request).await?;
    Ok(())
}

/// Why things were done with the company, its deals and its tasks, as far as anybody is told.
pub(super) async fn told(known: &Known) -> anyhow::Result<String> {
    let (account_id, admin) = (|| known.account_id.clone(), &known.office.admin);
    let min_positions = known.heads().await?;
    let history = GetAccountHistoryRequest {
        account_id: account_id(),
        min_positions: min_positions.clone(),
        ..GetAccountHistoryRequest::default()
    };
    let history = admin.history().get_account_history(history).await?;
    let state = GetAccountStateRequest {
        account_id: account_id(),
        min_positions: min_positions.clone(),
        ..GetAccountStateRequest::default()
    };
    let state = admin.history().get_account_state(state).await?;
    let statuses = GetStatusHistoryRequest {
        account_id: account_id(),
        min_positions: min_positions.clone(),
    };
    let statuses = admin.cards().get_status_history(statuses).await?;
    let deals = ListDealsRequest {
        account_id: account_id(),
        min_positions,
        ..ListDealsRequest::default()
    };
    let deals = admin.deals().list_deals(deals).await?;
    let tasks = known.tasks().await?;
    Ok(format!(
        "{history:?} {state:?} {statuses:?} {deals:?} {tasks:?}"
    ))
}

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
