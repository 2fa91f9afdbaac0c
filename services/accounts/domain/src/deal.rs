//! A deal with a company: one of many, on its way through a pipeline until it is won or lost.
//! It belongs to whom the company belongs to, as long as it is open.

mod details;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use es::{Aggregate, Kind, Personal, Upcaster, Violation};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, DocumentId, GroupId, PipelineId, StaffId};

pub(crate) use details::said;
pub use details::{Changes, Details, SUBJECT, subject};

use crate::{
    account::Owner,
    document::{Attached, Version},
    pipeline,
};

/// A deal that was put off this often shows up.
pub const SUSPENDED_OFTEN: u32 = 3;

/// Marker of the aggregate.
pub enum Deal {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A deal with a company began.
    #[serde(rename = "deal.opened")]
    Opened(Box<Opened>),
    /// What is known of a deal changed.
    #[serde(rename = "deal.fields_changed")]
    FieldsChanged(FieldsChanged),
    /// A deal went from one stage to another.
    #[serde(rename = "deal.stage_changed")]
    StageChanged(StageChanged),
    /// A deal was put off.
    #[serde(rename = "deal.suspended")]
    Suspended(Suspended),
    /// A deal was won: for ever.
    #[serde(rename = "deal.won")]
    Won(Won),
    /// A deal was lost: for ever.
    #[serde(rename = "deal.lost")]
    Lost(Lost),
    /// An open deal went along with its company to another owner, or to the pool.
    #[serde(rename = "deal.ownership_transferred")]
    OwnershipTransferred(OwnershipTransferred),
    /// A deal got a document, or a document a new version.
    #[serde(rename = "deal.document_attached")]
    DocumentAttached(Box<Attached>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Opened {
    pub account_id: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub pipeline_id: PipelineId,
    pub pipeline_version: u32,
    pub stage: String,
    /// Absent: the company is in the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
    #[serde(flatten)]
    pub details: Details,
    pub opened_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FieldsChanged {
    /// What is set now; the rest stays.
    #[serde(flatten)]
    pub set: Details,
    /// Keys of fields that are empty now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleared: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StageChanged {
    pub from_stage: String,
    pub to_stage: String,
    /// Of the version whose gate was passed.
    pub pipeline_version: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Suspended {
    /// When it wakes up.
    pub until: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Won {
    pub closed_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lost {
    pub closed_at: DateTime<Utc>,
    pub reason: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnershipTransferred {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_owner_id: Option<StaffId>,
    /// Absent: the company is in the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_owner_group_id: Option<GroupId>,
}

/// Nothing, until the deal is opened.
pub type State = Option<Standing>;

#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    pub account_id: AccountId,
    pub pipeline_id: PipelineId,
    pub stage: String,
    pub owner_id: Option<StaffId>,
    pub details: Details,
    /// The last version of each.
    pub documents: BTreeMap<DocumentId, Attached>,
    /// The last time it was put off; it may have woken up since.
    pub suspended_until: Option<DateTime<Utc>>,
    pub end: Option<End>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Won,
    Lost,
}

fn evolve(state: State, event: &Event) -> State {
    match event {
        Event::Opened(opened) => Some(Standing {
            account_id: opened.account_id,
            pipeline_id: opened.pipeline_id,
            stage: opened.stage.clone(),
            owner_id: opened.owner_id,
            details: opened.details.clone(),
            documents: BTreeMap::new(),
            suspended_until: None,
            end: None,
        }),
        Event::FieldsChanged(changed) => state.map(|deal| Standing {
            details: deal.details.changed_by(&changed.set, &changed.cleared),
            ..deal
        }),
        Event::StageChanged(changed) => state.map(|deal| Standing {
            stage: changed.to_stage.clone(),
            suspended_until: None,
            ..deal
        }),
        Event::Suspended(suspended) => state.map(|deal| Standing {
            suspended_until: Some(suspended.until),
            ..deal
        }),
        Event::Won(_) => state.map(|deal| deal.ended(End::Won)),
        Event::Lost(_) => state.map(|deal| deal.ended(End::Lost)),
        Event::OwnershipTransferred(transferred) => state.map(|deal| Standing {
            owner_id: transferred.to_owner_id,
            ..deal
        }),
        Event::DocumentAttached(attached) => state.map(|mut deal| {
            let attached = Attached::clone(attached);
            deal.documents.insert(attached.document_id, attached);
            deal
        }),
    }
}

impl Standing {
    fn ended(self, end: End) -> Self {
        Self {
            end: Some(end),
            suspended_until: None,
            ..self
        }
    }
}

#[derive(Debug, Clone)]
pub enum Command {
    Open(Box<Opening>),
    SetFields {
        account_id: AccountId,
        changes: Changes,
        rules: pipeline::Published,
    },
    MoveStage {
        to: String,
        rules: pipeline::Published,
    },
    Suspend {
        until: DateTime<Utc>,
        reason: Option<String>,
        now: DateTime<Utc>,
    },
    Win {
        at: DateTime<Utc>,
    },
    Lose {
        at: DateTime<Utc>,
        /// Empty: nothing more is said of a company that is forgotten.
        reason: String,
    },
    /// Before the end or after it: a contract comes back signed when the deal is won.
    AttachDocument(Version),
    /// The company has this owner now.
    FollowOwner {
        owner: Option<Owner>,
    },
}

#[derive(Debug, Clone)]
pub struct Opening {
    pub account_id: AccountId,
    pub external_id: Option<String>,
    pub pipeline_id: PipelineId,
    /// The version in force.
    pub rules: pipeline::Published,
    /// Empty: the first one.
    pub stage: String,
    pub owner: Option<Owner>,
    pub changes: Changes,
    pub opened_at: DateTime<Utc>,
    /// A deal of the past comes with its end.
    pub closing: Option<Closing>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    pub at: DateTime<Utc>,
    /// `None`: it was won.
    pub lost_reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such deal")]
    Unknown,
    #[error("a deal with this external id is there already")]
    Exists,
    #[error("the external id belongs to a deal with another company")]
    ExternalIdTaken,
    #[error("the deal is won or lost already")]
    Closed,
    #[error("the stage asks for more than is known of the deal")]
    GateClosed(Vec<Violation>),
    #[error("this cannot be recorded of the deal as given")]
    Invalid(Vec<Violation>),
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown => Kind::NotFound,
            Self::Exists | Self::ExternalIdTaken => Kind::AlreadyExists,
            Self::Closed | Self::GateClosed(_) => Kind::FailedPrecondition,
            Self::Invalid(_) => Kind::Invalid,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "DEAL_UNKNOWN",
            Self::Exists => "DEAL_EXISTS",
            Self::ExternalIdTaken => "EXTERNAL_ID_TAKEN",
            Self::Closed => "DEAL_CLOSED",
            Self::GateClosed(_) => "STAGE_GATE_CLOSED",
            Self::Invalid(_) => "DEAL_INVALID",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::GateClosed(violations) | Self::Invalid(violations) => violations.clone(),
            Self::Unknown | Self::Exists | Self::ExternalIdTaken | Self::Closed => Vec::new(),
        }
    }
}

impl Aggregate for Deal {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "deal";

    const UPCASTERS: &'static [Upcaster] = &[
        Upcaster::plain_reason("deal.suspended"),
        Upcaster::plain_reason("deal.lost"),
    ];

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        match (state, command) {
            (None, Command::Open(opening)) => open(*opening),
            (None, _) => Err(Rejection::Unknown),
            (Some(deal), Command::Open(opening)) => Err(if deal.account_id == opening.account_id {
                Rejection::Exists
            } else {
                Rejection::ExternalIdTaken
            }),
            (Some(deal), command) => match deal.end {
                None => go_on(deal, command),
                Some(end) => after(deal, end, command),
            },
        }
    }

    fn evolve(state: State, event: &Event) -> State {
        evolve(state, event)
    }

    fn occurred_at(event: &Event) -> Option<DateTime<Utc>> {
        match event {
            Event::Opened(opened) => Some(opened.opened_at),
            Event::Won(won) => Some(won.closed_at),
            Event::Lost(lost) => Some(lost.closed_at),
            Event::FieldsChanged(_)
            | Event::StageChanged(_)
            | Event::Suspended(_)
            | Event::OwnershipTransferred(_)
            | Event::DocumentAttached(_) => None,
        }
    }

    fn schema_version(event: &Event) -> u16 {
        match event {
            Event::Suspended(_) | Event::Lost(_) => 2,
            Event::Opened(_)
            | Event::FieldsChanged(_)
            | Event::StageChanged(_)
            | Event::Won(_)
            | Event::OwnershipTransferred(_)
            | Event::DocumentAttached(_) => 1,
        }
    }
}

fn open(new: Opening) -> Result<Vec<Event>, Rejection> {
    let stage = if new.stage.is_empty() {
        new.rules.stages.first()
    } else {
        new.rules.stage(&new.stage)
    };
    let mut faults = new.changes.faults(&new.rules);
    if stage.is_none() {
        faults.push(no_such_stage());
    }
    if new
        .closing
        .as_ref()
        .is_some_and(|end| end.at < new.opened_at)
    {
        faults.push(Violation::new(
            "closed_at",
            "must not be before it was opened",
        ));
    }
    let (Some(stage), true) = (stage, faults.is_empty()) else {
        return Err(Rejection::Invalid(faults));
    };
    let account_id = new.account_id;
    let details = Details::of(account_id, new.changes);
    // The papers of a deal of the past may never come.
    let documents = new.closing.is_none().then(BTreeMap::new);
    pass(stage, &details, documents.as_ref())?;
    let opened = Event::Opened(Box::new(Opened {
        account_id,
        external_id: new.external_id,
        pipeline_id: new.pipeline_id,
        pipeline_version: new.rules.version,
        stage: stage.name.clone(),
        owner_id: new.owner.map(|owner| owner.id),
        owner_group_id: new.owner.and_then(|owner| owner.group_id),
        details,
        opened_at: new.opened_at,
    }));
    let end = new.closing.map(|closing| match closing.lost_reason {
        Some(reason) => lost(closing.at, said(account_id, reason)),
        None => won(closing.at),
    });
    Ok([opened].into_iter().chain(end).collect())
}

fn go_on(deal: &Standing, command: Command) -> Result<Vec<Event>, Rejection> {
    match command {
        Command::Open(_) => Err(Rejection::Exists),
        Command::AttachDocument(version) => Ok(attach(deal, version)),
        Command::SetFields {
            account_id,
            changes,
            rules,
        } => {
            valid(changes.faults(&rules))?;
            let (set, cleared) = deal.details.differing(account_id, changes);
            let none = set == Details::default() && cleared.is_empty();
            Ok(unless(
                none,
                Event::FieldsChanged(FieldsChanged { set, cleared }),
            ))
        }
        Command::MoveStage { to, rules } => {
            let Some(stage) = rules.stage(&to) else {
                return Err(Rejection::Invalid(vec![no_such_stage()]));
            };
            if stage.name == deal.stage {
                return Ok(Vec::new());
            }
            pass(stage, &deal.details, Some(&deal.documents))?;
            Ok(vec![Event::StageChanged(StageChanged {
                from_stage: deal.stage.clone(),
                to_stage: stage.name.clone(),
                pipeline_version: rules.version,
            })])
        }
        Command::Suspend { until, reason, now } => {
            if until <= now {
                let text = "must be in the future";
                return Err(Rejection::Invalid(vec![Violation::new("until", text)]));
            }
            let reason = reason.map(|reason| said(deal.account_id, reason));
            Ok(unless(
                deal.suspended_until == Some(until),
                Event::Suspended(Suspended { until, reason }),
            ))
        }
        Command::Win { at } => Ok(vec![won(at)]),
        Command::Lose { at, reason } => Ok(vec![lost(at, said(deal.account_id, reason))]),
        Command::FollowOwner { owner } => {
            let to_owner_id = owner.map(|owner| owner.id);
            Ok(unless(
                deal.owner_id == to_owner_id,
                Event::OwnershipTransferred(OwnershipTransferred {
                    from_owner_id: deal.owner_id,
                    to_owner_id,
                    to_owner_group_id: owner.and_then(|owner| owner.group_id),
                }),
            ))
        }
    }
}

/// Won and lost are the end: what was then stays as it was; papers may still come.
fn after(deal: &Standing, end: End, command: Command) -> Result<Vec<Event>, Rejection> {
    match (end, command) {
        (_, Command::AttachDocument(version)) => Ok(attach(deal, version)),
        (End::Won, Command::Win { .. })
        | (End::Lost, Command::Lose { .. })
        | (_, Command::FollowOwner { .. }) => Ok(Vec::new()),
        _ => Err(Rejection::Closed),
    }
}

/// A stage is entered with all that it requires. Names everything that is missing at once;
/// documents only if given.
fn pass(
    stage: &pipeline::Stage,
    details: &Details,
    documents: Option<&BTreeMap<DocumentId, Attached>>,
) -> Result<(), Rejection> {
    let fields = stage.required.iter().filter(|key| !details.has(key));
    let fields = fields.map(|key| Violation::new(key, "must be set to enter this stage"));
    let lacks =
        |kind: &&String| documents.is_some_and(|all| !all.values().any(|one| one.kind == **kind));
    let documents = stage.documents.iter().filter(lacks).map(|kind| {
        let text = "must be attached to enter this stage";
        Violation::new(format!("documents.{kind}"), text)
    });
    let missing: Vec<_> = fields.chain(documents).collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Rejection::GateClosed(missing))
    }
}

fn attach(deal: &Standing, version: Version) -> Vec<Event> {
    let last = deal.documents.get(&version.document_id);
    let attached = version.after(last);
    let attached = attached.map(|attached| Event::DocumentAttached(Box::new(attached)));
    attached.into_iter().collect()
}

fn valid(faults: Vec<Violation>) -> Result<(), Rejection> {
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Rejection::Invalid(faults))
    }
}

fn no_such_stage() -> Violation {
    Violation::new("stage", "is no stage of the pipeline in force")
}

fn unless(already_so: bool, event: Event) -> Vec<Event> {
    if already_so { Vec::new() } else { vec![event] }
}

fn won(closed_at: DateTime<Utc>) -> Event {
    Event::Won(Won { closed_at })
}

fn lost(closed_at: DateTime<Utc>, reason: Personal<String>) -> Event {
    Event::Lost(Lost { closed_at, reason })
}

#[cfg(test)]
mod tests;
