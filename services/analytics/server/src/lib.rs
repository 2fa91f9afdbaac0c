//! Analytics: reports as projections of the other services' events. Owns no business facts; its
//! log holds only what every service records: erasures that it carried out, exports of its log.

mod metrics;
mod reports;
mod scorecard;
mod views;

use api::analytics::reports_service_server::ReportsServiceServer;
use kit::{Mounted, Node, Service, StartError, erasure::Erasures};

use crate::{reports::Reports, views::facts::FactsView};

/// The tables of the log. Read models make their own.
pub use es_postgres::MIGRATOR;

/// Follows the logs of accounts and contacts and answers from what it has counted.
pub async fn start(node: &Node) -> Result<Mounted, StartError> {
    let service = Service::open(node, "analytics", &MIGRATOR).await?;
    service.project(FactsView).await?;
    service.react(Erasures::new(&service));
    let mounted = Mounted::new(&service);
    Ok(mounted.add(ReportsServiceServer::new(Reports { service })))
}
