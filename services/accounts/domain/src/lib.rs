//! What the accounts service decides: who works here and in which group, which companies there
//! are, who owns them, what they ordered, and which deals are under way with them.
//!
//! Knows nothing of storage, transport, time or the other services.

#![deny(
    clippy::wildcard_enum_match_arm,
    clippy::match_wildcard_for_single_variants
)]

pub mod account;
pub mod card;
pub mod catalogue;
pub mod deal;
pub mod distribution;
pub mod field;
pub mod group;
pub mod pipeline;
pub mod prospect_list;
pub mod staff;
