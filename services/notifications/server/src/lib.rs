//! Notifications: reminds people of their tasks before they are due, and tells integrators of events.
//!
//! A task's life in planning schedules and voids reminders ([`task_reminders`]); whoever listens
//! gets them when they fire ([`watch`], woken by the [`doorbell`]). Nothing about the wording of a
//! task is kept here. What [`webhooks`] are sent is signed, and noted before it is sent.

mod doorbell;
mod reminders;
mod task_reminders;
mod views;
mod watch;
mod webhooks;

use std::sync::LazyLock;

use api::notifications::{
    reminders_service_server::RemindersServiceServer,
    webhooks_service_server::WebhooksServiceServer,
};
use kit::{Mounted, Node, Service, StartError, erasure::Erasures, migrate::with_log};
use sqlx::migrate::Migrator;

use crate::{
    doorbell::Doorbell,
    reminders::Reminders,
    task_reminders::TaskReminders,
    views::{reminders::ScheduleView, task_changes::TaskChanges},
    webhooks::Webhooks,
};

/// The tables of the log and the outbox. Read models make their own.
pub static MIGRATOR: LazyLock<Migrator> =
    LazyLock::new(|| with_log(&sqlx::migrate!("../../../migrations/notifications")));

/// Follows planning's log, keeps the schedule, delivers what is due and tells webhooks of events.
pub async fn start(node: &Node) -> Result<Mounted, StartError> {
    let service = Service::open(node, "notifications", &MIGRATOR).await?;
    service.project(ScheduleView).await?;
    service.project(TaskChanges).await?;
    service.react(Erasures::new(&service));
    service.react(TaskReminders {
        service: service.clone(),
    });
    let webhooks = Webhooks::start(&service).await?;
    let doorbell = Doorbell::default();
    node.tasks.spawn_restarting("notifications.doorbell", {
        let (doorbell, service) = (doorbell.clone(), service.clone());
        move || {
            let (doorbell, service) = (doorbell.clone(), service.clone());
            async move { doorbell.run(&service).await }
        }
    });
    let mounted = Mounted::new(&service);
    let reminders = Reminders { service, doorbell };
    Ok(mounted
        .add(RemindersServiceServer::new(reminders))
        .add(WebhooksServiceServer::new(webhooks)))
}
