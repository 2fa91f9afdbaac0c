use std::collections::{HashMap, HashSet};

use es::{Aggregate, Subject};
use uuid::Uuid;

use crate::{
    AppendError, Appended, CommandContext, ExecuteError, Loaded, Log, LogError, Outcome,
    context::hex,
    draft::Draft,
    history::{History, Seen},
    keys::KeyRing,
    retry,
};

/// How often a command is decided anew because somebody else was faster. Each time somebody was
/// through, and the pauses let those who were not come one after the other: only a crowd on one
/// aggregate for seconds is told that it was too late.
const ATTEMPTS: usize = 20;

type Executed<A> = Result<Outcome<A>, ExecuteError<<A as Aggregate>::Rejection>>;
type Command<A> = (CommandContext, Uuid, <A as Aggregate>::Command);

impl Log {
    /// Decides a command on the aggregate as of now and appends what it says. When somebody else
    /// was faster, decides again, unless the context names the version that must be met.
    pub async fn execute<A: Aggregate>(
        &self,
        context: &CommandContext,
        id: Uuid,
        command: A::Command,
    ) -> Executed<A> {
        let commands = vec![(context.clone(), id, command)];
        let mut executed = self.execute_many::<A>(commands).await;
        executed.pop().unwrap_or_else(|| Err(lost().into()))
    }

    /// As [`Log::execute`] for an aggregate that cannot exist yet, because its id is fresh: nothing
    /// is loaded. A repeated request gives the first outcome, with the id of that time.
    pub async fn execute_new<A: Aggregate>(
        &self,
        context: &CommandContext,
        fresh_id: Uuid,
        command: A::Command,
    ) -> Executed<A> {
        let nothing = Loaded::<A> {
            state: A::State::default(),
            version: 0,
            position: 0,
        };
        if context.expected_version.is_some_and(|version| version != 0) {
            return self.execute(context, fresh_id, command).await;
        }
        let events = match A::decide(&nothing.state, command.clone()) {
            Ok(events) if !events.is_empty() => events,
            // Perhaps a request that was in order the first time: the log knows.
            Ok(_) | Err(_) => return self.execute(context, fresh_id, command).await,
        };
        let draft = Draft::new::<A>(context, fresh_id, 0, &events)?;
        let ring = self.ring(&draft.subjects, context).await?;
        let settled = self.append(vec![draft.seal(&ring)?]).await.pop();
        match settled.unwrap_or_else(|| Err(lost().into())) {
            Ok(first) if first.repeated => self.repeated(context, &first.into()).await,
            Ok(appended) => Ok(outcome(fresh_id, nothing.state, events, &appended)),
            Err(AppendError::Conflict { .. }) => self.execute(context, fresh_id, command).await,
            Err(refused) => Err(refusal(refused)),
        }
    }

    /// What a request brought the first time, if it was executed before: for what is refused before
    /// the log is asked, so that a lost answer is given again whatever stands against it by now.
    pub async fn answered<A: Aggregate>(
        &self,
        context: &CommandContext,
    ) -> Result<Option<Outcome<A>>, ExecuteError<A::Rejection>> {
        let requests: Vec<Uuid> = context.request_id.into_iter().collect();
        if requests.is_empty() {
            return Ok(None);
        }
        let history = self.history::<A>(&[], &requests).await?;
        match history.seen(context.request_id) {
            Some(seen) => self.repeated(context, seen).await.map(Some),
            None => Ok(None),
        }
    }

    /// Many commands that do not depend on each other's success: one round trip to load, one batch
    /// to append. Commands on the same aggregate see each other, in order. Results in order.
    pub async fn execute_many<A: Aggregate>(&self, commands: Vec<Command<A>>) -> Vec<Executed<A>> {
        let mut results: Vec<Option<Executed<A>>> = commands.iter().map(|_| None).collect();
        let mut open: Vec<(usize, Command<A>)> = commands.into_iter().enumerate().collect();
        let mut pauses = retry::turns();
        for attempt in 1..=ATTEMPTS {
            open = self.round(open, &mut results, attempt == ATTEMPTS).await;
            if open.is_empty() {
                break;
            }
            tokio::time::sleep(pauses.next().unwrap_or_default()).await;
        }
        results
            .into_iter()
            .map(|result| result.unwrap_or_else(|| Err(lost().into())))
            .collect()
    }

    /// Settles what can be settled and returns what has to be decided again.
    async fn round<A: Aggregate>(
        &self,
        open: Vec<(usize, Command<A>)>,
        results: &mut [Option<Executed<A>>],
        last: bool,
    ) -> Vec<(usize, Command<A>)> {
        let ids: Vec<Uuid> = open.iter().map(|(_, (_, id, _))| *id).collect();
        let requests: Vec<Uuid> = open
            .iter()
            .filter_map(|(_, (context, ..))| context.request_id)
            .collect();
        let history = match self.history::<A>(&ids, &requests).await {
            Ok(history) => history,
            Err(error) => {
                for (index, _) in open {
                    results[index] = Some(Err(error.clone().into()));
                }
                return Vec::new();
            }
        };

        let mut deciding = Deciding::<A>::new(&history);
        let mut again = Vec::new();
        let mut decided = Vec::new();
        let mut provisional = Vec::new();
        for (index, command) in open {
            let (context, id, order) = &command;
            if let Some(seen) = history.seen(context.request_id) {
                results[index] = Some(self.repeated_in(&history, context, seen).await);
            } else if !deciding.begins(context.request_id) {
                // The same request twice in one call: the next round finds the first in the log.
                again.push((index, command));
            } else {
                let unwritten = deciding.has_unwritten(*id);
                results[index] = Some(match deciding.decide(context, *id, order.clone()) {
                    Ok(Step::Draft(draft, outcome)) => {
                        decided.push((index, command, *draft, outcome));
                        continue;
                    }
                    Ok(Step::Nothing(outcome)) => Ok(outcome),
                    Err(error) => Err(error),
                });
                if unwritten {
                    provisional.push((index, command));
                }
            }
        }
        let streams: Vec<(usize, Uuid)> = decided.iter().map(|(i, c, ..)| (*i, c.1)).collect();
        again.extend(self.write(decided, results, last).await);

        // What was decided on events that then were not written was not decided at all.
        let failed: HashSet<Uuid> = streams
            .into_iter()
            .filter(|(index, _)| !matches!(results[*index], Some(Ok(_))))
            .map(|(_, id)| id)
            .collect();
        for (index, command) in provisional {
            if failed.contains(&command.1) {
                results[index] = None;
                again.push((index, command));
            }
        }
        again.sort_unstable_by_key(|(index, _)| *index);
        again
    }

    async fn write<A: Aggregate>(
        &self,
        decided: Vec<(usize, Command<A>, Draft, Outcome<A>)>,
        results: &mut [Option<Executed<A>>],
        last: bool,
    ) -> Vec<(usize, Command<A>)> {
        let (waiting, appends) = self.seal_all(decided, results).await;
        let answers = self.append(appends).await;
        let mut again = Vec::new();
        for ((index, command, mut outcome), answer) in waiting.into_iter().zip(answers) {
            let context = &command.0;
            results[index] = Some(match answer {
                Ok(first) if first.repeated => self.repeated(context, &first.into()).await,
                Ok(appended) => {
                    outcome.position = appended.position;
                    Ok(outcome)
                }
                Err(AppendError::Conflict { current }) => {
                    if context.expected_version.is_some() || last {
                        Err(ExecuteError::Stale { current })
                    } else {
                        again.push((index, command));
                        continue;
                    }
                }
                Err(refused) => Err(refusal(refused)),
            });
        }
        again
    }

    /// Fetches all keys at once; one by one only when that fails, to find whose fault it is.
    async fn seal_all<A: Aggregate>(
        &self,
        decided: Vec<(usize, Command<A>, Draft, Outcome<A>)>,
        results: &mut [Option<Executed<A>>],
    ) -> (Vec<(usize, Command<A>, Outcome<A>)>, Vec<crate::Append>) {
        let mut subjects: Vec<Subject> = decided
            .iter()
            .flat_map(|(_, _, draft, _)| draft.subjects.iter().cloned())
            .collect();
        subjects.sort_unstable();
        subjects.dedup();
        let shared = match decided.first() {
            Some((_, (context, ..), ..)) => self.ring(&subjects, context).await.ok(),
            None => None,
        };
        let (mut waiting, mut appends) = (Vec::new(), Vec::new());
        for (index, command, draft, outcome) in decided {
            let sealed = match &shared {
                Some(ring) => draft.seal(ring),
                None => match self.ring(&draft.subjects, &command.0).await {
                    Ok(ring) => draft.seal(&ring),
                    Err(error) => Err(error),
                },
            };
            match sealed {
                Ok(append) => {
                    appends.push(append);
                    waiting.push((index, command, outcome));
                }
                Err(error) => results[index] = Some(Err(error.into())),
            }
        }
        (waiting, appends)
    }

    async fn ring(
        &self,
        subjects: &[Subject],
        context: &CommandContext,
    ) -> Result<KeyRing, LogError> {
        self.keys().ensure(subjects, context.now).await
    }

    /// The outcome of a request that was executed before, perhaps on another stream.
    async fn repeated<A: Aggregate>(&self, context: &CommandContext, seen: &Seen) -> Executed<A> {
        same_request::<A>(context, seen)?;
        let id = seen.stream.id;
        let history = self.history::<A>(&[id], &[]).await?;
        Ok(history.first_time(id, seen.version)?)
    }

    async fn repeated_in<A: Aggregate>(
        &self,
        history: &History,
        context: &CommandContext,
        seen: &Seen,
    ) -> Executed<A> {
        same_request::<A>(context, seen)?;
        match history.first_time(seen.stream.id, seen.version) {
            Ok(outcome) => Ok(outcome),
            // Of that stream only the last event of the request was loaded.
            Err(_) => self.repeated(context, seen).await,
        }
    }
}

impl From<Appended> for Seen {
    fn from(appended: Appended) -> Self {
        Self {
            stream: appended.stream,
            version: appended.version,
            digest: appended.digest.map(hex),
        }
    }
}

fn same_request<A: Aggregate>(
    context: &CommandContext,
    seen: &Seen,
) -> Result<(), ExecuteError<A::Rejection>> {
    if seen.digest == context.digest.map(hex) && seen.stream.category == A::CATEGORY {
        Ok(())
    } else {
        Err(ExecuteError::RequestIdReused)
    }
}

fn refusal<R: es::Rejection>(refused: AppendError) -> ExecuteError<R> {
    match refused {
        AppendError::Conflict { current } => ExecuteError::Stale { current },
        AppendError::Taken { kind, holder } => ExecuteError::Taken { kind, holder },
        AppendError::Log(error) => ExecuteError::Log(error),
    }
}

fn outcome<A: Aggregate>(
    id: Uuid,
    before: A::State,
    events: Vec<A::Event>,
    appended: &Appended,
) -> Outcome<A> {
    Outcome {
        id,
        version: appended.version,
        position: appended.position,
        state: events.iter().fold(before, A::evolve),
        events,
        repeated: false,
    }
}

/// Cannot happen: every command is answered.
fn lost() -> LogError {
    LogError::Unavailable("no answer".to_owned())
}

/// The aggregates of one round, as the commands of the round change them.
struct Deciding<'h, A: Aggregate> {
    history: &'h History,
    loaded: HashMap<Uuid, Loaded<A>>,
    requests: HashSet<Uuid>,
    unwritten: HashSet<Uuid>,
}

enum Step<A: Aggregate> {
    Nothing(Outcome<A>),
    /// The outcome holds once the draft is written; its position is then known.
    Draft(Box<Draft>, Outcome<A>),
}

impl<'h, A: Aggregate> Deciding<'h, A> {
    fn new(history: &'h History) -> Self {
        Self {
            history,
            loaded: HashMap::new(),
            requests: HashSet::new(),
            unwritten: HashSet::new(),
        }
    }

    fn begins(&mut self, request_id: Option<Uuid>) -> bool {
        request_id.is_none_or(|id| self.requests.insert(id))
    }

    fn has_unwritten(&self, id: Uuid) -> bool {
        self.unwritten.contains(&id)
    }

    fn decide(
        &mut self,
        context: &CommandContext,
        id: Uuid,
        command: A::Command,
    ) -> Result<Step<A>, ExecuteError<A::Rejection>> {
        let now = match self.loaded.remove(&id) {
            Some(loaded) => loaded,
            None => self.history.loaded(id)?,
        };
        let step = Self::step(context, id, command, &now);
        let after = match &step {
            Ok(Step::Draft(_, outcome)) => {
                self.unwritten.insert(id);
                Loaded {
                    state: outcome.state.clone(),
                    version: outcome.version,
                    position: now.position,
                }
            }
            _ => now,
        };
        self.loaded.insert(id, after);
        step
    }

    fn step(
        context: &CommandContext,
        id: Uuid,
        command: A::Command,
        now: &Loaded<A>,
    ) -> Result<Step<A>, ExecuteError<A::Rejection>> {
        if context
            .expected_version
            .is_some_and(|version| version != now.version)
        {
            return Err(ExecuteError::Stale {
                current: now.version,
            });
        }
        let events = A::decide(&now.state, command).map_err(ExecuteError::Rejected)?;
        let outcome = Outcome {
            id,
            version: now.version + events.len() as i64,
            position: now.position,
            state: events.iter().fold(now.state.clone(), A::evolve),
            events,
            repeated: false,
        };
        if outcome.events.is_empty() {
            return Ok(Step::Nothing(outcome));
        }
        let draft = Draft::new::<A>(context, id, now.version, &outcome.events)?;
        Ok(Step::Draft(Box::new(draft), outcome))
    }
}
