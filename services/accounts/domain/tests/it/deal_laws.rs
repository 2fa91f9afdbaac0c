//! The laws, for deals and their pipelines.

use accounts_domain::{
    deal::{self, Closing, Deal, Opening},
    document::Version,
    pipeline::{self, Draft, Field, Pipeline, Published, Stage},
};
use chrono::NaiveDate;
use es::Aggregate;
use proptest::{collection::vec, option, prelude::*, sample::select};
use vocabulary::{AccountId, DocumentId, Money};

use crate::laws::{check, instant, owner, text};

proptest! {
    #[test]
    fn pipelines_obey(drafts in vec(draft(), 0..6)) {
        check::<Pipeline>(drafts.into_iter().map(pipeline::Command::Publish).collect());
    }

    #[test]
    fn deals_obey(commands in vec(deal_command(), 0..20)) {
        check::<Deal>(commands);
    }

    #[test]
    fn no_deal_gets_past_a_gate(commands in vec(deal_command(), 0..30)) {
        let mut history = Vec::new();
        for command in commands {
            let events = Deal::decide(&Deal::fold(&history), command).unwrap_or_default();
            // A deal that comes with its end comes without its papers.
            let past = events.len() > 1;
            for event in events {
                history.push(event.clone());
                let stage = match event {
                    deal::Event::Opened(opened) => opened.stage,
                    deal::Event::StageChanged(changed) => changed.to_stage,
                    _ => continue,
                };
                let deal = Deal::fold(&history).expect("a deal");
                let rules = conveyor();
                let stage = rules.stage(&stage).expect("a stage");
                prop_assert!(stage.required.iter().all(|key| deal.details.has(key)));
                let has = |kind: &String| deal.documents.values().any(|one| one.kind == *kind);
                prop_assert!(past || stage.documents.iter().all(has));
            }
        }
    }
}

fn asked() -> impl Strategy<Value = String> {
    select(vec![
        "amount",
        "product",
        "expected_on",
        "proposal",
        "colour",
    ])
    .prop_map(str::to_owned)
}

fn document_kind() -> impl Strategy<Value = String> {
    select(vec!["proposal", "contract"]).prop_map(str::to_owned)
}

/// Few enough that versions meet each other.
pub(crate) fn version() -> impl Strategy<Value = Version> {
    (document_kind(), select(vec!["a0", "b1"])).prop_map(|(kind, sha256)| Version {
        document_id: DocumentId::of_external(&kind),
        account_id: AccountId::of_external("acc-1001"),
        kind,
        title: "КП-77.pdf".to_owned(),
        media_type: "application/pdf".to_owned(),
        size: 4,
        sha256: sha256.to_owned(),
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let documents = vec(document_kind(), 0..3);
    let stage =
        (text(), vec(asked(), 0..9), documents).prop_map(|(name, required, documents)| Stage {
            name,
            required,
            documents,
        });
    let field = asked().prop_map(|key| Field {
        name: key.clone(),
        key,
    });
    let reason = option::of(text());
    (vec(stage, 0..3), vec(field, 0..3), reason).prop_map(|(stages, fields, override_reason)| {
        Draft {
            name: "Конвейер I".to_owned(),
            stages,
            fields,
            override_reason,
        }
    })
}

fn conveyor() -> Published {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let stage = |name: &str, required: &[&str], documents: &[&str]| Stage {
        name: name.to_owned(),
        required: texts(required),
        documents: texts(documents),
    };
    Published {
        name: "Конвейер I".to_owned(),
        version: 1,
        stages: vec![
            stage("Контакт", &[], &[]),
            stage("КП", &["proposal", "amount"], &["proposal"]),
            stage("Договор", &["product"], &["contract"]),
        ],
        fields: vec![Field {
            key: "proposal".to_owned(),
            name: "КП".to_owned(),
        }],
        override_reason: None,
    }
}

fn stage_name() -> impl Strategy<Value = String> {
    select(vec!["", "контакт", "КП", "Договор", "Отгрузка"]).prop_map(str::to_owned)
}

fn deal_changes() -> impl Strategy<Value = deal::Changes> {
    let field = (select(vec!["proposal", "colour"]), text());
    (
        option::of(0..1_000_i64),
        option::of(text()),
        option::of(Just(NaiveDate::default())),
        vec(field, 0..2),
        vec(asked(), 0..2),
    )
        .prop_map(
            |(amount, product, expected_on, fields, clear)| deal::Changes {
                amount: amount.map(|minor_units| Money {
                    minor_units,
                    currency: "RUB".to_owned(),
                }),
                product,
                expected_on,
                fields: fields
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect(),
                clear,
            },
        )
}

fn deal_command() -> impl Strategy<Value = deal::Command> {
    use deal::Command;
    let account_id = AccountId::of_external("acc-1001");
    let closing = (instant(), option::of(text()));
    let closing = closing.prop_map(|(at, lost_reason)| Closing { at, lost_reason });
    let opening = (
        stage_name(),
        option::of(owner()),
        deal_changes(),
        instant(),
        option::of(closing),
    );
    let opening = opening.prop_map(move |(stage, owner, changes, opened_at, closing)| {
        Command::Open(Box::new(Opening {
            account_id,
            external_id: None,
            pipeline_id: pipeline::id_of("Конвейер I"),
            rules: conveyor(),
            stage,
            owner,
            changes,
            opened_at,
            closing,
        }))
    });
    prop_oneof![
        4 => opening,
        3 => deal_changes().prop_map(move |changes| Command::SetFields {
            account_id,
            changes,
            rules: conveyor(),
        }),
        3 => stage_name().prop_map(|to| Command::MoveStage { to, rules: conveyor() }),
        1 => (instant(), option::of(text()), instant())
            .prop_map(|(until, reason, now)| Command::Suspend { until, reason, now }),
        1 => instant().prop_map(|at| Command::Win { at }),
        1 => (instant(), text()).prop_map(|(at, reason)| Command::Lose { at, reason }),
        3 => version().prop_map(Command::AttachDocument),
        1 => option::of(owner()).prop_map(|owner| Command::FollowOwner { owner }),
    ]
}
