//! Somebody wants to be forgotten: nothing of this person is left anywhere, and everything else is
//! as it was.

mod everywhere;
mod keys;
mod known;
mod logs;
mod merged;
mod said;

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Card, ChangeAccountDetailsRequest, GetAccountRequest, PhoneList, RegisterProspectRequest,
    },
    contacts::{
        AddContactPersonRequest, ErasureState, GetErasureRequest, InteractionKind,
        ListErasuresRequest, LogInteractionRequest, Outcome, RedactInteractionRequest,
        RequestErasureRequest,
    },
};
use everywhere::{dumps, messages, traces_of};
use known::Known;
use tests::{
    background::{fields, reason, request_id},
    client::SERVICES,
    eventually,
    mixed_load::{views_caught_up, views_equal_a_replay},
    psql::Psql,
};
use tonic::Code;

/// What is said of nobody else in these tests, as it may be written somewhere, in small letters.
const CANARIES: [&str; 5] = [
    "канарейкин",
    "хотенович",
    "9007770071",
    "900 777-00-71",
    "kanareykin",
];

fn no_canary(what: &str, text: &str) -> anyhow::Result<()> {
    let found = traces_of(text, &CANARIES);
    ensure!(found.is_empty(), "{what} still has {found:?}");
    Ok(())
}

/// X-24, N-06: of a person who is forgotten nothing is left anywhere, and figures stay.
#[tokio::test]
async fn nothing_of_a_person_is_left_anywhere() -> anyhow::Result<()> {
    let mut known = Known::new().await?;
    let data = known.office.office.data();
    said::decline_data_entry(&known, &known.person_id).await?;
    said::change_tasks(&known).await?;
    said::keep_view(&known, "Утро", "8 (900) 777-00-71").await?;
    let deleted = said::keep_view(&known, "Канарейкин", "хотенович").await?;
    said::delete_view(&known, deleted).await?;
    known.heads = known.heads().await?;

    // Before: people see the person everywhere they should, and nobody else does.
    let shown = known.shown().await?;
    ensure!(
        traces_of(&shown, &CANARIES).len() == CANARIES.len(),
        "{shown}"
    );
    let found = known.found().await?;
    ensure!(
        found.iter().all(|found| found.ends_with(": 1")),
        "{found:?}"
    );
    // The version of before is kept up to date, too.
    for view in [
        "accounts/companies",
        "contacts/persons",
        "contacts/timeline",
    ] {
        known.office.office.command("s-02", &["rebuild", view])?;
    }
    let before = dumps(&data, &[])?;
    ensure!(
        traces_of(&before, &CANARIES).len() == CANARIES.len(),
        "the views hold less than thought"
    );
    let log_only = ["--schema=log"];
    no_canary("the log", &dumps(&data, &log_only)?)?;
    let sent = messages(&known.office.office.nats).await?;
    ensure!(sent.contains("interaction.logged") && !sent.contains("\"clear\""));
    no_canary("the bus", &sent)?;
    let (figures, tasks, timeline) = (
        known.figures().await?,
        known.tasks().await?,
        known.timeline().await?,
    );

    let exported = known.exported()?;
    let readable = ["канарейкин", "хотенович", "kanareykin"];
    ensure!(traces_of(&exported, &readable).len() == readable.len());

    known.request_erasure("s-30", false).await?;
    let requested = known.erasure().await?;
    ensure!(
        requested.state() == ErasureState::Requested,
        "{requested:?}"
    );
    ensure!(
        requested.interactions_to_review == known.contacts[1..],
        "{requested:?}"
    );
    let certificate = known.erase().await?;
    ensure!(certificate.parts.len() == SERVICES.len(), "{certificate:?}");
    ensure!(certificate.stop_list_entries == 2 && certificate.log_hash.len() == 64);
    let part = |service: &str| {
        let mut parts = certificate.parts.iter();
        let part = parts.find(|part| part.service == service);
        part.map(|part| (part.keys, part.texts))
    };
    ensure!(part("contacts") == Some((1, 1)), "{certificate:?}");
    ensure!(part("planning") == Some((1, 1)), "{certificate:?}");
    ensure!(part("accounts") == Some((0, 0)), "{certificate:?}");

    // After: nowhere.
    views_caught_up(&known.office.office).await?;
    no_canary("a dump", &dumps(&data, &[])?)?;
    no_canary("the API", &known.shown().await?)?;
    let found = known.found().await?;
    ensure!(
        found == ["Птичий: 1", "+7 900 777-00-71: 0", "7770071: 0"],
        "{found:?}"
    );
    no_canary("the bus", &messages(&known.office.office.nats).await?)?;
    no_canary("the office's log", &known.office.office.log())?;
    for file in ["postgresql.log", "nats.log"] {
        let log = std::fs::read(data.join("log").join(file))?;
        no_canary(file, &String::from_utf8_lossy(&log))?;
    }

    // What took place took place.
    let now = known.figures().await?;
    ensure!(now == figures, "{figures} became {now}");
    for service in SERVICES {
        let verdict = known
            .office
            .office
            .command("s-40", &["log", "verify", service])?;
        ensure!(verdict.contains("is whole"), "{verdict}");
    }
    let person = known
        .persons()
        .await?
        .into_iter()
        .find(|person| person.id == known.person_id);
    ensure!(person.is_some_and(|person| person.erased), "no headstone");
    let now = known.timeline().await?;
    let facts = |entries: &[api::contacts::Interaction]| -> Vec<_> {
        let facts = entries.iter().map(|entry| {
            let step = entry.next_step.as_ref().map(|step| step.due_at.clone());
            (
                entry.kind,
                entry.outcome,
                entry.occurred_at,
                entry.author_id.clone(),
                step,
            )
        });
        facts.collect()
    };
    ensure!(facts(&now) == facts(&timeline) && now.iter().all(|entry| entry.erased));
    let now = known.tasks().await?;
    let promises = |tasks: &[api::planning::Task]| -> Vec<_> {
        let promises = tasks
            .iter()
            .map(|task| (task.id.clone(), task.due_at.clone(), task.state));
        promises.collect()
    };
    ensure!(
        now.len() == 3 && promises(&now) == promises(&tasks),
        "{now:?}"
    );
    ensure!(
        now.iter()
            .all(|task| task.erased && task.comment.is_empty() && task.close_reason.is_empty()),
        "{now:?}"
    );

    let refusals = said::declined(&known).await?;
    ensure!(
        refusals.len() == 1 && refusals[0].erased && refusals[0].reason.is_empty(),
        "{refusals:?}"
    );
    let views = said::views(&known).await?;
    ensure!(views == [("Утро".to_owned(), String::new())], "{views:?}");

    // A second time changes nothing.
    let before = known.heads().await?;
    known.request_erasure("s-02", true).await?;
    let admin = known.office.client("s-02")?;
    admin
        .contacts()
        .confirm_erasure(known.confirmation())
        .await?;
    ensure!(
        known.heads().await? == before,
        "a second erasure has left events"
    );
    ensure!(known.erasure().await? == certificate, "another certificate");

    // Nor does anything come back: by an export with personal data, by views built anew.
    // Keys that were replaced are destroyed a moment later.
    let clean = |text: &String| traces_of(text, &CANARIES).is_empty();
    let exported = eventually(
        Duration::from_secs(20),
        || async { known.exported() },
        |exported| exported.as_ref().is_ok_and(clean),
    )
    .await?;
    no_canary("an export", &exported)?;
    views_equal_a_replay(&known.office.office).await?;
    no_canary("a dump", &dumps(&data, &[])?)?;
    known.heads = known.heads().await?;
    no_canary("the API", &known.shown().await?)
}

#[tokio::test]
async fn it_takes_two_and_a_ground() -> anyhow::Result<()> {
    let known = Known::new().await?;
    let confirm = async |staff: &str| {
        let client = known.office.client(staff)?;
        let answer = client
            .contacts()
            .confirm_erasure(known.confirmation())
            .await;
        let refused = answer.err().context("was taken")?;
        anyhow::Ok((refused.code(), reason(&refused)))
    };
    ensure!(confirm("s-02").await? == (Code::FailedPrecondition, "ERASURE_NOT_REQUESTED".into()));
    let admin = known.office.client("s-02")?;
    let groundless = RequestErasureRequest {
        request_id: request_id(),
        person_id: known.person_id.clone(),
        ..RequestErasureRequest::default()
    };
    let refused = admin
        .contacts()
        .request_erasure(groundless)
        .await
        .err()
        .context("was taken")?;
    ensure!(fields(&refused) == ["ground"], "{refused:?}");
    known.request_erasure("s-02", false).await?;
    ensure!(confirm("s-02").await? == (Code::PermissionDenied, "SECOND_PERSON_NEEDED".into()));
    ensure!(confirm("s-10").await?.0 == Code::PermissionDenied);

    let waiting = ListErasuresRequest {
        only_requested: true,
        min_positions: known.heads().await?,
        ..ListErasuresRequest::default()
    };
    let waiting = admin
        .contacts()
        .list_erasures(waiting)
        .await?
        .into_inner()
        .erasures;
    ensure!(
        waiting.len() == 1 && waiting[0].person_id == known.person_id,
        "{waiting:?}"
    );
    // Nobody learns of persons whom they do not see.
    let stranger = known.office.client("s-21")?;
    let request = GetErasureRequest {
        person_id: known.person_id.clone(),
        ..GetErasureRequest::default()
    };
    let refused = stranger
        .contacts()
        .get_erasure(request)
        .await
        .err()
        .context("was shown")?;
    ensure!(refused.code() == Code::NotFound, "{refused:?}");
    ensure!(
        !traces_of(&known.shown().await?, &CANARIES).is_empty(),
        "erased too early"
    );
    Ok(())
}

/// what a person could be reached by is on the stop list.
#[tokio::test]
async fn who_was_forgotten_is_not_entered_again() -> anyhow::Result<()> {
    let mut known = Known::new().await?;
    known.request_erasure("s-30", false).await?;
    known.erase().await?;
    let operator = known.office.client("s-30")?;
    let (phone, email) = (
        "8 (900) 777-00-71".to_owned(),
        "KANAREYKIN@example.org".to_owned(),
    );
    let card = Card {
        name: "ООО «Новое имя»".to_owned(),
        phones: vec!["+7 900 000-09-09".to_owned(), phone.clone()],
        emails: vec![email.clone()],
        ..Card::default()
    };
    let register = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(card),
        ..RegisterProspectRequest::default()
    };
    let change = ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        phones: Some(PhoneList {
            phones: vec![phone.clone()],
        }),
        ..ChangeAccountDetailsRequest::default()
    };
    let add = AddContactPersonRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        name: "Некто Новый".to_owned(),
        phones: vec![phone],
        emails: vec![email],
        ..AddContactPersonRequest::default()
    };
    for (refused, named) in [
        (
            operator.accounts().register_prospect(register).await.err(),
            &["card.emails", "card.phones"][..],
        ),
        (
            operator
                .accounts()
                .change_account_details(change)
                .await
                .err(),
            &["phones"],
        ),
        (
            operator.contacts().add_contact_person(add).await.err(),
            &["emails", "phones"],
        ),
    ] {
        let refused = refused.context("was taken")?;
        ensure!(
            reason(&refused) == "STOP_LIST" && refused.message() == "stop list",
            "{refused:?}"
        );
        ensure!(fields(&refused) == named, "{refused:?}");
    }

    let rows = [
        (
            "accounts",
            "external_id,name,phone\nacc-9,ООО «Новое»,8-900-777-00-71\nacc-8,ООО «Иное»,+7 900 000-08-08\n",
        ),
        (
            "persons",
            "external_id,account,name,phone,email\np-9,acc-1,Новый Некто,,kanareykin@example.org\np-8,acc-1,Иной,+7 900 000-08-08,\n",
        ),
        (
            "interactions",
            "external_id,account,person,kind,outcome,occurred_at,summary\nc-9,acc-1,p-1,call,connected,2026-03-01,Снова он\nc-8,acc-1,p-2,call,connected,2026-03-01,Она\n",
        ),
    ];
    for (kind, csv) in rows {
        let folder = tempfile::tempdir()?;
        let (file, fates) = (
            folder.path().join("rows.csv"),
            folder.path().join("fates.csv"),
        );
        std::fs::write(&file, csv)?;
        let [file, fates] = [&file, &fates].map(|path| path.to_string_lossy().into_owned());
        known
            .office
            .office
            .command("s-02", &["import", kind, &file, "--report", &fates])?;
        let fates = std::fs::read_to_string(fates)?;
        let fates: Vec<_> = fates.lines().skip(1).collect();
        let expected = match kind {
            "accounts" => "2,rejected,,,phone stop list",
            "persons" => "2,rejected,,,email stop list",
            _ => "2,rejected,,,person was erased",
        };
        ensure!(
            fates[0] == expected && fates[1].starts_with("3,created,"),
            "{kind}: {fates:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn what_is_said_of_others_can_be_kept_in_other_words() -> anyhow::Result<()> {
    let mut known = Known::new().await?;
    known.request_erasure("s-30", false).await?;
    let redact = |about: &str| RedactInteractionRequest {
        request_id: request_id(),
        interaction_id: known.contacts[1].clone(),
        about_person_ids: vec![about.to_owned()],
        summary: "Соколова ждёт решения".to_owned(),
        impression: "Соколова строга".to_owned(),
        ..RedactInteractionRequest::default()
    };
    let head = known.office.client("s-10")?;
    let stranger = redact(&known.account_id);
    let refused = head
        .contacts()
        .redact_interaction(stranger)
        .await
        .err()
        .context("was taken")?;
    ensure!(fields(&refused) == ["about_person_ids"], "{refused:?}");
    let redacted = redact(&known.other_id);
    head.contacts().redact_interaction(redacted).await?;
    ensure!(known.erasure().await?.interactions_to_review.is_empty());
    known.erase().await?;

    let entries = known.timeline().await?;
    let kept = entries
        .iter()
        .find(|entry| entry.id == known.contacts[1])
        .context("kept")?;
    ensure!(
        kept.summary == "Соколова ждёт решения" && !kept.erased,
        "{kept:?}"
    );
    let gone = entries
        .iter()
        .find(|entry| entry.id == known.contacts[0])
        .context("gone")?;
    ensure!(gone.summary.is_empty() && gone.erased, "{gone:?}");
    no_canary("a dump", &dumps(&known.office.office.data(), &[])?)
}

#[tokio::test]
async fn a_company_that_is_the_person_goes_along() -> anyhow::Result<()> {
    let mut known = Known::new().await?;
    let without_a_name = LogInteractionRequest {
        request_id: request_id(),
        account_id: known.account_id.clone(),
        kind: InteractionKind::Call.into(),
        outcome: Outcome::NoAnswer.into(),
        summary: "Телефон Канарейкина молчит".to_owned(),
        ..LogInteractionRequest::default()
    };
    let petrov = known.office.client("s-11")?;
    petrov.contacts().log_interaction(without_a_name).await?;
    let (back_before, back_after) = (said::pay(&known).await?, said::pay(&known).await?);
    said::pay_back(&known, back_before).await?;
    said::decline_data_entry(&known, "").await?;
    let task = said::change_tasks(&known).await?;
    let deal = said::explain(&known).await?;
    said::keep_view(&known, "Птичий двор", "птичий").await?;
    said::keep_view(&known, "Вечер", "Прутик").await?;
    known.heads = known.heads().await?;
    let figures = known.figures().await?;
    // People are told why, and it is nowhere else.
    let told = said::told(&known).await?;
    ensure!(traces_of(&told, &said::WHY) == said::WHY, "{told}");
    let data = known.office.office.data();
    no_canary("the log", &dumps(&data, &["--schema=log"])?)?;
    no_canary("the bus", &messages(&known.office.office.nats).await?)?;
    known.request_erasure("s-30", true).await?;
    let certificate = known.erase().await?;
    ensure!(certificate.with_account, "{certificate:?}");
    let accounts = certificate
        .parts
        .iter()
        .find(|part| part.service == "accounts");
    ensure!(
        // That of the card, and that of what is said about orders.
        accounts.is_some_and(|part| part.keys == 2),
        "{certificate:?}"
    );

    let request = GetAccountRequest {
        account_id: known.account_id.clone(),
        min_positions: known.heads.clone(),
    };
    let account = known
        .office
        .admin
        .accounts()
        .get_account(request)
        .await?
        .into_inner()
        .account;
    let account = account.context("an account")?;
    let card = account.card.clone().unwrap_or_default();
    ensure!(
        account.erased && card.name.is_empty() && card.phones.is_empty(),
        "{account:?}"
    );
    ensure!(
        card.city == "Миасс" && account.orders.len() == 1,
        "{account:?}"
    );
    let everything = dumps(&known.office.office.data(), &[])?;
    no_canary("a dump", &everything)?;
    let of_the_company = ["птичий", "office@example.org"];
    ensure!(traces_of(&everything, &of_the_company).is_empty());
    let now = known.figures().await?;
    ensure!(now == figures, "{figures} became {now}");
    let refusals = said::declined(&known).await?;
    ensure!(
        refusals.len() == 1 && refusals[0].erased && refusals[0].reason.is_empty(),
        "{refusals:?}"
    );
    let views = said::views(&known).await?;
    let kept = [("", ""), ("Вечер", "Прутик")];
    ensure!(
        views == kept.map(|(name, query)| (name.to_owned(), query.to_owned())),
        "{views:?}"
    );
    // Money still goes back, and nobody is told why; so does the rest go on.
    said::pay_back(&known, back_after).await?;
    said::change_status(&known, "interested", "Канарейкин доволен вполне").await?;
    said::lose_deal(&known, &deal).await?;
    said::cancel_task(&known, &task).await?;
    known.heads = known.heads().await?;
    no_canary("an answer", &said::told(&known).await?)?;
    no_canary("a dump", &dumps(&data, &[])?)?;
    no_canary("the bus", &messages(&known.office.office.nats).await?)?;
    let payments = said::payments(&known).await?;
    ensure!(
        payments.len() == 2
            && payments
                .iter()
                .all(|one| one.reversed_at.is_some() && one.reversal_reason.is_empty()),
        "{payments:?}"
    );
    // Nobody has to plan anything with who is forgotten.
    let missing = said::without_next_step(&known).await?;
    let others = [
        known.office.account("acc-2").await?,
        known.office.account("acc-3").await?,
    ];
    ensure!(
        missing.len() == 2 && others.iter().all(|other| missing.contains(other)),
        "{missing:?}"
    );
    // The company's address is nobody's any more.
    let again = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "ООО «Новое»".to_owned(),
            emails: vec!["office@example.org".to_owned()],
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    let refused = known
        .office
        .admin
        .accounts()
        .register_prospect(again)
        .await
        .err();
    let refused = refused.context("was taken")?;
    ensure!(reason(&refused) == "STOP_LIST", "{refused:?}");
    // Keys that were replaced are destroyed a moment later.
    let clean = |text: &String| traces_of(text, &CANARIES).is_empty();
    let exported = eventually(
        Duration::from_secs(20),
        || async { known.exported() },
        |exported| exported.as_ref().is_ok_and(clean),
    )
    .await?;
    no_canary("an export", &exported)?;
    views_equal_a_replay(&known.office.office).await
}

/// The script that people are told to use.
fn backup(what: &str, url: &str, folder: &Path) -> anyhow::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/backup");
    let output = Command::new(script)
        .env("KONTAKTY_OWNER_URL", url)
        .arg(what)
        .arg(folder)
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "deploy/backup {what}: {said}");
    Ok(())
}

#[tokio::test]
async fn backups_hold_events_and_keys_apart() -> anyhow::Result<()> {
    let known = Known::new().await?;
    let url = Psql::new(&known.office.office)?.owner_url()?;
    let folder = tempfile::tempdir()?;
    for what in ["events", "keys"] {
        backup(what, &url, folder.path())?;
        let mut text = String::new();
        for service in SERVICES {
            let file = folder.path().join(format!("{service}.{what}"));
            let script = Command::new("pg_restore")
                .arg("--file=-")
                .arg(&file)
                .output()?;
            ensure!(
                script.status.success(),
                "{}",
                String::from_utf8_lossy(&script.stderr)
            );
            text += &everywhere::legible(&String::from_utf8_lossy(&script.stdout));
        }
        no_canary(what, &text)?;
        // Not because there is nothing in it.
        let event = text.contains("\"occurred_at\":\"2026-03-10T06:00:00Z\"");
        let key = text.contains(&format!("person:{}\t", known.person_id));
        ensure!(
            (event, key) == (what == "events", what == "keys"),
            "{what}: {event} {key}"
        );
    }
    Ok(())
}
