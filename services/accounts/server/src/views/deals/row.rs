//! One deal as its table holds it.

use std::collections::BTreeMap;

use accounts_domain::deal::{Details, Event, Opened};
use chrono::{DateTime, NaiveDate, Utc};
use es::Recorded;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vocabulary::Money;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct DealRow {
    pub(crate) deal_id: Uuid,
    pub(crate) account_id: Uuid,
    pub(crate) external_id: Option<String>,
    pub(crate) pipeline_id: Uuid,
    pub(crate) stage: String,
    pub(crate) standing: Standing,
    pub(crate) owner_id: Option<Uuid>,
    pub(crate) minor_units: Option<i64>,
    pub(crate) currency: Option<String>,
    pub(crate) product: Option<String>,
    pub(crate) expected_on: Option<NaiveDate>,
    pub(crate) opened_at: DateTime<Utc>,
    pub(crate) stage_since: DateTime<Utc>,
    pub(crate) suspended_until: Option<DateTime<Utc>>,
    pub(crate) suspensions: i32,
    pub(crate) closed_at: Option<DateTime<Utc>>,
    pub(crate) lost_reason: Option<String>,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) version: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    Open,
    Won,
    Lost,
}

impl DealRow {
    /// A deal as it is after one more event; a deal begins with its opening.
    pub(crate) fn after(row: Option<Self>, event: &Event, recorded: &Recorded) -> Option<Self> {
        match (row, event) {
            (_, Event::Opened(opened)) => {
                Some(Self::opened(recorded.stream.id, opened, recorded.version))
            }
            (Some(row), event) => Some(row.changed(event, recorded)),
            (None, _) => None,
        }
    }

    fn opened(id: Uuid, opened: &Opened, version: i64) -> Self {
        let new = Self {
            deal_id: id,
            account_id: opened.account_id.0,
            external_id: opened.external_id.clone(),
            pipeline_id: opened.pipeline_id.0,
            stage: opened.stage.clone(),
            standing: Standing::Open,
            owner_id: opened.owner_id.map(|id| id.0),
            minor_units: None,
            currency: None,
            product: None,
            expected_on: None,
            opened_at: opened.opened_at,
            stage_since: opened.opened_at,
            suspended_until: None,
            suspensions: 0,
            closed_at: None,
            lost_reason: None,
            fields: BTreeMap::new(),
            version,
        };
        new.with(&opened.details)
    }

    fn changed(self, event: &Event, recorded: &Recorded) -> Self {
        let row = Self {
            version: recorded.version,
            ..self
        };
        match event {
            Event::Opened(opened) => Self::opened(row.deal_id, opened, recorded.version),
            Event::FieldsChanged(changed) => row.without(&changed.cleared).with(&changed.set),
            Event::StageChanged(changed) => Self {
                stage: changed.to_stage.clone(),
                stage_since: recorded.occurred_at,
                suspended_until: None,
                ..row
            },
            Event::Suspended(suspended) => Self {
                suspended_until: Some(suspended.until),
                suspensions: row.suspensions.saturating_add(1),
                ..row
            },
            Event::Won(won) => row.closed(Standing::Won, won.closed_at, None),
            Event::Lost(lost) => row.closed(Standing::Lost, lost.closed_at, lost.reason.get()),
            Event::OwnershipTransferred(transferred) => Self {
                owner_id: transferred.to_owner_id.map(|id| id.0),
                ..row
            },
            Event::DocumentAttached(_) => row,
        }
    }

    fn closed(self, standing: Standing, at: DateTime<Utc>, lost_reason: Option<&String>) -> Self {
        Self {
            standing,
            suspended_until: None,
            closed_at: Some(at),
            lost_reason: lost_reason.cloned(),
            ..self
        }
    }

    fn with(mut self, set: &Details) -> Self {
        if let Some(Money {
            minor_units,
            currency,
        }) = &set.amount
        {
            self.minor_units = Some(*minor_units);
            self.currency = Some(currency.clone());
        }
        for (key, value) in &set.fields {
            match value.get() {
                Some(value) => self.fields.insert(key.clone(), value.clone()),
                None => self.fields.remove(key),
            };
        }
        Self {
            product: set.product.clone().or(self.product),
            expected_on: set.expected_on.or(self.expected_on),
            ..self
        }
    }

    fn without(mut self, cleared: &[String]) -> Self {
        use accounts_domain::pipeline::{AMOUNT, EXPECTED_ON, PRODUCT};
        for key in cleared {
            match key.as_str() {
                AMOUNT => (self.minor_units, self.currency) = (None, None),
                PRODUCT => self.product = None,
                EXPECTED_ON => self.expected_on = None,
                key => drop(self.fields.remove(key)),
            }
        }
        self
    }
}
