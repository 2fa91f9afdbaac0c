//! The planning service: what was promised, to be done by whom and when.
//!
//! Knows of other services only what their events tell: who works here and who owns an account
//! (kept by kit), what a contact completes and promises ([`next_steps`]), and which account has
//! another owner now ([`hand_over`]).

mod data_entry;
mod forgotten;
mod hand_over;
mod import;
mod next_steps;
mod planning;
mod questions;
mod terms;
mod views;

use api::planning::{
    data_entry_service_server::DataEntryServiceServer,
    planning_service_server::PlanningServiceServer,
};
use kit::{Mounted, Node, Service, StartError, erasure::Erasures};

use crate::{
    hand_over::HandOver,
    next_steps::NextSteps,
    planning::Planning,
    views::{
        closed::ClosedView, data_entry::DataEntryView, hand_overs::HandOversView, tasks::TasksView,
    },
};

/// The tables of the log. Read models make their own.
pub use es_postgres::MIGRATOR;

/// Opens the log, starts views and reactions, and mounts the services.
pub async fn start(node: &Node) -> Result<Mounted, StartError> {
    let service = Service::open(node, "planning", &MIGRATOR).await?;
    service.project(TasksView).await?;
    service.project(HandOversView).await?;
    service.project(DataEntryView).await?;
    service.project(ClosedView).await?;
    service.react(NextSteps::new(service.clone()));
    service.react(HandOver::new(service.clone()));
    service.react(Erasures::new(&service));
    let planning = PlanningServiceServer::new(Planning::new(service.clone()));
    let data_entry = DataEntryServiceServer::new(data_entry::Handlers::new(&service));
    Ok(Mounted::new(&service).add(planning).add(data_entry))
}
