//! Lists that people keep: filters and columns, never what is found by them. Whoever opens a shared
//! one asks for the list under their own rights.

use accounts_domain::saved_view::{Command, Draft, Filter, Lifecycle, Readers, SavedView};
use api::accounts::{
    self as pb, DeleteViewRequest, DeleteViewResponse, ListAccountsRequest, ListSavedViewsRequest,
    ListSavedViewsResponse, SaveViewRequest, SaveViewResponse, ShareViewRequest, ShareViewResponse,
    saved_view, saved_views_service_server::SavedViewsService, share_view_request,
};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{GroupId, Role, SavedViewId, StaffId};

use crate::{
    accounts,
    catalogue::{Current, Known},
    collation::sort_key,
    views::saved_views::{self, View},
    wire::{MAX_ID, MAX_NAME, caught_up, custom, id_text},
};

const MOST_COLUMNS: usize = 50;
const ABSENT: AppError = AppError::NotFound { what: "view" };

pub(crate) struct SavedViews {
    service: Service,
    catalogue: Current,
}

impl SavedViews {
    pub(crate) fn new(service: &Service, catalogue: &Current) -> Self {
        Self {
            service: service.clone(),
            catalogue: catalogue.clone(),
        }
    }

    async fn save(&self, ctx: &Ctx, req: SaveViewRequest) -> Result<SaveViewResponse, AppError> {
        let known = self.catalogue.get().await?;
        let mut v = Violations::new();
        let id: Option<SavedViewId> = v.optional_id("view_id", &req.view_id);
        let name = v.required_line("name", &req.name, MAX_NAME);
        let columns = columns(&mut v, &req.columns);
        let filter = v.within("filter", |v| {
            filter(v, ctx, &known, &req.filter.unwrap_or_default())
        });
        v.finish()?;
        let draft = Draft {
            name,
            filter,
            columns,
        };
        let context = ctx.command();
        let log = &self.service.log;
        let outcome = if let Some(id) = id {
            let view = self.known(ctx, id).await?;
            if !ctx.is(StaffId(view.owner_id)) {
                return Err(of_others());
            }
            let command = Command::Change { draft };
            log.execute::<SavedView>(&context, id.0, command).await?
        } else {
            let id = SavedViewId(ctx.new_id());
            let owner_id = ctx.staff_id();
            let command = Command::Save {
                id,
                owner_id,
                draft,
            };
            log.execute_new::<SavedView>(&context, id.0, command)
                .await?
        };
        Ok(SaveViewResponse {
            view_id: outcome.id.to_string(),
            recorded: Some(self.service.recorded(&outcome)),
        })
    }

    async fn share(&self, ctx: &Ctx, req: ShareViewRequest) -> Result<ShareViewResponse, AppError> {
        let mut v = Violations::new();
        let id: Option<SavedViewId> = v.id("view_id", &req.view_id);
        let with = match req.with {
            None | Some(share_view_request::With::Everybody(false)) => Readers::Nobody,
            Some(share_view_request::With::Everybody(true)) => {
                if !acts_as(ctx, Role::Administrator) {
                    v.add("everybody", "is for administrators");
                }
                Readers::Everybody
            }
            Some(share_view_request::With::GroupId(text)) => group(&mut v, ctx, &text),
        };
        let id = v.checked(id)?;
        let outcome = self.manage(ctx, id, Command::Share { with }).await?;
        Ok(ShareViewResponse {
            recorded: Some(self.service.recorded(&outcome)),
        })
    }

    async fn delete(
        &self,
        ctx: &Ctx,
        req: &DeleteViewRequest,
    ) -> Result<DeleteViewResponse, AppError> {
        let mut v = Violations::new();
        let id: Option<SavedViewId> = v.id("view_id", &req.view_id);
        let id = v.checked(id)?;
        let outcome = self.manage(ctx, id, Command::Delete).await?;
        Ok(DeleteViewResponse {
            recorded: Some(self.service.recorded(&outcome)),
        })
    }

    async fn manage(
        &self,
        ctx: &Ctx,
        id: SavedViewId,
        command: Command,
    ) -> Result<Outcome<SavedView>, AppError> {
        let log = &self.service.log;
        match self.may_manage(ctx, id).await {
            Ok(()) => Ok(log.execute(&ctx.command(), id.0, command).await?),
            // Whoever has deleted it does not find it again.
            Err(refused) => self.service.answered_or(ctx, refused).await,
        }
    }

    /// A view that the caller finds.
    async fn known(&self, ctx: &Ctx, id: SavedViewId) -> Result<View, AppError> {
        caught_up(&self.service).await?;
        let view = saved_views::find(self.service.pool(), id.0).await?;
        view.filter(|view| finds(ctx, view)).ok_or(ABSENT)
    }

    /// One's own; administrators also tidy up what others have shared.
    async fn may_manage(&self, ctx: &Ctx, id: SavedViewId) -> Result<(), AppError> {
        let view = self.known(ctx, id).await?;
        if ctx.is(StaffId(view.owner_id)) || acts_as(ctx, Role::Administrator) {
            Ok(())
        } else {
            Err(of_others())
        }
    }

    async fn list(&self, ctx: &Ctx) -> Result<ListSavedViewsResponse, AppError> {
        let owners: Vec<_> = ctx.acts_as().map(|(id, _)| id.0).collect();
        let mut views = saved_views::of(self.service.pool(), &owners).await?;
        views.retain(|view| finds(ctx, view));
        views.sort_by_cached_key(|view| (sort_key(&view.name), view.id));
        Ok(ListSavedViewsResponse {
            views: views.into_iter().map(answer).collect(),
        })
    }
}

fn of_others() -> AppError {
    AppError::forbidden("VIEW_OF_OTHERS", "this view is somebody else's")
}

fn finds(ctx: &Ctx, view: &View) -> bool {
    if ctx.is(StaffId(view.owner_id)) {
        return true;
    }
    match view.readers.0 {
        Readers::Nobody => false,
        Readers::Everybody => true,
        Readers::Group(_) if acts_as(ctx, Role::Administrator) => true,
        Readers::Group(group) => {
            let (groups, directory) = (ctx.directory().subtree(group), ctx.directory());
            let in_group = |id| {
                let own = directory.staff(id).and_then(|entry| entry.group_id);
                own.is_some_and(|own| groups.contains(&own))
            };
            ctx.acts_as().any(|(id, _)| in_group(id)) || leads(ctx, group)
        }
    }
}

fn acts_as(ctx: &Ctx, wanted: Role) -> bool {
    ctx.acts_as().any(|(_, role)| role == wanted)
}

fn leads(ctx: &Ctx, group: GroupId) -> bool {
    let heads = ctx.acts_as().filter(|(_, role)| *role == Role::Head);
    let mut led = heads.map(|(id, _)| ctx.directory().groups_led_by(id));
    led.any(|led| led.contains(&group))
}

fn group(v: &mut Violations, ctx: &Ctx, text: &str) -> Readers {
    let Some(id) = v.id::<GroupId>("group_id", text) else {
        return Readers::Nobody;
    };
    if ctx.directory().group(id).is_none() {
        v.add("group_id", "is not a group");
    } else if !acts_as(ctx, Role::Administrator) && !leads(ctx, id) {
        v.add("group_id", "must be a group that the caller leads");
    }
    Readers::Group(id)
}

fn columns(v: &mut Violations, given: &[String]) -> Vec<String> {
    if given.len() > MOST_COLUMNS {
        v.add(
            "columns",
            format!("must have at most {MOST_COLUMNS} entries"),
        );
        return Vec::new();
    }
    let columns = given.iter().enumerate();
    columns
        .map(|(index, column)| v.required_line(&format!("columns[{index}]"), column, MAX_ID))
        .collect()
}

/// Whatever the list would refuse is refused here, too.
fn filter(v: &mut Violations, ctx: &Ctx, known: &Known, req: &ListAccountsRequest) -> Filter {
    let read = accounts::filter(v, ctx, known, req);
    let lifecycle = read.client.map(|client| {
        if client {
            Lifecycle::Client
        } else {
            Lifecycle::Prospect
        }
    });
    Filter {
        lifecycle,
        query: read.query,
        owner_id: read.owner,
        in_pool: read.in_pool,
        city: read.city,
        region: read.region,
        address: read.address,
        project: read.project,
        contact_person: read.contact_person,
        kind: read.kind,
        status: read.status,
        source: read.source,
        rubrics: read.extras.rubrics,
        custom: read.extras.custom,
        last_outcome: read
            .last_outcome
            .map_or_else(String::new, |outcome| outcome.to_string()),
    }
}

fn answer(view: View) -> pb::SavedView {
    let filter = view.filter.0;
    let lifecycle = match filter.lifecycle {
        None => pb::Lifecycle::Unspecified,
        Some(Lifecycle::Prospect) => pb::Lifecycle::Prospect,
        Some(Lifecycle::Client) => pb::Lifecycle::Client,
    };
    pb::SavedView {
        id: view.id.to_string(),
        owner_id: view.owner_id.to_string(),
        name: view.name,
        filter: Some(ListAccountsRequest {
            lifecycle: lifecycle.into(),
            query: filter.query,
            owner_id: id_text(filter.owner_id.map(Uuid::from)),
            in_pool: filter.in_pool,
            city: filter.city,
            region: filter.region,
            address: filter.address,
            project: filter.project,
            contact_person: filter.contact_person,
            r#type: filter.kind,
            status: filter.status,
            source: filter.source,
            rubrics: filter.rubrics,
            custom: filter.custom.into_iter().map(custom).collect(),
            last_outcome: filter.last_outcome,
            ..ListAccountsRequest::default()
        }),
        columns: view.columns,
        with: match view.readers.0 {
            Readers::Nobody => None,
            Readers::Group(id) => Some(saved_view::With::GroupId(id.to_string())),
            Readers::Everybody => Some(saved_view::With::Everybody(true)),
        },
    }
}

#[tonic::async_trait]
impl SavedViewsService for SavedViews {
    async fn save_view(
        &self,
        request: Request<SaveViewRequest>,
    ) -> Result<Response<SaveViewResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.save(&ctx, req).await?))
    }

    async fn share_view(
        &self,
        request: Request<ShareViewRequest>,
    ) -> Result<Response<ShareViewResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.share(&ctx, req).await?))
    }

    async fn delete_view(
        &self,
        request: Request<DeleteViewRequest>,
    ) -> Result<Response<DeleteViewResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(self.delete(&ctx, &req).await?))
    }

    async fn list_saved_views(
        &self,
        request: Request<ListSavedViewsRequest>,
    ) -> Result<Response<ListSavedViewsResponse>, Status> {
        let (ctx, _) = self.service.query(request).await?;
        Ok(Response::new(self.list(&ctx).await?))
    }
}
