//! Somebody is away, and somebody else sees and acts instead, between two instants.

use std::time::Duration;

use anyhow::{Context, bail, ensure};
use api::{
    accounts::{
        CreateProspectListRequest, DistributeProspectsRequest, EndAbsenceRequest,
        GetAccountRequest, ListAbsencesRequest, ListAccountsRequest, MarkAbsentRequest,
        NextProspectRequest, ProspectCriteria,
    },
    contacts::{
        Direction, GetTimelineRequest, InteractionKind, LogInteractionRequest, NextStep, Outcome,
    },
    log::ReadEventsRequest,
    notifications::WatchRemindersRequest,
    planning::{CompleteTaskRequest, GetTaskRequest, ListTasksRequest},
};
use serde_json::Value;
use tests::{
    background::{Background, fields, import, instant, largest_page, reason, request_id},
    client::Client,
    eventually,
};
use tonic::{Code, Status};

/// Within it rights follow.
const SECOND: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(20);

pub(super) const FROM: &str = "2026-04-02T09:00:00+03:00";
const UNTIL: &str = "2026-04-09T09:00:00+03:00";

/// One company and one task of Петров, of Никитин and of Фёдорова.
pub(super) async fn office() -> anyhow::Result<Background> {
    let office = Background::start("2026-04-01T09:00:00+03:00").await?;
    let accounts = "external_id,name,phone,owner
acc-11,Компания Петрова,+79000000011,s-11
acc-21,Компания Никитина,+79000000021,s-21
acc-22,Компания Фёдоровой,+79000000022,s-22
";
    let tasks = "external_id,account,assignee,kind,due_at,comment
t-11,acc-11,s-11,call,2026-04-10 10:00,Позвонить
t-21,acc-21,s-21,call,2026-04-10 10:00,Позвонить
t-22,acc-22,s-22,call,2026-04-10 10:00,Позвонить
";
    import(&office.office, "s-02", "accounts", accounts)?;
    import(&office.office, "s-02", "tasks", tasks)?;
    office.caught_up().await?;
    Ok(office)
}

pub(super) fn away(
    office: &Background,
    who: &str,
    substitute: &str,
    from: &str,
) -> MarkAbsentRequest {
    MarkAbsentRequest {
        request_id: request_id(),
        staff_id: office.staff[who].clone(),
        substitute_id: office.staff[substitute].clone(),
        from: Some(instant(from)),
        until: Some(instant(UNTIL)),
        reason: "отпуск".to_owned(),
    }
}

pub(super) async fn mark(
    office: &Background,
    request: MarkAbsentRequest,
) -> Result<String, Status> {
    let answer = office.admin.staff().mark_absent(request).await?;
    Ok(answer.into_inner().absence_id)
}

/// Whether somebody sees an account: card, list of accounts, timeline, list of tasks.
async fn sees(client: &Client, account_id: &str) -> [bool; 4] {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
        ..GetAccountRequest::default()
    };
    let card = client.accounts().get_account(request).await.is_ok();
    let request = ListAccountsRequest {
        page: Some(largest_page()),
        ..ListAccountsRequest::default()
    };
    let listed = client.accounts().list_accounts(request).await;
    let listed = listed.is_ok_and(|answer| {
        let mut accounts = answer.get_ref().accounts.iter();
        accounts.any(|account| account.id == account_id)
    });
    let request = GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    };
    let timeline = client.contacts().get_timeline(request).await.is_ok();
    let request = ListTasksRequest {
        page: Some(largest_page()),
        ..ListTasksRequest::default()
    };
    let tasks = client.planning().list_tasks(request).await;
    let tasks = tasks.is_ok_and(|answer| {
        let mut tasks = answer.get_ref().tasks.iter();
        tasks.any(|task| task.account_id == account_id)
    });
    [card, listed, timeline, tasks]
}

async fn soon_sees(client: &Client, account_id: &str, expected: bool) -> anyhow::Result<()> {
    let wanted = [expected; 4];
    let seen = eventually(
        SECOND,
        || sees(client, account_id),
        |seen: &[bool; 4]| *seen == wanted,
    );
    let seen = seen.await;
    ensure!(seen == wanted, "{seen:?}, not {expected}");
    Ok(())
}

/// What the log says of the last event of a type: its payload and its metadata.
pub(super) async fn last(
    office: &Background,
    service: &str,
    kind: &str,
) -> anyhow::Result<(Value, Value)> {
    let request = ReadEventsRequest {
        service: service.to_owned(),
        after_position: 0,
        limit: 1_000,
    };
    let events = office.admin.log(service).read_events(request).await?;
    let events = events.into_inner().events;
    let event = events.iter().rfind(|event| event.r#type == kind);
    let event = event.with_context(|| format!("no {kind}"))?;
    Ok((
        serde_json::from_slice(&event.payload)?,
        serde_json::from_slice(&event.metadata)?,
    ))
}

/// T-098, X-16: seen and done as the one who is away, and no longer when it is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_substitute_sees_and_acts_between_two_instants() -> anyhow::Result<()> {
    let office = office().await?;
    let (petrov, nikitin) = (office.client("s-11")?, office.client("s-21")?);
    let fyodorova = office.client("s-22")?;
    let account_id = office.account("acc-11").await?;
    let nikitins = office.account("acc-21").await?;
    let request = away(&office, "s-11", "s-21", FROM);
    let absence_id = mark(&office, request.clone()).await?;
    ensure!(mark(&office, request).await? == absence_id, "twice");
    // Who acts for Никитин does not act for Петров.
    mark(&office, away(&office, "s-21", "s-22", FROM)).await?;

    office.at("2026-04-02T08:59:59+03:00").await?;
    ensure!(sees(&nikitin, &account_id).await == [false; 4]);
    office.at(FROM).await?;
    soon_sees(&nikitin, &account_id, true).await?;
    soon_sees(&fyodorova, &nikitins, true).await?;
    ensure!(sees(&fyodorova, &account_id).await == [false; 4], "a chain");
    ensure!(sees(&petrov, &account_id).await == [true; 4], "who is away");
    let mut stream = nikitin
        .reminders()
        .watch_reminders(WatchRemindersRequest::default())
        .await?
        .into_inner();

    let tasks = ListTasksRequest {
        assignee_id: office.staff["s-11"].clone(),
        ..ListTasksRequest::default()
    };
    let tasks = nikitin.planning().list_tasks(tasks).await?.into_inner();
    let task_id = tasks.tasks.first().context("a task")?.id.clone();
    let request = CompleteTaskRequest {
        request_id: request_id(),
        task_id,
        completed_at: None,
    };
    nikitin.planning().complete_task(request).await?;
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        kind: InteractionKind::Call.into(),
        direction: Direction::Outbound.into(),
        outcome: Outcome::Connected.into(),
        summary: "Ждут Петрова".to_owned(),
        next_step: Some(NextStep {
            // Its reminder is due while Петров is away.
            due_at: "2026-04-09T09:05:00+03:00".to_owned(),
            kind: "call".to_owned(),
            comment: "Перезвонить".to_owned(),
            ..NextStep::default()
        }),
        ..LogInteractionRequest::default()
    };
    let logged = nikitin.contacts().log_interaction(request).await?;
    let next_task = logged.into_inner().next_task_id;
    for (service, kind) in [
        ("planning", "task.completed"),
        ("contacts", "interaction.logged"),
    ] {
        let (_, metadata) = last(&office, service, kind).await?;
        ensure!(
            metadata["actor"]["id"] == office.staff["s-21"].as_str()
                && metadata["on_behalf_of"] == office.staff["s-11"].as_str(),
            "{kind}: {metadata}"
        );
    }
    // What is promised for somebody stays with that one.
    let assignee = || async {
        let request = GetTaskRequest {
            task_id: next_task.clone(),
            ..GetTaskRequest::default()
        };
        let task = nikitin.planning().get_task(request).await;
        let task = task.ok().and_then(|answer| answer.into_inner().task);
        task.unwrap_or_default().assignee_id
    };
    let petrovs = |assignee: &String| *assignee == office.staff["s-11"];
    ensure!(petrovs(&eventually(LONG, assignee, petrovs).await));
    // What is his own he does for himself.
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: nikitins,
        kind: InteractionKind::Call.into(),
        direction: Direction::Outbound.into(),
        outcome: Outcome::Connected.into(),
        ..LogInteractionRequest::default()
    };
    nikitin.contacts().log_interaction(request).await?;
    let (_, metadata) = last(&office, "contacts", "interaction.logged").await?;
    ensure!(metadata.get("on_behalf_of").is_none(), "{metadata}");

    office.at("2026-04-09T08:59:59+03:00").await?;
    ensure!(sees(&nikitin, &account_id).await == [true; 4]);
    let reminded = tokio::time::timeout(LONG, async {
        loop {
            let part = stream.message().await?.context("the stream has ended")?;
            if part.reminder.is_some_and(|one| one.task_id == next_task) {
                return anyhow::Ok(());
            }
        }
    });
    // A second before, the stream is there still.
    reminded.await.context("no reminder")??;
    office.at(UNTIL).await?;
    soon_sees(&nikitin, &account_id, false).await?;
    let end = tokio::time::timeout(LONG, async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => bail!("the stream has ended without a reason"),
                Err(status) => return Ok(status),
            }
        }
    });
    let end = end.await.context("the stream goes on")??;
    // Of the server's own words: no line broke.
    ensure!(
        end.code() == Code::Unavailable && reason(&end) == "UNAVAILABLE",
        "{end:?}"
    );
    let turns = || async {
        let events = office.events("accounts").await.unwrap_or_default();
        let count = |kind: &str| events.iter().filter(|(of, _)| of == kind).count();
        (
            count("staff.marked_absent"),
            count("staff.substitution_started"),
            count("staff.substitution_ended"),
        )
    };
    let turns = eventually(LONG, turns, |turns| *turns == (2, 2, 2)).await;
    ensure!(turns == (2, 2, 2), "{turns:?}");
    Ok(())
}

/// T-098, X-16: who may be named, and an absence that ends before its time.
#[tokio::test]
async fn an_absence_is_marked_by_those_who_may_and_ended_early() -> anyhow::Result<()> {
    let office = office().await?;
    let nikitin = office.client("s-21")?;
    let account_id = office.account("acc-11").await?;
    let now = "2026-04-01T09:00:00+03:00";
    let refused = async |request| mark(&office, request).await.err().context("was taken");

    let dismissed = refused(away(&office, "s-11", "s-99", FROM)).await?;
    ensure!(fields(&dismissed) == ["substitute_id"], "{dismissed:?}");
    let wrong = MarkAbsentRequest {
        from: Some(instant("2026-03-31T09:00:00+03:00")),
        until: None,
        reason: " ".to_owned(),
        ..away(&office, "s-11", "s-11", FROM)
    };
    let wrong = refused(wrong).await?;
    let named = ["from", "reason", "substitute_id", "until"];
    ensure!(fields(&wrong) == named, "{wrong:?}");

    let absence_id = mark(&office, away(&office, "s-11", "s-21", now)).await?;
    let overlaps = refused(away(&office, "s-11", "s-12", FROM)).await?;
    ensure!(reason(&overlaps) == "ABSENCE_OVERLAPS", "{overlaps:?}");
    soon_sees(&nikitin, &account_id, true).await?;
    let request = ListAbsencesRequest {
        min_positions: vec![office.head("accounts").await?],
        ..ListAbsencesRequest::default()
    };
    let listed = nikitin.staff().list_absences(request.clone()).await?;
    let listed = listed.into_inner().absences;
    ensure!(
        listed.len() == 1 && listed[0].id == absence_id && listed[0].until == Some(instant(UNTIL)),
        "{listed:?}"
    );

    // A head names only among those whom he leads; nobody's rights grow by it.
    let head = office.client("s-10")?;
    for (who, substitute, good) in [
        ("s-12", "s-13", true),
        ("s-12", "s-21", false),
        ("s-21", "s-12", false),
        ("s-02", "s-10", false),
        ("s-30", "s-10", false),
    ] {
        let from = "2026-04-05T09:00:00+03:00";
        let request = away(&office, who, substitute, from);
        let answer = head.staff().mark_absent(request).await;
        let said = answer.map_or_else(|status| reason(&status), |_| "taken".to_owned());
        let expected = if good {
            "taken"
        } else {
            "SUBSTITUTE_OUT_OF_REACH"
        };
        ensure!(said == expected, "{who} by {substitute}: {said}");
    }

    let request = EndAbsenceRequest {
        request_id: request_id(),
        staff_id: office.staff["s-11"].clone(),
        absence_id,
        reason: "вернулся".to_owned(),
    };
    head.staff().end_absence(request.clone()).await?;
    head.staff().end_absence(request).await?;
    soon_sees(&nikitin, &account_id, false).await?;
    let (payload, _) = last(&office, "accounts", "staff.substitution_ended").await?;
    ensure!(payload["ended_at"] == "2026-04-01T06:00:00Z", "{payload}");
    Ok(())
}

/// T-098, X-10: who is away is given no prospects; other work is.
#[tokio::test]
async fn who_is_away_is_skipped_when_prospects_are_given() -> anyhow::Result<()> {
    let office = office().await?;
    let pool = "external_id,name,phone,city
p-1,Кандидат 1,+79000000101,Миасс
p-2,Кандидат 2,+79000000102,Миасс
";
    import(&office.office, "s-02", "accounts", pool)?;
    let now = "2026-04-01T09:00:00+03:00";
    mark(&office, away(&office, "s-11", "s-12", now)).await?;
    office.caught_up().await?;
    let request = CreateProspectListRequest {
        request_id: request_id(),
        name: "Миасс".to_owned(),
        criteria: Some(ProspectCriteria {
            city: "Миасс".to_owned(),
            ..ProspectCriteria::default()
        }),
        ..CreateProspectListRequest::default()
    };
    let list = office
        .admin
        .prospects()
        .create_prospect_list(request)
        .await?;
    let list_id = list.into_inner().list_id;
    let request = NextProspectRequest {
        request_id: request_id(),
        list_id: list_id.clone(),
    };
    let petrov = office.client("s-11")?;
    let refused = petrov.prospects().next_prospect(request).await;
    let refused = refused.err().context("was given one")?;
    ensure!(reason(&refused) == "STAFF_AWAY", "{refused:?}");
    let request = DistributeProspectsRequest {
        request_id: request_id(),
        list_id,
        staff_ids: vec![office.staff["s-11"].clone(), office.staff["s-13"].clone()],
        ..DistributeProspectsRequest::default()
    };
    let answer = office
        .admin
        .prospects()
        .distribute_prospects(request)
        .await?;
    let shares = answer.into_inner().shares.into_iter();
    let shares: Vec<_> = shares.map(|share| (share.given, share.skipped)).collect();
    let expected = [(0, "STAFF_AWAY".to_owned()), (2, String::new())];
    ensure!(shares == expected, "{shares:?}");
    Ok(())
}
