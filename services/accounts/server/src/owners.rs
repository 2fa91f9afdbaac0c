//! Who may own accounts, and whom somebody may give them to.

use accounts_domain::{account::Owner, staff};
use chrono::{DateTime, Utc};
use kit::{AppError, Ctx, Service, Snapshot, StaffEntry, Violations};
use vocabulary::StaffId;

pub(crate) const NOT_AN_OWNER: &str = "must be an active administrator, head or manager";

pub(crate) fn can_own(entry: &StaffEntry) -> bool {
    !entry.dismissed && staff::can_own(entry.role)
}

/// A member of staff who can own accounts from now on.
pub(crate) async fn candidate(
    service: &Service,
    v: &mut Violations,
    field: &str,
    id: Option<StaffId>,
) -> Result<Option<StaffId>, AppError> {
    let Some(id) = id else { return Ok(None) };
    let entry = service.known_staff(id).await?;
    if entry.is_some_and(|entry| can_own(&entry)) {
        return Ok(Some(id));
    }
    v.add(field, NOT_AN_OWNER);
    Ok(None)
}

/// A manager gives to self, a head within the own groups, the others to anyone.
pub(crate) fn check_may_give(service: &Service, ctx: &Ctx, to: StaffId) -> Result<(), AppError> {
    // The present directory, not that of the beginning of the call: it may have been waited for.
    let scope = ctx.sees_by(&service.directory.snapshot());
    if scope.includes(to) {
        ctx.about(to);
        Ok(())
    } else {
        Err(AppError::forbidden(
            "OWNER_OUT_OF_REACH",
            "accounts can be given only to those whose accounts the caller sees",
        ))
    }
}

/// Somebody as an owner at a time: with the group of that time.
pub(crate) fn owner_at(service: &Service, id: StaffId, at: DateTime<Utc>) -> Owner {
    owner_in(&service.directory.snapshot(), id, at)
}

/// As [`owner_at`], for many with one directory.
pub(crate) fn owner_in(directory: &Snapshot, id: StaffId, at: DateTime<Utc>) -> Owner {
    Owner {
        id,
        group_id: directory.group_of(id, at),
    }
}
