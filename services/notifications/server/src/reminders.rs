//! Reminders over gRPC.

use api::notifications::{
    AcknowledgeReminderRequest, AcknowledgeReminderResponse, ListRemindersRequest,
    ListRemindersResponse, Reminder, ReminderState, WatchRemindersRequest, WatchRemindersResponse,
    reminders_service_server::RemindersService,
};
use kit::{AppError, Service, Streaming, Violations, timestamp};
use notifications_domain::{
    self as domain,
    reminder::{Command, State},
};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::{ReminderId, StaffId, TaskId};

use crate::{
    doorbell::Doorbell,
    views::{
        self,
        reminders::{ACKNOWLEDGED, DELIVERED, Filter, Row, SCHEDULED, Seen, VOIDED},
    },
    watch,
};

pub(crate) struct Reminders {
    pub(crate) service: Service,
    pub(crate) doorbell: Doorbell,
}

#[tonic::async_trait]
impl RemindersService for Reminders {
    type WatchRemindersStream = Streaming<WatchRemindersResponse>;

    async fn watch_reminders(
        &self,
        request: Request<WatchRemindersRequest>,
    ) -> Result<Response<Self::WatchRemindersStream>, Status> {
        let (ctx, _) = self.service.plain(request).await?;
        let (service, doorbell) = (self.service.clone(), self.doorbell.clone());
        // The layer ends the stream when that changes.
        let staff_ids: Vec<_> = ctx.acts_as().map(|(id, _)| id).collect();
        let node = &self.service.node;
        let watch = async move |out| watch::run(&service, &doorbell, staff_ids, &out).await;
        Ok(kit::stream(node, "notifications.watch", watch))
    }

    async fn acknowledge_reminder(
        &self,
        request: Request<AcknowledgeReminderRequest>,
    ) -> Result<Response<AcknowledgeReminderResponse>, Status> {
        let (ctx, request) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id::<ReminderId>("reminder_id", &request.reminder_id);
        let id = v.checked(id)?;
        let loaded = self.service.log.load::<domain::Reminder>(id.0);
        let whose = match loaded.await.map_err(AppError::from)?.state {
            State::Known { staff_id, .. } => Some(staff_id),
            State::Unknown => None,
        };
        let by = whose.filter(|id| ctx.is(*id));
        if let Some(id) = by {
            ctx.about(id);
        }
        let command = Command::Acknowledge {
            by: by.unwrap_or_else(|| ctx.staff_id()),
        };
        let outcome = self
            .service
            .log
            .execute::<domain::Reminder>(&ctx.command(), id.0, command)
            .await
            .map_err(AppError::from)?;
        Ok(Response::new(AcknowledgeReminderResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn list_reminders(
        &self,
        request: Request<ListRemindersRequest>,
    ) -> Result<Response<ListRemindersResponse>, Status> {
        let (ctx, request) = self.service.query(request).await?;
        let mut v = Violations::new();
        let staff_id = v.optional_id::<StaffId>("staff_id", &request.staff_id);
        let task_id = v.optional_id::<TaskId>("task_id", &request.task_id);
        v.finish()?;
        let staff_id = staff_id.unwrap_or_else(|| ctx.staff_id());
        if !ctx.sees().includes(staff_id) || ctx.directory().staff(staff_id).is_none() {
            return Err(AppError::NotFound { what: "staff" }.into());
        }
        let filter = ListRemindersRequest {
            page: None,
            min_positions: Vec::new(),
            ..request.clone()
        };
        let page = self
            .service
            .page(&request.page, kit::fingerprint(&filter))?;
        let after = page
            .after()
            .unwrap_or((Seen::NOTHING.fired_until, Uuid::nil()));
        let filter = Filter {
            staff_id,
            task_id,
            visible_to: ctx.sees().owners(),
            now: ctx.now,
        };
        let pool = self.service.pool();
        let mut rows = views::reminders::list(pool, &filter, after, page.fetch())
            .await
            .map_err(AppError::from)?;
        let next_page_token = page.cut(&mut rows, |row| (row.fire_at, row.id));
        Ok(Response::new(ListRemindersResponse {
            reminders: rows.iter().map(message).collect(),
            next_page_token,
        }))
    }
}

pub(crate) fn message(row: &Row) -> Reminder {
    let state = match row.state.as_str() {
        SCHEDULED => ReminderState::Scheduled,
        VOIDED => ReminderState::Voided,
        DELIVERED => ReminderState::Delivered,
        ACKNOWLEDGED => ReminderState::Acknowledged,
        _ => ReminderState::Unspecified,
    };
    Reminder {
        id: row.id.to_string(),
        staff_id: row.staff_id.to_string(),
        task_id: row.task_id.to_string(),
        account_id: row.account_id.map(|id| id.to_string()).unwrap_or_default(),
        due_at: Some(timestamp(row.due_at)),
        fire_at: Some(timestamp(row.fire_at)),
        state: state.into(),
        late_by_s: row.late_by_s,
        void_cause: row.void_cause.clone().unwrap_or_default(),
    }
}
