//! The ledger against the logs. I1: commands are stored as they were answered; I2: one that is sent
//! again is answered alike.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;
use uuid::Uuid;

use super::{Baseline, Finding};
use crate::{
    ledger::{Entry, Outcome, Told},
    replay::Stores,
};

/// What is read of an event.
#[derive(FromRow)]
struct Event {
    position: i64,
    stream: String,
    version: i64,
    #[sqlx(rename = "type")]
    kind: String,
    request_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    by_staff: bool,
}

impl Event {
    /// Of its stream, whatever that is a stream of.
    fn id(&self) -> &str {
        self.stream.split_once('-').map_or("", |(_, id)| id)
    }
}

/// One log, by what a ledger asks for.
struct Index {
    events: Vec<Event>,
    by_request: HashMap<Uuid, Vec<usize>>,
    by_cause: HashMap<Uuid, Vec<usize>>,
}

impl Index {
    async fn read(stores: &Stores, service: &str) -> anyhow::Result<Self> {
        let events: Vec<Event> = sqlx::query_as(
            "select position, stream, version, type, request_id,
                    (m ->> 'causation_id')::uuid as causation_id,
                    m -> 'actor' ->> 'kind' = 'staff' as by_staff
             from log.events, lateral (select convert_from(metadata, 'UTF8')::jsonb as m) as parsed
             order by position",
        )
        .fetch_all(stores.of(service))
        .await?;
        let (mut by_request, mut by_cause) =
            (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (index, event) in events.iter().enumerate() {
            if let Some(id) = event.request_id {
                by_request.entry(id).or_default().push(index);
            }
            if let Some(id) = event.causation_id {
                by_cause.entry(id).or_default().push(index);
            }
        }
        Ok(Self {
            events,
            by_request,
            by_cause,
        })
    }

    fn of_request(&self, id: Uuid) -> Vec<&Event> {
        let found = self.by_request.get(&id).into_iter().flatten();
        found.map(|index| &self.events[*index]).collect()
    }

    fn caused_by(&self, id: Uuid) -> impl Iterator<Item = &Event> {
        let found = self.by_cause.get(&id).into_iter().flatten();
        found.map(|index| &self.events[*index])
    }

    fn at(&self, position: i64) -> Option<&Event> {
        let index = self
            .events
            .binary_search_by_key(&position, |event| event.position);
        index.ok().map(|index| &self.events[index])
    }
}

/// What was answered is stored once, whole, and where the answer said; what was refused is not;
/// what is unknown is there once or not at all; nothing is there that nobody sent.
pub async fn stored_as_answered(
    stores: &Stores,
    ledger: &[Entry],
    before: &Baseline,
) -> anyhow::Result<Finding> {
    let mut finding = Finding::new("I1", "commands stored as answered");
    let sent = ledger.iter().map(|entry| entry.cmd);
    let sent: HashSet<Uuid> = sent.flat_map(|cmd| [cmd, following(cmd)]).collect();
    for (service, _) in stores.each() {
        let index = Index::read(stores, service).await?;
        let of_service: Vec<&Entry> = ledger.iter().filter(|e| e.service == service).collect();
        finding.looked_at += of_service.len();
        for entry in &of_service {
            if let Err(what) = stored(&index, entry) {
                finding.found(|| format!("{} {}: {what}", entry.method, entry.cmd));
            }
        }
        if let Some((first, second)) = out_of_order(&of_service) {
            finding.found(|| format!("{second} was sent after {first} ended and lies before it"));
        }
        let stray = index.events.iter().find(|event| {
            let is_known = |id: Option<Uuid>| id.is_some_and(|id| sent.contains(&id));
            event.by_staff
                && event.position > before.of_service(service)
                && event.request_id.is_some()
                && !is_known(event.request_id)
                && !is_known(event.causation_id)
        });
        if let Some(event) = stray {
            let Event { kind, position, .. } = event;
            finding.found(|| format!("nobody sent {kind} at {position} of {service}"));
        }
    }
    Ok(finding)
}

/// The id of what contacts does at once because of a confirmed erasure.
fn following(cmd: Uuid) -> Uuid {
    Uuid::new_v5(&cmd, b"carry out")
}

fn stored(index: &Index, entry: &Entry) -> Result<(), String> {
    let events = index.of_request(entry.cmd);
    let Some(told) = entry.told() else {
        let caused = index.caused_by(entry.cmd).count();
        return match entry.failed() {
            Some(code) if events.len() + caused > 0 => {
                Err(format!("refused with {code}, and stored all the same"))
            }
            None if events.len() > 1 => Err(format!("unknown, and stored {} times", events.len())),
            _ => Ok(()),
        };
    };
    match told {
        Told::Fanned {
            events: kind,
            count,
        } => {
            let caused: Vec<&Event> = index
                .caused_by(entry.cmd)
                .filter(|event| event.kind == *kind)
                .collect();
            let streams: HashSet<&str> = caused.iter().map(|event| event.stream.as_str()).collect();
            if caused.len() as i64 == *count && streams.len() == caused.len() {
                Ok(())
            } else {
                Err(format!("{count} told, {} stored", caused.len()))
            }
        }
        Told::Followed {
            version,
            position,
            event,
            then,
        } => {
            let [first] = events.as_slice() else {
                return Err(format!("acknowledged, and stored {} times", events.len()));
            };
            if (first.version, &first.kind) != (*version, event) {
                return Err(format!(
                    "stored {} as version {}",
                    first.kind, first.version
                ));
            }
            let twice = index.of_request(following(entry.cmd)).len() > 1;
            let told = index.at(*position).filter(|told| told.kind == *then);
            if told.is_some_and(|told| told.id() == first.id()) && !twice {
                Ok(())
            } else {
                Err(format!("{then} is not at position {position}, once"))
            }
        }
        Told::Recorded {
            version,
            position,
            events: kinds,
            perhaps_nothing,
        } => {
            let last = match (events.as_slice(), index.at(*position)) {
                ([last], _) => *last,
                ([], Some(last)) if *perhaps_nothing => {
                    return if last.version == *version {
                        Ok(())
                    } else {
                        Err(format!("version {version} is not at position {position}"))
                    };
                }
                (stored, _) => {
                    return Err(format!("acknowledged, and stored {} times", stored.len()));
                }
            };
            if (last.version, last.position) != (*version, *position) {
                return Err(format!(
                    "told version {version} at {position}, stored version {} at {}",
                    last.version, last.position
                ));
            }
            for (behind, kind) in kinds.iter().rev().enumerate() {
                let behind = behind as i64;
                let whole = index.at(position - behind).is_some_and(|event| {
                    event.kind == *kind
                        && event.stream == last.stream
                        && event.version == version - behind
                });
                if !whole {
                    return Err(format!("{kind} is not at position {}", position - behind));
                }
            }
            Ok(())
        }
    }
}

/// Two commands of which the later one lies before the earlier one.
fn out_of_order(entries: &[&Entry]) -> Option<(Uuid, Uuid)> {
    let position = |entry: &Entry| match entry.told() {
        Some(Told::Recorded {
            position,
            perhaps_nothing: false,
            ..
        }) => Some(*position),
        _ => None,
    };
    let placed: Vec<(&Entry, i64)> = entries
        .iter()
        .filter_map(|entry| Some((*entry, position(entry)?)))
        .collect();
    let (mut by_start, mut by_end) = (placed.clone(), placed);
    by_start.sort_by_key(|(entry, _)| entry.invoked_ms);
    by_end.sort_by_key(|(entry, _)| entry.ended_ms);
    let mut ended = by_end.into_iter().peekable();
    let mut newest: Option<(&Entry, i64)> = None;
    for (entry, position) in by_start {
        while let Some(done) = ended.next_if(|(done, _)| done.ended_ms < entry.invoked_ms) {
            if newest.is_none_or(|newest| newest.1 < done.1) {
                newest = Some(done);
            }
        }
        if let Some((earlier, at)) = newest
            && at > position
        {
            return Some((earlier.cmd, entry.cmd));
        }
    }
    None
}

/// A command that was sent again got the first answer, byte for byte.
pub fn same_answers(ledger: &[Entry]) -> Finding {
    let mut finding = Finding::new("I2", "repeated commands answered alike");
    for entry in ledger.iter().filter(|entry| entry.outcomes.len() > 1) {
        let answers: Vec<String> = entry
            .outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Ok { answer, .. } => Some(answer.clone()),
                Outcome::Failed { code } => Some(format!("refused: {code}")),
                Outcome::Unknown { .. } => None,
            })
            .collect();
        if let [first, others @ ..] = answers.as_slice() {
            finding.looked_at += 1;
            if let Some(other) = others.iter().find(|other| *other != first) {
                finding.found(|| {
                    format!(
                        "{} {}: first {first}, then {other}",
                        entry.method, entry.cmd
                    )
                });
            }
        }
    }
    finding
}
