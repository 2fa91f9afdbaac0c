//! The accounts service: staff and groups, companies and their owners, orders, deals, documents, the
//! pool of prospects.
//!
//! Owns the log `accounts` and the read models of its API. What other services must know of staff
//! and owners they read from its events; of planning it knows the open tasks, from its events.

use std::sync::LazyLock;

use kit::{
    Mounted, Node, Service, StartError, migrate::with_log, objects::Objects,
    stop_list::StopListView,
};
use sqlx::migrate::Migrator;

mod access;
mod accounts;
mod bootstrap;
mod cards;
mod catalogue;
mod claims;
mod collation;
mod deals;
mod documents;
mod duplicates;
mod erasures;
mod export;
mod first_contact;
mod follow_owner;
mod history;
mod identity;
mod import;
mod imports;
mod orders;
mod owners;
mod passwords;
mod policy;
mod prospects;
mod saved_view_keys;
mod saved_views;
mod staff;
mod superseded_keys;
mod transfers;
mod unusual_reading;
mod views;
mod wire;

pub use export::TITLES as EXPORT_TITLES;

/// The tables of the log, and what search needs. Read models make their own.
pub static MIGRATOR: LazyLock<Migrator> =
    LazyLock::new(|| with_log(&sqlx::migrate!("../../../migrations/accounts")));

/// Opens the log, starts views, reactions and timers, and mounts the services.
pub async fn start(node: &Node) -> Result<Mounted, StartError> {
    let service = Service::open(node, "accounts", &MIGRATOR).await?;
    let objects = Objects::open(&node.config.documents.storage)
        .map_err(|error| StartError::Other(format!("documents.storage: {error}")))?;
    project(&service).await?;
    react(&service, &objects);
    work(&service);
    bootstrap::administrator(&service).await?;
    bootstrap::catalogue(&service).await?;
    Ok(mounted(&service, &objects))
}

async fn project(service: &Service) -> Result<(), StartError> {
    service.project(views::people::People).await?;
    service.project(views::companies::Companies).await?;
    service.project(views::ownership::Ownership).await?;
    service.project(views::past::Past).await?;
    service.project(views::statuses::Statuses).await?;
    service.project(views::claims::Claims).await?;
    service.project(views::contacted::Contacted).await?;
    service
        .project(views::prospect_lists::ProspectLists)
        .await?;
    service.project(views::imports::Imports).await?;
    service.project(views::saved_views::SavedViews).await?;
    service.project(views::orders::Orders).await?;
    service.project(views::documents::Documents).await?;
    service.project(views::pipelines::Pipelines).await?;
    service.project(views::deals::Deals).await?;
    service.project(views::open_tasks::OpenTasks).await?;
    service.project(views::transfers::Transfers).await?;
    let zone = service.zone();
    service.project(views::access::Access { zone }).await?;
    service.project(views::exports::Exports).await?;
    service.project(StopListView).await
}

fn react(service: &Service, objects: &Objects) {
    service.react(erasures::Erasures {
        service: service.clone(),
        objects: objects.clone(),
    });
    service.react(documents::ErasedDocuments {
        objects: objects.clone(),
    });
    service.react(superseded_keys::SupersededKeys {
        service: service.clone(),
    });
    service.react(saved_view_keys::SavedViewKeys {
        service: service.clone(),
    });
    service.react(first_contact::FirstContact {
        service: service.clone(),
    });
    service.react(unusual_reading::UnusualReading {
        service: service.clone(),
    });
    service.react(follow_owner::FollowOwner::new(service));
    service.react(transfers::completion::Completion {
        service: service.clone(),
    });
}

/// What is done without being asked, and follows no event.
fn work(service: &Service) {
    service.lead("transfers", {
        let service = service.clone();
        move |term| transfers::worker::run(service.clone(), term)
    });
    service.node.tasks.spawn_restarting("accounts.claims", {
        let service = service.clone();
        move || {
            let service = service.clone();
            async move { claims::expire_all(&service).await.map(drop) }
        }
    });
    service.node.tasks.spawn_restarting("accounts.absences", {
        let service = service.clone();
        move || {
            let service = service.clone();
            async move { staff::absences::turn_all(&service).await.map(drop) }
        }
    });
}

fn mounted(service: &Service, objects: &Objects) -> Mounted {
    let identity = identity::Identity::new(service);
    let staff = staff::Staff::new(service);
    let current = catalogue::Current::new(service);
    let access = access::Access::new(service);
    let accounts = accounts::Accounts::new(service, &current);
    let cards = cards::Cards::new(service, &current);
    let catalogue = catalogue::Handlers::new(service, &current);
    let export = export::Handlers::new(service, &current);
    let history = history::History::new(service);
    let policy = policy::Handlers::new(service);
    let prospects = prospects::Prospects::new(service, &current);
    let duplicates = duplicates::Duplicates::new(service);
    let imports = imports::Imports::new(service);
    let saved_views = saved_views::SavedViews::new(service, &current);
    let transfers = transfers::Transfers::new(service);
    let deals = deals::Deals::new(service, &current);
    let orders = orders::Orders::new(service);
    let documents = documents::Documents::new(service, &current, objects);
    Mounted::new(service)
        .add(api::accounts::identity_service_server::IdentityServiceServer::new(identity))
        .add(api::accounts::staff_service_server::StaffServiceServer::new(staff))
        .add(api::accounts::access_service_server::AccessServiceServer::new(access))
        .add(api::accounts::accounts_service_server::AccountsServiceServer::new(accounts))
        .add(api::accounts::cards_service_server::CardsServiceServer::new(cards))
        .add(api::accounts::catalogue_service_server::CatalogueServiceServer::new(catalogue))
        .add(api::accounts::export_service_server::ExportServiceServer::new(export))
        .add(api::accounts::history_service_server::HistoryServiceServer::new(history))
        .add(api::accounts::policy_service_server::PolicyServiceServer::new(policy))
        .add(api::accounts::prospects_service_server::ProspectsServiceServer::new(prospects))
        .add(api::accounts::duplicates_service_server::DuplicatesServiceServer::new(duplicates))
        .add(api::accounts::imports_service_server::ImportsServiceServer::new(imports))
        .add(api::accounts::saved_views_service_server::SavedViewsServiceServer::new(saved_views))
        .add(api::accounts::deals_service_server::DealsServiceServer::new(deals))
        .add(api::accounts::transfers_service_server::TransfersServiceServer::new(transfers))
        .add(api::accounts::orders_service_server::OrdersServiceServer::new(orders))
        .add(api::accounts::documents_service_server::DocumentsServiceServer::new(documents))
}
