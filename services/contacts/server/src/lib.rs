//! The contacts service: people at accounts, everything that was ever said to them, and forgetting
//! them when they want it.
//!
//! Knows of other services only what their events tell: who owns an account (kept by kit), which
//! tasks are open ([`views::tasks`]) and who may change personal data ([`views::policy`]).

mod contacts;
mod erasure;
mod export;
mod import;
mod log_interaction;
mod persons;
mod terms;
mod views;

use std::sync::LazyLock;

use api::contacts::{
    contacts_service_server::ContactsServiceServer,
    person_export_service_server::PersonExportServiceServer,
};
use kit::{
    Mounted, Node, Service, StartError, erasure::Erasures, migrate::with_log,
    stop_list::StopListView,
};
use sqlx::migrate::Migrator;

use crate::{
    contacts::Contacts,
    views::{
        certificates::ErasuresView, persons::PersonsView, policy::PolicyView, tasks::TasksView,
        timeline::TimelineView,
    },
};

/// The tables of the log, and what search needs. Read models make their own.
pub static MIGRATOR: LazyLock<Migrator> =
    LazyLock::new(|| with_log(&sqlx::migrate!("../../../migrations/contacts")));

/// Opens the log, starts views and reactions, and mounts the services.
pub async fn start(node: &Node) -> Result<Mounted, StartError> {
    let service = Service::open(node, "contacts", &MIGRATOR).await?;
    service.project(PersonsView).await?;
    service.project(TimelineView).await?;
    service.project(TasksView).await?;
    service.project(ErasuresView).await?;
    service.project(PolicyView).await?;
    service.project(StopListView).await?;
    service.react(Erasures::new(&service));
    let contacts = ContactsServiceServer::new(Contacts::new(service.clone()));
    let export = PersonExportServiceServer::new(export::Handlers::new(&service));
    Ok(Mounted::new(service).add(contacts).add(export))
}
