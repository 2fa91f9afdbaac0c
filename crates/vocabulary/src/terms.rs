use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be one of {expected}")]
pub struct UnknownTerm {
    pub expected: String,
}

macro_rules! terms {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// As stored, imported and shown.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = UnknownTerm;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text.trim().to_lowercase().as_str() {
                    $($text => Ok(Self::$variant),)*
                    _ => Err(UnknownTerm { expected: [$($text),*].join(", ") }),
                }
            }
        }
    )*};
}

terms! {
    /// What a member of staff is to the office.
    Role {
        Administrator = "administrator",
        Head = "head",
        Manager = "manager",
        Operator = "operator",
        Analyst = "analyst",
    }
    /// How a contact took place.
    InteractionKind {
        Call = "call",
        Meeting = "meeting",
        Email = "email",
        Message = "message",
        Other = "other",
    }
    /// What is to be done.
    TaskKind {
        Call = "call",
        Meeting = "meeting",
        Email = "email",
        Message = "message",
        Other = "other",
    }
    /// Who began a contact.
    Direction {
        Outbound = "outbound",
        Inbound = "inbound",
    }
    /// Why somebody's personal data is to be erased.
    ErasureGround {
        /// The person wants it.
        Demand = "demand",
        ConsentWithdrawn = "consent_withdrawn",
        /// What the data was collected for is done.
        PurposeReached = "purpose_reached",
        /// It should never have been collected.
        Unlawful = "unlawful",
    }
    /// What came of a contact.
    Outcome {
        NoAnswer = "no_answer",
        Busy = "busy",
        WrongNumber = "wrong_number",
        Connected = "connected",
        CallBack = "call_back",
        MeetingBooked = "meeting_booked",
        ProposalRequested = "proposal_requested",
        AgreedNextStep = "agreed_next_step",
        Order = "order",
        Refused = "refused",
        Held = "held",
        NotHeld = "not_held",
        Sent = "sent",
        Received = "received",
        Voicemail = "voicemail",
    }
}
