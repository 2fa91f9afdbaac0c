//! One service: its log, its read models, its reactions, and what its handlers need of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use api::common;
use chrono_tz::Tz;
use es::{Aggregate, Recorded};
use es_postgres::{
    ExecuteError, Log, LogError, Outcome,
    projection::{
        ApplyError, OwnLog, Progress, Projection, Reached, Reaction, mended, prepare,
        run_projection, run_reaction,
    },
};
use prost::Message;
use sqlx::{PgPool, migrate::Migrator};
use tokio::{sync::watch, time::Instant};
use tonic::{Request, Status};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

use crate::{
    AppError, Ctx, Node, Page, StartError, checkpoints,
    ctx::{self, Call},
    database,
    directory::{AccountEntry, Directory, DirectoryView, StaffEntry},
    events::Events,
    followers::{Follower, Followers, Rule, View},
    leader::{Leadership, Term},
    rebuilds::Wanted,
    views::{self, Views},
};

/// Clones share everything.
#[derive(Clone)]
pub struct Service {
    pub log: Log,
    pub views: Views,
    pub directory: Directory,
    pub node: Node,
    pub(crate) followers: Followers,
    reactions: Progress,
    leadership: Leadership,
    wanted: Wanted,
}

impl Service {
    /// Opens the log of a migrated database, lets the relay publish it, and follows the directory.
    pub async fn open(
        node: &Node,
        name: &'static str,
        migrator: &'static Migrator,
    ) -> Result<Self, StartError> {
        let pool = database::pool(&node.config.database, name)?;
        database::check_migrated(&pool, name, migrator).await?;
        let log = Log::open(pool.clone(), name, node.master_keys())
            .await
            .map_err(|source| match source {
                LogError::ForeignMasterKey => StartError::ForeignMasterKey {
                    service: name,
                    folder: node.config.keys.folder.clone(),
                },
                source => StartError::Log {
                    service: name,
                    source,
                },
            })?;
        checkpoints::keep(node, &log)?;
        let directory = Directory::new(pool.clone());
        let service = Self {
            leadership: Leadership::start(&node.tasks, pool.clone(), name),
            views: Views::new(pool, directory.clone()),
            directory,
            followers: Followers::default(),
            reactions: Progress::default(),
            wanted: Wanted::default(),
            node: node.clone(),
            log,
        };
        node.add_log(&service.log);
        let metrics = &node.metrics;
        metrics.follow_views("projection", name, service.views.progress());
        metrics.follow_views("reaction", name, &service.reactions);
        service.start_relay();
        service.lead("rebuilds", {
            let service = service.clone();
            move |term| service.wanted.clone().watch(service.clone(), term)
        });
        service.project(DirectoryView).await?;
        service.start_directory();
        Ok(service)
    }

    /// `accounts`, `planning`, …
    pub fn name(&self) -> &'static str {
        self.log.service()
    }

    pub fn pool(&self) -> &PgPool {
        self.log.pool()
    }

    /// Dates are days of this zone.
    pub fn zone(&self) -> Tz {
        self.node.config.company.time_zone
    }

    /// Does something in one replica of this service at a time, for as long as that one leads: the
    /// work must end when the term is over. What it then does late must be refused by something:
    /// a request id, a cursor, the number of the term.
    pub fn lead<F>(&self, name: &str, work: impl Fn(Term) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send,
    {
        let name = format!("{} {name}", self.name());
        self.leadership.duty(name, work);
    }

    fn start_relay(&self) {
        // Who does not lead has nothing to publish, and is not behind.
        let published = watch::Sender::new(i64::MAX);
        let (head, receiver) = (self.log.head(), published.subscribe());
        self.node.metrics.follow_relay(self.name(), head, receiver);
        let (log, jetstream) = (self.log.clone(), self.node.jetstream.clone());
        self.lead("relay", move |term| {
            let (log, jetstream, published) = (log.clone(), jetstream.clone(), published.clone());
            async move {
                bus::run_relay(log, jetstream, published.clone(), term.over).await;
                published.send_replace(i64::MAX);
            }
        });
    }

    fn start_directory(&self) {
        let progress = self.views.progress().clone();
        let directory = self.directory.clone();
        self.node
            .tasks
            .spawn_restarting(format!("{} directory", self.name()), move || {
                let reached = progress.sender(DirectoryView::NAME, "accounts").subscribe();
                directory.clone().follow(reached)
            });
    }

    /// Prepares a view's tables and keeps it up to date from now on.
    pub async fn project<P: Projection>(&self, view: P) -> Result<(), StartError> {
        prepare::<P>(self.pool())
            .await
            .map_err(|source| StartError::Database {
                service: self.name(),
                source,
            })?;
        let view = Arc::new(view);
        let follower: Arc<dyn Follower> = Arc::new(View(Arc::clone(&view)));
        self.followers.add(&follower);
        for source in P::SOURCES {
            let progress = self.views.progress().sender(P::NAME, source);
            let counted = self.views.clone().count(P::NAME, progress.subscribe());
            self.node
                .tasks
                .spawn(format!("{} {} changes", self.name(), P::NAME), counted);
            let name = format!("{} {} from {source}", self.name(), P::NAME);
            let live = self.clone().keep(Arc::clone(&view), source, progress);
            self.node.tasks.spawn_to_end(name, live);
        }
        let service = self.clone();
        self.lead(&format!("{} versions", P::NAME), move |term| {
            let _alive = &follower;
            let (service, view) = (service.clone(), Arc::clone(&view));
            service.wanted.clone().tend(service, view, term)
        });
        Ok(())
    }

    /// Keeps the live version of a view up to date with one log. While it waits to be built anew
    /// it serves what it has.
    async fn keep<P: Projection>(
        self,
        view: Arc<P>,
        source: &'static str,
        progress: watch::Sender<Reached>,
    ) {
        let stopping = self.node.tasks.stopping();
        while !stopping.is_cancelled() {
            let (pool, view) = (self.pool().clone(), Arc::clone(&view));
            let own = || OwnLog::of::<P>(self.log.clone(), None);
            let events = self.events(source, P::NAME, own);
            let run = run_projection(pool, view, events, progress.clone(), stopping.clone());
            if let Err(error) = run.await {
                tracing::error!(service = self.name(), view = P::NAME, "{error}");
                let mended = mended(self.pool(), P::NAME, source);
                stopping.run_until_cancelled(mended).await;
            }
        }
    }

    /// Lets a rule react to every event of its sources from now on, in the replica that leads.
    pub fn react<R: Reaction>(&self, reaction: R) {
        let reaction = Arc::new(reaction);
        let follower: Arc<dyn Follower> = Arc::new(Rule(Arc::clone(&reaction)));
        self.followers.add(&follower);
        for source in R::SOURCES {
            let progress = self.reactions.sender(R::NAME, source);
            let (service, reaction) = (self.clone(), Arc::clone(&reaction));
            let follower = Arc::clone(&follower);
            self.lead(&format!("{} from {source}", R::NAME), move |term| {
                let _alive = &follower;
                let (pool, reaction) = (service.pool().clone(), Arc::clone(&reaction));
                let own = || OwnLog::sealed(service.log.clone());
                let events = service.events(source, R::NAME, own);
                let progress = progress.clone();
                async move {
                    let Term { fence, over, .. } = term;
                    let run = run_reaction(pool, fence, reaction, events, progress.clone(), over);
                    if let Err(error) = Box::pin(run).await {
                        tracing::error!(reaction = R::NAME, "{error}");
                    }
                    progress.send_replace(Reached::default());
                }
            });
        }
    }

    /// A log, for a view or reaction of ours.
    fn events(&self, source: &'static str, purpose: &str, own: impl FnOnce() -> OwnLog) -> Events {
        if source == self.name() {
            return Events::Own(own());
        }
        let jetstream = self.node.jetstream.clone();
        let consumer = format!("{}--{purpose}--{}", self.name(), self.node.instance());
        let fetch = self.node.peers.fetch(source);
        let awaited = self.views.awaited(source);
        Events::Bus(Box::new(bus::Foreign::new(
            jetstream, source, consumer, fetch, awaited,
        )))
    }

    /// Where a log ends, its owner asked.
    pub(crate) async fn head(&self, source: &str) -> Result<i64, AppError> {
        if source == self.name() {
            Ok(self.log.refresh_head().await?)
        } else {
            self.node.peers.head(source).await
        }
    }

    /// Counts up whenever the view has moved: look again, and send what is new to a stream.
    pub fn view_changed<P: Projection>(&self) -> watch::Receiver<i64> {
        self.views.changed(P::NAME)
    }

    /// How far a view or a reaction has got in a log.
    pub fn reached(&self, view: &'static str, source: &'static str) -> Option<Reached> {
        self.views
            .progress()
            .reached(view, source)
            .or_else(|| self.reactions.reached(view, source))
    }

    /// Opens a request that changes something.
    #[expect(clippy::unused_async, reason = "all three are called alike")]
    pub async fn command<T: api::Command + Message>(
        &self,
        request: Request<T>,
    ) -> Result<(Ctx, T), Status> {
        let (now, directory) = (self.node.clock.now(), self.directory.snapshot());
        ctx::open_command(request, now, self.zone(), directory, &self.digests())
    }

    /// A command after all, whose id and content came later than the call: in the first part of what
    /// is uploaded.
    pub fn commanding(
        &self,
        ctx: Ctx,
        request_id: &str,
        content: &impl Message,
    ) -> Result<Ctx, AppError> {
        ctx.commanding(request_id, content, &self.digests())
    }

    /// The key of the digests by which requests are told apart.
    fn digests(&self) -> [u8; 32] {
        self.node.derived_key("kontakty 1 digests of requests")
    }

    /// Opens a request that reads, once the views have got to where the caller has seen them.
    pub async fn query<T: api::Query>(&self, request: Request<T>) -> Result<(Ctx, T), Status> {
        let wanted = request.get_ref().min_positions();
        if !wanted.is_empty() {
            let deadline = request.extensions().get::<Call>().map(|call| call.deadline);
            let left = deadline.map_or(Duration::MAX, |deadline| {
                deadline.saturating_duration_since(Instant::now())
            });
            self.views.reached(wanted, left).await?;
        }
        self.plain(request).await
    }

    /// Opens a request that does neither.
    #[expect(clippy::unused_async, reason = "all three are called alike")]
    pub async fn plain<T>(&self, request: Request<T>) -> Result<(Ctx, T), Status> {
        let (now, directory) = (self.node.clock.now(), self.directory.snapshot());
        ctx::open(request, now, self.zone(), directory)
    }

    /// What a command left in our log.
    pub fn recorded<A: Aggregate>(&self, outcome: &Outcome<A>) -> common::Recorded {
        common::Recorded {
            position: Some(self.position(outcome.position)),
            version: outcome.version,
        }
    }

    /// What a request brought the first time, where its own effect hides from the caller what it was
    /// about; otherwise the refusal. Of an id that another request has nothing is told.
    pub async fn answered_or<A: Aggregate>(
        &self,
        ctx: &Ctx,
        refused: AppError,
    ) -> Result<Outcome<A>, AppError> {
        match self.log.answered(&ctx.command()).await {
            Ok(Some(first)) => Ok(first),
            Ok(None) | Err(ExecuteError::RequestIdReused) => Err(refused),
            Err(error) => Err(error.into()),
        }
    }

    /// A place in our log.
    pub fn position(&self, position: i64) -> common::Position {
        common::Position {
            service: self.name().to_owned(),
            position,
        }
    }

    /// Which part of a list is asked for. `filter`: everything else in the request, as
    /// [`fingerprint`](crate::fingerprint) makes it.
    pub fn page<'a>(
        &self,
        request: impl Into<Option<&'a common::PageRequest>>,
        filter: impl AsRef<[u8]>,
    ) -> Result<Page, AppError> {
        self.node.pages.open(request, filter)
    }

    /// An event of any service as it is on the bus, with the life of its log: personal fields sealed.
    /// `None`: that log has none there.
    pub async fn sealed_event(
        &self,
        source: &str,
        position: i64,
    ) -> Result<Option<(Uuid, Recorded)>, AppError> {
        let (epoch, mut events) = if source == self.name() {
            let page = self.log.page(position - 1, 1).await?;
            (page.epoch, page.events)
        } else {
            let read = self.node.peers.read(source, position - 1, 1).await;
            let batch = read
                .map_err(|error| AppError::Unavailable(error.to_string()))?
                .batch;
            (batch.epoch, batch.events)
        };
        Ok(events.pop().map(|event| (epoch, event)))
    }

    /// An event of another service with its personal fields opened, for a reaction that needs them.
    pub async fn opened_event(&self, source: &str, position: i64) -> Result<Recorded, ApplyError> {
        self.node.peers.opened_event(source, position).await
    }

    /// The account, if the caller sees it; what is hidden is answered as what is not there.
    pub async fn visible_account(
        &self,
        ctx: &Ctx,
        id: AccountId,
    ) -> Result<AccountEntry, AppError> {
        let seen = self.seen_account(ctx, id).await?;
        seen.ok_or(AppError::NotFound { what: "account" })
    }

    /// The account, if the caller sees it. One that became the caller's a moment ago is seen too, and
    /// what is hidden takes as long to answer as what is not there.
    pub async fn seen_account(
        &self,
        ctx: &Ctx,
        id: AccountId,
    ) -> Result<Option<AccountEntry>, AppError> {
        let find = async || {
            let account = self.directory.accounts(&[id]).await?.remove(&id);
            Ok::<_, AppError>(account.filter(|known| known.is_visible(ctx.sees(), ctx.now)))
        };
        let mut seen = find().await?;
        if seen.is_none() {
            self.catch_up().await?;
            seen = find().await?;
        }
        if let Some(holder) = seen.as_ref().and_then(|seen| seen.holder_at(ctx.now)) {
            ctx.about(holder);
        }
        Ok(seen)
    }

    /// Whose the account is. One that was made a moment ago is known too.
    pub async fn known_account(&self, id: AccountId) -> Result<Option<AccountEntry>, AppError> {
        Ok(self.known_accounts(&[id]).await?.remove(&id))
    }

    /// Those of the accounts that exist, by the id asked for.
    pub async fn known_accounts(
        &self,
        ids: &[AccountId],
    ) -> Result<HashMap<AccountId, AccountEntry>, AppError> {
        let known = self.directory.accounts(ids).await?;
        if ids.iter().all(|id| known.contains_key(id)) {
            return Ok(known);
        }
        self.catch_up().await?;
        Ok(self.directory.accounts(ids).await?)
    }

    /// A member of staff. One who was hired a moment ago, perhaps not for the first time, is known
    /// too.
    pub async fn known_staff(&self, id: StaffId) -> Result<Option<StaffEntry>, AppError> {
        if let Some(entry) = self.directory.snapshot().staff(id)
            && !entry.dismissed
        {
            return Ok(Some(entry.clone()));
        }
        self.catch_up().await?;
        Ok(self.directory.snapshot().staff(id).cloned())
    }

    /// Waits until the directory has all that accounts has recorded so far: only then is what it
    /// does not know really not there.
    pub async fn catch_up(&self) -> Result<(), AppError> {
        let head = self.head("accounts").await?;
        self.views.directory_reached(head).await
    }

    /// Waits until the read models here have all that a service has recorded so far; refuses
    /// `VIEW_BEHIND` if that takes too long.
    pub async fn catch_up_with(&self, source: &str) -> Result<(), AppError> {
        let position = common::Position {
            service: source.to_owned(),
            position: self.head(source).await?,
        };
        self.views.reached(&[position], views::PATIENCE).await
    }
}

impl From<AppError> for ApplyError {
    /// For reactions: what may pass is tried again.
    fn from(error: AppError) -> Self {
        let text = format!("{}: {error}", error.reason());
        match error {
            AppError::Unavailable(_)
            | AppError::ViewBehind
            | AppError::DeadlineExceeded
            | AppError::Exhausted { .. }
            | AppError::Stale { .. } => Self::Transient(text),
            _ => Self::Poison(text),
        }
    }
}
