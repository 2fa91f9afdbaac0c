//! Every kind of command that a load sends, and how to read its answer.

use api::{
    accounts::{
        Card, RegisterOrderRequest, RegisterOrderResponse, RegisterProspectRequest,
        RegisterProspectResponse, TransferAccountsRequest, TransferAccountsResponse,
    },
    common::{Money, Recorded},
    contacts::{
        AddContactPersonRequest, AddContactPersonResponse, ConfirmErasureRequest,
        ConfirmErasureResponse, ErasureGround, InteractionKind, LogInteractionRequest,
        LogInteractionResponse, NextStep, Outcome, RequestErasureRequest, RequestErasureResponse,
    },
    notifications::{AcknowledgeReminderRequest, AcknowledgeReminderResponse},
    planning::{
        CancelTaskRequest, CancelTaskResponse, CompleteTaskRequest, CompleteTaskResponse,
        CreateTaskRequest, CreateTaskResponse, RescheduleTaskRequest, RescheduleTaskResponse,
        TaskKind,
    },
};
use chrono::{TimeDelta, Utc};
use prost::Message;
use uuid::Uuid;

use crate::{command::Command, ledger::Told};

pub fn log_interaction(
    id: Uuid,
    account: &str,
    completes: Option<&str>,
    next_step: Option<TimeDelta>,
) -> Command {
    let request = LogInteractionRequest {
        request_id: id.to_string(),
        account_id: account.to_owned(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        summary: "said something".to_owned(),
        completes_task_id: completes.unwrap_or_default().to_owned(),
        next_step: next_step.map(|within| NextStep {
            due_at: due(within),
            kind: "call".to_owned(),
            comment: "call again".to_owned(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    let path = "/kontakty.contacts.v1.ContactsService/LogInteraction";
    Command::new(id, "contacts", path, &request, |answer| {
        let answer = LogInteractionResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["interaction.logged"])
    })
}

pub fn add_person(id: Uuid, account: &str, name: &str) -> Command {
    let request = AddContactPersonRequest {
        request_id: id.to_string(),
        account_id: account.to_owned(),
        name: name.to_owned(),
        // Of this person alone: once somebody is erased, nobody may be reached by it again.
        phones: vec![format!("+7900{:07}", id.as_u128() % 10_000_000)],
        ..AddContactPersonRequest::default()
    };
    let path = "/kontakty.contacts.v1.ContactsService/AddContactPerson";
    Command::new(id, "contacts", path, &request, |answer| {
        let answer = AddContactPersonResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["person.added"])
    })
}

/// A call with somebody in particular.
pub fn speak_with(id: Uuid, account: &str, person: &str) -> Command {
    let request = LogInteractionRequest {
        request_id: id.to_string(),
        account_id: account.to_owned(),
        person_id: person.to_owned(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::Connected.into(),
        summary: "said something about themselves".to_owned(),
        ..LogInteractionRequest::default()
    };
    let path = "/kontakty.contacts.v1.ContactsService/LogInteraction";
    Command::new(id, "contacts", path, &request, |answer| {
        let answer = LogInteractionResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["interaction.logged"])
    })
}

pub fn request_erasure(id: Uuid, person: &str) -> Command {
    let request = RequestErasureRequest {
        request_id: id.to_string(),
        person_id: person.to_owned(),
        ground: ErasureGround::Demand.into(),
        ..RequestErasureRequest::default()
    };
    let path = "/kontakty.contacts.v1.ContactsService/RequestErasure";
    Command::new(id, "contacts", path, &request, |answer| {
        let answer = RequestErasureResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["data_subject.erasure_requested"])
    })
}

/// Its answer speaks of the event that contacts itself has nothing left behind.
pub fn confirm_erasure(id: Uuid, person: &str) -> Command {
    let request = ConfirmErasureRequest {
        request_id: id.to_string(),
        person_id: person.to_owned(),
    };
    let path = "/kontakty.contacts.v1.ContactsService/ConfirmErasure";
    Command::new(id, "contacts", path, &request, |answer| {
        let recorded = ConfirmErasureResponse::decode(answer).ok()?.recorded?;
        Some(Told::Followed {
            version: recorded.version,
            position: recorded.position?.position,
            event: "data_subject.erased".to_owned(),
            then: "erasure.carried_out".to_owned(),
        })
    })
}

pub fn register_prospect(id: Uuid, name: &str) -> Command {
    let request = RegisterProspectRequest {
        request_id: id.to_string(),
        card: Some(Card {
            name: name.to_owned(),
            phones: vec!["+79007654321".to_owned()],
            ..Card::default()
        }),
        despite_duplicates: true,
        ..RegisterProspectRequest::default()
    };
    let path = "/kontakty.accounts.v1.AccountsService/RegisterProspect";
    Command::new(id, "accounts", path, &request, |answer| {
        let answer = RegisterProspectResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["account.prospect_registered"])
    })
}

pub fn register_order(id: Uuid, account: &str) -> Command {
    let request = RegisterOrderRequest {
        request_id: id.to_string(),
        account_id: account.to_owned(),
        amount: Some(Money {
            minor_units: 100_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    let path = "/kontakty.accounts.v1.AccountsService/RegisterOrder";
    Command::new(id, "accounts", path, &request, |answer| {
        let answer = RegisterOrderResponse::decode(answer).ok()?;
        let events: &[&str] = if answer.converted {
            &["account.order_registered", "account.converted_to_client"]
        } else {
            &["account.order_registered"]
        };
        recorded(answer.recorded, events)
    })
}

pub fn transfer(id: Uuid, account: &str, from: &str, to: &str) -> Command {
    let request = TransferAccountsRequest {
        request_id: id.to_string(),
        account_ids: vec![account.to_owned()],
        from_owner_id: from.to_owned(),
        to_owner_id: to.to_owned(),
        reason: "to and fro".to_owned(),
    };
    let path = "/kontakty.accounts.v1.AccountsService/TransferAccounts";
    Command::new(id, "accounts", path, &request, |answer| {
        let answer = TransferAccountsResponse::decode(answer).ok()?;
        Some(Told::Fanned {
            events: "account.ownership_transferred".to_owned(),
            count: answer.transferred,
        })
    })
}

pub fn create_task(id: Uuid, account: &str, assignee: &str, within: TimeDelta) -> Command {
    let request = CreateTaskRequest {
        request_id: id.to_string(),
        assignee_id: assignee.to_owned(),
        due_at: due(within),
        kind: TaskKind::Call.into(),
        comment: "call".to_owned(),
        account_id: account.to_owned(),
        ..CreateTaskRequest::default()
    };
    let path = "/kontakty.planning.v1.PlanningService/CreateTask";
    Command::new(id, "planning", path, &request, |answer| {
        let answer = CreateTaskResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["task.created"])
    })
}

pub fn reschedule_task(id: Uuid, task: &str, expected: i64, within: TimeDelta) -> Command {
    let request = RescheduleTaskRequest {
        request_id: id.to_string(),
        task_id: task.to_owned(),
        expected_version: expected,
        due_at: due(within),
        reason: "asked for later".to_owned(),
    };
    let path = "/kontakty.planning.v1.PlanningService/RescheduleTask";
    let command = Command::new(id, "planning", path, &request, |answer| {
        let answer = RescheduleTaskResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["task.rescheduled"])
    });
    command.of_stream(format!("task-{task}"), Some(expected))
}

pub fn complete_task(id: Uuid, task: &str) -> Command {
    let request = CompleteTaskRequest {
        request_id: id.to_string(),
        task_id: task.to_owned(),
        completed_at: None,
    };
    let path = "/kontakty.planning.v1.PlanningService/CompleteTask";
    let command = Command::new(id, "planning", path, &request, |answer| {
        let answer = CompleteTaskResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["task.completed"])
    });
    command.of_stream(format!("task-{task}"), None)
}

pub fn cancel_task(id: Uuid, task: &str) -> Command {
    let request = CancelTaskRequest {
        request_id: id.to_string(),
        task_id: task.to_owned(),
        reason: "no longer needed".to_owned(),
    };
    let path = "/kontakty.planning.v1.PlanningService/CancelTask";
    let command = Command::new(id, "planning", path, &request, |answer| {
        let answer = CancelTaskResponse::decode(answer).ok()?;
        recorded(answer.recorded, &["task.cancelled"])
    });
    command.of_stream(format!("task-{task}"), None)
}

/// It may have been voided in the meantime, and then there is nothing to record.
pub fn acknowledge(id: Uuid, reminder: &str) -> Command {
    let request = AcknowledgeReminderRequest {
        request_id: id.to_string(),
        reminder_id: reminder.to_owned(),
    };
    let path = "/kontakty.notifications.v1.RemindersService/AcknowledgeReminder";
    let command = Command::new(id, "notifications", path, &request, |answer| {
        let answer = AcknowledgeReminderResponse::decode(answer).ok()?;
        match recorded(answer.recorded, &["reminder.acknowledged"])? {
            Told::Recorded {
                version,
                position,
                events,
                ..
            } => Some(Told::Recorded {
                version,
                position,
                events,
                perhaps_nothing: true,
            }),
            other @ (Told::Fanned { .. } | Told::Followed { .. }) => Some(other),
        }
    });
    command.of_stream(format!("reminder-{reminder}"), None)
}

fn recorded(recorded: Option<Recorded>, events: &[&str]) -> Option<Told> {
    let recorded = recorded?;
    Some(Told::Recorded {
        version: recorded.version,
        position: recorded.position?.position,
        events: events.iter().map(|event| (*event).to_owned()).collect(),
        perhaps_nothing: false,
    })
}

#[expect(clippy::disallowed_methods, reason = "a caller from outside")]
fn due(within: TimeDelta) -> String {
    (Utc::now() + within).to_rfc3339()
}
