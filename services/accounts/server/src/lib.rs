//! The accounts service: staff and groups, companies and their owners, orders.
//!
//! Owns the log `accounts` and the read models of its API. What other services must know of staff
//! and owners they read from its events; of planning it knows the open tasks, from its events.

use kit::{Mounted, Node, Service, StartError, stop_list::StopListView};

mod accounts;
mod bootstrap;
mod collation;
mod erasures;
mod identity;
mod import;
mod owners;
mod staff;
mod superseded_keys;
mod views;
mod wire;

pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/accounts");

/// Opens the log, follows it with every read model, and answers.
pub async fn start(node: &Node) -> Result<Mounted, StartError> {
    let service = Service::open(node, "accounts", &MIGRATOR).await?;
    service.project(views::people::People).await?;
    service.project(views::companies::Companies).await?;
    service.project(views::ownership::Ownership).await?;
    service.project(views::open_tasks::OpenTasks).await?;
    service.project(StopListView).await?;
    service.react(erasures::Erasures {
        service: service.clone(),
    });
    service.react(superseded_keys::SupersededKeys {
        service: service.clone(),
    });
    bootstrap::administrator(&service).await?;

    let identity = identity::Identity::new(&service);
    let staff = staff::Staff::new(&service);
    let accounts = accounts::Accounts::new(&service);
    Ok(Mounted::new(&service)
        .add(api::accounts::identity_service_server::IdentityServiceServer::new(identity))
        .add(api::accounts::staff_service_server::StaffServiceServer::new(staff))
        .add(api::accounts::accounts_service_server::AccountsServiceServer::new(accounts)))
}
