use chrono::{DateTime, TimeZone, Utc};
use contacts_domain::{
    DataSubject, Interaction, Person,
    data_subject::{self, ErasureRequested},
    interaction::{self, CompletedTask, Log, Redact},
    person::{self, Add, ChangeDetails},
};
use es::{Aggregate, Encoded, decode, encode, personal};
use proptest::{
    collection::vec,
    option,
    prelude::{Strategy, any, prop_oneof, proptest},
    sample::select,
};
use uuid::Uuid;
use vocabulary::{
    AccountId, Deadline, Direction, Email, ErasureGround, GroupId, InteractionId, InteractionKind,
    NextStep, Outcome, PersonId, PhoneNumber, StaffId, TaskId, TaskKind,
};

/// Few ids, so that they meet again.
fn ids() -> impl Strategy<Value = Uuid> {
    (1..4_u128).prop_map(Uuid::from_u128)
}

fn text() -> impl Strategy<Value = String> {
    "[ а-яё]{0,6}"
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0..2_000_000_000_i64).prop_map(|s| Utc.timestamp_opt(s, 0).earliest().unwrap_or_default())
}

fn phones() -> impl Strategy<Value = Vec<PhoneNumber>> {
    vec(0..3_u8, 0..3).prop_map(|last| {
        last.into_iter()
            .filter_map(|n| PhoneNumber::parse(&format!("+7900000011{n}")).ok())
            .collect()
    })
}

fn emails() -> impl Strategy<Value = Vec<Email>> {
    vec(0..3_u8, 0..3).prop_map(|names| {
        names
            .into_iter()
            .filter_map(|n| Email::parse(&format!("v{n}@example.org")).ok())
            .collect()
    })
}

fn person_commands() -> impl Strategy<Value = person::Command> {
    let add = (
        ids(),
        ids(),
        option::of(text()),
        text(),
        text(),
        phones(),
        emails(),
    )
        .prop_map(
            |(id, account_id, external_id, name, job_title, phones, emails)| {
                person::Command::Add(Add {
                    id: PersonId(id),
                    account_id: AccountId(account_id),
                    external_id,
                    name,
                    job_title,
                    phones,
                    emails,
                })
            },
        );
    let change = (
        ids(),
        option::of(text()),
        option::of(text()),
        option::of(phones()),
        option::of(emails()),
    )
        .prop_map(|(id, name, job_title, phones, emails)| {
            person::Command::ChangeDetails(ChangeDetails {
                id: PersonId(id),
                name,
                job_title,
                phones,
                emails,
            })
        });
    prop_oneof![add, change]
}

fn next_steps() -> impl Strategy<Value = NextStep> {
    (
        instant(),
        select(TaskKind::ALL),
        option::of(ids()),
        text(),
        text(),
    )
        .prop_map(|(due_at, kind, person, purpose, comment)| NextStep {
            due_at: Deadline::at(due_at.fixed_offset()),
            kind,
            person_id: person.map(PersonId),
            purpose,
            comment,
        })
}

fn interaction_commands() -> impl Strategy<Value = interaction::Command> {
    prop_oneof![log_commands(), redact_commands()]
}

fn redact_commands() -> impl Strategy<Value = interaction::Command> {
    (
        ids(),
        vec(ids(), 0..3),
        [text(), text(), text(), text(), text()],
    )
        .prop_map(
            |(id, about, [summary, impression, note, purpose, comment])| {
                interaction::Command::Redact(Box::new(Redact {
                    id: InteractionId(id),
                    about: about.into_iter().map(PersonId).collect(),
                    summary,
                    impression,
                    note,
                    purpose,
                    comment,
                }))
            },
        )
}

fn data_subject_commands() -> impl Strategy<Value = data_subject::Command> {
    let request = (ids(), any::<bool>(), select(ErasureGround::ALL), ids()).prop_map(
        |(account_id, with_account, ground, by)| {
            data_subject::Command::Request(ErasureRequested {
                account_id: AccountId(account_id),
                with_account,
                ground,
                requested_by: StaffId(by),
            })
        },
    );
    let confirm = (ids(), ids(), vec(text(), 0..3), vec(ids(), 0..3)).prop_map(
        |(id, by, stop_list, records)| data_subject::Command::Confirm {
            id: PersonId(id),
            by: StaffId(by),
            stop_list,
            records: records.into_iter().map(AccountId).collect(),
        },
    );
    prop_oneof![request, confirm]
}

fn log_commands() -> impl Strategy<Value = interaction::Command> {
    let who = (
        ids(),
        option::of(ids()),
        option::of(text()),
        ids(),
        option::of(ids()),
        vec(ids(), 0..3),
    );
    let what = (
        select(InteractionKind::ALL),
        select(Direction::ALL),
        select(Outcome::ALL),
        (text(), text(), text()),
    );
    let when = (instant(), instant(), any::<i64>());
    let then = (option::of((ids(), any::<bool>())), option::of(next_steps()));
    (who, what, when, then).prop_map(|(who, what, when, then)| {
        let (account_id, person_id, external_id, author_id, group_id, mentioned) = who;
        let (kind, direction, outcome, (summary, impression, note)) = what;
        let (now, occurred_at, duration_s) = when;
        let (task, next_step) = then;
        interaction::Command::Log(Box::new(Log {
            id: InteractionId(account_id),
            now,
            account_id: AccountId(account_id),
            person_id: person_id.map(PersonId),
            external_id,
            kind,
            direction,
            outcome,
            occurred_at,
            duration_s: duration_s % 100_000,
            author_id: StaffId(author_id),
            author_group_id: group_id.map(GroupId),
            summary,
            impression,
            note,
            mentioned: mentioned.into_iter().map(PersonId).collect(),
            completes: task.map(|(id, open)| CompletedTask {
                id: TaskId(id),
                open,
            }),
            next_step,
        }))
    })
}

/// Plays commands one after the other and checks at each step what must hold for any aggregate.
fn play<A: Aggregate>(commands: Vec<A::Command>) {
    let mut history = Vec::new();
    for command in commands {
        let Ok(events) = A::decide(&A::fold(&history), command.clone()) else {
            continue;
        };
        for event in &events {
            assert_storable::<A>(event);
        }
        history.extend(events);
        let again = A::decide(&A::fold(&history), command).unwrap_or_default();
        assert_eq!(again, [], "the same command twice changes nothing more");
    }
    // Nothing that is forgotten may stop the rest from being read and decided on.
    let erased: Vec<A::Event> = history.iter().map(erase::<A>).collect();
    A::fold(&erased);
}

fn assert_storable<A: Aggregate>(event: &A::Event) {
    let stored = encode::<A>(event).expect("encodes");
    assert!(&read::<A>(&stored) == event, "{}", stored.event_type);
}

fn read<A: Aggregate>(stored: &Encoded) -> A::Event {
    let payload = stored.payload.to_string();
    decode::<A>(
        &stored.event_type,
        stored.schema_version,
        payload.as_bytes(),
    )
    .expect("reads")
}

/// The event as it reads once the keys are gone.
fn erase<A: Aggregate>(event: &A::Event) -> A::Event {
    let mut stored = encode::<A>(event).expect("encodes");
    let sealed = personal::seal(&mut stored.payload, &mut |_, _| {
        Ok::<_, std::convert::Infallible>(String::new())
    });
    assert_eq!(sealed, Ok(()));
    read::<A>(&stored)
}

proptest! {
    #[test]
    fn person(commands in vec(person_commands(), 1..8)) {
        play::<Person>(commands);
    }

    #[test]
    fn interaction(commands in vec(interaction_commands(), 1..4)) {
        play::<Interaction>(commands);
    }

    #[test]
    fn data_subject(commands in vec(data_subject_commands(), 1..6)) {
        play::<DataSubject>(commands);
    }

    #[test]
    fn no_plain_text_is_left_of_an_erased_event(commands in vec(interaction_commands(), 1..4)) {
        for command in commands {
            let decided = Interaction::decide(&interaction::State::default(), command);
            for event in decided.unwrap_or_default() {
                let texts = match erase::<Interaction>(&event) {
                    interaction::Event::Redacted(redacted) => redacted.texts,
                    interaction::Event::Logged(logged) => interaction::Texts::of(&logged),
                };
                assert!(texts.each().all(|text| text.get().is_none()));
            }
        }
    }
}
