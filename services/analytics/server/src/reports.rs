//! Reports over gRPC: who may ask for which figures, and how they are named.

use api::{
    analytics::{
        GetScorecardRequest, GetScorecardResponse, Rate, Scorecard, ScorecardBy, ScorecardRow,
        reports_service_server::ReportsService,
    },
    common,
};
use kit::{AppError, Ctx, Service, Violations};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{GroupId, Role, StaffId};

use crate::{
    metrics::{self, Figures, percent},
    scorecard::{self, Answer, By, Question, Visible},
};

pub(crate) struct Reports {
    pub(crate) service: Service,
}

#[tonic::async_trait]
impl ReportsService for Reports {
    async fn get_scorecard(
        &self,
        request: Request<GetScorecardRequest>,
    ) -> Result<Response<GetScorecardResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let question = self.question(&ctx, &request).await?;
        let answer = scorecard::scorecard(self.service.pool(), &question)
            .await
            .map_err(AppError::from)?;
        Ok(Response::new(response(&ctx, question.by, answer)))
    }
}

impl Reports {
    async fn question(
        &self,
        ctx: &Ctx,
        request: &GetScorecardRequest,
    ) -> Result<Question, AppError> {
        let mut v = Violations::new();
        let by = match request.by() {
            ScorecardBy::Unspecified | ScorecardBy::Manager => By::Manager,
            ScorecardBy::Group => By::Group,
            ScorecardBy::Month => By::Month,
        };
        let period = v.period(&request.period, &ctx.zone());
        let as_of = v.optional_instant("as_of", request.as_of.as_ref());
        let as_recorded_at = v.optional_instant("as_recorded_at", request.as_recorded_at.as_ref());
        let staff_id = v.optional_id::<StaffId>("staff_id", &request.staff_id);
        let group_id = v.optional_id::<GroupId>("group_id", &request.group_id);
        v.finish()?;

        let visible = visible(ctx);
        if let Some(staff_id) = staff_id {
            self.may_ask_for(ctx, &visible, staff_id).await?;
        }
        let groups = group_id.map(|id| subtree(ctx, &visible, id)).transpose()?;
        Ok(Question {
            by,
            period,
            zone: ctx.zone().name(),
            as_of,
            as_recorded_at,
            staff_id,
            groups,
            visible,
        })
    }

    /// A head may also ask for someone who has left, if facts of theirs belong to the group.
    async fn may_ask_for(
        &self,
        ctx: &Ctx,
        visible: &Visible,
        staff_id: StaffId,
    ) -> Result<(), AppError> {
        let found = ctx.directory().staff(staff_id).is_some()
            && match visible {
                Visible::All => true,
                Visible::Of { staff, groups } => {
                    staff.contains(&staff_id)
                        || !groups.is_empty()
                            && scorecard::ever_in(self.service.pool(), staff_id, groups).await?
                }
            };
        found
            .then_some(())
            .ok_or(AppError::NotFound { what: "staff" })
    }
}

/// Administrator and analyst: all; head: the own facts and those of the group, as the facts were;
/// everybody else: their own. A substitute also what the one who is away may see.
fn visible(ctx: &Ctx) -> Visible {
    let (mut staff, mut groups) = (Vec::new(), Vec::new());
    for (id, role) in ctx.acts_as() {
        match role {
            Role::Administrator | Role::Analyst => return Visible::All,
            Role::Head => {
                staff.extend(ctx.directory().led_by(id));
                groups.extend(ctx.directory().groups_led_by(id));
            }
            Role::Manager | Role::Operator => staff.push(id),
        }
    }
    Visible::Of { staff, groups }
}

/// The group and those below it, if the caller may know of it.
fn subtree(ctx: &Ctx, visible: &Visible, id: GroupId) -> Result<Vec<GroupId>, AppError> {
    let known = ctx.directory().group(id).is_some()
        && match visible {
            Visible::All => true,
            Visible::Of { groups, .. } => groups.contains(&id),
        };
    known
        .then(|| ctx.directory().subtree(id))
        .ok_or(AppError::NotFound { what: "group" })
}

fn response(ctx: &Ctx, by: By, answer: Answer) -> GetScorecardResponse {
    let mut total = Figures::default();
    let mut rows: Vec<ScorecardRow> = answer
        .rows
        .into_iter()
        .map(|(key, figures)| {
            total += figures;
            row(ctx, by, key.unwrap_or_default(), figures)
        })
        .collect();
    rows.sort_by(|a, b| (&a.label, &a.id).cmp(&(&b.label, &b.id)));
    GetScorecardResponse {
        rows,
        total: Some(message(total)),
        read_to: answer
            .read_to
            .into_iter()
            .map(|(service, position)| common::Position { service, position })
            .collect(),
        metric_version: metrics::VERSION,
    }
}

fn row(ctx: &Ctx, by: By, key: String, figures: Figures) -> ScorecardRow {
    let id = Uuid::parse_str(&key).ok();
    let label = match by {
        By::Manager => id
            .and_then(|id| ctx.directory().staff(StaffId(id)))
            .map(|staff| staff.external_id.clone()),
        By::Group => id
            .and_then(|id| ctx.directory().group(GroupId(id)))
            .map(|group| group.name.clone()),
        By::Month => Some(key.clone()),
    };
    ScorecardRow {
        // Someone the directory has not heard of yet still has a line of their own.
        label: label.unwrap_or_else(|| key.clone()),
        id: if by == By::Month { String::new() } else { key },
        figures: Some(message(figures)),
    }
}

fn message(figures: Figures) -> Scorecard {
    let rate = |numerator, denominator| {
        Some(Rate {
            numerator,
            denominator,
            percent: percent(numerator, denominator),
        })
    };
    Scorecard {
        calls: figures.calls,
        effective_calls: figures.effective_calls,
        meetings: figures.meetings,
        sales: figures.sales,
        meeting_rate: rate(figures.meetings, figures.calls),
        sale_rate: rate(figures.sales, figures.meetings),
    }
}
