//! The one place where a fault becomes a gRPC status.
//!
//! | fault | code |
//! |---|---|
//! | wrong input | INVALID_ARGUMENT with every violation |
//! | absent, or hidden from this caller | NOT_FOUND, the same for both |
//! | there already | ALREADY_EXISTS |
//! | against a rule or the present state | FAILED_PRECONDITION |
//! | visible but not allowed | PERMISSION_DENIED |
//! | changed by somebody else meanwhile | ABORTED |
//! | no token, or one that does not count | UNAUTHENTICATED, one text for all causes |
//! | too much at once, too large | RESOURCE_EXHAUSTED |
//! | took too long | DEADLINE_EXCEEDED |
//! | database or bus down | UNAVAILABLE with a delay |
//! | anything else | INTERNAL with a number to look for in the log, and nothing more |

use std::{borrow::Cow, collections::HashMap, time::Duration};

use es::{Kind, Rejection, Violation};
use es_postgres::{ExecuteError, LogError};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, LocalizedMessage, StatusExt};
use uuid::Uuid;

use crate::{
    ctx,
    messages::{self, Language},
};

const DOMAIN: &str = "kontakty";
const RETRY_DELAY: Duration = Duration::from_millis(500);
/// Details travel in a trailer, in base64, and trailers are limited to some 8 KiB.
const MAX_VIOLATIONS_BYTES: usize = 5 << 10;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("the request is invalid")]
    Invalid(Vec<Violation>),
    /// `what` stays inside, where a reaction or a task of ours says why it failed: a caller must
    /// not learn more than that it is not there.
    #[error("{what} not found")]
    NotFound { what: &'static str },
    #[error("{message}")]
    AlreadyExists {
        reason: Cow<'static, str>,
        message: String,
    },
    #[error("{message}")]
    FailedPrecondition {
        reason: Cow<'static, str>,
        message: String,
        facts: Vec<(&'static str, u64)>,
        /// Fields that would have to be otherwise.
        violations: Vec<Violation>,
    },
    #[error("{message}")]
    Forbidden {
        reason: Cow<'static, str>,
        message: String,
    },
    #[error("changed meanwhile, now at version {current}")]
    Stale { current: i64 },
    #[error("this request_id was used for another request")]
    RequestIdReused,
    #[error("no valid token")]
    Unauthenticated,
    #[error("{message}")]
    Exhausted {
        reason: &'static str,
        message: &'static str,
    },
    #[error("the deadline has passed")]
    DeadlineExceeded,
    #[error("there is no such method here")]
    Unimplemented,
    /// The text is for the log.
    #[error("{0}")]
    Unavailable(String),
    /// A read model has not got to what the caller has seen, and waiting for it took too long.
    #[error("not up to date yet")]
    ViewBehind,
    /// The text is for the log.
    #[error("{0}")]
    Internal(String),
}

/// What the layer knows of a call while its handler runs, for whoever has to word a fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording {
    pub(crate) correlation_id: Uuid,
    /// In which people are to read it; `None`: only developers will.
    pub(crate) language: Option<Language>,
}

tokio::task_local! {
    pub(crate) static WORDING: Wording;
}

impl AppError {
    pub fn forbidden(reason: &'static str, message: impl Into<String>) -> Self {
        Self::Forbidden {
            reason: reason.into(),
            message: message.into(),
        }
    }

    pub fn precondition(reason: &'static str, message: impl Into<String>) -> Self {
        Self::FailedPrecondition {
            reason: reason.into(),
            message: message.into(),
            facts: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// One field at fault.
    pub fn violation(field: &str, description: impl Into<String>) -> Self {
        Self::Invalid(vec![Violation::new(field, description)])
    }

    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) | Self::RequestIdReused => Code::InvalidArgument,
            Self::NotFound { .. } => Code::NotFound,
            Self::AlreadyExists { .. } => Code::AlreadyExists,
            Self::FailedPrecondition { .. } => Code::FailedPrecondition,
            Self::Forbidden { .. } => Code::PermissionDenied,
            Self::Stale { .. } => Code::Aborted,
            Self::Unauthenticated => Code::Unauthenticated,
            Self::Exhausted { .. } => Code::ResourceExhausted,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::Unimplemented => Code::Unimplemented,
            Self::Unavailable(_) | Self::ViewBehind => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// Stable tag in SCREAMING_SNAKE_CASE.
    pub fn reason(&self) -> &str {
        match self {
            Self::Invalid(violations) => common_reason(violations).unwrap_or("INVALID_REQUEST"),
            Self::NotFound { .. } => "NOT_FOUND",
            Self::AlreadyExists { reason, .. }
            | Self::FailedPrecondition { reason, .. }
            | Self::Forbidden { reason, .. } => reason,
            Self::Stale { .. } => "STALE_VERSION",
            Self::RequestIdReused => "REQUEST_ID_REUSED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Exhausted { reason, .. } => reason,
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::ViewBehind => "VIEW_BEHIND",
            Self::Internal(_) => "INTERNAL",
        }
    }

    /// What the caller reads: never SQL, a path, or anything about what is hidden.
    fn outward(&self) -> String {
        match self {
            Self::NotFound { .. } => "not found".to_owned(),
            // All of them say the same, and it is no fault of form.
            Self::Invalid(violations) if common_reason(violations).is_some() => {
                violations[0].description.clone()
            }
            Self::Unavailable(_) => "temporarily unavailable".to_owned(),
            Self::Internal(_) => "internal error".to_owned(),
            told => told.to_string(),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    fn worded(self, wording: Wording) -> Status {
        let code = self.code();
        let mut metadata = HashMap::new();
        let mut details = ErrorDetails::new();
        match &self {
            Self::Invalid(violations) => {
                details.set_bad_request(field_violations(violations, wording.language));
            }
            Self::RequestIdReused => {
                details.add_bad_request_violation("request_id", self.outward());
            }
            Self::FailedPrecondition {
                facts, violations, ..
            } => {
                if !violations.is_empty() {
                    details.set_bad_request(field_violations(violations, wording.language));
                }
                let facts = facts
                    .iter()
                    .map(|(name, count)| ((*name).to_owned(), count));
                metadata.extend(facts.map(|(name, count)| (name, count.to_string())));
            }
            Self::Stale { current } => {
                metadata.insert("current_version".to_owned(), current.to_string());
            }
            Self::Unavailable(cause) => {
                tracing::warn!(correlation_id = %wording.correlation_id, cause, "unavailable");
                details.set_retry_info(Some(RETRY_DELAY));
            }
            Self::Exhausted { .. } | Self::ViewBehind => {
                details.set_retry_info(Some(RETRY_DELAY));
            }
            Self::Internal(cause) => {
                let id = wording.correlation_id;
                tracing::error!(correlation_id = %id, cause, "internal error");
                metadata.insert("correlation_id".to_owned(), id.to_string());
            }
            _ => {}
        }
        details.set_error_info(self.reason(), DOMAIN, metadata);
        if let Some(language) = wording.language {
            let message = messages::refusal(self.reason(), code, language);
            details.set_localized_message(language.locale(), message);
        }
        Status::with_error_details(code, self.outward(), details)
    }
}

/// As many as fit.
fn field_violations(violations: &[Violation], language: Option<Language>) -> Vec<FieldViolation> {
    let mut left = MAX_VIOLATIONS_BYTES;
    violations
        .iter()
        .map(|violation| field_violation(violation, language))
        .take_while(|field| {
            let localized = field.localized_message.as_ref();
            let bytes = field.field.len()
                + field.description.len()
                + field.reason.len()
                + localized.map_or(0, |text| text.locale.len() + text.message.len());
            // The tags and lengths of the message itself take some, too.
            let fits = bytes + 16 <= left;
            left = left.saturating_sub(bytes + 16);
            fits
        })
        .collect()
}

/// The description stays what tests and developers know; what people read stands beside it.
fn field_violation(violation: &Violation, language: Option<Language>) -> FieldViolation {
    FieldViolation {
        localized_message: language.map(|language| LocalizedMessage {
            locale: language.locale().to_owned(),
            message: messages::worded(&violation.description, violation.reason, language)
                .into_owned(),
        }),
        reason: violation.reason.to_owned(),
        ..FieldViolation::new(violation.field.as_str(), violation.description.as_str())
    }
}

impl From<AppError> for Status {
    fn from(error: AppError) -> Self {
        let wording = WORDING.try_with(|wording| *wording);
        error.worded(wording.unwrap_or_else(|_| Wording {
            correlation_id: ctx::fresh_id(),
            language: None,
        }))
    }
}

impl<R: Rejection> From<ExecuteError<R>> for AppError {
    fn from(error: ExecuteError<R>) -> Self {
        match error {
            ExecuteError::Rejected(rejection) => {
                let reason = rejection.reason().into();
                let message = rejection.to_string();
                match rejection.kind() {
                    Kind::Invalid => Self::Invalid(match rejection.violations() {
                        none if none.is_empty() => vec![Violation::new("", message)],
                        violations => violations,
                    }),
                    Kind::NotFound => Self::NotFound { what: "stream" },
                    Kind::AlreadyExists => Self::AlreadyExists { reason, message },
                    Kind::FailedPrecondition => Self::FailedPrecondition {
                        reason,
                        message,
                        facts: rejection.facts(),
                        violations: rejection.violations(),
                    },
                    Kind::Forbidden => Self::Forbidden { reason, message },
                }
            }
            ExecuteError::Stale { current } => Self::Stale { current },
            ExecuteError::RequestIdReused => Self::RequestIdReused,
            ExecuteError::Taken { kind, .. } => Self::AlreadyExists {
                reason: format!("{}_TAKEN", kind.to_uppercase()).into(),
                message: format!("this {kind} is taken"),
            },
            ExecuteError::Log(error) => error.into(),
        }
    }
}

impl From<LogError> for AppError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Erased { .. } => Self::precondition(
                "SUBJECT_ERASED",
                "the personal data of this subject was erased",
            ),
            error if error.is_transient() => Self::Unavailable(chain(&error)),
            error => Self::Internal(chain(&error)),
        }
    }
}

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        // cancelled by statement_timeout
        if code.as_deref() == Some("57014") {
            return Self::DeadlineExceeded;
        }
        LogError::from(error).into()
    }
}

/// The tag that all of them have, where it is one of its own.
fn common_reason(violations: &[Violation]) -> Option<&'static str> {
    let reason = violations.first()?.reason;
    let common = violations
        .iter()
        .all(|violation| violation.reason == reason);
    (common && reason != Violation::INVALID).then_some(reason)
}

/// An error with all its causes, for the log.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worded(error: AppError, language: Option<Language>) -> (Status, ErrorDetails) {
        let correlation_id = Uuid::from_u128(7);
        let status = error.worded(Wording {
            correlation_id,
            language,
        });
        let details = status.get_error_details();
        (status, details)
    }

    #[test]
    fn every_status_has_a_reason_and_our_domain() {
        let text = || "SELECT secret".to_owned();
        for error in [
            AppError::violation("a", "b"),
            AppError::NotFound { what: "account" },
            AppError::precondition("STILL_OPEN", "still open"),
            AppError::forbidden("FORBIDDEN", "not yours"),
            AppError::Stale { current: 3 },
            AppError::RequestIdReused,
            AppError::Unauthenticated,
            AppError::DeadlineExceeded,
            AppError::Unimplemented,
            AppError::Unavailable(text()),
            AppError::Internal(text()),
        ] {
            let reason = error.reason().to_owned();
            let (status, details) = worded(error, Some(Language::Russian));
            let info = details.error_info().unwrap();
            assert_eq!(
                (info.reason.as_str(), info.domain.as_str()),
                (reason.as_str(), DOMAIN)
            );
            assert!(!status.message().is_empty());
            assert!(!format!("{status:?}").contains("SELECT"));
            assert_eq!(details.localized_message().unwrap().locale, "ru-RU");
        }
    }

    #[test]
    fn all_violations_travel() {
        let violations = vec![Violation::new("a", "x"), Violation::new("b", "y")];
        let (status, details) = worded(AppError::Invalid(violations), None);
        assert_eq!(status.code(), Code::InvalidArgument);
        let fields = &details.bad_request().unwrap().field_violations;
        assert_eq!(fields.len(), 2);
        assert!(details.localized_message().is_none());
        assert!(fields[0].localized_message.is_none());
    }

    #[test]
    fn details_fit_into_a_trailer() {
        let violation = |n| Violation::new(format!("rows[{n}].comment"), "must not be empty");
        let (status, details) = worded(
            AppError::Invalid((0..1_000).map(violation).collect()),
            Some(Language::Russian),
        );
        assert!(details.bad_request().unwrap().field_violations.len() > 30);
        assert!(status.details().len() * 4 / 3 < 8 << 10);
    }

    #[test]
    fn people_read_it_in_their_language() {
        let told = |language| {
            let violation = Violation::new("name", "must have at most 300 characters");
            let (_, details) = worded(AppError::Invalid(vec![violation]), Some(language));
            let field = details.bad_request().unwrap().field_violations[0].clone();
            assert_eq!(field.description, "must have at most 300 characters");
            let whole = details.localized_message().unwrap().message.clone();
            (whole, field.localized_message.unwrap().message)
        };
        let (whole, field) = told(Language::Russian);
        assert_eq!(whole, "Проверьте поля: некоторые заполнены неверно.");
        assert_eq!(field, "не больше 300 знаков");
        let (whole, field) = told(Language::English);
        assert_eq!(whole, "Check the fields: some are not filled in properly.");
        assert_eq!(field, "must have at most 300 characters");
    }

    #[test]
    fn a_reason_that_all_fields_share_is_the_answers() {
        let stopped = |field| Violation::because("STOP_LIST", field, "stop list");
        let both = vec![stopped("phones"), stopped("emails")];
        let (status, details) = worded(AppError::Invalid(both), Some(Language::Russian));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(status.message(), "stop list");
        assert_eq!(details.error_info().unwrap().reason, "STOP_LIST");
        let russian = details.localized_message().unwrap();
        assert!(russian.message.contains("стоп-лист"), "{russian:?}");

        let mixed = vec![
            stopped("phones"),
            Violation::new("name", "must not be empty"),
        ];
        let (_, details) = worded(AppError::Invalid(mixed), None);
        assert_eq!(details.error_info().unwrap().reason, "INVALID_REQUEST");
        let fields = &details.bad_request().unwrap().field_violations;
        assert_eq!(
            [&fields[0].reason, &fields[1].reason],
            ["STOP_LIST", "INVALID"]
        );
    }

    #[test]
    fn absent_and_hidden_are_one() {
        let answer = |what| {
            let (status, _) = worded(AppError::NotFound { what }, None);
            (
                status.code(),
                status.message().to_owned(),
                status.details().to_vec(),
            )
        };
        assert_eq!(answer("account"), answer("stream"));
    }

    #[test]
    fn a_bug_tells_its_number_only() {
        let (status, details) = worded(AppError::Internal("at /src/x.rs".to_owned()), None);
        assert_eq!(status.message(), "internal error");
        let metadata = &details.error_info().unwrap().metadata;
        assert_eq!(metadata["correlation_id"], Uuid::from_u128(7).to_string());
    }

    #[test]
    fn the_database_being_away_is_unavailable() {
        let (status, details) = worded(sqlx::Error::PoolTimedOut.into(), None);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_DELAY));
        assert_eq!(
            AppError::from(sqlx::Error::RowNotFound).code(),
            Code::Internal
        );
    }
}
