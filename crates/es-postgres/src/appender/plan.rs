use std::collections::HashMap;

use chrono::{DateTime, Utc};
use es::StreamId;
use uuid::Uuid;

use super::{Answer, Job, facts::Facts};
use crate::{
    Append, AppendError, Appended, LogError,
    append::microseconds,
    chain::{Chain, Hash, Link},
    keys::Claim,
};

/// The end of the log.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) epoch: Uuid,
    pub(super) position: i64,
    pub(super) hash: Hash,
    pub(super) recorded_at: DateTime<Utc>,
}

/// A batch decided: what to write and what to answer once it is written.
pub(super) struct Plan<'a> {
    pub(super) answers: Vec<Answer>,
    pub(super) head: Head,
    pub(super) rows: Rows<'a>,
    /// Versions that the database must confirm.
    pub(super) known: (Vec<&'a str>, Vec<i64>),
    pub(super) released: (Vec<Hash>, Vec<String>),
    pub(super) taken: (Vec<Hash>, Vec<String>, Vec<&'static str>),
}

/// Events as columns, the shape in which one statement takes them all.
#[derive(Default)]
pub(super) struct Rows<'a> {
    pub(super) event_ids: Vec<Uuid>,
    pub(super) streams: Vec<&'a str>,
    pub(super) versions: Vec<i64>,
    pub(super) types: Vec<&'a str>,
    pub(super) schema_versions: Vec<i16>,
    pub(super) occurred_ats: Vec<DateTime<Utc>>,
    pub(super) request_ids: Vec<Option<Uuid>>,
    pub(super) metadatas: Vec<&'a [u8]>,
    pub(super) payloads: Vec<&'a [u8]>,
    pub(super) hashes: Vec<Hash>,
}

impl Plan<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.rows.event_ids.is_empty()
    }

    /// Whether there is one event, and nothing else to write or to confirm.
    pub(super) fn is_one_event(&self) -> bool {
        self.rows.event_ids.len() == 1
            && self.known.0.is_empty()
            && self.released.0.is_empty()
            && self.taken.0.is_empty()
    }
}

/// Decides every request of a batch in order. `None`: only the database can tell.
pub(super) fn plan<'a>(batch: &'a [Job], head: &Head, facts: Facts<'a>) -> Option<Plan<'a>> {
    let recorded_at = batch
        .iter()
        .map(|job| microseconds(job.append.now))
        .fold(head.recorded_at, Ord::max);
    let mut planner = Planner {
        facts,
        position: head.position,
        recorded_at,
        chain: Chain::from(head.hash),
        rows: Rows::default(),
        known: (Vec::new(), Vec::new()),
        names: Names::default(),
        answers: Vec::with_capacity(batch.len()),
        requests: HashMap::with_capacity(batch.len()),
    };
    for job in batch {
        let answer = planner.decide(job)?;
        planner.answers.push(answer);
    }
    let (released, taken) = planner.names.changes(&planner.facts);
    Some(Plan {
        answers: planner.answers,
        head: Head {
            epoch: head.epoch,
            position: planner.position,
            hash: planner.chain.hash(),
            recorded_at,
        },
        rows: planner.rows,
        known: planner.known,
        released,
        taken,
    })
}

struct Planner<'a> {
    facts: Facts<'a>,
    position: i64,
    recorded_at: DateTime<Utc>,
    chain: Chain,
    rows: Rows<'a>,
    known: (Vec<&'a str>, Vec<i64>),
    names: Names<'a>,
    answers: Vec<Answer>,
    /// Which of the answers a request of this batch got.
    requests: HashMap<Uuid, usize>,
}

impl<'a> Planner<'a> {
    fn decide(&mut self, job: &'a Job) -> Option<Answer> {
        let append = &job.append;
        if let Err(fault) = valid(append) {
            return Some(Err(fault.into()));
        }
        if let Some(answer) = self.already(append) {
            return Some(Ok(answer));
        }
        let expected = append.expected;
        let is_known = match self.facts.version(&job.stream) {
            Some(current) if current == expected => true,
            // Versions only rise, so a remembered higher one settles it. A remembered lower one
            // means that the caller has seen what somebody else wrote.
            Some(current) if current > expected || self.facts.are_complete() => {
                return Some(Err(AppendError::Conflict { current }));
            }
            Some(_) => return None,
            None => false,
        };
        if !self.facts.are_complete() && self.names.touches(job) {
            // What the first one did to the name holds only if nobody held it before.
            return None;
        }
        if let Err(taken) = self.names.claim(&self.facts, job) {
            return Some(Err(taken));
        }
        // Version 1 of a stream that exists is stopped by the unique index.
        if !is_known && expected > 0 {
            self.known.0.push(&job.stream);
            self.known.1.push(expected);
        }
        Some(Ok(self.write(job)))
    }

    /// An answer that the log holds already.
    fn already(&self, append: &Append) -> Option<Appended> {
        let first = append.events.first()?;
        if let Some(position) = self.facts.landed.get(&first.event_id) {
            let behind = append.events.len() as i64 - 1;
            return Some(answer(append, position + behind));
        }
        let id = append.request_id?;
        let here = self
            .requests
            .get(&id)
            .and_then(|&index| self.answers[index].as_ref().ok());
        let first = here.or_else(|| self.facts.request(id))?;
        Some(Appended {
            repeated: true,
            ..first.clone()
        })
    }

    fn write(&mut self, job: &'a Job) -> Appended {
        let (append, stream) = (&job.append, &*job.stream);
        let last = append.events.len() - 1;
        for (index, event) in append.events.iter().enumerate() {
            self.position += 1;
            let version = append.expected + 1 + index as i64;
            let schema_version = event.schema_version as i16;
            let occurred_at = microseconds(event.occurred_at);
            let request_id = append.request_id.filter(|_| index == last);
            let hash = self.chain.add(&Link {
                position: self.position,
                event_id: event.event_id,
                stream,
                version,
                event_type: &event.event_type,
                schema_version,
                occurred_at,
                recorded_at: self.recorded_at,
                request_id,
                metadata: &append.metadata,
                payload: &event.payload,
            });
            let rows = &mut self.rows;
            rows.event_ids.push(event.event_id);
            rows.streams.push(stream);
            rows.versions.push(version);
            rows.types.push(&event.event_type);
            rows.schema_versions.push(schema_version);
            rows.occurred_ats.push(occurred_at);
            rows.request_ids.push(request_id);
            rows.metadatas.push(&append.metadata);
            rows.payloads.push(&event.payload);
            rows.hashes.push(hash);
        }
        let answer = answer(append, self.position);
        self.facts.versions.insert(stream, answer.version);
        if let Some(id) = append.request_id {
            self.requests.insert(id, self.answers.len());
        }
        answer
    }
}

fn answer(append: &Append, position: i64) -> Appended {
    Appended {
        stream: append.stream.clone(),
        version: append.expected + append.events.len() as i64,
        position,
        repeated: false,
        digest: append.digest,
    }
}

/// What the database would refuse for the whole batch.
fn valid(append: &Append) -> Result<(), LogError> {
    if append.events.is_empty() {
        return Err(LogError::Invalid("no events"));
    }
    if append.expected < 0 {
        return Err(LogError::Invalid("expected version is negative"));
    }
    let bad = |text: &str| text.is_empty() || text.contains('\0');
    if bad(&append.stream.category) || append.events.iter().any(|e| bad(&e.event_type)) {
        return Err(LogError::Invalid("empty or unprintable name"));
    }
    if append
        .events
        .iter()
        .any(|e| i16::try_from(e.schema_version).is_err())
    {
        return Err(LogError::Invalid("schema version is too high"));
    }
    Ok(())
}

/// Reserved names as the batch changes them.
#[derive(Default)]
struct Names<'a> {
    now: HashMap<Hash, Option<(&'a StreamId, &'static str)>>,
    /// Given back without knowing whether the stream held them.
    blind: Vec<(Hash, &'a StreamId)>,
}

/// Who has a name.
enum Holder<'f> {
    Stream(&'f StreamId),
    Nobody,
    Unknown,
}

type Released = (Vec<Hash>, Vec<String>);
type Taken = (Vec<Hash>, Vec<String>, Vec<&'static str>);

impl<'a> Names<'a> {
    fn touches(&self, job: &Job) -> bool {
        job.claims.iter().any(|claim| match claim {
            Claim::Take { key, .. } | Claim::Release { key } => self.now.contains_key(key),
            // Who holds what only the database knows.
            Claim::ReleaseAll { .. } | Claim::Vacant { .. } => true,
        })
    }

    /// All claims of a request, or the first name that somebody else holds.
    fn claim(&mut self, facts: &Facts<'_>, job: &'a Job) -> Result<(), AppendError> {
        let stream = &job.append.stream;
        for claim in &job.claims {
            if let Claim::Take { key, kind } | Claim::Vacant { key, kind } = claim
                && let Holder::Stream(other) = self.holder(facts, key)
                && other != stream
            {
                return Err(AppendError::Taken {
                    kind: (*kind).to_owned(),
                    holder: other.clone(),
                });
            }
        }
        for claim in &job.claims {
            match claim {
                Claim::Take { key, kind } => {
                    self.now.insert(*key, Some((stream, kind)));
                }
                Claim::Release { key } => {
                    match self.holder(facts, key) {
                        Holder::Stream(holder) if holder == stream => {}
                        Holder::Stream(_) | Holder::Nobody => continue,
                        Holder::Unknown => self.blind.push((*key, stream)),
                    }
                    self.now.insert(*key, None);
                }
                Claim::ReleaseAll { kind } => {
                    for key in self.held(facts, stream, kind) {
                        self.now.insert(key, None);
                    }
                }
                Claim::Vacant { .. } => {}
            }
        }
        Ok(())
    }

    /// All names of a kind that a stream holds at this point of the batch.
    fn held(&self, facts: &Facts<'_>, stream: &StreamId, kind: &str) -> Vec<Hash> {
        let before = facts.holders.iter().filter_map(|(key, holding)| {
            let holding = holding.as_ref()?;
            let held = holding.stream == *stream && holding.kind == kind;
            (held && !self.now.contains_key(key)).then_some(*key)
        });
        let now = self.now.iter().filter_map(|(key, now)| {
            let (holder, of_kind) = (*now)?;
            (holder == stream && of_kind == kind).then_some(*key)
        });
        before.chain(now).collect()
    }

    fn holder<'f>(&'f self, facts: &'f Facts<'_>, key: &Hash) -> Holder<'f> {
        let now = self.now.get(key).map(|now| now.map(|(stream, _)| stream));
        let before = || {
            let holding = facts.holders.get(key)?.as_ref();
            Some(holding.map(|holding| &holding.stream))
        };
        match now.or_else(before) {
            Some(Some(stream)) => Holder::Stream(stream),
            Some(None) => Holder::Nobody,
            None => Holder::Unknown,
        }
    }

    /// What to delete and then what to insert, so that the table is as the batch left it.
    fn changes(&self, facts: &Facts<'_>) -> (Released, Taken) {
        let (mut released, mut taken) = (Released::default(), Taken::default());
        for (key, stream) in &self.blind {
            released.0.push(*key);
            released.1.push(stream.to_string());
        }
        for (key, now) in &self.now {
            let before = facts.holders.get(key).and_then(Option::as_ref);
            let before = before.map(|holding| &holding.stream);
            if before == now.map(|(stream, _)| stream) {
                continue;
            }
            if let Some(before) = before {
                released.0.push(*key);
                released.1.push(before.to_string());
            }
            if let Some((stream, kind)) = now {
                taken.0.push(*key);
                taken.1.push(stream.to_string());
                taken.2.push(kind);
            }
        }
        (released, taken)
    }
}
