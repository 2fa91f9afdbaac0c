use es::spec::given;

use super::*;

fn dealers() -> Entry {
    Entry::new("dealers", "Дилеры")
}

fn published(entries: Vec<Entry>) -> Event {
    Event::EntriesPublished(EntriesPublished {
        list: List::Rubric,
        entries,
    })
}

fn publish(entries: Vec<Entry>) -> Command {
    Command::Publish {
        list: List::Rubric,
        entries,
    }
}

fn field(key: &str, kind: Kind) -> Field {
    Field {
        key: key.to_owned(),
        version: 1,
        name: "Поле".to_owned(),
        kind,
        choices: Vec::new(),
        required: false,
        searchable: false,
        override_reason: None,
    }
}

fn required(n: usize) -> Field {
    Field {
        required: true,
        ..field(&format!("f{n}"), Kind::Text)
    }
}

#[test]
fn an_office_begins_with_26_sources_and_a_cold_call_among_them() {
    let events = Catalogue::decide(&State::default(), Command::Open).unwrap();
    let state = Catalogue::fold(&events);
    assert_eq!(state.entries(List::Source).len(), 26);
    for name in ["cold_call", "холодный ЗВОНОК", "Cold call"] {
        let found = state.choose(List::Source, name).map(|e| e.key.as_str());
        assert_eq!(found, Some("cold_call"));
    }
    assert_eq!(state.first_status().map(|e| e.key.as_str()), Some("new"));
    given::<Catalogue>(events)
        .when(Command::Open)
        .then_nothing();
    for list in [List::Source, List::Status] {
        let all: Vec<_> = state.entries(list).iter().map(|o| o.what.clone()).collect();
        assert_eq!(faults_of_entries("entries", &all), []);
    }
}

#[test]
fn entries_are_renamed_and_withdrawn_but_never_removed() {
    let renamed = Entry::new("dealers", "Дилеры и партнёры");
    given::<Catalogue>([published(vec![dealers()])])
        .when(publish(vec![dealers(), renamed.clone()]))
        .then_rejected(Rejection::Invalid(vec![Violation::new(
            "entries[1]",
            "is there twice",
        )]));
    given::<Catalogue>([published(vec![dealers()])])
        .when(publish(vec![renamed.clone()]))
        .then([published(vec![renamed])]);
    given::<Catalogue>([published(vec![dealers()])])
        .when(publish(vec![dealers()]))
        .then_nothing();
    let withdrawn = EntryWithdrawn {
        list: List::Rubric,
        key: "dealers".to_owned(),
    };
    let withdraw = Command::Withdraw {
        list: List::Rubric,
        key: "dealers".to_owned(),
    };
    let history = [
        published(vec![dealers()]),
        Event::EntryWithdrawn(withdrawn.clone()),
    ];
    given::<Catalogue>(history[..1].to_vec())
        .when(withdraw.clone())
        .then([Event::EntryWithdrawn(withdrawn)]);
    given::<Catalogue>([])
        .when(withdraw)
        .then_rejected(Rejection::EntryUnknown);
    let state = Catalogue::fold(&history);
    assert_eq!(state.choose(List::Rubric, "дилеры"), None);
    assert_eq!(state.find(List::Rubric, "дилеры"), Some(&dealers()));
    given::<Catalogue>(history)
        .when(publish(vec![dealers()]))
        .then([published(vec![dealers()])]);
}

#[test]
fn fields_have_versions() {
    let first = field("inn", Kind::Text);
    let second = Field {
        version: 2,
        searchable: true,
        ..first.clone()
    };
    given::<Catalogue>([])
        .when(Command::PublishField(first.clone()))
        .then([Event::FieldPublished(first.clone())]);
    given::<Catalogue>([Event::FieldPublished(first.clone())])
        .when(Command::PublishField(Field {
            searchable: true,
            ..first.clone()
        }))
        .then([Event::FieldPublished(second.clone())]);
    given::<Catalogue>([Event::FieldPublished(first.clone())])
        .when(Command::PublishField(field("inn", Kind::Number)))
        .then_rejected(Rejection::KindFixed);
    let withdrawn = Event::FieldWithdrawn(FieldWithdrawn {
        key: "inn".to_owned(),
    });
    let history = [
        Event::FieldPublished(first.clone()),
        Event::FieldPublished(second.clone()),
        withdrawn,
    ];
    let state = Catalogue::fold(&history);
    assert_eq!(state.field("inn"), None);
    assert_eq!(state.field_versions()[0].what, [first, second.clone()]);
    given::<Catalogue>(history)
        .when(Command::PublishField(second.clone()))
        .then([Event::FieldPublished(Field {
            version: 3,
            ..second
        })]);
}

#[test]
fn every_fault_of_a_field_is_named() {
    let bad = Field {
        name: String::new(),
        choices: vec![Entry::new("Большой", "")],
        ..field("ИНН", Kind::Number)
    };
    let Err(Rejection::Invalid(faults)) =
        Catalogue::decide(&State::default(), Command::PublishField(bad))
    else {
        panic!("was published")
    };
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "choices[0].key",
            "choices[0].name",
            "key",
            "name",
            "choices"
        ]
    );
    given::<Catalogue>([])
        .when(Command::PublishField(field("city", Kind::Text)))
        .then_rejected(Rejection::Invalid(vec![Violation::new(
            "key",
            "is a field that every card has",
        )]));
}

#[test]
fn an_eighth_required_field_needs_a_reason() {
    let seven: Vec<_> = (1..=7)
        .map(|n| Event::FieldPublished(required(n)))
        .collect();
    given::<Catalogue>(seven[..6].to_vec())
        .when(Command::PublishField(required(7)))
        .then([Event::FieldPublished(required(7))]);
    given::<Catalogue>(seven.clone())
        .when(Command::PublishField(required(8)))
        .then_rejected(Rejection::TooManyRequired);
    let with_reason = Field {
        override_reason: Some("требование банка".to_owned()),
        ..required(8)
    };
    given::<Catalogue>(seven)
        .when(Command::PublishField(with_reason.clone()))
        .then([Event::FieldPublished(with_reason)]);
}

#[test]
fn only_statuses_are_closed() {
    let refused = Entry {
        closed: true,
        ..Entry::new("refused", "Отказ")
    };
    let state = Catalogue::fold(&Catalogue::decide(&State::default(), Command::Open).unwrap());
    let closed = state.entries(List::Status).iter().filter(|o| o.what.closed);
    assert_eq!(
        closed.map(|o| o.what.key.as_str()).collect::<Vec<_>>(),
        ["refused", "inactive"]
    );
    let status = Command::Publish {
        list: List::Status,
        entries: vec![refused.clone()],
    };
    let event = Event::EntriesPublished(EntriesPublished {
        list: List::Status,
        entries: vec![refused.clone()],
    });
    given::<Catalogue>([]).when(status).then([event]);
    given::<Catalogue>([])
        .when(publish(vec![dealers(), refused.clone()]))
        .then_rejected(Rejection::Invalid(vec![Violation::new(
            "entries[1].closed",
            "is for statuses only",
        )]));
    let choice = Field {
        choices: vec![refused],
        ..field("size", Kind::Choice)
    };
    given::<Catalogue>([])
        .when(Command::PublishField(choice))
        .then_rejected(Rejection::Invalid(vec![Violation::new(
            "choices[0].closed",
            "is for statuses only",
        )]));
}

#[test]
fn a_name_means_one_entry() {
    let partners = |aliases: &[&str]| Entry {
        aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
        ..Entry::new("partners", "Партнёры")
    };
    for named_alike in [
        partners(&["дилеры"]),
        partners(&["dealers"]),
        Entry::new("dealers2", "ДИЛЕРЫ"),
    ] {
        given::<Catalogue>([published(vec![dealers()])])
            .when(publish(vec![named_alike]))
            .then_rejected(Rejection::Invalid(vec![Violation::new(
                "entries[0]",
                "has the name of another entry",
            )]));
    }
    // Names change places in one publication.
    let swapped = vec![
        Entry::new("dealers", "Партнёры"),
        Entry::new("partners", "Дилеры"),
    ];
    let history = || [published(vec![dealers(), partners(&[])])];
    given::<Catalogue>(history())
        .when(publish(swapped.clone()))
        .then([published(swapped)]);

    // What is withdrawn gives its name away, and means what has it now.
    let withdrawn = Event::EntryWithdrawn(EntryWithdrawn {
        list: List::Rubric,
        key: "dealers".to_owned(),
    });
    let again = Entry::new("dealers2", "Дилеры");
    let state = Catalogue::fold(&[
        published(vec![dealers()]),
        withdrawn,
        published(vec![again.clone()]),
    ]);
    assert_eq!(state.choose(List::Rubric, "дилеры"), Some(&again));
    assert_eq!(state.find(List::Rubric, "дилеры"), Some(&again));
    assert_eq!(state.find(List::Rubric, "dealers"), Some(&dealers()));
}
