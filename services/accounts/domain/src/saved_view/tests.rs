use es::spec::given;

use super::*;

fn id() -> SavedViewId {
    SavedViewId::of_external("v-1")
}

fn draft(city: &str) -> Draft {
    Draft {
        name: "Миасс".to_owned(),
        filter: Filter {
            city: city.to_owned(),
            ..Filter::default()
        },
        columns: vec!["name".to_owned()],
    }
}

fn save() -> Command {
    Command::Save {
        id: id(),
        owner_id: StaffId::of_external("s-11"),
        draft: draft("Миасс"),
    }
}

fn saved() -> Event {
    Event::Saved(begin(id(), StaffId::of_external("s-11"), draft("Миасс")))
}

fn subject() -> Subject {
    Subject::new("saved_view", id().0)
}

/// The first change of the words of a view.
fn changed(draft: Draft) -> Event {
    let anew = subject().renewed();
    Event::Changed(Changed {
        name: Some(Personal::new(anew.clone(), draft.name)),
        filter: Some(Personal::new(anew, draft.filter)),
        columns: None,
        supersedes: Some(subject()),
    })
}

#[test]
fn a_view_is_saved_changed_and_deleted() {
    let change = |city| Command::Change { draft: draft(city) };
    given::<SavedView>([]).when(save()).then([saved()]);
    given::<SavedView>([])
        .when(change("Миасс"))
        .then_rejected(Rejection::Unknown);
    given::<SavedView>([saved()])
        .when(save())
        .then_rejected(Rejection::Exists);
    given::<SavedView>([saved()])
        .when(change("Миасс"))
        .then_nothing();
    given::<SavedView>([saved()])
        .when(change("Чебаркуль"))
        .then([changed(draft("Чебаркуль"))]);
    let deleted = Event::Deleted(Deleted {});
    given::<SavedView>([saved()])
        .when(Command::Delete)
        .then([deleted.clone()]);
    given::<SavedView>([saved(), deleted.clone()])
        .when(Command::Delete)
        .then_nothing();
    given::<SavedView>([saved(), deleted])
        .when(change("Чебаркуль"))
        .then_rejected(Rejection::Unknown);
}

#[test]
fn other_columns_are_no_other_words() {
    let wider = Draft {
        columns: vec!["name".to_owned(), "city".to_owned()],
        ..draft("Миасс")
    };
    given::<SavedView>([saved()])
        .when(Command::Change {
            draft: wider.clone(),
        })
        .then([Event::Changed(Changed {
            name: None,
            filter: None,
            columns: Some(wider.columns),
            supersedes: None,
        })]);
}

#[test]
fn what_is_forgotten_goes_wherever_it_is() {
    let about = |name: &str, query: &str, custom: &[(&str, &str)]| Draft {
        name: name.to_owned(),
        filter: Filter {
            query: query.to_owned(),
            custom: custom
                .iter()
                .map(|(key, text)| ((*key).to_owned(), Value::Text((*text).to_owned())))
                .collect(),
            ..draft("Миасс").filter
        },
        ..draft("Миасс")
    };
    let before = about("Ильин", "Ильин", &[("of", "Ильин"), ("size", "большой")]);
    let saved = || Event::Saved(begin(id(), StaffId::of_external("s-11"), before.clone()));
    let forget = |text: &str| Command::Forget {
        texts: Texts(BTreeSet::from([text.to_owned()])),
    };
    let after = about("", "", &[("size", "большой")]);
    given::<SavedView>([saved()])
        .when(forget("Ильин"))
        .then([changed(after.clone())]);
    given::<SavedView>([saved(), changed(after)])
        .when(forget("Ильин"))
        .then_nothing();
    given::<SavedView>([saved()])
        .when(forget("Иль"))
        .then_nothing();
    given::<SavedView>([saved(), Event::Deleted(Deleted {})])
        .when(forget("Ильин"))
        .then_nothing();
    given::<SavedView>([])
        .when(forget("Ильин"))
        .then_rejected(Rejection::Unknown);
}

#[test]
fn a_view_is_shared_and_taken_back() {
    let with = Readers::Group(GroupId::of_external("A"));
    let shared = |with| Event::Shared(Shared { with });
    given::<SavedView>([saved()])
        .when(Command::Share { with })
        .then([shared(with)]);
    given::<SavedView>([saved(), shared(with)])
        .when(Command::Share { with })
        .then_nothing();
    given::<SavedView>([saved(), shared(with)])
        .when(Command::Share {
            with: Readers::Nobody,
        })
        .then([shared(Readers::Nobody)]);
}
