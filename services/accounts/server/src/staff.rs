//! Staff and groups.

pub(crate) mod absences;
pub(crate) mod groups;

use accounts_domain::{
    group::{self, SalesGroup},
    staff::{self as domain, Credentials, Duties, NewDetails, Newcomer, Rehired, StaffMember},
};
use api::accounts::{
    AppointGroupHeadRequest, AppointGroupHeadResponse, ChangeRoleRequest, ChangeRoleResponse,
    ChangeStaffDetailsRequest, ChangeStaffDetailsResponse, DismissStaffRequest,
    DismissStaffResponse, EndAbsenceRequest, EndAbsenceResponse, FormGroupRequest,
    FormGroupResponse, HireStaffRequest, HireStaffResponse, ImportStaffRequest,
    ImportStaffResponse, ListAbsencesRequest, ListAbsencesResponse, ListGroupsRequest,
    ListGroupsResponse, ListStaffRequest, ListStaffResponse, MarkAbsentRequest, MarkAbsentResponse,
    MoveGroupRequest, MoveGroupResponse, MoveToGroupRequest, MoveToGroupResponse,
    RehireStaffRequest, RehireStaffResponse, RenameGroupRequest, RenameGroupResponse,
    SetPasswordRequest, SetPasswordResponse, staff_service_server::StaffService,
};
use kit::{AppError, Ctx, Service, Violations};
use tonic::{Request, Response, Status};
use vocabulary::{GroupId, Role, StaffId};

use crate::{
    collation::sort_key,
    import, passwords, transfers,
    views::{companies, deals, open_tasks, people},
    wire::{self, MAX_ID, MAX_NAME, MAX_TEXT, caught_up},
};

const MIN_PASSWORD: usize = 8;
pub(crate) const MAX_LOGIN: usize = 100;
pub(crate) const MAX_EXTENSION: usize = 20;

pub(crate) struct Staff {
    service: Service,
}

impl Staff {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn duties(&self, id: StaffId) -> Result<Duties, AppError> {
        // What somebody planned a moment ago is open, too.
        self.service.catch_up_with("planning").await?;
        caught_up(&self.service).await?;
        let to_come = transfers::to_come(&self.service, id).await?;
        // Behind it: what comes in between counts as owned.
        caught_up(&self.service).await?;
        let pool = self.service.pool();
        let accounts = companies::count_of_owner(pool, id).await?;
        let open_deals = deals::count_of_owner(pool, id).await?;
        let open_tasks = open_tasks::count_of_assignee(pool, id).await?;
        Ok(Duties {
            accounts: accounts.unsigned_abs(),
            open_deals: open_deals.unsigned_abs(),
            open_tasks: open_tasks.unsigned_abs(),
            accounts_to_come: to_come,
        })
    }

    async fn execute(
        &self,
        ctx: &Ctx,
        id: StaffId,
        command: domain::Command,
    ) -> Result<api::common::Recorded, AppError> {
        let context = ctx.command();
        let outcome = self
            .service
            .log
            .execute::<StaffMember>(&context, id.0, command);
        Ok(self.service.recorded(&outcome.await?))
    }
}

/// A group's head has at least the rights of a head.
pub(crate) async fn make_head(
    service: &Service,
    ctx: &Ctx,
    id: StaffId,
    reason: &str,
) -> Result<Option<i64>, AppError> {
    let role = match service.log.load::<StaffMember>(id.0).await?.state {
        domain::State::Working(working) => working.role,
        domain::State::Unknown | domain::State::Dismissed(_) => return Ok(None),
    };
    if matches!(role, Role::Head | Role::Administrator) {
        return Ok(None);
    }
    let reason = match reason {
        "" => "appointed head of a group",
        given => given,
    };
    let command = domain::Command::ChangeRole {
        id,
        role: Role::Head,
        reason: reason.to_owned(),
        duties: Duties::default(),
    };
    let context = ctx.command().derive("role of a head");
    let outcome = service.log.execute::<StaffMember>(&context, id.0, command);
    Ok(Some(outcome.await?.position))
}

/// Administrators keep their own rights: so there is always one.
fn somebody_else(v: &mut Violations, ctx: &Ctx, id: Option<StaffId>) {
    if id == Some(ctx.staff_id()) {
        v.add("staff_id", "must be somebody else");
    }
}

/// Login and password belong together, and both to the built-in login.
fn credentials(v: &mut Violations, login: &str, password: &str) -> String {
    let login = v.line("login", login, MAX_LOGIN);
    if login.is_empty() && !password.is_empty() {
        v.add("login", "must be there when there is a password");
    }
    if !password.is_empty() {
        check_password(v, password);
    }
    login
}

fn check_password(v: &mut Violations, password: &str) {
    let length = password.chars().count();
    if length < MIN_PASSWORD {
        v.add(
            "password",
            format!("must have at least {MIN_PASSWORD} characters"),
        );
    }
    if length > passwords::MAX_CHARACTERS {
        let max = passwords::MAX_CHARACTERS;
        v.add("password", format!("must have at most {max} characters"));
    }
}

#[tonic::async_trait]
impl StaffService for Staff {
    async fn hire_staff(
        &self,
        request: Request<HireStaffRequest>,
    ) -> Result<Response<HireStaffResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let external_id = v.required_line("external_id", &req.external_id, MAX_ID);
        let name = v.required_line("name", &req.name, MAX_NAME);
        let role = wire::role(&mut v, "role", req.role);
        let group_id = v.optional_id("group_id", &req.group_id);
        groups::check(&self.service, &mut v, "group_id", group_id).await?;
        let extension = v.line("extension", &req.extension, MAX_EXTENSION);
        let hired_on = wire::date(&mut v, "hired_on", &req.hired_on, &ctx);
        let login = credentials(&mut v, &req.login, &req.password);
        let role = v.checked(role)?;

        let password_hash = if req.password.is_empty() {
            None
        } else {
            Some(passwords::hash(req.password).await?)
        };
        let id = StaffId::of_external(&external_id);
        let newcomer = Newcomer {
            id,
            external_id,
            name,
            role,
            group_id,
            extension: Some(extension).filter(|text| !text.is_empty()),
            hired_on,
            login: Some(login).filter(|text| !text.is_empty()),
            password_hash,
        };
        let recorded = self
            .execute(&ctx, id, domain::Command::Hire(newcomer))
            .await?;
        Ok(Response::new(HireStaffResponse {
            staff_id: id.to_string(),
            recorded: Some(recorded),
        }))
    }

    async fn change_role(
        &self,
        request: Request<ChangeRoleRequest>,
    ) -> Result<Response<ChangeRoleResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id("staff_id", &req.staff_id);
        let role = wire::role(&mut v, "role", req.role);
        somebody_else(&mut v, &ctx, id);
        let reason = v.required("reason", &req.reason, MAX_TEXT);
        let (id, role) = v.checked(id.zip(role))?;
        let views = &self.service.views;
        views.reached(&req.min_positions, ctx.remaining()).await?;
        let duties = if domain::can_own(role) {
            Duties::default()
        } else {
            self.duties(id).await?
        };
        let command = domain::Command::ChangeRole {
            id,
            role,
            reason,
            duties,
        };
        let recorded = self.execute(&ctx, id, command).await?;
        Ok(Response::new(ChangeRoleResponse {
            recorded: Some(recorded),
        }))
    }

    async fn move_to_group(
        &self,
        request: Request<MoveToGroupRequest>,
    ) -> Result<Response<MoveToGroupResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id("staff_id", &req.staff_id);
        let group_id = v.optional_id("group_id", &req.group_id);
        groups::check(&self.service, &mut v, "group_id", group_id).await?;
        let reason = v.optional("reason", &req.reason, MAX_TEXT);
        let id = v.checked(id)?;
        let command = domain::Command::MoveToGroup {
            id,
            group_id,
            reason,
        };
        let recorded = self.execute(&ctx, id, command).await?;
        Ok(Response::new(MoveToGroupResponse {
            recorded: Some(recorded),
        }))
    }

    async fn set_password(
        &self,
        request: Request<SetPasswordRequest>,
    ) -> Result<Response<SetPasswordResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id("staff_id", &req.staff_id);
        let login = v.required_line("login", &req.login, MAX_LOGIN);
        check_password(&mut v, &req.password);
        let id = v.checked(id)?;
        let credentials = Credentials {
            login,
            password_hash: passwords::hash(req.password).await?,
        };
        let command = domain::Command::SetPassword { id, credentials };
        let recorded = self.execute(&ctx, id, command).await?;
        Ok(Response::new(SetPasswordResponse {
            recorded: Some(recorded),
        }))
    }

    async fn change_staff_details(
        &self,
        request: Request<ChangeStaffDetailsRequest>,
    ) -> Result<Response<ChangeStaffDetailsResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id("staff_id", &req.staff_id);
        let name = req.name.as_deref();
        let name = name.map(|text| v.required_line("name", text, MAX_NAME));
        let extension = req.extension.as_deref();
        let extension = extension.map(|text| v.line("extension", text, MAX_EXTENSION));
        let login = req.login.as_deref();
        let login = login.map(|text| v.required_line("login", text, MAX_LOGIN));
        let id = v.checked(id)?;
        let details = NewDetails {
            name,
            extension,
            login,
        };
        let command = domain::Command::ChangeDetails { id, details };
        let recorded = self.execute(&ctx, id, command).await?;
        Ok(Response::new(ChangeStaffDetailsResponse {
            recorded: Some(recorded),
        }))
    }

    async fn dismiss_staff(
        &self,
        request: Request<DismissStaffRequest>,
    ) -> Result<Response<DismissStaffResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id("staff_id", &req.staff_id);
        somebody_else(&mut v, &ctx, id);
        let reason = v.required("reason", &req.reason, MAX_TEXT);
        let id = v.checked(id)?;
        let views = &self.service.views;
        views.reached(&req.min_positions, ctx.remaining()).await?;
        let duties = self.duties(id).await?;
        let command = domain::Command::Dismiss { id, reason, duties };
        let recorded = self.execute(&ctx, id, command).await?;
        Ok(Response::new(DismissStaffResponse {
            recorded: Some(recorded),
        }))
    }

    async fn rehire_staff(
        &self,
        request: Request<RehireStaffRequest>,
    ) -> Result<Response<RehireStaffResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id: Option<StaffId> = v.id("staff_id", &req.staff_id);
        let role = wire::role(&mut v, "role", req.role);
        let group_id = v.optional_id("group_id", &req.group_id);
        groups::check(&self.service, &mut v, "group_id", group_id).await?;
        let hired_on = wire::date(&mut v, "hired_on", &req.hired_on, &ctx);
        let (id, role) = v.checked(id.zip(role))?;
        let command = domain::Command::Rehire(Rehired {
            role,
            group_id,
            hired_on,
        });
        let recorded = self.execute(&ctx, id, command).await?;
        Ok(Response::new(RehireStaffResponse {
            recorded: Some(recorded),
        }))
    }

    async fn form_group(
        &self,
        request: Request<FormGroupRequest>,
    ) -> Result<Response<FormGroupResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(groups::form(&self.service, &ctx, req).await?))
    }

    async fn rename_group(
        &self,
        request: Request<RenameGroupRequest>,
    ) -> Result<Response<RenameGroupResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(
            groups::rename(&self.service, &ctx, req).await?,
        ))
    }

    async fn move_group(
        &self,
        request: Request<MoveGroupRequest>,
    ) -> Result<Response<MoveGroupResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(
            groups::move_below(&self.service, &ctx, req).await?,
        ))
    }

    async fn appoint_group_head(
        &self,
        request: Request<AppointGroupHeadRequest>,
    ) -> Result<Response<AppointGroupHeadResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        let mut v = Violations::new();
        let group_id: Option<GroupId> = v.id("group_id", &req.group_id);
        let head_id: Option<StaffId> = v.id("staff_id", &req.staff_id);
        if let Some(id) = head_id {
            let entry = self.service.known_staff(id).await?;
            if entry.is_none_or(|entry| entry.dismissed) {
                v.add("staff_id", "must be somebody who works here");
            }
        }
        let reason = v.optional("reason", &req.reason, MAX_TEXT);
        let (group_id, head_id) = v.checked(group_id.zip(head_id))?;
        let command = group::Command::AppointHead {
            head_id,
            reason: reason.clone(),
        };
        let context = ctx.command();
        let outcome = self
            .service
            .log
            .execute::<SalesGroup>(&context, group_id.0, command);
        let mut outcome = outcome.await.map_err(AppError::from)?;
        if let Some(position) = make_head(&self.service, &ctx, head_id, &reason).await? {
            outcome.position = outcome.position.max(position);
        }
        Ok(Response::new(AppointGroupHeadResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn list_staff(
        &self,
        request: Request<ListStaffRequest>,
    ) -> Result<Response<ListStaffResponse>, Status> {
        let (_, req) = self.service.query(request).await?;
        let mut people = people::staff(self.service.pool(), req.include_dismissed)
            .await
            .map_err(AppError::from)?;
        people.sort_by_cached_key(|person| (sort_key(&person.name), person.staff_id));
        Ok(Response::new(ListStaffResponse {
            staff: people.into_iter().map(wire::staff_member).collect(),
        }))
    }

    async fn list_groups(
        &self,
        request: Request<ListGroupsRequest>,
    ) -> Result<Response<ListGroupsResponse>, Status> {
        let (_, _) = self.service.query(request).await?;
        let mut groups = people::groups(self.service.pool())
            .await
            .map_err(AppError::from)?;
        groups.sort_by_cached_key(|group| (sort_key(&group.name), group.id));
        Ok(Response::new(ListGroupsResponse {
            groups: groups.into_iter().map(wire::group).collect(),
        }))
    }

    async fn import_staff(
        &self,
        request: Request<ImportStaffRequest>,
    ) -> Result<Response<ImportStaffResponse>, Status> {
        let (ctx, req) = self.service.plain(request).await?;
        Ok(Response::new(
            import::staff::run(&self.service, &ctx, req).await?,
        ))
    }

    async fn mark_absent(
        &self,
        request: Request<MarkAbsentRequest>,
    ) -> Result<Response<MarkAbsentResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(
            absences::mark(&self.service, &ctx, req).await?,
        ))
    }

    async fn end_absence(
        &self,
        request: Request<EndAbsenceRequest>,
    ) -> Result<Response<EndAbsenceResponse>, Status> {
        let (ctx, req) = self.service.command(request).await?;
        Ok(Response::new(
            absences::end(&self.service, &ctx, req).await?,
        ))
    }

    async fn list_absences(
        &self,
        request: Request<ListAbsencesRequest>,
    ) -> Result<Response<ListAbsencesResponse>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        Ok(Response::new(absences::list(&ctx, &req)))
    }
}
