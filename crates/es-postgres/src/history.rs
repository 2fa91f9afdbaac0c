use std::collections::HashMap;

use es::{Aggregate, Recorded, StreamId};
use uuid::Uuid;

use crate::{
    Loaded, Log, LogError, Outcome, retry,
    row::{Row, select_events},
};

/// What a decision needs of the log: the streams it is about and the requests seen before.
pub(crate) struct History {
    streams: HashMap<Uuid, Vec<Recorded>>,
    /// Where a request id was seen: the stream's id.
    requests: HashMap<Uuid, Seen>,
}

/// The last event of a request that was executed before.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) stream: StreamId,
    pub(crate) version: i64,
    pub(crate) digest: Option<String>,
}

impl Log {
    /// An aggregate as of now.
    pub async fn load<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, LogError> {
        self.history::<A>(&[id], &[]).await?.loaded(id)
    }

    /// Those of these aggregates to which something ever happened, as of now, in one round trip.
    pub async fn states<A: Aggregate>(
        &self,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, A::State>, LogError> {
        let streams = self.history::<A>(ids, &[]).await?.streams;
        let states = streams.iter();
        states
            .map(|(id, events)| Ok((*id, fold::<A>(events)?.state)))
            .collect()
    }

    /// The whole history of an aggregate, to be shown: personal fields are opened with the keys there
    /// are at this moment.
    pub async fn stream<A: Aggregate>(&self, id: Uuid) -> Result<Vec<Recorded>, LogError> {
        let stream = StreamId::new(A::CATEGORY, id).to_string();
        let mut events = self.recorded(&[stream], &[]).await?;
        events.sort_unstable_by_key(|event| event.position);
        self.open_personal(&mut events).await?;
        Ok(events)
    }

    /// One round trip for all of it, personal fields opened.
    pub(crate) async fn history<A: Aggregate>(
        &self,
        ids: &[Uuid],
        requests: &[Uuid],
    ) -> Result<History, LogError> {
        let streams: Vec<String> = ids
            .iter()
            .map(|id| StreamId::new(A::CATEGORY, *id).to_string())
            .collect();
        let mut events = self.recorded(&streams, requests).await?;
        self.keys().open_to_decide(&mut events).await?;
        Ok(History::new::<A>(events))
    }

    async fn recorded(
        &self,
        streams: &[String],
        requests: &[Uuid],
    ) -> Result<Vec<Recorded>, LogError> {
        let rows = retry::read(|| {
            sqlx::query(select_events!("log.load($1, $2)"))
                .bind(streams)
                .bind(requests)
                .fetch_all(self.pool())
        })
        .await?;
        rows.iter().map(|row| Row::read(row)?.recorded()).collect()
    }
}

impl History {
    fn new<A: Aggregate>(mut events: Vec<Recorded>) -> Self {
        events.sort_unstable_by_key(|event| event.position);
        let mut history = Self {
            streams: HashMap::new(),
            requests: HashMap::new(),
        };
        for event in events {
            if let Some(id) = event.request_id {
                let seen = Seen {
                    stream: event.stream.clone(),
                    version: event.version,
                    digest: event.metadata.request_digest.clone(),
                };
                history.requests.insert(id, seen);
            }
            if event.stream.category == A::CATEGORY {
                let stream = history.streams.entry(event.stream.id).or_default();
                stream.push(event);
            }
        }
        history
    }

    pub(crate) fn seen(&self, request_id: Option<Uuid>) -> Option<&Seen> {
        self.requests.get(&request_id?)
    }

    fn stream(&self, id: Uuid) -> &[Recorded] {
        self.streams.get(&id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn loaded<A: Aggregate>(&self, id: Uuid) -> Result<Loaded<A>, LogError> {
        fold(self.stream(id))
    }

    /// The outcome of a request as it was when the stream was at `version`.
    ///
    /// All events of a request carry the same metadata and only the last one its id.
    pub(crate) fn first_time<A: Aggregate>(
        &self,
        id: Uuid,
        version: i64,
    ) -> Result<Outcome<A>, LogError> {
        let stream = self.stream(id);
        let until = stream.get(..version as usize).unwrap_or_default();
        let Some((last, before)) = until.split_last() else {
            return Err(LogError::Corrupt(format!("no version {version} of {id}")));
        };
        let others = before
            .iter()
            .rev()
            .take_while(|event| event.request_id.is_none() && event.metadata == last.metadata)
            .count();
        let events = until[before.len() - others..]
            .iter()
            .map(Recorded::decode::<A>)
            .collect::<Result<_, _>>()?;
        Ok(Outcome {
            id,
            version,
            position: last.position,
            events,
            state: fold::<A>(until)?.state,
            repeated: true,
        })
    }
}

fn fold<A: Aggregate>(events: &[Recorded]) -> Result<Loaded<A>, LogError> {
    let mut loaded = Loaded {
        state: A::State::default(),
        version: 0,
        position: 0,
    };
    for event in events {
        if event.version != loaded.version + 1 {
            let what = format!("{} lacks version {}", event.stream, loaded.version + 1);
            return Err(LogError::Corrupt(what));
        }
        loaded.state = A::evolve(loaded.state, &event.decode::<A>()?);
        loaded.version = event.version;
        loaded.position = event.position;
    }
    Ok(loaded)
}
