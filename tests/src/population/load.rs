//! Brings a generated office into a running one, and learns the ids that it gave.

use std::{collections::HashMap, fmt::Write as _};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        ClaimProspectRequest, CreateProspectListRequest, DealFields, ExportAccountsRequest,
        FieldValue, FormGroupRequest, GetAccountRequest, ListAccountsRequest, ListCallers,
        ListDealsRequest, ListOrdersRequest, ListStaffRequest, PipelineField, PipelineStage,
        PublishPipelineRequest, SaveViewRequest, SetDealFieldsRequest, ShareViewRequest,
        UploadHeader, share_view_request::With,
    },
    contacts::{
        AddContactPersonRequest, ErasureGround, GetTimelineRequest, ListContactPersonsRequest,
        RequestErasureRequest,
    },
    planning::{CancelTaskRequest, ListTasksRequest, RequestDataEntryRequest},
};

use crate::{
    background::{caught_up, import, largest_page, request_id},
    client::Client,
    documents::upload,
    office::Office,
};

use super::{Contact, Due, Readers, Role, SPENT, STAGE, Standing, Task, World};

/// The pipeline of all deals.
const PIPELINE: &str = "Воронка";
/// What is said in a deal is personal data; which product it is about is not.
const TERMS: &str = "terms";

impl World {
    /// Makes the office so, and learns the ids that everything has got.
    pub async fn load(&mut self, office: &Office) -> anyhow::Result<()> {
        let admin = office.client("admin")?;
        self.form_groups(&admin).await?;
        self.publish_pipeline(&admin).await?;
        for (kind, csv) in [
            ("staff", self.staff_csv()),
            ("accounts", self.accounts_csv()),
            ("persons", self.persons_csv()),
            ("interactions", self.interactions_csv()),
            ("orders", self.orders_csv()),
            ("payments", self.payments_csv()),
            ("deals", self.deals_csv()),
            ("tasks", self.tasks_csv()),
        ] {
            import(office, "admin", kind, &csv)?;
        }
        caught_up(&admin).await?;
        self.learn_staff_and_accounts(&admin).await?;
        self.add_contact(&admin).await?;
        caught_up(&admin).await?;
        self.learn_the_rest(&admin).await?;
        self.cancel(&admin).await?;
        self.request_erasures(&admin).await?;
        self.claim(office).await?;
        self.make_lists(office).await?;
        self.read_and_take(office).await?;
        caught_up(&admin).await
    }

    async fn read_and_take(&mut self, office: &Office) -> anyhow::Result<()> {
        for (who, person) in self.staff.iter().enumerate() {
            let own = self.accounts.iter().find(|one| one.owner == Some(who));
            let Some(account) = own.filter(|_| !person.dismissed) else {
                continue;
            };
            let client = office.client(&person.external_id)?;
            let request = GetAccountRequest {
                account_id: account.id.clone(),
                ..GetAccountRequest::default()
            };
            client.accounts().get_account(request).await?;
            let request = ExportAccountsRequest::default();
            let mut parts = client.export().export_accounts(request).await?.into_inner();
            while parts.message().await?.is_some() {}
            self.readers.push(who);
        }
        ensure!(self.readers.len() > 1, "hardly anybody owns anything");
        Ok(())
    }

    async fn claim(&self, office: &Office) -> anyhow::Result<()> {
        for account in &self.accounts {
            if let Some(holder) = account.claim {
                let client = office.client(&self.staff[holder].external_id)?;
                let request = ClaimProspectRequest {
                    request_id: request_id(),
                    account_id: account.id.clone(),
                };
                client.prospects().claim_prospect(request).await?;
            }
        }
        Ok(())
    }

    async fn make_lists(&mut self, office: &Office) -> anyhow::Result<()> {
        let admin = office.client("admin")?;
        for (number, list) in self.lists.iter_mut().enumerate() {
            let staff = list.staff.iter().map(|who| self.staff[*who].id.clone());
            let groups = list
                .groups
                .iter()
                .map(|group| self.groups[*group].id.clone());
            let request = CreateProspectListRequest {
                request_id: request_id(),
                name: format!("Обзвон {number}"),
                callers: Some(ListCallers {
                    staff_ids: staff.collect(),
                    group_ids: groups.collect(),
                }),
                ..CreateProspectListRequest::default()
            };
            let made = admin.prospects().create_prospect_list(request).await?;
            list.id = made.into_inner().list_id;
        }
        for (number, view) in self.views.iter_mut().enumerate() {
            let client = office.client(&self.staff[view.owner].external_id)?;
            let request = SaveViewRequest {
                request_id: request_id(),
                name: format!("Подборка {number}"),
                filter: Some(ListAccountsRequest::default()),
                ..SaveViewRequest::default()
            };
            let saved = client.saved_views().save_view(request).await?;
            view.id = saved.into_inner().view_id;
            let with = match view.readers {
                Readers::Nobody => continue,
                Readers::Group(group) => With::GroupId(self.groups[group].id.clone()),
                Readers::Everybody => With::Everybody(true),
            };
            let request = ShareViewRequest {
                request_id: request_id(),
                view_id: view.id.clone(),
                with: Some(with),
            };
            client.saved_views().share_view(request).await?;
        }
        Ok(())
    }

    /// Somebody has passed on the demand to erase them; nobody has confirmed it.
    pub fn is_to_be_forgotten(&self, contact: usize) -> bool {
        contact.is_multiple_of(3) && contact < self.contacts.len()
    }

    async fn request_erasures(&self, admin: &Client) -> anyhow::Result<()> {
        for (number, contact) in self.contacts.iter().enumerate() {
            if self.is_to_be_forgotten(number) {
                let request = RequestErasureRequest {
                    request_id: request_id(),
                    person_id: contact.id.clone(),
                    ground: ErasureGround::Demand.into(),
                    ..RequestErasureRequest::default()
                };
                admin.contacts().request_erasure(request).await?;
            }
        }
        Ok(())
    }

    async fn publish_pipeline(&mut self, admin: &Client) -> anyhow::Result<()> {
        let request = PublishPipelineRequest {
            request_id: request_id(),
            name: PIPELINE.to_owned(),
            stages: vec![PipelineStage {
                name: STAGE.to_owned(),
                ..PipelineStage::default()
            }],
            fields: vec![PipelineField {
                key: TERMS.to_owned(),
                name: "Условия".to_owned(),
            }],
            ..PublishPipelineRequest::default()
        };
        let published = admin.deals().publish_pipeline(request).await?;
        self.pipeline_id = published.into_inner().pipeline_id;
        Ok(())
    }

    async fn form_groups(&mut self, admin: &Client) -> anyhow::Result<()> {
        for index in 0..self.groups.len() {
            let parent = self.groups[index].parent;
            let request = FormGroupRequest {
                request_id: spent_or_fresh(index),
                name: self.groups[index].name.to_owned(),
                parent_id: parent.map_or_else(String::new, |parent| self.groups[parent].id.clone()),
            };
            let formed = admin.staff().form_group(request).await?;
            self.groups[index].id = formed.into_inner().group_id;
        }
        Ok(())
    }

    fn staff_csv(&self) -> String {
        let mut csv = "external_id,name,role,group,head\n".to_owned();
        // The first one is there from the beginning.
        for person in self.staff.iter().skip(1) {
            let role = match person.role {
                Role::Administrator => "administrator",
                Role::Head => "head",
                Role::Manager => "manager",
                Role::Operator => "operator",
                Role::Analyst => "analyst",
            };
            let group = person.group.map(|group| &self.groups[group]);
            let head = group.and_then(|group| group.head);
            let _ = writeln!(
                csv,
                "{id},Сотрудник {id},{role},{},{}",
                group.map_or("", |group| group.name),
                head.map_or("", |head| &self.staff[head].external_id),
                id = person.external_id,
            );
        }
        csv
    }

    fn accounts_csv(&self) -> String {
        let mut csv = "external_id,name,phone,owner\n".to_owned();
        for (number, account) in self.accounts.iter().enumerate() {
            let owner = account
                .owner
                .map_or("", |owner| &self.staff[owner].external_id);
            let _ = writeln!(
                csv,
                "{},Компания [a{number:03}],{},{owner}",
                account.external_id, account.phone
            );
        }
        csv
    }

    fn persons_csv(&self) -> String {
        let mut csv = "external_id,account,name\n".to_owned();
        for contact in &self.contacts {
            let account = contact.account;
            let _ = writeln!(
                csv,
                "{},v-a{account},Лицо [a{account:03}]",
                contact.external_id
            );
        }
        csv
    }

    fn interactions_csv(&self) -> String {
        let mut csv = "external_id,account,kind,outcome,occurred_at,author,summary\n".to_owned();
        for (number, said) in self.interactions.iter().enumerate() {
            let _ = writeln!(
                csv,
                "{},v-a{account},{},{},2026-03-{:02} 10:{number:02},{},Разговор [a{account:03}]",
                said.external_id,
                said.what.0,
                said.what.1,
                number % 9 + 1,
                self.staff[said.author].external_id,
                account = said.account,
            );
        }
        csv
    }

    fn orders_csv(&self) -> String {
        let mut csv = "external_id,account,amount,currency,ordered_at\n".to_owned();
        for (number, account) in self.orders.iter().enumerate() {
            let _ = writeln!(
                csv,
                "v-o{number},v-a{account},100.00,RUB,2026-03-09 12:{number:02}"
            );
        }
        csv
    }

    fn payments_csv(&self) -> String {
        let mut csv = "external_id,order,amount,paid_at,note\n".to_owned();
        for (number, account) in self.orders.iter().enumerate() {
            let _ = writeln!(
                csv,
                "v-y{number},v-o{number},40.00,2026-03-09,Аванс [a{account:03}]"
            );
        }
        csv
    }

    fn deals_csv(&self) -> String {
        let mut csv = "external_id,account,pipeline,product,opened_at\n".to_owned();
        for (number, account) in self.accounts.iter().enumerate() {
            let _ = writeln!(
                csv,
                "v-d{number},{},{PIPELINE},бетон,2026-03-09",
                account.external_id
            );
        }
        csv
    }

    fn tasks_csv(&self) -> String {
        let mut csv =
            "external_id,account,assignee,kind,due_at,comment,created_at,completed_at\n".to_owned();
        for (number, task) in self.tasks.iter().enumerate() {
            let due_at = match task.due {
                Due::Overdue => format!("2026-03-07 11:{number:02}"),
                Due::Soon => format!("2026-03-10 09:{:02}", 1 + number % 14),
                Due::Later => format!("2026-03-{} 12:{number:02}", 12 + number % 15),
            };
            let completed_at = match task.standing {
                Standing::Completed => "2026-03-08",
                Standing::Open | Standing::Cancelled => "",
            };
            let account = task.account.map(|account| format!("v-a{account}"));
            let _ = writeln!(
                csv,
                "{},{},{},call,{due_at},Дело [t{number:03}],2026-03-05,{completed_at}",
                task.external_id,
                account.unwrap_or_default(),
                self.staff[task.assignee].external_id,
            );
        }
        csv
    }

    async fn learn_staff_and_accounts(&mut self, admin: &Client) -> anyhow::Result<()> {
        let request = ListStaffRequest::default();
        let staff = admin.staff().list_staff(request).await?.into_inner().staff;
        for person in &mut self.staff {
            let found = staff
                .iter()
                .find(|found| found.external_id == person.external_id);
            person.id = found.context("a member of staff")?.id.clone();
        }
        let request = ListAccountsRequest {
            page: Some(largest_page()),
            ..ListAccountsRequest::default()
        };
        let accounts = admin
            .accounts()
            .list_accounts(request)
            .await?
            .into_inner()
            .accounts;
        ensure!(accounts.len() == self.accounts.len());
        for account in &mut self.accounts {
            let found = accounts
                .iter()
                .find(|found| found.external_id == account.external_id);
            account.id = found.context("an account")?.id.clone();
        }
        Ok(())
    }

    async fn learn_the_rest(&mut self, admin: &Client) -> anyhow::Result<()> {
        for number in 0..self.accounts.len() {
            let account_id = self.accounts[number].id.clone();
            let request = ListContactPersonsRequest {
                account_id: account_id.clone(),
                ..ListContactPersonsRequest::default()
            };
            let persons = admin
                .contacts()
                .list_contact_persons(request)
                .await?
                .into_inner();
            for contact in self.contacts.iter_mut().filter(|one| one.account == number) {
                let mut persons = persons.persons.iter();
                let found = persons.find(|found| found.external_id == contact.external_id);
                contact.id = found.context("a contact person")?.id.clone();
            }
            let request = ListDealsRequest {
                account_id: account_id.clone(),
                ..ListDealsRequest::default()
            };
            let deals = admin.deals().list_deals(request).await?.into_inner().deals;
            let deal_id = deals.into_iter().next().context("a deal")?.id;
            let request = SetDealFieldsRequest {
                request_id: request_id(),
                deal_id: deal_id.clone(),
                fields: Some(DealFields {
                    fields: vec![FieldValue {
                        key: TERMS.to_owned(),
                        value: format!("Условия [a{number:03}]"),
                    }],
                    ..DealFields::default()
                }),
                ..SetDealFieldsRequest::default()
            };
            admin.deals().set_deal_fields(request).await?;
            self.accounts[number].deal_id = deal_id;
            let header = UploadHeader {
                request_id: request_id(),
                account_id: account_id.clone(),
                kind: "proposal".to_owned(),
                title: format!("КП [a{number:03}].txt"),
                ..UploadHeader::default()
            };
            let document = upload(admin, header, b"\xd0\x9a\xd0\x9f").await?;
            self.accounts[number].document_id = document.id;
            let request = RequestDataEntryRequest {
                request_id: request_id(),
                account_id: account_id.clone(),
                what: format!("Исправить адрес [a{number:03}]"),
                ..RequestDataEntryRequest::default()
            };
            let requested = admin.data_entry().request_data_entry(request).await?;
            self.accounts[number].data_entry_id = requested.into_inner().data_entry_id;
            let request = GetTimelineRequest {
                account_id,
                page: Some(largest_page()),
                ..GetTimelineRequest::default()
            };
            let timeline = admin.contacts().get_timeline(request).await?.into_inner();
            for said in self
                .interactions
                .iter_mut()
                .filter(|one| one.account == number)
            {
                let mut entries = timeline.interactions.iter();
                let found = entries.find(|found| found.external_id == said.external_id);
                said.id = found.context("an interaction")?.id.clone();
            }
        }
        let request = ListOrdersRequest {
            page: Some(largest_page()),
            ..ListOrdersRequest::default()
        };
        let orders = admin.orders().list_orders(request).await?.into_inner();
        let orders = orders.orders.into_iter().filter_map(|one| one.order);
        let ids: HashMap<_, _> = orders.map(|one| (one.external_id, one.id)).collect();
        for number in 0..self.orders.len() {
            let id = ids.get(&format!("v-o{number}")).context("an order")?;
            self.order_ids.push(id.clone());
        }
        let request = ListTasksRequest {
            page: Some(largest_page()),
            ..ListTasksRequest::default()
        };
        let tasks = admin
            .planning()
            .list_tasks(request)
            .await?
            .into_inner()
            .tasks;
        ensure!(tasks.len() == self.tasks.len());
        for task in &mut self.tasks {
            let found = tasks
                .iter()
                .find(|found| found.external_id == task.external_id);
            task.id = found.context("a task")?.id.clone();
        }
        Ok(())
    }

    /// One more, by a command.
    async fn add_contact(&mut self, admin: &Client) -> anyhow::Result<()> {
        let contact = Contact {
            external_id: "v-p".to_owned(),
            id: String::new(),
            account: 0,
        };
        let request = AddContactPersonRequest {
            request_id: SPENT.to_owned(),
            account_id: self.accounts[contact.account].id.clone(),
            external_id: contact.external_id.clone(),
            name: format!("Лицо [a{:03}]", contact.account),
            ..AddContactPersonRequest::default()
        };
        admin.contacts().add_contact_person(request).await?;
        self.contacts.push(contact);
        Ok(())
    }

    async fn cancel(&self, admin: &Client) -> anyhow::Result<()> {
        let cancelled = |task: &&Task| task.standing == Standing::Cancelled;
        for (index, task) in self.tasks.iter().filter(cancelled).enumerate() {
            let request = CancelTaskRequest {
                request_id: spent_or_fresh(index),
                task_id: task.id.clone(),
                reason: "не нужно".to_owned(),
            };
            admin.planning().cancel_task(request).await?;
        }
        Ok(())
    }
}

fn spent_or_fresh(index: usize) -> String {
    if index == 0 {
        SPENT.to_owned()
    } else {
        request_id()
    }
}
