//! Forgetting a person: the demand, the confirmation by somebody else, the certificate, and the
//! review of texts that are about others, too.

use api::contacts::{
    ConfirmErasureRequest, ConfirmErasureResponse, GetErasureRequest, GetErasureResponse,
    ListErasuresRequest, ListErasuresResponse, RedactInteractionRequest, RedactInteractionResponse,
    RequestErasureRequest, RequestErasureResponse,
};
use contacts_domain::{
    DataSubject, Interaction,
    data_subject::{Command, ErasureRequested, State},
    interaction::{self, Redact},
};
use kit::{
    AppError, Ctx, Service, Violations,
    erasure::{self, Demand},
    stop_list,
};
use vocabulary::{AccountId, InteractionId, PersonId};

use crate::{
    log_interaction::{MAX_LINE, MAX_TEXT},
    persons, terms, views,
};

pub(crate) async fn request(
    service: &Service,
    ctx: &Ctx,
    request: RequestErasureRequest,
) -> Result<RequestErasureResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id::<PersonId>("person_id", &request.person_id);
    let ground = v.parsed("ground", terms::ground(request.ground));
    v.finish()?;
    let person = persons::visible(service, ctx, id).await?;
    let ground = ground.ok_or(AppError::Invalid(Vec::new()))?;
    let command = Command::Request(ErasureRequested {
        account_id: person.account_id,
        with_account: request.with_account,
        ground,
        requested_by: ctx.staff_id(),
    });
    let log = &service.log;
    let outcome = log
        .execute::<DataSubject>(&ctx.command(), person.id.0, command)
        .await?;
    Ok(RequestErasureResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}

/// What is confirmed is carried out at once in this service; the others follow by the event, and
/// this one too, should the process end in between.
pub(crate) async fn confirm(
    service: &Service,
    ctx: &Ctx,
    request: ConfirmErasureRequest,
) -> Result<ConfirmErasureResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id::<PersonId>("person_id", &request.person_id);
    v.finish()?;
    let person = persons::visible(service, ctx, id).await?;
    let (log, context) = (&service.log, ctx.command());
    // What was merged with it is the same company. Erased is for ever: nothing recent may be missed.
    service.catch_up().await?;
    let account = service.visible_account(ctx, person.account_id).await?;
    let records = service.directory.ids_of(account.id).await?;
    let command = Command::Confirm {
        id: person.id,
        by: ctx.staff_id(),
        stop_list: stop_list::fingerprints(log, person.state.phones(), person.state.emails()),
        records: records.into_iter().map(AccountId).collect(),
    };
    let outcome = log
        .execute::<DataSubject>(&context, person.id.0, command)
        .await?;
    let mut recorded = service.recorded(&outcome);
    if let State::Erased(erased) = outcome.state {
        let demand = Demand {
            person_id: person.id,
            account_id: erased.account_id,
            subjects: erased.subjects,
            stop_list: erased.stop_list,
        };
        let context = context.derive("carry out");
        let position = erasure::carry_out(service, &context, &demand).await?;
        recorded.position = Some(service.position(position));
    }
    Ok(ConfirmErasureResponse {
        recorded: Some(recorded),
    })
}

pub(crate) async fn get(
    service: &Service,
    ctx: &Ctx,
    request: GetErasureRequest,
) -> Result<GetErasureResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id::<PersonId>("person_id", &request.person_id);
    let (pool, id) = (service.pool(), v.checked(id)?);
    let absent = || AppError::NotFound { what: "erasure" };
    let erasure = views::certificates::find(pool, id)
        .await?
        .ok_or_else(absent)?;
    service.visible_account(ctx, erasure.account_id()).await?;
    let to_review = if erasure.is_confirmed() {
        Vec::new()
    } else {
        views::timeline::shared_with(pool, id).await?
    };
    let mut answers = views::certificates::answers(pool, vec![erasure]).await?;
    let mut erasure = answers.pop().ok_or_else(absent)?;
    erasure.interactions_to_review = to_review.iter().map(ToString::to_string).collect();
    Ok(GetErasureResponse {
        erasure: Some(erasure),
    })
}

pub(crate) async fn list(
    service: &Service,
    request: ListErasuresRequest,
) -> Result<ListErasuresResponse, AppError> {
    let (pool, only_requested) = (service.pool(), request.only_requested);
    let page = service.page(&request.page, format!("erasures/{only_requested}"))?;
    let mut found =
        views::certificates::page(pool, only_requested, page.after(), page.fetch()).await?;
    let next_page_token = page.cut(&mut found, views::certificates::Erasure::key);
    Ok(ListErasuresResponse {
        erasures: views::certificates::answers(pool, found).await?,
        next_page_token,
    })
}

pub(crate) async fn redact(
    service: &Service,
    ctx: Ctx,
    request: RedactInteractionRequest,
) -> Result<RedactInteractionResponse, AppError> {
    let mut v = Violations::new();
    let id = v.id::<InteractionId>("interaction_id", &request.interaction_id);
    let about = ids(&mut v, "about_person_ids", &request.about_person_ids);
    let summary = v.optional("summary", &request.summary, MAX_TEXT);
    let impression = v.optional("impression", &request.impression, MAX_TEXT);
    let note = v.optional("note", &request.note, MAX_TEXT);
    let purpose = v.optional("next_step_purpose", &request.next_step_purpose, MAX_LINE);
    let comment = v.optional("next_step_comment", &request.next_step_comment, MAX_TEXT);
    let ctx = ctx.expecting(&mut v, request.expected_version);
    let id = v.checked(id)?;
    // From the log, not from the view: it may have been recorded a moment ago.
    let state = service.log.load::<Interaction>(id.0).await?.state;
    let account_id = state.account_id().ok_or(AppError::NotFound {
        what: "interaction",
    })?;
    service.visible_account(&ctx, account_id).await?;
    let command = interaction::Command::Redact(Box::new(Redact {
        id,
        about,
        summary,
        impression,
        note,
        purpose,
        comment,
    }));
    let context = ctx.command();
    let outcome = service
        .log
        .execute::<Interaction>(&context, id.0, command)
        .await?;
    Ok(RedactInteractionResponse {
        recorded: Some(service.recorded(&outcome)),
    })
}

/// Persons named in a list.
pub(crate) fn ids(v: &mut Violations, field: &str, texts: &[String]) -> Vec<PersonId> {
    let texts = texts.iter().enumerate();
    texts
        .filter_map(|(index, text)| v.id(&format!("{field}[{index}]"), text))
        .collect()
}
