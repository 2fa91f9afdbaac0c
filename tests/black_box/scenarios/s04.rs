//! S-04: result and next step in one decision.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    contacts::{
        GetTimelineRequest, GetTimelineResponse, InteractionKind, ListContactPersonsRequest,
        LogInteractionRequest, NextStep, Outcome,
    },
    planning::{
        CreateTaskRequest, ListAccountsWithoutNextStepRequest, ListTasksRequest, Task, TaskKind,
        TaskState,
    },
};
use async_nats::jetstream;
use tests::{
    background::{Background, fields, import, instant, request_id},
    client::Client,
    eventually,
};
use tonic::Code;

const ACCOUNTS: &str =
    "external_id,name,phone,city,owner\nacc-1001,ООО «Вектор-Строй»,+7 900 000-05-55,Миасс,s-11\n";
const PERSONS: &str = "external_id,account,name,position,phone,email\np-1,acc-1001,Ильин Константин Петрович,director,+7 900 000-01-15,\np-2,acc-1001,Соколова Вера Андреевна,accountant,+7 900 000-03-33,v.sokolova@example.org\n";
const TASKS: &str = "external_id,account,assignee,kind,due_at,comment\nT-501,acc-1001,s-11,call,2026-03-12 10:00,Позвонить Ильину\n";
const LONG: Duration = Duration::from_secs(20);

struct Scene {
    office: Background,
    petrov: Client,
    account_id: String,
    ilyin: String,
    t_501: String,
}

/// S-04, T-037: result and next step in one decision.
#[tokio::test]
async fn s04_result_and_next_step_in_one_decision() -> anyhow::Result<()> {
    let scene = Scene::set().await?;
    scene.office.at("2026-03-12T10:12:00+03:00").await?;
    without_a_comment_nothing_happens(&scene).await?;
    let next_task_id = the_whole_decision(&scene).await?;
    delivered_again_it_changes_nothing(&scene, &next_task_id).await?;
    a_task_of_a_moment_ago_is_completed(&scene).await?;
    // The last contact completed the last task and promised nothing.
    without_a_next_step_the_account_is_named(&scene).await
}

async fn without_a_comment_nothing_happens(scene: &Scene) -> anyhow::Result<()> {
    let mut blank = scene.call();
    if let Some(step) = &mut blank.next_step {
        step.comment = String::new();
    }
    let refused = scene.petrov.contacts().log_interaction(blank).await;
    let refused = refused.err().context("was taken")?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    ensure!(fields(&refused) == ["next_step.comment"], "{refused:?}");
    ensure!(scene.timeline().await?.total == 0);
    let tasks = scene.tasks().await?;
    ensure!(
        tasks.len() == 1 && open(&tasks) == [scene.t_501.as_str()],
        "{tasks:?}"
    );
    ensure!(scene.forgotten().await?.is_empty(), "T-501 is still open");
    Ok(())
}

async fn the_whole_decision(scene: &Scene) -> anyhow::Result<String> {
    let said = scene
        .petrov
        .contacts()
        .log_interaction(scene.call())
        .await?
        .into_inner();
    let timeline = scene.timeline().await?;
    ensure!(timeline.total == 1, "{timeline:?}");
    let entry = timeline.interactions.first().context("an entry")?;
    ensure!(
        entry.occurred_at == Some(instant("2026-03-12T10:05:00+03:00"))
            && entry.recorded_at == Some(instant("2026-03-12T10:12:00+03:00"))
            && entry.duration_s == 380
            && entry.outcome() == Outcome::ProposalRequested
            && entry.person_id == scene.ilyin,
        "{entry:?}"
    );
    ensure!(
        (
            entry.summary.as_str(),
            entry.impression.as_str(),
            entry.note.as_str()
        ) == (
            "Нужны 40 м³ в апреле, просит КП",
            "Спокоен, решает сам",
            "Звонить после 11"
        ),
        "{entry:?}"
    );
    let tasks = scene.tasks_when(|tasks| tasks.len() == 2).await;
    scene.promised(&tasks, &said.next_task_id)?;
    Ok(said.next_task_id)
}

async fn delivered_again_it_changes_nothing(
    scene: &Scene,
    next_task_id: &str,
) -> anyhow::Result<()> {
    let office = &scene.office;
    let (before, timeline) = (office.events("planning").await?, scene.timeline().await?);
    scene
        .deliver_twice_more("kontakty.contacts.interaction.logged.v1")
        .await?;
    // What comes behind them on the same stream has been dealt with, so they have, too.
    let later = LogInteractionRequest {
        completes_task_id: next_task_id.to_owned(),
        next_step: None,
        min_positions: vec![office.head("planning").await?],
        ..scene.call()
    };
    scene.petrov.contacts().log_interaction(later).await?;
    let tasks = scene.tasks_when(|tasks| open(tasks).is_empty()).await;
    ensure!(tasks.len() == 2 && open(&tasks).is_empty(), "{tasks:?}");
    let now = office.events("planning").await?;
    ensure!(now.len() == before.len() + 1, "{now:?} after {before:?}");
    ensure!(scene.timeline().await?.total == timeline.total + 1);
    Ok(())
}

/// Nobody has to name the position of a task that was just made.
async fn a_task_of_a_moment_ago_is_completed(scene: &Scene) -> anyhow::Result<()> {
    for _ in 0..10 {
        let request = CreateTaskRequest {
            request_id: request_id(),
            account_id: scene.account_id.clone(),
            assignee_id: scene.office.staff["s-11"].clone(),
            due_at: "2026-03-16T11:00:00+03:00".to_owned(),
            kind: TaskKind::Call.into(),
            comment: "Перезвонить".to_owned(),
            ..CreateTaskRequest::default()
        };
        let made = scene.petrov.planning().create_task(request).await?;
        let kept = LogInteractionRequest {
            completes_task_id: made.into_inner().task_id,
            next_step: None,
            ..scene.call()
        };
        scene.petrov.contacts().log_interaction(kept).await?;
    }
    let tasks = scene.tasks_when(|tasks| open(tasks).is_empty()).await;
    ensure!(
        tasks.len() == 12 && open(&tasks).is_empty(),
        "{:?}",
        open(&tasks)
    );
    Ok(())
}

async fn without_a_next_step_the_account_is_named(scene: &Scene) -> anyhow::Result<()> {
    let forgotten = scene.forgotten().await?;
    ensure!(forgotten == [scene.account_id.as_str()], "{forgotten:?}");
    // Whoever does not see the account does not see it here either.
    let request = ListAccountsWithoutNextStepRequest::default();
    let nikitin = scene.office.client("s-21")?;
    let answer = nikitin
        .planning()
        .list_accounts_without_next_step(request)
        .await?;
    let answer = answer.into_inner();
    ensure!(
        answer.total == 0 && answer.accounts.is_empty(),
        "{answer:?}"
    );
    Ok(())
}

fn open(tasks: &[Task]) -> Vec<&str> {
    let open = tasks.iter().filter(|task| task.state() == TaskState::Open);
    open.map(|task| task.id.as_str()).collect()
}

impl Scene {
    async fn set() -> anyhow::Result<Self> {
        let office = Background::start("2026-03-10T09:00:00+03:00").await?;
        for (kind, csv) in [
            ("accounts", ACCOUNTS),
            ("persons", PERSONS),
            ("tasks", TASKS),
        ] {
            import(&office.office, "s-02", kind, csv)?;
        }
        let petrov = office.client("s-11")?;
        let account_id = office.account("acc-1001").await?;
        let request = ListContactPersonsRequest {
            account_id: account_id.clone(),
            min_positions: vec![office.head("contacts").await?],
        };
        let persons = petrov.contacts().list_contact_persons(request).await?;
        let persons = persons.into_inner().persons;
        let ilyin = persons.iter().find(|person| person.external_id == "p-1");
        let request = ListTasksRequest {
            min_positions: vec![office.head("planning").await?],
            ..ListTasksRequest::default()
        };
        let tasks = petrov
            .planning()
            .list_tasks(request)
            .await?
            .into_inner()
            .tasks;
        Ok(Self {
            ilyin: ilyin.context("p-1")?.id.clone(),
            t_501: tasks.first().context("T-501")?.id.clone(),
            office,
            petrov,
            account_id,
        })
    }

    fn call(&self) -> LogInteractionRequest {
        LogInteractionRequest {
            request_id: request_id(),
            account_id: self.account_id.clone(),
            person_id: self.ilyin.clone(),
            kind: InteractionKind::Call.into(),
            outcome: Outcome::ProposalRequested.into(),
            occurred_at: Some(instant("2026-03-12T10:05:00+03:00")),
            duration_s: 6 * 60 + 20,
            summary: "Нужны 40 м³ в апреле, просит КП".to_owned(),
            impression: "Спокоен, решает сам".to_owned(),
            note: "Звонить после 11".to_owned(),
            completes_task_id: self.t_501.clone(),
            next_step: Some(NextStep {
                due_at: "2026-03-16T11:00:00+03:00".to_owned(),
                kind: "call".to_owned(),
                person_id: self.ilyin.clone(),
                purpose: "Уточнить получение КП".to_owned(),
                comment: "Спросить про сроки оплаты".to_owned(),
            }),
            ..LogInteractionRequest::default()
        }
    }

    async fn timeline(&self) -> anyhow::Result<GetTimelineResponse> {
        let request = GetTimelineRequest {
            account_id: self.account_id.clone(),
            min_positions: vec![self.office.head("contacts").await?],
            ..GetTimelineRequest::default()
        };
        Ok(self
            .petrov
            .contacts()
            .get_timeline(request)
            .await?
            .into_inner())
    }

    async fn tasks(&self) -> anyhow::Result<Vec<Task>> {
        let request = ListTasksRequest {
            account_id: self.account_id.clone(),
            min_positions: vec![self.office.head("planning").await?],
            ..ListTasksRequest::default()
        };
        Ok(self
            .petrov
            .planning()
            .list_tasks(request)
            .await?
            .into_inner()
            .tasks)
    }

    async fn tasks_when(&self, good: impl Fn(&[Task]) -> bool) -> Vec<Task> {
        eventually(
            LONG,
            || async { self.tasks().await.unwrap_or_default() },
            |tasks| good(tasks),
        )
        .await
    }

    /// T-501 is done, late by five minutes; and there is one open task with the five given values.
    fn promised(&self, tasks: &[Task], next_task_id: &str) -> anyhow::Result<()> {
        let t_501 = tasks
            .iter()
            .find(|task| task.id == self.t_501)
            .context("T-501")?;
        ensure!(
            t_501.state() == TaskState::Completed
                && t_501.overdue_s == 5 * 60
                && t_501.closed_at == Some(instant("2026-03-12T10:05:00+03:00")),
            "{t_501:?}"
        );
        ensure!(open(tasks) == [next_task_id], "{tasks:?}");
        let next = tasks
            .iter()
            .find(|task| task.id == next_task_id)
            .context("the next")?;
        ensure!(
            next.due_at == "2026-03-16T11:00:00+03:00"
                && next.purpose == "Уточнить получение КП"
                && next.kind() == api::planning::TaskKind::Call
                && next.person_id == self.ilyin
                && next.comment == "Спросить про сроки оплаты"
                && next.assignee_id == self.office.staff["s-11"],
            "{next:?}"
        );
        Ok(())
    }

    async fn forgotten(&self) -> anyhow::Result<Vec<String>> {
        let request = ListAccountsWithoutNextStepRequest {
            min_positions: vec![
                self.office.head("accounts").await?,
                self.office.head("planning").await?,
            ],
            ..ListAccountsWithoutNextStepRequest::default()
        };
        let mut planning = self.petrov.planning();
        let answer = planning
            .list_accounts_without_next_step(request)
            .await?
            .into_inner();
        ensure!(answer.total == answer.accounts.len() as i64);
        Ok(answer
            .accounts
            .into_iter()
            .map(|account| account.account_id)
            .collect())
    }

    /// Puts the last message of a subject into the stream of contacts again, as a bus may that
    /// delivers at least once.
    async fn deliver_twice_more(&self, subject: &str) -> anyhow::Result<()> {
        let nats = async_nats::connect(&self.office.office.nats).await?;
        let stream = jetstream::new(nats.clone()).get_stream("contacts").await?;
        let message = stream.get_last_raw_message_by_subject(subject).await?;
        let mut headers = async_nats::HeaderMap::new();
        for (name, values) in message.headers.iter() {
            // Those are for the server: by them it would notice.
            if !name.to_string().to_lowercase().starts_with("nats-") {
                for value in values {
                    headers.append(name.clone(), value.clone());
                }
            }
        }
        for _ in 0..2 {
            let (headers, payload) = (headers.clone(), message.payload.clone());
            nats.publish_with_headers(subject.to_owned(), headers, payload)
                .await?;
        }
        nats.flush().await?;
        Ok(())
    }
}
