//! What can have happened to an account.

use chrono::{DateTime, Utc};
use es::{Personal, Subject};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{GroupId, Money, OrderId, StaffId, TransferId};

use super::{
    ClaimExpired, ClaimGranted, ClaimNumbersChanged, ClaimReleased, ClaimRenewed, Merged, Unmerged,
};
use crate::{card::Details, import_batch::Origin};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// A company came into the base.
    #[serde(rename = "account.prospect_registered")]
    ProspectRegistered(ProspectRegistered),
    /// What is known of a company changed.
    #[serde(rename = "account.details_changed")]
    DetailsChanged(Details),
    /// What was known of a company before can be read no more; this is what is known from here on.
    #[serde(rename = "account.card_sealed_anew")]
    CardSealedAnew(CardSealedAnew),
    /// The personal data of a company that is a person was erased.
    #[serde(rename = "account.erased")]
    Erased(Erased),
    /// The work with a company came further, or went back.
    #[serde(rename = "account.status_changed")]
    StatusChanged(StatusChanged),
    /// A company came out of the pool.
    #[serde(rename = "account.owner_assigned")]
    OwnerAssigned(OwnerAssigned),
    /// A company went from one owner to another.
    #[serde(rename = "account.ownership_transferred")]
    OwnershipTransferred(OwnershipTransferred),
    /// A company lost its owner.
    #[serde(rename = "account.returned_to_pool")]
    ReturnedToPool(ReturnedToPool),
    /// A company ordered.
    #[serde(rename = "account.order_registered")]
    OrderRegistered(OrderRegistered),
    /// The first order made a prospect a client: once, for ever.
    #[serde(rename = "account.converted_to_client")]
    ConvertedToClient(ConvertedToClient),
    /// An order came to nothing; the company stays a client.
    #[serde(rename = "account.order_cancelled")]
    OrderCancelled(OrderCancelled),
    /// A prospect of the pool is spoken with by one member of staff alone, for a while.
    #[serde(rename = "account.claim_granted")]
    ClaimGranted(ClaimGranted),
    /// The holder of a claim has more time.
    #[serde(rename = "account.claim_renewed")]
    ClaimRenewed(ClaimRenewed),
    /// The card of a claimed prospect has other telephones.
    #[serde(rename = "account.claim_numbers_changed")]
    ClaimNumbersChanged(ClaimNumbersChanged),
    /// A claim was given up before its time.
    #[serde(rename = "account.claim_released")]
    ClaimReleased(ClaimReleased),
    /// The time of a claim is over.
    #[serde(rename = "account.claim_expired")]
    ClaimExpired(ClaimExpired),
    /// An account is another record of a company, whose record answers for both from now on.
    #[serde(rename = "account.merged")]
    Merged(Merged),
    /// Merged records are two companies after all.
    #[serde(rename = "account.unmerged")]
    Unmerged(Unmerged),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProspectRegistered {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(flatten)]
    pub details: Details,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
    pub registered_at: DateTime<Utc>,
    /// The status it begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The row of a file that brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// How far the work with a company has come, in the words of the office.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChanged {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Personal<String>>,
}

/// The whole card, when something in its history is to be forgotten: from here on it is under
/// another key, and nobody can read what was there before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CardSealedAnew {
    #[serde(flatten)]
    pub details: Details,
    /// Whose key is destroyed.
    pub supersedes: Subject,
}

/// The company was a person, who is forgotten.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Erased {
    /// Fingerprints of telephones and addresses, which are not to be entered again.
    pub stop_list: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnerAssigned {
    pub owner_id: StaffId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnershipTransferred {
    pub from_owner_id: StaffId,
    pub to_owner_id: StaffId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_owner_group_id: Option<GroupId>,
    pub reason: Personal<String>,
    /// The hand-over that it is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer_id: Option<TransferId>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReturnedToPool {
    pub from_owner_id: StaffId,
    pub reason: Personal<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRegistered {
    pub order_id: OrderId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub amount: Money,
    pub ordered_at: DateTime<Utc>,
    /// Absent: from before this was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
    /// Whose sale it is, for ever, whoever owns the account later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_id: Option<StaffId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_group_id: Option<GroupId>,
}

/// How an order came to the office.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Taken {
    Phone,
    Import,
    Other,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConvertedToClient {
    pub order_id: OrderId,
    /// When that order was made: an order of the past converts in the past.
    pub converted_at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCancelled {
    pub order_id: OrderId,
    pub reason: Personal<String>,
}

impl Event {
    /// Why it happened, where somebody has said so.
    pub fn reason(&self) -> Option<&Personal<String>> {
        match self {
            Self::StatusChanged(changed) => changed.reason.as_ref(),
            Self::OwnershipTransferred(transferred) => Some(&transferred.reason),
            Self::ReturnedToPool(returned) => Some(&returned.reason),
            Self::OrderCancelled(cancelled) => Some(&cancelled.reason),
            Self::Merged(merged) => Some(&merged.reason),
            Self::Unmerged(unmerged) => Some(&unmerged.reason),
            Self::ProspectRegistered(_)
            | Self::DetailsChanged(_)
            | Self::CardSealedAnew(_)
            | Self::Erased(_)
            | Self::OwnerAssigned(_)
            | Self::OrderRegistered(_)
            | Self::ConvertedToClient(_)
            | Self::ClaimGranted(_)
            | Self::ClaimRenewed(_)
            | Self::ClaimNumbersChanged(_)
            | Self::ClaimReleased(_)
            | Self::ClaimExpired(_) => None,
        }
    }
}
