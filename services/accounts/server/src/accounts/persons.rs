//! Contact persons are another service's: it is asked where those are who are looked for.

use api::{
    accounts::ListAccountsRequest,
    contacts::{FindAccountsOfPersonsRequest, contacts_service_client::ContactsServiceClient},
};
use kit::{AppError, Service, Violations};
use tonic::Code;
use uuid::Uuid;

use crate::views::companies::Filter;

/// Narrows the list to accounts of the persons that are meant. `field`: where they were typed.
pub(crate) async fn find(
    service: &Service,
    filter: &mut Filter,
    field: &str,
    req: &ListAccountsRequest,
) -> Result<(), AppError> {
    if filter.contact_person.is_empty() {
        return Ok(());
    }
    let owners = filter.seen_owners.as_deref();
    let request = FindAccountsOfPersonsRequest {
        query: filter.contact_person.clone(),
        owner_ids: owners
            .unwrap_or_default()
            .iter()
            .map(Uuid::to_string)
            .collect(),
        of_anybody: owners.is_none(),
        min_positions: req.min_positions.clone(),
    };
    let contacts = service.node.peers.channel("contacts");
    let contacts = contacts.ok_or(AppError::Unimplemented)?;
    let answer = ContactsServiceClient::new(contacts)
        .find_accounts_of_persons(request)
        .await;
    let found = match answer {
        Ok(found) => found.into_inner().account_ids,
        Err(status) if status.code() == Code::FailedPrecondition => {
            let mut v = Violations::new();
            v.add(field, "is the name of too many persons: type more of it");
            return Err(v.finish().err().unwrap_or(AppError::Unimplemented));
        }
        Err(status) => {
            return Err(AppError::Unavailable(format!(
                "contacts answered {:?}: {}",
                status.code(),
                status.message()
            )));
        }
    };
    let ids = found.iter().filter_map(|id| Uuid::parse_str(id).ok());
    filter.of_persons = Some(ids.collect());
    Ok(())
}
