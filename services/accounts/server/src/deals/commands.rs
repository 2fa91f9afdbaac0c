//! One deal at a time, and the pipelines.

use accounts_domain::{
    account::Account,
    catalogue::List,
    deal::{Changes, Command, Deal, Opening, Standing},
    pipeline::{self, Draft, Field, Pipeline, Published, Stage},
};
use api::{accounts as pb, common::Recorded};
use es_postgres::Outcome;
use kit::{AppError, Ctx, Service, Violations};
use vocabulary::{AccountId, DealId, PipelineId};

use super::words;
use crate::{
    accounts::extras,
    catalogue::Known,
    owners,
    wire::{MAX_ID, MAX_NAME, MAX_TEXT, caught_up},
};

const MAX_STAGES: usize = 50;
const MAX_FIELDS: usize = 100;

/// The rules in force.
pub(super) async fn rules(service: &Service, id: PipelineId) -> Result<Published, AppError> {
    let pipeline::State(published) = service.log.load::<Pipeline>(id.0).await?.state;
    published.ok_or(AppError::NotFound { what: "pipeline" })
}

/// The deal, if the caller sees its company. What is hidden is answered as what is not there.
pub(crate) async fn visible(
    service: &Service,
    ctx: &Ctx,
    id: DealId,
) -> Result<Standing, AppError> {
    let deal = service.log.load::<Deal>(id.0).await?.state;
    let deal = deal.ok_or(AppError::NotFound { what: "deal" })?;
    service.visible_account(ctx, deal.account_id).await?;
    Ok(deal)
}

/// As [`visible`], as of now, whatever the views have missed so far.
async fn visible_now(service: &Service, ctx: &Ctx, id: DealId) -> Result<Standing, AppError> {
    caught_up(service).await?;
    visible(service, ctx, id).await
}

async fn execute(
    service: &Service,
    ctx: &Ctx,
    id: DealId,
    command: Command,
) -> Result<Recorded, AppError> {
    let context = ctx.command();
    let outcome = service.log.execute::<Deal>(&context, id.0, command).await?;
    Ok(service.recorded(&outcome))
}

/// What is done is done; of a company that is forgotten nothing more is said about it.
async fn explain(
    service: &Service,
    ctx: &Ctx,
    id: DealId,
    reason: String,
    command: impl Fn(String) -> Command,
) -> Result<Recorded, AppError> {
    match execute(service, ctx, id, command(reason)).await {
        Err(error) if error.reason() == "SUBJECT_ERASED" => {
            execute(service, ctx, id, command(String::new())).await
        }
        outcome => outcome,
    }
}

pub(super) async fn publish_pipeline(
    service: &Service,
    known: &Known,
    ctx: &Ctx,
    req: pb::PublishPipelineRequest,
) -> Result<pb::PublishPipelineResponse, AppError> {
    let mut v = Violations::new();
    let draft = draft(&mut v, known, req);
    v.finish()?;
    let id = pipeline::id_of(&draft.name);
    let context = ctx.command();
    let command = pipeline::Command::Publish(draft);
    let outcome: Outcome<Pipeline> = service.log.execute(&context, id.0, command).await?;
    let mut told = outcome
        .events
        .iter()
        .map(|pipeline::Event::Published(told)| told);
    // The same again is no new version; a repeated request hears what it made the first time.
    let version = told
        .next_back()
        .or(outcome.state.0.as_ref())
        .map_or(0, |told| told.version);
    Ok(pb::PublishPipelineResponse {
        pipeline_id: id.to_string(),
        version: version.cast_signed(),
        recorded: Some(service.recorded(&outcome)),
    })
}

fn draft(v: &mut Violations, known: &Known, req: pb::PublishPipelineRequest) -> Draft {
    let name = v.required_line("name", &req.name, MAX_NAME);
    let override_reason = v.optional("override_reason", &req.override_reason, MAX_TEXT);
    for (field, entries, most) in [
        ("stages", req.stages.len(), MAX_STAGES),
        ("fields", req.fields.len(), MAX_FIELDS),
    ] {
        if entries > most {
            v.add(field, format!("must have at most {most} entries"));
        }
    }
    let stages = req.stages.into_iter().enumerate().map(|(n, stage)| {
        if stage.required.len() > MAX_FIELDS {
            let text = format!("must have at most {MAX_FIELDS} entries");
            v.add(format!("stages[{n}].required"), text);
        }
        let kinds = stage.required_documents.iter().enumerate();
        let documents = kinds.filter_map(|(m, kind)| {
            let field = format!("stages[{n}].required_documents[{m}]");
            if kind.trim().is_empty() {
                v.add(&field, "must not be empty");
            }
            extras::chosen(v, known, List::DocumentKind, &field, kind)
        });
        let documents = documents.collect();
        Stage {
            name: v.required_line(&format!("stages[{n}].name"), &stage.name, MAX_ID),
            required: stage.required,
            documents,
        }
    });
    let stages = stages.collect();
    let fields = req.fields.into_iter().enumerate().map(|(n, field)| Field {
        key: v.required_line(&format!("fields[{n}].key"), &field.key, MAX_ID),
        name: v.required_line(&format!("fields[{n}].name"), &field.name, MAX_NAME),
    });
    Draft {
        fields: fields.collect(),
        name,
        stages,
        override_reason: Some(override_reason).filter(|text| !text.is_empty()),
    }
}

pub(super) async fn open(
    service: &Service,
    ctx: &Ctx,
    req: pb::OpenDealRequest,
) -> Result<pb::OpenDealResponse, AppError> {
    let mut v = Violations::new();
    let account_id: Option<AccountId> = v.id("account_id", &req.account_id);
    let pipeline_id: Option<PipelineId> = v.id("pipeline_id", &req.pipeline_id);
    let external_id = v.line("external_id", &req.external_id, MAX_ID);
    let external_id = Some(external_id).filter(|text| !text.is_empty());
    let stage = v.line("stage", &req.stage, MAX_ID);
    let changes = words::changes(&mut v, req.fields, Vec::new());
    let (account_id, pipeline_id) = v.checked(account_id.zip(pipeline_id))?;
    caught_up(service).await?;
    let account_id = service.visible_account(ctx, account_id).await?.id;
    let rules = rules(service, pipeline_id).await?;

    let id = match &external_id {
        Some(external_id) => DealId::of_external(external_id),
        None => DealId(ctx.new_id()),
    };
    // The log itself says who owns the company. If that changes in this very moment, the deal
    // follows: see `follow_owner`.
    let owner = service
        .log
        .load::<Account>(account_id.0)
        .await?
        .state
        .owner_id;
    let fresh = external_id.is_none();
    let command = Command::Open(Box::new(Opening {
        account_id,
        external_id,
        pipeline_id,
        rules,
        stage,
        owner: owner.map(|owner| owners::owner_at(service, owner, ctx.now)),
        changes,
        opened_at: ctx.now,
        closing: None,
    }));
    let (context, log) = (ctx.command(), &service.log);
    let outcome = if fresh {
        log.execute_new::<Deal>(&context, id.0, command).await?
    } else {
        log.execute::<Deal>(&context, id.0, command).await?
    };
    Ok(pb::OpenDealResponse {
        deal_id: outcome.id.to_string(),
        recorded: Some(service.recorded(&outcome)),
    })
}

pub(super) async fn set_fields(
    service: &Service,
    ctx: Ctx,
    req: pb::SetDealFieldsRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("deal_id", &req.deal_id);
    let changes: Changes = words::changes(&mut v, req.fields, req.clear);
    let ctx = ctx.expecting(&mut v, req.expected_version);
    let id = v.checked(id)?;
    let deal = visible_now(service, &ctx, id).await?;
    let command = Command::SetFields {
        account_id: deal.account_id,
        changes,
        rules: rules(service, deal.pipeline_id).await?,
    };
    execute(service, &ctx, id, command).await
}

pub(super) async fn move_stage(
    service: &Service,
    ctx: &Ctx,
    req: pb::MoveDealStageRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("deal_id", &req.deal_id);
    let to = v.required_line("stage", &req.stage, MAX_ID);
    let id = v.checked(id)?;
    let deal = visible_now(service, ctx, id).await?;
    let rules = rules(service, deal.pipeline_id).await?;
    execute(service, ctx, id, Command::MoveStage { to, rules }).await
}

pub(super) async fn suspend(
    service: &Service,
    ctx: &Ctx,
    req: pb::SuspendDealRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("deal_id", &req.deal_id);
    let until = v.optional_instant("until", req.until.as_ref());
    if req.until.is_none() {
        v.add("until", "must not be empty");
    }
    let reason = v.optional("reason", &req.reason, MAX_TEXT);
    let (id, until) = v.checked(id.zip(until))?;
    visible_now(service, ctx, id).await?;
    let command = |reason: String| Command::Suspend {
        until,
        reason: Some(reason).filter(|text| !text.is_empty()),
        now: ctx.now,
    };
    explain(service, ctx, id, reason, command).await
}

pub(super) async fn win(
    service: &Service,
    ctx: &Ctx,
    req: pb::WinDealRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("deal_id", &req.deal_id);
    let id = v.checked(id)?;
    visible_now(service, ctx, id).await?;
    execute(service, ctx, id, Command::Win { at: ctx.now }).await
}

pub(super) async fn lose(
    service: &Service,
    ctx: &Ctx,
    req: pb::LoseDealRequest,
) -> Result<Recorded, AppError> {
    let mut v = Violations::new();
    let id = v.id("deal_id", &req.deal_id);
    let reason = v.required("reason", &req.reason, MAX_TEXT);
    let id = v.checked(id)?;
    visible_now(service, ctx, id).await?;
    let at = ctx.now;
    explain(service, ctx, id, reason, |reason| Command::Lose {
        at,
        reason,
    })
    .await
}
