//! Why a command about an account is refused.

use chrono::{DateTime, Utc};
use es::{Kind, Violation};
use vocabulary::AccountId;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such account")]
    Unknown,
    #[error("an account with this external id is there already")]
    Exists,
    #[error("the card lacks what every card has")]
    Incomplete(Vec<Violation>),
    #[error("the account is in the pool and has no owner")]
    InPool,
    #[error("the account has an owner already")]
    AlreadyOwned,
    #[error("the account belongs to somebody else by now")]
    OwnerChanged,
    #[error("there is no such order")]
    OrderUnknown,
    #[error("an order with this external id is recorded otherwise, or cancelled")]
    OrderExists,
    #[error("the personal data of this account was erased")]
    Erased,
    #[error("claimed until {}", until.format("%FT%TZ"))]
    Claimed { until: DateTime<Utc> },
    #[error("the claim is over")]
    ClaimOver,
    #[error("the account is merged into another one")]
    Merged { into: AccountId },
    #[error("the account is merged into none")]
    NotMerged,
    #[error("an account cannot be merged with itself")]
    MergedWithItself,
    #[error("a client cannot be merged into a prospect, but the prospect into the client")]
    ClientIntoProspect,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::OrderUnknown => Kind::NotFound,
            Self::Exists | Self::OrderExists => Kind::AlreadyExists,
            Self::Incomplete(_) => Kind::Invalid,
            Self::InPool
            | Self::AlreadyOwned
            | Self::OwnerChanged
            | Self::Erased
            | Self::Claimed { .. }
            | Self::ClaimOver
            | Self::Merged { .. }
            | Self::NotMerged
            | Self::MergedWithItself
            | Self::ClientIntoProspect => Kind::FailedPrecondition,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "ACCOUNT_UNKNOWN",
            Self::Exists => "ACCOUNT_EXISTS",
            Self::Incomplete(_) => "ACCOUNT_INCOMPLETE",
            Self::InPool => "ACCOUNT_IN_POOL",
            Self::AlreadyOwned => "ALREADY_OWNED",
            Self::OwnerChanged => "OWNER_CHANGED",
            Self::OrderUnknown => "ORDER_UNKNOWN",
            Self::OrderExists => "ORDER_EXISTS",
            Self::Erased => "ACCOUNT_ERASED",
            Self::Claimed { .. } => "CLAIMED",
            Self::ClaimOver => "CLAIM_OVER",
            Self::Merged { .. } => "ACCOUNT_MERGED",
            Self::NotMerged => "ACCOUNT_NOT_MERGED",
            Self::MergedWithItself => "MERGED_WITH_ITSELF",
            Self::ClientIntoProspect => "CLIENT_INTO_PROSPECT",
        }
    }

    fn violations(&self) -> Vec<Violation> {
        match self {
            Self::Incomplete(violations) => violations.clone(),
            Self::OrderExists => {
                let text = "is recorded otherwise, or cancelled";
                vec![Violation::because(self.reason(), "external_id", text)]
            }
            Self::Unknown
            | Self::Exists
            | Self::InPool
            | Self::AlreadyOwned
            | Self::OwnerChanged
            | Self::OrderUnknown
            | Self::Erased
            | Self::Claimed { .. }
            | Self::ClaimOver
            | Self::Merged { .. }
            | Self::NotMerged
            | Self::MergedWithItself
            | Self::ClientIntoProspect => Vec::new(),
        }
    }
}
