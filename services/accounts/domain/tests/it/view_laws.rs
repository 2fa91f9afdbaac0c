use accounts_domain::{
    import_batch::{self, Batch, ImportBatch, Outcome, Row},
    saved_view::{Command, Draft, Filter, Lifecycle, Readers, SavedView, Texts},
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use vocabulary::{GroupId, ImportId, SavedViewId, StaffId};

use crate::laws::check;

proptest! {
    #[test]
    fn saved_views_obey(commands in vec(command(), 0..12)) {
        check::<SavedView>(commands);
    }

    #[test]
    fn batches_of_imports_obey(batches in vec(batch(), 1..3)) {
        let commands = batches.into_iter().map(import_batch::Command::Record);
        check::<ImportBatch>(commands.collect());
    }
}

fn text() -> impl Strategy<Value = String> {
    select(vec!["", "Миасс", "вектор"]).prop_map(ToOwned::to_owned)
}

fn draft() -> impl Strategy<Value = Draft> {
    let lifecycle = select(vec![Lifecycle::Prospect, Lifecycle::Client]);
    (text(), text(), option::of(lifecycle), vec(text(), 0..3)).prop_map(
        |(name, query, lifecycle, columns)| Draft {
            name,
            filter: Filter {
                query,
                lifecycle,
                ..Filter::default()
            },
            columns,
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let id = SavedViewId::of_external("v-1");
    let owner_id = StaffId::of_external("s-11");
    let group = Readers::Group(GroupId::of_external("A"));
    prop_oneof![
        2 => draft().prop_map(move |draft| Command::Save { id, owner_id, draft }),
        2 => draft().prop_map(|draft| Command::Change { draft }),
        2 => select(vec![Readers::Nobody, group, Readers::Everybody])
            .prop_map(|with| Command::Share { with }),
        1 => text().prop_map(|text| Command::Forget { texts: Texts([text].into()) }),
        1 => Just(Command::Delete),
    ]
}

fn batch() -> impl Strategy<Value = Batch> {
    let outcome = select(vec![Outcome::Created, Outcome::Matched, Outcome::Rejected]);
    vec((1..1_000_i64, outcome), 0..5).prop_map(|rows| Batch {
        import_id: ImportId::of_external("3f"),
        file: "справочник.csv".to_owned(),
        rows: rows
            .into_iter()
            .map(|(row, outcome)| Row {
                row,
                outcome,
                account_id: None,
                owner_id: None,
                faults: Vec::new(),
            })
            .collect(),
    })
}
