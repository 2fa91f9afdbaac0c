//! An office where one person is known in every way there is.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context, ensure};
use api::{
    accounts::{GetAccountRequest, ListAccountsRequest, RegisterOrderRequest},
    analytics::GetScorecardRequest,
    common::{Money, Position},
    contacts::{
        ConfirmErasureRequest, Erasure, ErasureGround, ErasureState, GetErasureRequest,
        GetInteractionRequest, GetTimelineRequest, InteractionKind, ListContactPersonsRequest,
        LogInteractionRequest, NextStep, Outcome, Person, RequestErasureRequest,
    },
    planning::{CreateTaskRequest, ListTasksRequest, TaskKind},
};
use tests::{
    background::{Background, import, request_id},
    client::SERVICES,
    eventually,
};

const ACCOUNTS: &str = "external_id,name,phone,email,city,owner
acc-1,ООО «Птичий двор»,+7 900 777-00-71,office@example.org,Миасс,s-11
acc-2,ООО «Клетка»,+7 900 000-02-02,Kanareykin@example.org,Миасс,s-12
acc-3,ООО «Прутик»,+7 900 000-03-03,,Миасс,s-11
";
const PERSONS: &str = "external_id,account,name,position,phone,email
p-1,acc-1,Канарейкин Аркадий Хотенович,директор,+7 900 777-00-71,kanareykin@example.org
p-2,acc-1,Соколова Вера Андреевна,бухгалтер,+7 900 000-03-33,v.sokolova@example.org
";

pub(super) struct Known {
    pub(super) office: Background,
    pub(super) account_id: String,
    pub(super) person_id: String,
    pub(super) other_id: String,
    /// With the person alone, and with the person about somebody else.
    pub(super) contacts: [String; 2],
    pub(super) heads: Vec<Position>,
}

impl Known {
    pub(super) async fn new() -> anyhow::Result<Self> {
        let office = Background::start("2026-03-10T09:00:00+03:00").await?;
        import(&office.office, "s-02", "accounts", ACCOUNTS)?;
        import(&office.office, "s-02", "persons", PERSONS)?;
        let mut known = Self {
            account_id: office.account("acc-1").await?,
            office,
            person_id: String::new(),
            other_id: String::new(),
            contacts: [String::new(), String::new()],
            heads: Vec::new(),
        };
        known.heads = known.heads().await?;
        for person in known.persons().await? {
            match person.external_id.as_str() {
                "p-1" => known.person_id = person.id,
                _ => known.other_id = person.id,
            }
        }
        known.work().await?;
        known.heads = known.heads().await?;
        Ok(known)
    }

    /// A meeting, a call, promises, a task and an order.
    pub(super) async fn work(&mut self) -> anyhow::Result<()> {
        let petrov = self.office.client("s-11")?;
        let step = |person_id: &str, comment: &str| {
            Some(NextStep {
                due_at: "2026-03-16T11:00:00+03:00".to_owned(),
                kind: "call".to_owned(),
                person_id: person_id.to_owned(),
                purpose: "Узнать, что решил Канарейкин".to_owned(),
                comment: comment.to_owned(),
            })
        };
        let meeting = LogInteractionRequest {
            request_id: request_id(),
            account_id: self.account_id.clone(),
            person_id: self.person_id.clone(),
            kind: InteractionKind::Meeting.into(),
            outcome: Outcome::Held.into(),
            summary: "Аркадий Хотенович всё одобрил".to_owned(),
            impression: "Канарейкин весел".to_owned(),
            note: "Звонить на +7 900 777-00-71".to_owned(),
            next_step: step("", "Написать на kanareykin@example.org"),
            ..LogInteractionRequest::default()
        };
        let about_both = LogInteractionRequest {
            request_id: request_id(),
            kind: InteractionKind::Call.into(),
            outcome: Outcome::AgreedNextStep.into(),
            person_id: self.other_id.clone(),
            summary: "Соколова ждёт, что скажет Канарейкин".to_owned(),
            impression: "Соколова строга".to_owned(),
            note: String::new(),
            next_step: step(&self.person_id, "Канарейкин передаст через Соколову"),
            ..meeting.clone()
        };
        for (place, request) in self.contacts.iter_mut().zip([meeting, about_both]) {
            let logged = petrov.contacts().log_interaction(request).await?;
            *place = logged.into_inner().interaction_id;
        }
        let task = CreateTaskRequest {
            request_id: request_id(),
            assignee_id: self.office.staff["s-11"].clone(),
            due_at: "2026-03-12T10:00:00+03:00".to_owned(),
            kind: TaskKind::Call.into(),
            comment: "Поздравить Аркадия Хотеновича".to_owned(),
            account_id: self.account_id.clone(),
            person_id: self.person_id.clone(),
            ..CreateTaskRequest::default()
        };
        petrov.planning().create_task(task).await?;
        let order = RegisterOrderRequest {
            request_id: request_id(),
            account_id: self.account_id.clone(),
            external_id: "З-0001".to_owned(),
            amount: Some(Money {
                minor_units: 18_000_000,
                currency: "RUB".to_owned(),
            }),
            ..RegisterOrderRequest::default()
        };
        petrov.accounts().register_order(order).await?;
        Ok(())
    }

    /// Where every log stands.
    pub(super) async fn heads(&self) -> anyhow::Result<Vec<Position>> {
        let mut heads = Vec::new();
        for service in SERVICES {
            heads.push(self.office.head(service).await?);
        }
        Ok(heads)
    }

    pub(super) async fn persons(&self) -> anyhow::Result<Vec<Person>> {
        let request = ListContactPersonsRequest {
            account_id: self.account_id.clone(),
            min_positions: self.heads.clone(),
        };
        let answer = self
            .office
            .admin
            .contacts()
            .list_contact_persons(request)
            .await?;
        Ok(answer.into_inner().persons)
    }

    pub(super) async fn timeline(&self) -> anyhow::Result<Vec<api::contacts::Interaction>> {
        let request = GetTimelineRequest {
            account_id: self.account_id.clone(),
            min_positions: self.heads.clone(),
            ..GetTimelineRequest::default()
        };
        let answer = self.office.admin.contacts().get_timeline(request).await?;
        Ok(answer.into_inner().interactions)
    }

    pub(super) async fn tasks(&self) -> anyhow::Result<Vec<api::planning::Task>> {
        let request = ListTasksRequest {
            account_id: self.account_id.clone(),
            min_positions: self.heads.clone(),
            ..ListTasksRequest::default()
        };
        let answer = self.office.admin.planning().list_tasks(request).await?;
        Ok(answer.into_inner().tasks)
    }

    /// By name, by telephone and by address, as people search.
    pub(super) async fn found(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for query in ["Птичий", "+7 900 777-00-71", "7770071"] {
            let request = ListAccountsRequest {
                query: query.to_owned(),
                min_positions: self.heads.clone(),
                ..ListAccountsRequest::default()
            };
            let answer = self.office.admin.accounts().list_accounts(request).await?;
            let accounts = answer.into_inner().accounts;
            found.push(format!("{query}: {}", accounts.len()));
        }
        Ok(found)
    }

    /// All that the API shows of the account, as somebody would read it.
    pub(super) async fn shown(&self) -> anyhow::Result<String> {
        let mut shown = format!(
            "{:?} {:?} {:?}",
            self.persons().await?,
            self.timeline().await?,
            self.tasks().await?
        );
        for external_id in ["acc-1", "acc-2", "acc-3"] {
            let request = GetAccountRequest {
                account_id: self.office.account(external_id).await?,
                min_positions: self.heads.clone(),
            };
            let answer = self.office.admin.accounts().get_account(request).await?;
            let _ = write!(shown, "{answer:?}");
        }
        for id in &self.contacts {
            let request = GetInteractionRequest {
                interaction_id: id.clone(),
                min_positions: self.heads.clone(),
            };
            let answer = self
                .office
                .admin
                .contacts()
                .get_interaction(request)
                .await?;
            let _ = write!(shown, "{answer:?}");
        }
        for service in SERVICES {
            shown += &self
                .office
                .office
                .command("s-40", &["log", "read", service, "--shape", "json"])?;
        }
        Ok(shown)
    }

    /// Every log with personal data in clear, as far as there is any.
    pub(super) fn exported(&self) -> anyhow::Result<String> {
        let folder = tempfile::tempdir()?;
        let mut text = String::new();
        let recorded = SERVICES.into_iter().zip(&self.heads);
        for (service, _) in recorded.filter(|(_, head)| head.position > 0) {
            let file = folder.path().join(service);
            let out = file.to_string_lossy();
            let what = ["log", "export", "--service", service, "--personal"];
            let how = ["--format", "jsonl", "--out", &out];
            let office = &self.office.office;
            office.command("s-02", &[&what[..], &how[..]].concat())?;
            text += &std::fs::read_to_string(&file)?;
        }
        Ok(text)
    }

    pub(super) async fn figures(&self) -> anyhow::Result<String> {
        let request = GetScorecardRequest {
            min_positions: self.heads.clone(),
            ..GetScorecardRequest::default()
        };
        let answer = self.office.admin.reports().get_scorecard(request).await?;
        let answer = answer.into_inner();
        // How far the logs were read is no figure.
        Ok(format!("{:?} {:?}", answer.rows, answer.total))
    }

    pub(super) async fn erasure(&self) -> anyhow::Result<Erasure> {
        let request = GetErasureRequest {
            person_id: self.person_id.clone(),
            min_positions: self.heads().await?,
        };
        let answer = self.office.admin.contacts().get_erasure(request).await?;
        answer.into_inner().erasure.context("no erasure")
    }

    pub(super) async fn request_erasure(
        &self,
        staff: &str,
        with_account: bool,
    ) -> anyhow::Result<()> {
        let request = RequestErasureRequest {
            request_id: request_id(),
            person_id: self.person_id.clone(),
            ground: ErasureGround::Demand.into(),
            with_account,
        };
        self.office
            .client(staff)?
            .contacts()
            .request_erasure(request)
            .await?;
        Ok(())
    }

    pub(super) fn confirmation(&self) -> ConfirmErasureRequest {
        ConfirmErasureRequest {
            request_id: request_id(),
            person_id: self.person_id.clone(),
        }
    }

    /// Confirmed, and done in every service.
    pub(super) async fn erase(&mut self) -> anyhow::Result<Erasure> {
        let admin = self.office.client("s-01")?;
        admin
            .contacts()
            .confirm_erasure(self.confirmation())
            .await?;
        let done = eventually(
            Duration::from_secs(20),
            || self.erasure(),
            |erasure| {
                let state = erasure.as_ref().map(Erasure::state);
                matches!(state, Ok(ErasureState::Erased))
            },
        )
        .await?;
        ensure!(done.state() == ErasureState::Erased, "{done:?}");
        self.heads = self.heads().await?;
        Ok(done)
    }
}
