//! The gRPC service: reads requests, checks who sees what, and asks the domain.

use api::contacts::{
    self as contacts, AddContactPersonRequest, AddContactPersonResponse,
    ChangePersonDetailsRequest, ChangePersonDetailsResponse, ConfirmErasureRequest,
    ConfirmErasureResponse, ContactPoints, FindAccountsOfPersonsRequest,
    FindAccountsOfPersonsResponse, GetErasureRequest, GetErasureResponse, GetInteractionRequest,
    GetInteractionResponse, GetTimelineRequest, GetTimelineResponse, ImportInteractionsRequest,
    ImportInteractionsResponse, ImportPersonsRequest, ImportPersonsResponse,
    ListContactPersonsRequest, ListContactPersonsResponse, ListErasuresRequest,
    ListErasuresResponse, LogInteractionRequest, LogInteractionResponse, RedactInteractionRequest,
    RedactInteractionResponse, RequestErasureRequest, RequestErasureResponse,
    contacts_service_server::ContactsService,
};
use contacts_domain::{
    Interaction, Person, interaction,
    person::{Add, ChangeDetails, Command},
};
use kit::{AppError, Service, Violations};
use tonic::{Request, Response, Status};
use vocabulary::{AccountId, InteractionId, PersonId, StaffId, TaskId};

use crate::{
    erasure, import, log_interaction, persons, terms,
    views::{self, persons::MAX_NAME, timeline::Filter},
};

type Answer<T> = Result<Response<T>, Status>;

/// More than anybody reads, less than an answer can hold.
const MOST_ACCOUNTS: usize = 20_000;

pub(crate) struct Contacts {
    service: Service,
}

impl Contacts {
    pub(crate) fn new(service: Service) -> Self {
        Self { service }
    }
}

#[tonic::async_trait]
impl ContactsService for Contacts {
    async fn add_contact_person(
        &self,
        request: Request<AddContactPersonRequest>,
    ) -> Answer<AddContactPersonResponse> {
        let (ctx, request) = self.service.command(request).await?;
        let mut v = Violations::new();
        let account_id = v.id::<AccountId>("account_id", &request.account_id);
        let external_id = v.line("external_id", &request.external_id, 200);
        let name = v.required_line("name", &request.name, MAX_NAME);
        let job_title = v.line("job_title", &request.job_title, MAX_NAME);
        let phones = v.phones("phones", &request.phones);
        let emails = v.emails("emails", &request.emails);
        let stopped = self.service.stopped(&phones, &emails).await?;
        stopped.phones(&mut v, "phones", &phones);
        stopped.emails(&mut v, "emails", &emails);
        let account_id = v.checked(account_id)?;
        let account_id = self.service.visible_account(&ctx, account_id).await?.id;

        let external_id = Some(external_id).filter(|id| !id.is_empty());
        let id = match &external_id {
            Some(external_id) => PersonId::of_external(external_id),
            None => PersonId(ctx.new_id()),
        };
        let fresh = external_id.is_none();
        let command = Command::Add(Add {
            id,
            account_id,
            external_id,
            name,
            job_title,
            phones,
            emails,
        });
        let log = &self.service.log;
        let outcome = if fresh {
            log.execute_new::<Person>(&ctx.command(), id.0, command)
                .await
        } else {
            log.execute::<Person>(&ctx.command(), id.0, command).await
        }
        .map_err(AppError::from)?;
        Ok(Response::new(AddContactPersonResponse {
            person_id: outcome.id.to_string(),
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn change_person_details(
        &self,
        request: Request<ChangePersonDetailsRequest>,
    ) -> Answer<ChangePersonDetailsResponse> {
        let (ctx, request) = self.service.command(request).await?;
        let mut v = Violations::new();
        let id = v.id::<PersonId>("person_id", &request.person_id);
        let name = request
            .name
            .map(|name| v.required_line("name", &name, MAX_NAME));
        let job_title = request
            .job_title
            .map(|title| v.line("job_title", &title, MAX_NAME));
        let phones = request
            .phones
            .map(|ContactPoints { values }| v.phones("phones", &values));
        let emails = request
            .emails
            .map(|ContactPoints { values }| v.emails("emails", &values));
        let given = (
            phones.as_deref().unwrap_or_default(),
            emails.as_deref().unwrap_or_default(),
        );
        let stopped = self.service.stopped(given.0, given.1).await?;
        stopped.phones(&mut v, "phones", given.0);
        stopped.emails(&mut v, "emails", given.1);
        let ctx = ctx.expecting(&mut v, request.expected_version);
        v.finish()?;
        let id = persons::visible(&self.service, &ctx, id).await?.id;
        views::policy::check_may_change_personal_data(&self.service, &ctx).await?;
        let command = Command::ChangeDetails(ChangeDetails {
            id,
            name,
            job_title,
            phones,
            emails,
        });
        let context = ctx.command();
        let outcome = self
            .service
            .log
            .execute::<Person>(&context, id.0, command)
            .await
            .map_err(AppError::from)?;
        Ok(Response::new(ChangePersonDetailsResponse {
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn list_contact_persons(
        &self,
        request: Request<ListContactPersonsRequest>,
    ) -> Answer<ListContactPersonsResponse> {
        let (ctx, request) = self.service.query(request).await?;
        let mut v = Violations::new();
        let account_id = v.id::<AccountId>("account_id", &request.account_id);
        let account_id = v.checked(account_id)?;
        let account_id = self.service.visible_account(&ctx, account_id).await?.id;
        let ids = self.service.directory.ids_of(account_id).await;
        let ids = ids.map_err(AppError::from)?;
        let rows = views::persons::of_account(self.service.pool(), &ids)
            .await
            .map_err(AppError::from)?;
        Ok(Response::new(ListContactPersonsResponse {
            persons: rows
                .into_iter()
                .map(|row| contacts::Person {
                    account_id: account_id.to_string(),
                    ..row.into()
                })
                .collect(),
        }))
    }

    async fn find_accounts_of_persons(
        &self,
        request: Request<FindAccountsOfPersonsRequest>,
    ) -> Answer<FindAccountsOfPersonsResponse> {
        let (_, request) = self.service.query(request).await?;
        let mut v = Violations::new();
        let typed = v.required("query", &request.query, MAX_NAME);
        let owners = request.owner_ids.iter().enumerate();
        let owners: Vec<_> = owners
            .filter_map(|(index, id)| v.id::<StaffId>(&format!("owner_ids[{index}]"), id))
            .map(|id| id.0)
            .collect();
        if request.of_anybody && !owners.is_empty() {
            v.add(
                "owner_ids",
                "must be empty where accounts of anybody are meant",
            );
        }
        v.finish()?;
        let owners = (!request.of_anybody).then_some(owners.as_slice());
        let pool = self.service.pool();
        let limit = MOST_ACCOUNTS as i64 + 1;
        let found = views::persons::accounts_of_those_called(pool, &typed, owners, limit)
            .await
            .map_err(AppError::from)?;
        if found.len() > MOST_ACCOUNTS {
            return Err(AppError::precondition(
                "TOO_MANY_PERSONS",
                "too many persons are called so: type more of the name",
            )
            .into());
        }
        Ok(Response::new(FindAccountsOfPersonsResponse {
            account_ids: found.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn log_interaction(
        &self,
        request: Request<LogInteractionRequest>,
    ) -> Answer<LogInteractionResponse> {
        let (ctx, request) = self.service.command(request).await?;
        let views = &self.service.views;
        views
            .reached(&request.min_positions, ctx.remaining())
            .await?;
        let promised = request.next_step.is_some();
        let read = log_interaction::read(&self.service, &ctx, &request).await?;
        let fresh_id = read.id.0;
        let command = interaction::Command::Log(Box::new(read));
        let log = &self.service.log;
        let outcome = log
            .execute_new::<Interaction>(&ctx.command(), fresh_id, command)
            .await
            .map_err(AppError::from)?;
        let id = InteractionId(outcome.id);
        Ok(Response::new(LogInteractionResponse {
            interaction_id: id.to_string(),
            next_task_id: if promised {
                TaskId::of_next_step(id).to_string()
            } else {
                String::new()
            },
            recorded: Some(self.service.recorded(&outcome)),
        }))
    }

    async fn get_interaction(
        &self,
        request: Request<GetInteractionRequest>,
    ) -> Answer<GetInteractionResponse> {
        let (ctx, request) = self.service.query(request).await?;
        let mut v = Violations::new();
        let id = v.id::<InteractionId>("interaction_id", &request.interaction_id);
        let entry = views::timeline::find(self.service.pool(), v.checked(id)?)
            .await
            .map_err(AppError::from)?
            .ok_or(AppError::NotFound {
                what: "interaction",
            })?;
        let account = self
            .service
            .visible_account(&ctx, AccountId(entry.account_id))
            .await?;
        Ok(Response::new(GetInteractionResponse {
            interaction: Some(contacts::Interaction {
                account_id: account.id.to_string(),
                ..entry.into()
            }),
        }))
    }

    async fn get_timeline(
        &self,
        request: Request<GetTimelineRequest>,
    ) -> Answer<GetTimelineResponse> {
        let (ctx, request) = self.service.query(request).await?;
        let mut v = Violations::new();
        let account_id = v.id::<AccountId>("account_id", &request.account_id);
        let author_id = v.optional_id::<StaffId>("author_id", &request.author_id);
        let kind = match request.kind {
            0 => None,
            number => v.parsed("kind", terms::kind(number)),
        };
        let account_id = v.checked(account_id)?;
        let list = format!("timeline/{account_id}/{author_id:?}/{kind:?}");
        let page = self.service.page(&request.page, &list)?;
        let account_id = self.service.visible_account(&ctx, account_id).await?.id;
        let ids = self.service.directory.ids_of(account_id).await;

        let filter = Filter {
            account_ids: ids.map_err(AppError::from)?,
            author_id,
            kind,
        };
        let (mut entries, total) =
            views::timeline::page(self.service.pool(), &filter, page.after(), page.fetch())
                .await
                .map_err(AppError::from)?;
        let next_page_token = page.cut(&mut entries, views::timeline::Entry::key);
        Ok(Response::new(GetTimelineResponse {
            interactions: entries
                .into_iter()
                .map(|entry| contacts::Interaction {
                    account_id: account_id.to_string(),
                    ..entry.into()
                })
                .collect(),
            next_page_token,
            total,
        }))
    }

    async fn redact_interaction(
        &self,
        request: Request<RedactInteractionRequest>,
    ) -> Answer<RedactInteractionResponse> {
        let (ctx, request) = self.service.command(request).await?;
        let answer = erasure::redact(&self.service, ctx, request).await?;
        Ok(Response::new(answer))
    }

    async fn request_erasure(
        &self,
        request: Request<RequestErasureRequest>,
    ) -> Answer<RequestErasureResponse> {
        let (ctx, request) = self.service.command(request).await?;
        let answer = erasure::request(&self.service, &ctx, request).await?;
        Ok(Response::new(answer))
    }

    async fn confirm_erasure(
        &self,
        request: Request<ConfirmErasureRequest>,
    ) -> Answer<ConfirmErasureResponse> {
        let (ctx, request) = self.service.command(request).await?;
        let answer = erasure::confirm(&self.service, &ctx, request).await?;
        Ok(Response::new(answer))
    }

    async fn get_erasure(&self, request: Request<GetErasureRequest>) -> Answer<GetErasureResponse> {
        let (ctx, request) = self.service.query(request).await?;
        let answer = erasure::get(&self.service, &ctx, request).await?;
        Ok(Response::new(answer))
    }

    async fn list_erasures(
        &self,
        request: Request<ListErasuresRequest>,
    ) -> Answer<ListErasuresResponse> {
        let (_, request) = self.service.query(request).await?;
        let answer = erasure::list(&self.service, request).await?;
        Ok(Response::new(answer))
    }

    async fn import_persons(
        &self,
        request: Request<ImportPersonsRequest>,
    ) -> Answer<ImportPersonsResponse> {
        let (ctx, request) = self.service.plain(request).await?;
        Ok(Response::new(
            import::persons(&self.service, &ctx, request).await?,
        ))
    }

    async fn import_interactions(
        &self,
        request: Request<ImportInteractionsRequest>,
    ) -> Answer<ImportInteractionsResponse> {
        let (ctx, request) = self.service.plain(request).await?;
        Ok(Response::new(
            import::interactions(&self.service, &ctx, request).await?,
        ))
    }
}
