//! What belongs to the companies that somebody sees, in lists of other things than companies.

use chrono::{DateTime, Utc};

/// `seen (account_id)` of a `with recursive`: the companies that one of `$1` owns, and the records
/// that were merged into them, for what belongs to those is the company's. Those that one of `$1` has
/// claimed beyond `$2` are among them; where `$2` is [`NO_CLAIMS`], none is.
pub(crate) const SEEN: &str = "seen (account_id) as (
    select account_id from directory.accounts
    where merged_into is null
      and (owner_id = any($1) or claim_holder_id = any($1) and claimed_until > $2)
    union all
    select merged.account_id from seen
    join directory.accounts merged on merged.merged_into = seen.account_id
)";

/// What is only claimed is in the list of claims, and in few others.
pub(crate) const NO_CLAIMS: Option<DateTime<Utc>> = None;
