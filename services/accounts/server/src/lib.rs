//! The accounts service: staff and groups, companies and their owners, orders, deals, the pool of
//! prospects.
//!
//! Owns the log `accounts` and the read models of its API. What other services must know of staff
//! and owners they read from its events; of planning it knows the open tasks, from its events.

use kit::{Mounted, Node, Service, StartError, stop_list::StopListView};

mod accounts;
mod bootstrap;
mod card_history;
mod catalogue;
mod claims;
mod collation;
mod deals;
mod duplicates;
mod erasures;
mod first_contact;
mod follow_owner;
mod identity;
mod import;
mod owners;
mod prospects;
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
    service.project(views::statuses::Statuses).await?;
    service.project(views::claims::Claims).await?;
    service.project(views::contacted::Contacted).await?;
    service
        .project(views::prospect_lists::ProspectLists)
        .await?;
    service.project(views::pipelines::Pipelines).await?;
    service.project(views::deals::Deals).await?;
    service.project(views::open_tasks::OpenTasks).await?;
    service.project(StopListView).await?;
    service.react(erasures::Erasures {
        service: service.clone(),
    });
    service.react(superseded_keys::SupersededKeys {
        service: service.clone(),
    });
    service.react(first_contact::FirstContact {
        service: service.clone(),
    });
    service.react(follow_owner::FollowOwner::new(&service));
    node.tasks.spawn_restarting("accounts.claims", {
        let service = service.clone();
        move || {
            let service = service.clone();
            async move { claims::expire_all(&service).await.map(drop) }
        }
    });
    bootstrap::administrator(&service).await?;
    bootstrap::catalogue(&service).await?;

    let identity = identity::Identity::new(&service);
    let staff = staff::Staff::new(&service);
    let current = catalogue::Current::new(&service);
    let accounts = accounts::Accounts::new(&service, &current);
    let cards = card_history::Cards::new(&service, &current);
    let catalogue = catalogue::Handlers::new(&service, &current);
    let prospects = prospects::Prospects::new(&service, &current);
    let duplicates = duplicates::Duplicates::new(&service);
    let deals = deals::Deals::new(&service);
    Ok(Mounted::new(&service)
        .add(api::accounts::identity_service_server::IdentityServiceServer::new(identity))
        .add(api::accounts::staff_service_server::StaffServiceServer::new(staff))
        .add(api::accounts::accounts_service_server::AccountsServiceServer::new(accounts))
        .add(api::accounts::cards_service_server::CardsServiceServer::new(cards))
        .add(api::accounts::catalogue_service_server::CatalogueServiceServer::new(catalogue))
        .add(api::accounts::prospects_service_server::ProspectsServiceServer::new(prospects))
        .add(api::accounts::duplicates_service_server::DuplicatesServiceServer::new(duplicates))
        .add(api::accounts::deals_service_server::DealsServiceServer::new(deals)))
}
