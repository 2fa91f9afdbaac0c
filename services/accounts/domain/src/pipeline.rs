//! A pipeline: the stages a deal goes through, and what must be known of it to enter each.
//! Published in versions; a published one never changes.

use std::collections::BTreeSet;

use es::{Aggregate, Kind, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{PipelineId, fold_for_search};

use crate::catalogue::{KEY_FAULT, is_key};

/// More than this is a form, not a gate: people type anything to get through.
pub const MOST_REQUIRED: usize = 7;

/// What every deal can say of itself, whatever the pipeline.
pub const AMOUNT: &str = "amount";
pub const PRODUCT: &str = "product";
pub const EXPECTED_ON: &str = "expected_on";
const EVERY_DEAL: [&str; 3] = [AMOUNT, PRODUCT, EXPECTED_ON];

/// Marker of the aggregate.
pub enum Pipeline {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A version of a pipeline came into force.
    #[serde(rename = "pipeline.published")]
    Published(Published),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Published {
    pub name: String,
    /// 1, 2, 3 …
    pub version: u32,
    /// In their order.
    pub stages: Vec<Stage>,
    /// What deals of this pipeline can say beyond amount, product and expected_on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
    /// Why a stage asks for more than seven fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    pub name: String,
    /// Keys of the fields that a deal has when it enters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub required: Vec<String>,
    /// Of which kinds it has a document by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub documents: Vec<String>,
}

impl Stage {
    fn asks(&self) -> usize {
        self.required.len() + self.documents.len()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Field {
    pub key: String,
    /// As people read it.
    pub name: String,
}

impl Published {
    /// By name, as people write it.
    pub fn stage(&self, name: &str) -> Option<&Stage> {
        let wanted = fold_for_search(name);
        self.stages
            .iter()
            .find(|stage| fold_for_search(&stage.name) == wanted)
    }

    /// Whether a deal of this pipeline can say this of itself beyond what every deal can.
    pub fn has_field(&self, key: &str) -> bool {
        self.fields.iter().any(|field| field.key == key)
    }

    fn same_content(&self, draft: &Draft) -> bool {
        self.name == draft.name && self.stages == draft.stages && self.fields == draft.fields
    }
}

/// The version in force; none before the first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State(pub Option<Published>);

#[derive(Debug, Clone)]
pub enum Command {
    Publish(Draft),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub name: String,
    pub stages: Vec<Stage>,
    pub fields: Vec<Field>,
    pub override_reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("the pipeline cannot be published as given")]
    Invalid(Vec<Violation>),
    #[error("a stage asks for more than {MOST_REQUIRED} fields, and no reason is given")]
    TooManyRequired(Vec<Violation>),
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::Invalid,
            Self::TooManyRequired(_) => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "PIPELINE_INVALID",
            Self::TooManyRequired(_) => "TOO_MANY_REQUIRED_FIELDS",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Invalid(violations) | Self::TooManyRequired(violations) => violations.clone(),
        }
    }
}

/// A pipeline is known by its name, so that a file of deals can speak of it.
pub fn id_of(name: &str) -> PipelineId {
    PipelineId::of_external(&fold_for_search(name))
}

impl Aggregate for Pipeline {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "pipeline";

    fn decide(
        State(now): &State,
        Command::Publish(draft): Command,
    ) -> Result<Vec<Event>, Rejection> {
        let faults = draft.faults();
        if !faults.is_empty() {
            return Err(Rejection::Invalid(faults));
        }
        let long = draft.long_gates();
        if !long.is_empty() && draft.override_reason.is_none() {
            return Err(Rejection::TooManyRequired(long));
        }
        if now.as_ref().is_some_and(|now| now.same_content(&draft)) {
            return Ok(Vec::new());
        }
        Ok(vec![Event::Published(Published {
            version: now.as_ref().map_or(1, |now| now.version.saturating_add(1)),
            override_reason: draft.override_reason.filter(|_| !long.is_empty()),
            name: draft.name,
            stages: draft.stages,
            fields: draft.fields,
        })])
    }

    fn evolve(_: State, event: &Event) -> State {
        match event {
            Event::Published(published) => State(Some(published.clone())),
        }
    }
}

impl Draft {
    fn faults(&self) -> Vec<Violation> {
        let mut faults = Vec::new();
        let mut fault = |field: String, text: &str| faults.push(Violation::new(field, text));
        if self.stages.is_empty() {
            fault("stages".to_owned(), "must not be empty");
        }
        let mut keys: BTreeSet<&str> = EVERY_DEAL.into();
        for (n, field) in self.fields.iter().enumerate() {
            if !is_key(&field.key) {
                fault(format!("fields[{n}].key"), KEY_FAULT);
            } else if !keys.insert(&field.key) {
                fault(format!("fields[{n}].key"), "is there twice");
            }
        }
        let mut names = BTreeSet::new();
        for (n, stage) in self.stages.iter().enumerate() {
            if fold_for_search(&stage.name).is_empty() {
                fault(format!("stages[{n}].name"), "must not be empty");
            } else if !names.insert(fold_for_search(&stage.name)) {
                fault(format!("stages[{n}].name"), "is there twice");
            }
            let mut asked = BTreeSet::new();
            for (m, key) in stage.required.iter().enumerate() {
                if !keys.contains(key.as_str()) {
                    fault(
                        format!("stages[{n}].required[{m}]"),
                        "is no field of these deals",
                    );
                } else if !asked.insert(key) {
                    fault(format!("stages[{n}].required[{m}]"), "is there twice");
                }
            }
            // A deal has no documents before it is open.
            if n == 0 && !stage.documents.is_empty() {
                fault(
                    format!("stages[{n}].required_documents"),
                    "must be empty at the first stage",
                );
            }
            let mut kinds = BTreeSet::new();
            for (m, kind) in stage.documents.iter().enumerate() {
                if !kinds.insert(kind) {
                    fault(
                        format!("stages[{n}].required_documents[{m}]"),
                        "is there twice",
                    );
                }
            }
        }
        faults
    }

    fn long_gates(&self) -> Vec<Violation> {
        let stages = self.stages.iter().enumerate();
        stages
            .filter(|(_, stage)| stage.asks() > MOST_REQUIRED)
            .map(|(n, _)| {
                Violation::new(
                    format!("stages[{n}].required"),
                    format!("must have a reason to ask for more than {MOST_REQUIRED} fields"),
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn stage(name: &str, required: &[&str]) -> Stage {
        Stage {
            name: name.to_owned(),
            required: required.iter().map(|key| (*key).to_owned()).collect(),
            documents: Vec::new(),
        }
    }

    fn conveyor() -> Draft {
        Draft {
            name: "Конвейер I".to_owned(),
            stages: vec![
                stage("Первый контакт", &[]),
                stage("КП отправлено", &["proposal", "amount"]),
            ],
            fields: vec![Field {
                key: "proposal".to_owned(),
                name: "КП".to_owned(),
            }],
            override_reason: None,
        }
    }

    fn published(version: u32, draft: Draft) -> Event {
        Event::Published(Published {
            name: draft.name,
            version,
            stages: draft.stages,
            fields: draft.fields,
            override_reason: draft.override_reason,
        })
    }

    /// A stage that asks for so many fields.
    fn long(asked: usize) -> Draft {
        let keys: Vec<_> = (0..asked).map(|n| format!("field_{n}")).collect();
        let field = |key: &String| Field {
            key: key.clone(),
            name: key.clone(),
        };
        Draft {
            fields: keys.iter().map(field).collect(),
            stages: vec![Stage {
                name: "Анкета".to_owned(),
                required: keys,
                documents: Vec::new(),
            }],
            ..conveyor()
        }
    }

    #[test]
    fn a_change_is_a_new_version() {
        let changed = || Draft {
            stages: vec![stage("Первый контакт", &[])],
            ..conveyor()
        };
        given::<Pipeline>([])
            .when(Command::Publish(conveyor()))
            .then([published(1, conveyor())]);
        given::<Pipeline>([published(1, conveyor())])
            .when(Command::Publish(conveyor()))
            .then_nothing();
        given::<Pipeline>([published(1, conveyor())])
            .when(Command::Publish(changed()))
            .then([published(2, changed())]);
    }

    /// S-14: thirteen fields are refused without a reason.
    #[test]
    fn common_sense_limits_what_a_stage_asks_for() {
        given::<Pipeline>([])
            .when(Command::Publish(long(7)))
            .then([published(1, long(7))]);
        given::<Pipeline>([])
            .when(Command::Publish(long(13)))
            .then_rejected(Rejection::TooManyRequired(vec![Violation::new(
                "stages[0].required",
                "must have a reason to ask for more than 7 fields",
            )]));
        let reasoned = || Draft {
            override_reason: Some("требование завода".to_owned()),
            ..long(13)
        };
        given::<Pipeline>([])
            .when(Command::Publish(reasoned()))
            .then([published(1, reasoned())]);
    }

    /// A document is as much of a hurdle as a field.
    #[test]
    fn documents_count_among_what_is_asked() {
        let with = |documents: &[&str]| {
            let documents: Vec<_> = documents.iter().map(|kind| (*kind).to_owned()).collect();
            let mut draft = long(6);
            draft.stages[0].documents = documents;
            draft.stages.insert(0, stage("Первый контакт", &[]));
            draft
        };
        given::<Pipeline>([])
            .when(Command::Publish(with(&["proposal"])))
            .then([published(1, with(&["proposal"]))]);
        given::<Pipeline>([])
            .when(Command::Publish(with(&["proposal", "contract"])))
            .then_rejected(Rejection::TooManyRequired(vec![Violation::new(
                "stages[1].required",
                "must have a reason to ask for more than 7 fields",
            )]));
        given::<Pipeline>([])
            .when(Command::Publish(with(&["proposal", "proposal"])))
            .then_rejected(Rejection::Invalid(vec![Violation::new(
                "stages[1].required_documents[1]",
                "is there twice",
            )]));
    }

    /// Nothing could be attached to a deal that is not open yet.
    #[test]
    fn the_first_stage_asks_for_no_documents() {
        let mut draft = conveyor();
        draft.stages[0].documents = vec!["proposal".to_owned()];
        given::<Pipeline>([])
            .when(Command::Publish(draft))
            .then_rejected(Rejection::Invalid(vec![Violation::new(
                "stages[0].required_documents",
                "must be empty at the first stage",
            )]));
    }

    #[test]
    fn every_fault_is_named() {
        let field = |key: &str| Field {
            key: key.to_owned(),
            name: key.to_owned(),
        };
        let draft = Draft {
            stages: vec![
                stage("Новая", &["amount", "amount", "price"]),
                stage("новая ", &[]),
                stage(" ", &[]),
            ],
            fields: vec![field("Цена"), field("amount"), field("note"), field("note")],
            ..conveyor()
        };
        let fields: Vec<_> = draft
            .faults()
            .into_iter()
            .map(|fault| fault.field)
            .collect();
        assert_eq!(
            fields,
            [
                "fields[0].key",
                "fields[1].key",
                "fields[3].key",
                "stages[0].required[1]",
                "stages[0].required[2]",
                "stages[1].name",
                "stages[2].name",
            ]
        );
        let none = Draft {
            stages: Vec::new(),
            ..conveyor()
        };
        assert_eq!(none.faults().len(), 1);
    }

    #[test]
    fn stages_are_found_as_people_write_them() {
        let Event::Published(conveyor) = published(1, conveyor());
        assert!(conveyor.stage("кп  ОТПРАВЛЕНО").is_some());
        assert!(conveyor.stage("отправлено").is_none());
        assert_eq!(id_of("конвейер i"), id_of("Конвейер I"));
    }
}
