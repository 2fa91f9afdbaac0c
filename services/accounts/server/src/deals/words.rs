//! Between the messages of the contract and what is known of deals and pipelines.

use std::collections::BTreeMap;

use accounts_domain::deal::{Changes, SUSPENDED_OFTEN};
use api::{accounts as pb, common};
use chrono::{DateTime, NaiveDate, Utc};
use kit::{Ctx, Violations, timestamp};
use vocabulary::{Money, StaffId};

use crate::{
    accounts::MAX_PLACE,
    views::{
        deals::{Column, DealRow, Filter, Now, Span, Standing},
        pipelines::PipelineRow,
    },
    wire::{MAX_ID, MAX_TEXT, id_text},
};

const MAX_FIELDS: usize = 100;
const MAX_OWNERS: usize = 200;

/// What a request sets and clears.
pub(super) fn changes(
    v: &mut Violations,
    fields: Option<pb::DealFields>,
    clear: Vec<String>,
) -> Changes {
    let fields = fields.unwrap_or_default();
    if fields.fields.len() > MAX_FIELDS {
        v.add(
            "fields.fields",
            format!("must have at most {MAX_FIELDS} entries"),
        );
    }
    if clear.len() > MAX_FIELDS {
        v.add("clear", format!("must have at most {MAX_FIELDS} entries"));
    }
    v.within("fields", |v| {
        let amount = fields.amount.and_then(|money| {
            v.parsed("amount", Money::try_new(money.minor_units, &money.currency))
        });
        let product = v.line("product", &fields.product, MAX_PLACE);
        let expected_on = match fields.expected_on.trim() {
            "" => None,
            text => {
                let date = text.parse::<NaiveDate>();
                v.parsed(
                    "expected_on",
                    date.map_err(|_| "must be a date such as 2026-03-02"),
                )
            }
        };
        let mut own = BTreeMap::new();
        for (n, field) in fields.fields.iter().enumerate() {
            let key = v.required_line(&format!("fields[{n}].key"), &field.key, MAX_ID);
            let value = v.required(&format!("fields[{n}].value"), &field.value, MAX_TEXT);
            if own.insert(key, value).is_some() {
                v.add(format!("fields[{n}].key"), "is there twice");
            }
        }
        Changes {
            amount,
            product: Some(product).filter(|text| !text.is_empty()),
            expected_on,
            fields: own,
            clear,
        }
    })
}

/// What a list is to hold, of whichever companies.
pub(super) fn filter(v: &mut Violations, req: &pb::ListDealsRequest, ctx: &Ctx) -> Filter {
    let mut owner_ids: Vec<StaffId> = Vec::new();
    if req.owner_ids.len() > MAX_OWNERS {
        v.add(
            "owner_ids",
            format!("must have at most {MAX_OWNERS} entries"),
        );
    } else {
        for (n, text) in req.owner_ids.iter().enumerate() {
            owner_ids.extend(v.id::<StaffId>(&format!("owner_ids[{n}]"), text));
        }
    }
    let mut standings = Vec::new();
    for (n, standing) in req.standings.iter().enumerate() {
        let standing = match pb::DealStanding::try_from(*standing) {
            Ok(pb::DealStanding::Open) => Some(Now::Open),
            Ok(pb::DealStanding::Suspended) => Some(Now::Suspended),
            Ok(pb::DealStanding::Won) => Some(Now::Won),
            Ok(pb::DealStanding::Lost) => Some(Now::Lost),
            Ok(pb::DealStanding::Unspecified) | Err(_) => None,
        };
        if standing.is_none() {
            let fault = "must be open, suspended, won or lost";
            v.add(format!("standings[{n}]"), fault);
        }
        standings.extend(standing.filter(|standing| !standings.contains(standing)));
    }
    let stage = v.line("stage", &req.stage, MAX_ID);
    Filter {
        account_ids: None,
        seen_owners: None,
        owner_ids: Some(owner_ids).filter(|ids| !ids.is_empty()),
        pipeline_id: v.optional_id("pipeline_id", &req.pipeline_id),
        stage: Some(stage).filter(|stage| !stage.is_empty()),
        standings: Some(standings).filter(|all| !all.is_empty()),
        suspended_often: req.suspended_often,
        woken: req.woken,
        without_next_step: req.without_next_step,
        closed: v.period_in("closed", &req.closed, &ctx.zone()),
        now: ctx.now,
    }
}

/// Without the pipeline's own fields, which may be long: they are for who opens the deal.
pub(super) fn in_a_list(mut row: DealRow, now: DateTime<Utc>) -> pb::Deal {
    row.fields.clear();
    deal(row, now)
}

pub(crate) fn deal(row: DealRow, now: DateTime<Utc>) -> pb::Deal {
    let suspended_until = row.suspended_until.filter(|until| *until > now);
    let standing = match row.standing {
        Standing::Open if suspended_until.is_some() => pb::DealStanding::Suspended,
        Standing::Open => pb::DealStanding::Open,
        Standing::Won => pb::DealStanding::Won,
        Standing::Lost => pb::DealStanding::Lost,
    };
    let amount = row.minor_units.zip(row.currency);
    let at_stage = row.closed_at.unwrap_or(now) - row.stage_since;
    pb::Deal {
        id: row.deal_id.to_string(),
        external_id: row.external_id.unwrap_or_default(),
        account_id: row.account_id.to_string(),
        pipeline_id: row.pipeline_id.to_string(),
        stage: row.stage,
        standing: standing.into(),
        owner_id: id_text(row.owner_id),
        fields: Some(pb::DealFields {
            amount: amount.map(|(minor_units, currency)| common::Money {
                minor_units,
                currency,
            }),
            product: row.product.unwrap_or_default(),
            expected_on: row
                .expected_on
                .map_or_else(String::new, |on| on.to_string()),
            fields: row
                .fields
                .into_iter()
                .map(|(key, value)| pb::FieldValue { key, value })
                .collect(),
        }),
        opened_at: Some(timestamp(row.opened_at)),
        stage_since: Some(timestamp(row.stage_since)),
        seconds_in_stage: at_stage.num_seconds(),
        suspended_until: suspended_until.map(timestamp),
        suspensions: row.suspensions,
        suspended_often: row.suspensions.cast_unsigned() >= SUSPENDED_OFTEN,
        closed_at: row.closed_at.map(timestamp),
        lost_reason: row.lost_reason.unwrap_or_default(),
        version: row.version,
    }
}

/// One stay at a stage, the last one until then.
pub(super) fn stay(stay: Span, until: DateTime<Utc>) -> pb::StageSpan {
    let seconds = (stay.to_at.unwrap_or(until) - stay.from_at).num_seconds();
    pb::StageSpan {
        stage: stay.stage,
        pipeline_version: stay.pipeline_version,
        from: Some(timestamp(stay.from_at)),
        to: stay.to_at.map(timestamp),
        seconds,
        moved_by: id_text(stay.moved_by),
    }
}

pub(super) fn column(stage: String, column: Column, now: DateTime<Utc>) -> pb::BoardStage {
    let amounts = column.amounts.into_iter().map(|money| common::Money {
        minor_units: money.minor_units,
        currency: money.currency,
    });
    pb::BoardStage {
        stage,
        count: column.count,
        suspended: column.suspended,
        amounts: amounts.collect(),
        deals: column
            .deals
            .into_iter()
            .map(|row| in_a_list(row, now))
            .collect(),
    }
}

pub(super) fn pipeline(row: PipelineRow) -> pb::Pipeline {
    let published = row.published.0;
    let stages = published.stages.into_iter().map(|stage| pb::PipelineStage {
        name: stage.name,
        required: stage.required,
        required_documents: stage.documents,
    });
    let fields = published.fields.into_iter().map(|field| pb::PipelineField {
        key: field.key,
        name: field.name,
    });
    pb::Pipeline {
        id: row.pipeline_id.to_string(),
        name: published.name,
        version: published.version.cast_signed(),
        stages: stages.collect(),
        fields: fields.collect(),
        override_reason: published.override_reason.unwrap_or_default(),
        published_at: Some(timestamp(row.published_at)),
    }
}
