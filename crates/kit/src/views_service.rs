//! The views and reactions of the services in this process over gRPC.

use std::{collections::BTreeMap, sync::Arc};

use api::views::{
    DiscardVersionRequest, DiscardVersionResponse, FollowerKind, ListParkedRequest,
    ListParkedResponse, ListViewsRequest, ListViewsResponse, LostEvents, ParkedEvent, Progress,
    RebuildViewRequest, RebuildViewResponse, RetryParkedRequest, RetryParkedResponse,
    SkipParkedRequest, SkipParkedResponse, SwitchBackRequest, SwitchBackResponse, VersionState,
    View,
    views_service_server::{self, ViewsServiceServer},
};
use es_postgres::projection::{
    ApplyError, Lost, Parked, Rebuild, SkipError, Standing, State, Version, standings,
};
use tonic::{Request, Response, Status};

use crate::{
    AppError, Service, Violations,
    followers::{Follower, Kind},
    wire::timestamp,
};

/// Both cores of a small machine, and more on a large one.
const MAX_WORKERS: u32 = 16;
const MAX_REASON: usize = 500;

pub(crate) struct ViewsService {
    services: BTreeMap<&'static str, Service>,
}

impl ViewsService {
    pub(crate) fn server(services: BTreeMap<&'static str, Service>) -> ViewsServiceServer<Self> {
        ViewsServiceServer::new(Self { services })
    }

    fn service(&self, name: &str) -> Result<&Service, AppError> {
        self.services
            .get(name)
            .ok_or(AppError::NotFound { what: "service" })
    }

    /// The one, or all.
    fn services(&self, name: &str) -> Result<Vec<&Service>, AppError> {
        if name.is_empty() {
            return Ok(self.services.values().collect());
        }
        Ok(vec![self.service(name)?])
    }

    /// A view or reaction, by its own name or that of one of its versions.
    fn follower(
        &self,
        service: &str,
        name: &str,
    ) -> Result<(&Service, Arc<dyn Follower>), AppError> {
        let service = self.service(service)?;
        let mut followers = service.followers.all().into_iter();
        let follower = followers.find(|follower| follower.names().iter().any(|n| n == name));
        Ok((
            service,
            follower.ok_or(AppError::NotFound { what: "view" })?,
        ))
    }

    fn view(&self, service: &str, name: &str) -> Result<(&Service, Arc<dyn Follower>), AppError> {
        let (service, follower) = self.follower(service, name)?;
        if follower.kind() == Kind::View && follower.name() == name {
            Ok((service, follower))
        } else {
            Err(AppError::NotFound { what: "view" })
        }
    }

    /// Takes up what is parked; how many are no longer and how many still are.
    async fn retry(
        &self,
        service: &Service,
        follower: &dyn Follower,
        name: &str,
    ) -> Result<(i64, i64), AppError> {
        let mut applied = 0;
        for source in follower.sources() {
            let retried = follower.retry(service, name, source).await;
            applied += retried.map_err(|error| match error {
                ApplyError::Transient(reason) | ApplyError::Poison(reason) => {
                    AppError::Unavailable(reason)
                }
            })? as i64;
        }
        let parked = Parked::all(service.pool()).await?;
        let parked = parked.iter().filter(|parked| parked.name == name).count();
        Ok((applied, parked as i64))
    }
}

/// Asks the leader for something; refused when it cannot follow what is under way.
async fn ask(
    service: &Service,
    view: &str,
    state: State,
    workers: u32,
    reason: &str,
) -> Result<(), AppError> {
    let pool = service.pool();
    if Rebuild::ask(pool, view, state, workers, reason).await? {
        tracing::info!(
            service = service.name(),
            view,
            state = state.as_str(),
            "asked for"
        );
        return Ok(());
    }
    let now = Rebuild::of(pool, view).await?.map(|now| now.state);
    match now {
        Some(now) if now == state => Ok(()),
        Some(now) if now != State::Checked => Err(AppError::precondition(
            "REBUILD_UNDER_WAY",
            format!("the view is {} at the moment", now.as_str()),
        )),
        _ => Err(AppError::precondition(
            "NOTHING_KEPT",
            "nothing is kept beside the view",
        )),
    }
}

#[tonic::async_trait]
impl views_service_server::ViewsService for ViewsService {
    async fn list_views(
        &self,
        request: Request<ListViewsRequest>,
    ) -> Result<Response<ListViewsResponse>, Status> {
        let mut views = Vec::new();
        for service in self.services(&request.get_ref().service)? {
            views.extend(list(service).await?);
        }
        Ok(Response::new(ListViewsResponse { views }))
    }

    async fn rebuild_view(
        &self,
        request: Request<RebuildViewRequest>,
    ) -> Result<Response<RebuildViewResponse>, Status> {
        let request = request.into_inner();
        let (service, view) = self.view(&request.service, &request.view)?;
        let workers = u32::try_from(request.workers).unwrap_or(u32::MAX).max(1);
        let mut v = Violations::new();
        if workers > MAX_WORKERS {
            v.add("workers", format!("must be from 1 to {MAX_WORKERS}"));
        } else if workers > 1 && !view.by_stream() {
            v.add("workers", "must be 1: the view needs the order of its log");
        }
        v.finish()?;
        let state = if request.check {
            State::Checking
        } else {
            State::Building
        };
        ask(service, view.name(), state, workers, "asked for").await?;
        Ok(Response::new(RebuildViewResponse {}))
    }

    async fn switch_back(
        &self,
        request: Request<SwitchBackRequest>,
    ) -> Result<Response<SwitchBackResponse>, Status> {
        let request = request.into_inner();
        let (service, view) = self.view(&request.service, &request.view)?;
        ask(service, view.name(), State::Returning, 1, "asked for").await?;
        Ok(Response::new(SwitchBackResponse {}))
    }

    async fn discard_version(
        &self,
        request: Request<DiscardVersionRequest>,
    ) -> Result<Response<DiscardVersionResponse>, Status> {
        let request = request.into_inner();
        let (service, view) = self.view(&request.service, &request.view)?;
        ask(service, view.name(), State::Discarding, 1, "asked for").await?;
        Ok(Response::new(DiscardVersionResponse {}))
    }

    async fn list_parked(
        &self,
        request: Request<ListParkedRequest>,
    ) -> Result<Response<ListParkedResponse>, Status> {
        let mut events = Vec::new();
        for service in self.services(&request.get_ref().service)? {
            let parked = Parked::all(service.pool()).await.map_err(AppError::from)?;
            let name = service.name();
            events.extend(parked.into_iter().map(|event| parked_to_api(name, event)));
        }
        Ok(Response::new(ListParkedResponse { events }))
    }

    async fn retry_parked(
        &self,
        request: Request<RetryParkedRequest>,
    ) -> Result<Response<RetryParkedResponse>, Status> {
        let request = request.into_inner();
        let (service, follower) = self.follower(&request.service, &request.name)?;
        let retried = self.retry(service, follower.as_ref(), &request.name).await;
        let (applied, parked) = retried?;
        Ok(Response::new(RetryParkedResponse { applied, parked }))
    }

    async fn skip_parked(
        &self,
        request: Request<SkipParkedRequest>,
    ) -> Result<Response<SkipParkedResponse>, Status> {
        let asked = request.get_ref();
        let (service, follower) = self.follower(&asked.service, &asked.name)?;
        let (ctx, request) = service.plain(request).await?;
        let by = ctx.staff_id().to_string();
        let mut v = Violations::new();
        let why = v.required("reason", &request.reason, MAX_REASON);
        if request.position < 1 {
            v.add("position", "must be that of a parked event");
        }
        v.finish()?;
        let (pool, name) = (service.pool(), request.name.as_str());
        Parked::skip(pool, name, &request.source, request.position, &by, &why)
            .await
            .map_err(|error| match error {
                SkipError::NotParked => AppError::NotFound {
                    what: "parked event",
                },
                SkipError::NotFirst(_) => {
                    AppError::precondition("NOT_FIRST_PARKED", error.to_string())
                }
                SkipError::Database(error) => error.into(),
            })?;
        tracing::warn!(
            service = service.name(),
            view = name,
            source = request.source,
            position = request.position,
            by,
            "parked event skipped"
        );
        let (applied, parked) = self.retry(service, follower.as_ref(), name).await?;
        Ok(Response::new(SkipParkedResponse { applied, parked }))
    }
}

async fn list(service: &Service) -> Result<Vec<View>, AppError> {
    let pool = service.pool();
    let standings = standings(pool).await?;
    let rebuilds = Rebuild::all(pool).await?;
    let lost = Lost::all(pool).await?;
    let followers = service.followers.all();
    let mut heads = BTreeMap::new();
    for source in followers.iter().flat_map(|follower| follower.sources()) {
        if !heads.contains_key(source) {
            // An owner that does not answer must not hide what is known without it.
            heads.insert(*source, service.head(source).await.unwrap_or_default());
        }
    }
    let views = followers.iter().map(|follower| {
        let name = follower.name();
        let rebuild = rebuilds.iter().find(|rebuild| rebuild.name == name);
        let progress = |version: &str| progress(version, &standings, &heads);
        View {
            service: service.name().to_owned(),
            name: name.to_owned(),
            kind: match follower.kind() {
                Kind::View => FollowerKind::View,
                Kind::Reaction => FollowerKind::Reaction,
            }
            .into(),
            progress: progress(name),
            stale: standings.iter().any(|s| s.name == name && s.stale),
            by_stream: follower.by_stream(),
            state: rebuild
                .map_or(VersionState::Unspecified, |rebuild| state(rebuild.state))
                .into(),
            reason: rebuild
                .map(|rebuild| rebuild.reason.clone())
                .unwrap_or_default(),
            next: progress(&Version::Next.of(name)),
            former: progress(&Version::Former.of(name)),
            outcome: rebuild
                .map(|rebuild| rebuild.outcome.clone())
                .unwrap_or_default(),
            lost: lost
                .iter()
                .filter(|lost| lost.name == name)
                .map(|lost| LostEvents {
                    source: lost.source.clone(),
                    epoch: lost.epoch.to_string(),
                    first_position: lost.first_position,
                    last_position: lost.last_position,
                })
                .collect(),
        }
    });
    Ok(views.collect())
}

/// Of a version in every log. Where several workers share it, the slowest counts.
fn progress(
    version: &str,
    standings: &[Standing],
    heads: &BTreeMap<&'static str, i64>,
) -> Vec<Progress> {
    let mut found = BTreeMap::<&str, Progress>::new();
    for standing in standings {
        let name = standing.name.split('#').next().unwrap_or_default();
        if name != version {
            continue;
        }
        let head = heads.get(standing.source.as_str()).copied();
        let progress = found.entry(&standing.source).or_insert_with(|| Progress {
            source: standing.source.clone(),
            position: standing.position,
            // What is not known is at least as far as we are.
            head: head.unwrap_or_default().max(standing.position),
            parked: 0,
        });
        progress.position = progress.position.min(standing.position);
        progress.parked += standing.parked;
    }
    found.into_values().collect()
}

fn state(state: State) -> VersionState {
    match state {
        State::Building => VersionState::Building,
        State::Checking => VersionState::Checking,
        State::Checked => VersionState::Checked,
        State::Returning => VersionState::Returning,
        State::Kept => VersionState::Kept,
        State::Discarding => VersionState::Discarding,
    }
}

fn parked_to_api(service: &str, parked: Parked) -> ParkedEvent {
    ParkedEvent {
        service: service.to_owned(),
        name: parked.name,
        source: parked.source,
        position: parked.position,
        stream: parked.stream,
        r#type: parked.event_type,
        reason: parked.reason,
        attempts: parked.attempts,
        parked_at: Some(timestamp(parked.parked_at)),
    }
}
