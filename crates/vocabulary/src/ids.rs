use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $category:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id of the thing that the outside world calls `external_id`: the same everywhere
            /// and for ever, so a reference needs no look-up and a second import makes no second thing.
            pub fn of_external(external_id: &str) -> Self {
                Self(derived_id($category, external_id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )*};
}

ids! {
    /// A time somebody is away.
    AbsenceId = "absence";
    /// A company.
    AccountId = "account";
    /// A deal.
    DealId = "deal";
    /// A document, whatever its version.
    DocumentId = "document";
    /// A group of staff.
    GroupId = "group";
    /// A file that was imported, by the digest of its bytes.
    ImportId = "import";
    /// A contact that took place.
    InteractionId = "interaction";
    /// An order.
    OrderId = "order";
    /// Money that came in for an order.
    PaymentId = "payment";
    /// A contact person.
    PersonId = "person";
    /// A pipeline of deals.
    PipelineId = "pipeline";
    /// A list of prospects.
    ProspectListId = "prospect_list";
    /// A reminder of one task for one person.
    ReminderId = "reminder";
    /// A list that somebody keeps with its filters.
    SavedViewId = "saved_view";
    /// Goods of an order that left.
    ShipmentId = "shipment";
    /// A member of staff.
    StaffId = "staff";
    /// A task.
    TaskId = "task";
    /// A hand-over of many accounts.
    TransferId = "transfer";
    /// An address of an integrator that is told of events.
    WebhookId = "webhook";
}

impl TaskId {
    /// The task that the next step of a contact becomes. Contacts answers with this id before
    /// planning has made the task, and a redelivered event makes no second one.
    pub fn of_next_step(interaction_id: InteractionId) -> Self {
        Self(derived_id("task", &format!("next-step/{interaction_id}")))
    }
}

/// An id that follows from a name: same name, same id, in every process and for ever.
pub fn derived_id(kind: &str, name: &str) -> Uuid {
    // Namespace of this product; changing it would orphan every derived id.
    const NAMESPACE: Uuid = Uuid::from_u128(0x6b6f_6e74_616b_5479_8000_0000_0000_0001);
    Uuid::new_v5(&NAMESPACE, format!("{kind}/{name}").as_bytes())
}
