//! Lists of persons for spreadsheets: recorded first, then handed out row by row.

use std::collections::BTreeMap;

use api::contacts::{
    ExportPersonsRequest, ExportPersonsResponse, person_export_service_server::PersonExportService,
};
use kit::{
    AppError, CardList, Ctx, Sender, Service, SheetLanguage, StreamEnd, Streaming, Violations,
    stream,
};
use tonic::{Request, Response, Status};
use uuid::Uuid;
use vocabulary::AccountId;

use crate::views::{self, persons::Row};

/// Russian and English; the English ones are those that an import reads, where it reads them.
const TITLES: [(&str, &str); 8] = [
    ("Номер в системе", "id"),
    ("Внешний номер", "external_id"),
    ("Номер компании", "account_id"),
    ("Имя", "name"),
    ("Должность", "position"),
    ("Телефоны", "phone"),
    ("E-mail", "email"),
    ("Данные удалены", "erased"),
];

pub(crate) struct Handlers {
    service: Service,
}

/// How the rows of a list are read.
struct Persons {
    service: Service,
    ctx: Ctx,
    language: SheetLanguage,
}

impl Handlers {
    pub(crate) fn new(service: &Service) -> Self {
        Self {
            service: service.clone(),
        }
    }

    async fn record(
        &self,
        ctx: Ctx,
        req: ExportPersonsRequest,
    ) -> Result<(CardList, Persons), AppError> {
        let mut v = Violations::new();
        let account_id = v.optional_id::<AccountId>("account_id", &req.account_id);
        let format = v.sheet_format("format", req.format);
        let language = v.sheet_language("language", &req.language);
        v.finish()?;
        let mut filter = BTreeMap::new();
        let account_ids = match account_id {
            Some(id) => {
                let visible = self.service.visible_account(&ctx, id).await?;
                filter.insert("account_id".to_owned(), visible.id.to_string());
                Some(self.service.directory.ids_of(visible.id).await?)
            }
            None => None,
        };
        let wanted = views::persons::Wanted {
            account_ids,
            seen_owners: ctx.sees().owners(),
            now: ctx.now,
        };
        let ids = views::persons::ids(self.service.pool(), wanted).await?;
        let form = (format, language);
        let list = CardList::record(&self.service, &ctx, "persons", form, filter, ids).await?;
        let service = self.service.clone();
        let persons = Persons {
            service,
            ctx,
            language,
        };
        Ok((list, persons))
    }
}

impl Persons {
    async fn send(
        self,
        list: CardList,
        sender: Sender<ExportPersonsResponse>,
    ) -> Result<(), StreamEnd> {
        let titles = TITLES.map(|(russian, english)| match self.language {
            SheetLanguage::Russian => russian,
            SheetLanguage::English => english,
        });
        let read = |ids| self.rows(ids);
        list.send(&sender, &titles, read, |part| ExportPersonsResponse {
            rows: part.rows,
            record: part.record,
            bytes: part.bytes,
            done: part.done,
        })
        .await
    }

    /// Of companies that went to somebody else meanwhile the caller has no sight any more.
    async fn rows(&self, ids: Vec<Uuid>) -> Result<Vec<Vec<String>>, AppError> {
        let persons = views::persons::of_ids(self.service.pool(), &ids).await?;
        let accounts: Vec<_> = persons
            .iter()
            .map(|person| AccountId(person.account_id))
            .collect();
        let known = self.service.directory.accounts(&accounts).await?;
        let persons = persons.into_iter().filter_map(|person| {
            let account = known.get(&AccountId(person.account_id))?;
            account
                .is_visible(self.ctx.sees(), self.ctx.now)
                .then(|| cells(account.id, person, self.language))
        });
        Ok(persons.collect())
    }
}

/// In the order of the titles.
fn cells(account_id: AccountId, person: Row, language: SheetLanguage) -> Vec<String> {
    let erased = match (person.erased, language) {
        (false, _) => "",
        (true, SheetLanguage::Russian) => "да",
        (true, SheetLanguage::English) => "yes",
    };
    vec![
        person.person_id.to_string(),
        person.external_id.unwrap_or_default(),
        account_id.to_string(),
        person.name,
        person.job_title,
        person.phones.join(", "),
        person.emails.join(", "),
        erased.to_owned(),
    ]
}

#[tonic::async_trait]
impl PersonExportService for Handlers {
    type ExportPersonsStream = Streaming<ExportPersonsResponse>;

    async fn export_persons(
        &self,
        request: Request<ExportPersonsRequest>,
    ) -> Result<Response<Self::ExportPersonsStream>, Status> {
        let (ctx, req) = self.service.query(request).await?;
        let (list, persons) = self.record(ctx, req).await?;
        let node = &self.service.node;
        Ok(stream(node, "persons export", |sender| {
            persons.send(list, sender)
        }))
    }
}
