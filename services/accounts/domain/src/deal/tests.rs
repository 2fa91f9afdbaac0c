use chrono::TimeZone;
use es::spec::given;
use vocabulary::Money;

use super::*;
use crate::pipeline::{Field, Published, Stage};

fn account() -> AccountId {
    AccountId::of_external("acc-1001")
}

/// Under the key of what is said in deals with the company.
fn why(reason: &str) -> Personal<String> {
    Personal::new(subject(account()), reason.to_owned())
}

fn march(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 3, day, 9, 0, 0).unwrap()
}

fn petrov() -> Owner {
    Owner {
        id: StaffId::of_external("s-11"),
        group_id: Some(GroupId::of_external("a")),
    }
}

fn smirnova() -> Owner {
    Owner {
        id: StaffId::of_external("s-12"),
        group_id: None,
    }
}

fn conveyor() -> Published {
    let stage = |name: &str, required: &[&str]| Stage {
        name: name.to_owned(),
        required: required.iter().map(|key| (*key).to_owned()).collect(),
        documents: Vec::new(),
    };
    Published {
        name: "Конвейер I".to_owned(),
        version: 1,
        stages: vec![
            stage("Первый контакт", &[]),
            stage("КП отправлено", &["proposal", "amount"]),
            stage("Договор", &[]),
        ],
        fields: vec![Field {
            key: "proposal".to_owned(),
            name: "КП".to_owned(),
        }],
        override_reason: None,
    }
}

fn opening() -> Opening {
    Opening {
        account_id: account(),
        external_id: Some("d-77".to_owned()),
        pipeline_id: crate::pipeline::id_of("Конвейер I"),
        rules: conveyor(),
        stage: String::new(),
        owner: Some(petrov()),
        changes: Changes::default(),
        opened_at: march(2),
        closing: None,
    }
}

fn open_with(opening: Opening) -> Command {
    Command::Open(Box::new(opening))
}

fn opened() -> Event {
    Event::Opened(Box::new(Opened {
        account_id: account(),
        external_id: Some("d-77".to_owned()),
        pipeline_id: crate::pipeline::id_of("Конвейер I"),
        pipeline_version: 1,
        stage: "Первый контакт".to_owned(),
        owner_id: Some(petrov().id),
        owner_group_id: petrov().group_id,
        details: Details::default(),
        opened_at: march(2),
    }))
}

fn move_to(stage: &str) -> Command {
    Command::MoveStage {
        to: stage.to_owned(),
        rules: conveyor(),
    }
}

fn set(changes: Changes) -> Command {
    Command::SetFields {
        account_id: account(),
        changes,
        rules: conveyor(),
    }
}

/// КП-77 over 250,000.00 ₽.
fn proposal() -> Changes {
    Changes {
        amount: Some(Money::parse("250000", "RUB").unwrap()),
        fields: [("proposal".to_owned(), "КП-77.pdf".to_owned())].into(),
        ..Changes::default()
    }
}

fn proposed() -> Event {
    Event::FieldsChanged(FieldsChanged {
        set: Details::of(account(), proposal()),
        cleared: Vec::new(),
    })
}

fn version(kind: &str) -> Version {
    Version {
        document_id: DocumentId::of_external(kind),
        account_id: account(),
        kind: kind.to_owned(),
        title: "КП-77.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        size: 4,
        sha256: "a0".to_owned(),
    }
}

fn attached(kind: &str) -> Event {
    Event::DocumentAttached(Box::new(version(kind).after(None).unwrap()))
}

fn sent() -> Event {
    Event::StageChanged(StageChanged {
        from_stage: "Первый контакт".to_owned(),
        to_stage: "КП отправлено".to_owned(),
        pipeline_version: 1,
    })
}

/// S-14: the gate names both fields, and opens when both are there.
#[test]
fn a_gate_names_everything_that_is_missing() {
    let missing = |key: &str| Violation::new(key, "must be set to enter this stage");
    given::<Deal>([opened()])
        .when(move_to("КП отправлено"))
        .then_rejected(Rejection::GateClosed(vec![
            missing("proposal"),
            missing("amount"),
        ]));
    given::<Deal>([opened(), proposed()])
        .when(move_to("кп отправлено"))
        .then([sent()]);
    given::<Deal>([opened(), proposed(), sent()])
        .when(move_to("КП отправлено"))
        .then_nothing();
    given::<Deal>([opened()])
        .when(move_to("Отгрузка"))
        .then_rejected(Rejection::Invalid(vec![no_such_stage()]));
    // Also for a deal that begins there.
    given::<Deal>([])
        .when(open_with(Opening {
            stage: "КП отправлено".to_owned(),
            ..opening()
        }))
        .then_rejected(Rejection::GateClosed(vec![
            missing("proposal"),
            missing("amount"),
        ]));
}

/// S-14: a document is asked for like a field, and named with the fields.
#[test]
fn a_gate_asks_for_documents() {
    let move_to = || {
        let mut rules = conveyor();
        rules.stages[1].required = vec!["amount".to_owned()];
        rules.stages[1].documents = vec!["proposal".to_owned()];
        Command::MoveStage {
            to: "КП отправлено".to_owned(),
            rules,
        }
    };
    let amount = Violation::new("amount", "must be set to enter this stage");
    let text = "must be attached to enter this stage";
    let document = Violation::new("documents.proposal", text);
    given::<Deal>([opened()])
        .when(move_to())
        .then_rejected(Rejection::GateClosed(vec![amount, document.clone()]));
    given::<Deal>([opened(), proposed(), attached("contract")])
        .when(move_to())
        .then_rejected(Rejection::GateClosed(vec![document]));
    given::<Deal>([opened(), proposed(), attached("proposal")])
        .when(move_to())
        .then([sent()]);
}

/// Not for what was over before it came here.
#[test]
fn the_past_needs_no_documents() {
    let opening = |closing| {
        let mut rules = conveyor();
        rules.stages[1].required = vec!["amount".to_owned()];
        rules.stages[1].documents = vec!["proposal".to_owned()];
        Opening {
            stage: "КП отправлено".to_owned(),
            changes: proposal(),
            rules,
            closing,
            ..opening()
        }
    };
    let over = || {
        Some(Closing {
            at: march(5),
            lost_reason: None,
        })
    };
    let Event::Opened(first) = opened() else {
        panic!("not opened");
    };
    let there = Event::Opened(Box::new(Opened {
        stage: "КП отправлено".to_owned(),
        details: Details::of(account(), proposal()),
        ..*first
    }));
    given::<Deal>([])
        .when(open_with(opening(over())))
        .then([there, won(march(5))]);
    given::<Deal>([])
        .when(open_with(Opening {
            changes: Changes::default(),
            ..opening(over())
        }))
        .then_rejected(Rejection::GateClosed(vec![Violation::new(
            "amount",
            "must be set to enter this stage",
        )]));
    given::<Deal>([])
        .when(open_with(opening(None)))
        .then_rejected(Rejection::GateClosed(vec![Violation::new(
            "documents.proposal",
            "must be attached to enter this stage",
        )]));
}

#[test]
fn papers_come_also_after_the_end() {
    given::<Deal>([opened(), won(march(10))])
        .when(Command::AttachDocument(version("contract")))
        .then([attached("contract")]);
    given::<Deal>([opened(), attached("contract")])
        .when(Command::AttachDocument(version("contract")))
        .then_nothing();
    given::<Deal>([])
        .when(Command::AttachDocument(version("contract")))
        .then_rejected(Rejection::Unknown);
}

#[test]
fn the_version_in_force_decides() {
    let mut second = conveyor();
    second.version = 2;
    second.stages[2].required = vec!["product".to_owned()];
    given::<Deal>([opened()])
        .when(Command::MoveStage {
            to: "Договор".to_owned(),
            rules: second,
        })
        .then_rejected(Rejection::GateClosed(vec![Violation::new(
            "product",
            "must be set to enter this stage",
        )]));
}

#[test]
fn only_what_differs_is_recorded() {
    given::<Deal>([opened()])
        .when(set(proposal()))
        .then([proposed()]);
    given::<Deal>([opened(), proposed()])
        .when(set(proposal()))
        .then_nothing();
    given::<Deal>([opened(), proposed()])
        .when(set(Changes {
            product: Some("бетон М300".to_owned()),
            clear: vec!["proposal".to_owned(), "expected_on".to_owned()],
            ..proposal()
        }))
        .then([Event::FieldsChanged(FieldsChanged {
            set: Details {
                product: Some("бетон М300".to_owned()),
                ..Details::default()
            },
            cleared: Vec::new(), // what is given wins, and expected_on was empty
        })]);
    given::<Deal>([opened(), proposed()])
        .when(set(Changes {
            clear: vec!["amount".to_owned()],
            ..Changes::default()
        }))
        .then([Event::FieldsChanged(FieldsChanged {
            set: Details::default(),
            cleared: vec!["amount".to_owned()],
        })]);
    given::<Deal>([opened()])
        .when(set(Changes {
            fields: [("margin".to_owned(), "12".to_owned())].into(),
            clear: vec!["colour".to_owned()],
            ..Changes::default()
        }))
        .then_rejected(Rejection::Invalid(vec![
            Violation::new("fields.margin", "is no field of these deals"),
            Violation::new("clear.colour", "is no field of these deals"),
        ]));
}

#[test]
fn a_deal_is_put_off_until_a_date_to_come() {
    let suspend = |day| Command::Suspend {
        until: march(day),
        reason: Some("бюджет".to_owned()),
        now: march(6),
    };
    let suspended = |day| {
        Event::Suspended(Suspended {
            until: march(day),
            reason: Some(why("бюджет")),
        })
    };
    given::<Deal>([opened()])
        .when(suspend(20))
        .then([suspended(20)]);
    given::<Deal>([opened(), suspended(20)])
        .when(suspend(20))
        .then_nothing();
    given::<Deal>([opened(), suspended(20)])
        .when(suspend(25))
        .then([suspended(25)]);
    given::<Deal>([opened()])
        .when(suspend(6))
        .then_rejected(Rejection::Invalid(vec![Violation::new(
            "until",
            "must be in the future",
        )]));
}

#[test]
fn won_and_lost_are_the_end() {
    let lose = || Command::Lose {
        at: march(10),
        reason: "цена".to_owned(),
    };
    let over = || lost(march(10), why("цена"));
    given::<Deal>([opened()]).when(lose()).then([over()]);
    given::<Deal>([opened(), over()])
        .when(lose())
        .then_nothing();
    for command in [
        Command::Win { at: march(11) },
        move_to("Договор"),
        set(proposal()),
    ] {
        given::<Deal>([opened(), over()])
            .when(command)
            .then_rejected(Rejection::Closed);
    }
    given::<Deal>([opened(), won(march(10))])
        .when(Command::Win { at: march(11) })
        .then_nothing();
    given::<Deal>([opened(), won(march(10))])
        .when(lose())
        .then_rejected(Rejection::Closed);
    given::<Deal>([])
        .when(lose())
        .then_rejected(Rejection::Unknown);
}

#[test]
fn of_a_company_that_is_forgotten_nobody_is_told_why() {
    let lose = Command::Lose {
        at: march(10),
        reason: String::new(),
    };
    let erased = Personal::Erased {
        subject: subject(account()),
    };
    given::<Deal>([opened()])
        .when(lose)
        .then([lost(march(10), erased)]);
}

#[test]
fn an_open_deal_goes_with_its_company() {
    let follow = |owner| Command::FollowOwner { owner };
    let transferred = |to: Option<Owner>| {
        Event::OwnershipTransferred(OwnershipTransferred {
            from_owner_id: Some(petrov().id),
            to_owner_id: to.map(|owner| owner.id),
            to_owner_group_id: to.and_then(|owner| owner.group_id),
        })
    };
    given::<Deal>([opened()])
        .when(follow(Some(petrov())))
        .then_nothing();
    given::<Deal>([opened()])
        .when(follow(Some(smirnova())))
        .then([transferred(Some(smirnova()))]);
    given::<Deal>([opened()])
        .when(follow(None))
        .then([transferred(None)]);
    // A sale stays with whoever made it.
    given::<Deal>([opened(), won(march(10))])
        .when(follow(Some(smirnova())))
        .then_nothing();
}

#[test]
fn a_deal_of_the_past_comes_with_its_end() {
    let past = |at, lost_reason: Option<&str>| {
        open_with(Opening {
            closing: Some(Closing {
                at,
                lost_reason: lost_reason.map(str::to_owned),
            }),
            ..opening()
        })
    };
    given::<Deal>([])
        .when(past(march(5), None))
        .then([opened(), won(march(5))]);
    given::<Deal>([])
        .when(past(march(5), Some("цена")))
        .then([opened(), lost(march(5), why("цена"))]);
    given::<Deal>([])
        .when(past(march(1), None))
        .then_rejected(Rejection::Invalid(vec![Violation::new(
            "closed_at",
            "must not be before it was opened",
        )]));
    given::<Deal>([opened()])
        .when(open_with(opening()))
        .then_rejected(Rejection::Exists);
    given::<Deal>([opened()])
        .when(open_with(Opening {
            account_id: AccountId::of_external("acc-2"),
            ..opening()
        }))
        .then_rejected(Rejection::ExternalIdTaken);
}
