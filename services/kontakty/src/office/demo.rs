//! `kontakty up --demo`: a month of a small office, played through the public API.
//!
//! Two groups, four managers; one of them leaves, and the next one finds everything.

use std::{path::Path, time::Duration};

use anyhow::Context;
use api::{
    accounts::{
        AccountRow, Card, ImportAccountsRequest, ImportOrdersRequest, ImportStaffRequest, OrderRow,
        StaffRow, TransferAccountsRequest,
    },
    analytics::GetScorecardRequest,
    clock::GetClockRequest,
    common::{PageRequest, Period, RowResult, row_result},
    contacts::{
        GetTimelineRequest, ImportInteractionsRequest, InteractionRow, LogInteractionRequest,
        NextStep,
    },
    planning::{GetMyDayRequest, GetTaskRequest},
};
use chrono::{DateTime, Days, Utc};
use uuid::Uuid;
use vocabulary::{AccountId, StaffId};

use super::Running;
use crate::{
    client::{Client, Refused, local},
    output::{Format, Rows, number, text},
};

const STAFF: [(&str, &str, &str, &str, &str); 6] = [
    ("s-10", "Зайцев Сергей Николаевич", "head", "A", "s-10"),
    ("s-11", "Петров Алексей Игоревич", "manager", "A", "s-10"),
    ("s-12", "Смирнова Ольга Викторовна", "manager", "A", "s-10"),
    ("s-20", "Волкова Марина Юрьевна", "head", "B", "s-20"),
    ("s-21", "Никитин Павел Олегович", "manager", "B", "s-20"),
    ("s-22", "Фёдорова Анна Сергеевна", "manager", "B", "s-20"),
];
const MANAGERS: [&str; 4] = ["s-11", "s-12", "s-21", "s-22"];
const ACCOUNTS: usize = 40;
const CITIES: [&str; 4] = ["Миасс", "Челябинск", "Златоуст", "Екатеринбург"];
const TRADES: [&str; 5] = ["Строй", "Бетон", "Снаб", "Монтаж", "Торг"];
/// The account whose history is shown: Петров's, later Смирнова's.
const SHOWN: usize = 0;

pub(super) async fn play(running: &Running, data: &Path) -> anyhow::Result<()> {
    let mut clock = local(&running.grpc, data, "admin").await?.clock()?;
    let now = clock
        .get_clock(GetClockRequest {})
        .await
        .map_err(Refused)?
        .into_inner()
        .now;
    let now = now
        .as_ref()
        .and_then(kit::instant)
        .context("the office told no time")?;
    let office = Demo {
        now,
        admin: local(&running.grpc, data, "admin").await?,
        petrov: local(&running.grpc, data, "s-11").await?,
        smirnova: local(&running.grpc, data, "s-12").await?,
        began: now.checked_sub_days(Days::new(30)).context("no such day")?,
    };
    office.hire().await?;
    office.register().await?;
    office.talk().await?;
    office.sell().await?;
    office.promise().await?;
    office.hand_over().await?;
    office.show(running, data).await
}

struct Demo {
    admin: Client,
    petrov: Client,
    smirnova: Client,
    now: DateTime<Utc>,
    began: DateTime<Utc>,
}

impl Demo {
    async fn hire(&self) -> anyhow::Result<()> {
        let rows = STAFF
            .iter()
            .enumerate()
            .map(|(row, (external_id, name, role, group, head))| StaffRow {
                row: row as i64 + 1,
                external_id: (*external_id).to_owned(),
                name: (*name).to_owned(),
                role: (*role).to_owned(),
                group: (*group).to_owned(),
                head: (*head).to_owned(),
                extension: external_id.replace("s-", "1"),
                hired_on: "2023-01-09".to_owned(),
                ..StaffRow::default()
            })
            .collect();
        let request = ImportStaffRequest {
            rows,
            dry_run: false,
        };
        let answer = self
            .admin
            .staff()?
            .import_staff(request)
            .await
            .map_err(Refused)?
            .into_inner();
        taken(&answer.results)?;
        self.admin.settle(answer.position.unwrap_or_default()).await
    }

    async fn register(&self) -> anyhow::Result<()> {
        let rows = (0..ACCOUNTS)
            .map(|n| AccountRow {
                row: n as i64 + 1,
                external_id: account(n),
                card: Some(Card {
                    name: company(n),
                    phones: vec![format!("+7 900 100-{:02}-{:02}", n / 100, n % 100)],
                    city: CITIES[n % CITIES.len()].to_owned(),
                    source: "directory".to_owned(),
                    ..Card::default()
                }),
                owner: MANAGERS[n % MANAGERS.len()].to_owned(),
                registered_at: self.began.to_rfc3339(),
            })
            .collect();
        let request = ImportAccountsRequest {
            rows,
            ..ImportAccountsRequest::default()
        };
        let answer = self
            .admin
            .accounts()?
            .import_accounts(request)
            .await
            .map_err(Refused)?
            .into_inner();
        taken(&answer.results)?;
        self.admin.settle(answer.position.unwrap_or_default()).await
    }

    /// Every account is called a few times; every fifth call ends in a meeting.
    async fn talk(&self) -> anyhow::Result<()> {
        let outcomes = [
            "no_answer",
            "connected",
            "call_back",
            "proposal_requested",
            "meeting_booked",
        ];
        let mut rows = Vec::new();
        for n in 0..ACCOUNTS {
            for call in 0..3 + n % 4 {
                let outcome = outcomes[(n * 3 + call * 2) % outcomes.len()];
                let at = self.began + chrono::Duration::hours((n * 5 + call * 97) as i64 % 600);
                rows.push(contact(
                    &format!("demo-call-{n}-{call}"),
                    n,
                    "call",
                    outcome,
                    at,
                ));
                if outcome == "meeting_booked" {
                    let at = at + chrono::Duration::days(2);
                    rows.push(contact(
                        &format!("demo-meeting-{n}-{call}"),
                        n,
                        "meeting",
                        "held",
                        at,
                    ));
                }
            }
        }
        for (row, index) in rows.iter_mut().zip(1..) {
            row.row = index;
        }
        let request = ImportInteractionsRequest {
            rows,
            dry_run: false,
        };
        taken(
            &self
                .admin
                .contacts()?
                .import_interactions(request)
                .await
                .map_err(Refused)?
                .into_inner()
                .results,
        )
    }

    async fn sell(&self) -> anyhow::Result<()> {
        let rows = (0..ACCOUNTS)
            .step_by(4)
            .enumerate()
            .map(|(order, n)| OrderRow {
                row: order as i64 + 1,
                external_id: format!("demo-order-{order}"),
                account: account(n + order % 4),
                amount: format!("{}", 90_000 + 15_000 * order),
                currency: "RUB".to_owned(),
                ordered_at: (self.began + chrono::Duration::days(20 + order as i64 % 9))
                    .to_rfc3339(),
                owner: MANAGERS[(n + order % 4) % MANAGERS.len()].to_owned(),
            })
            .collect();
        let request = ImportOrdersRequest {
            rows,
            dry_run: false,
        };
        taken(
            &self
                .admin
                .accounts()?
                .import_orders(request)
                .await
                .map_err(Refused)?
                .into_inner()
                .results,
        )
    }

    /// A result and the next step, in one decision.
    async fn promise(&self) -> anyhow::Result<()> {
        let due_at = self.now + chrono::Duration::days(2);
        let request = LogInteractionRequest {
            request_id: vocabulary::derived_id("demo", "promise").to_string(),
            account_id: AccountId::of_external(&account(SHOWN)).to_string(),
            kind: api::contacts::InteractionKind::Call.into(),
            outcome: api::contacts::Outcome::ProposalRequested.into(),
            duration_s: 380,
            summary: "Нужны 40 м³ бетона в апреле, просит КП".to_owned(),
            impression: "Спокоен, решает сам".to_owned(),
            note: "Звонить после 11".to_owned(),
            next_step: Some(NextStep {
                due_at: due_at.to_rfc3339(),
                kind: "call".to_owned(),
                purpose: "Уточнить получение КП".to_owned(),
                comment: "Спросить про сроки оплаты".to_owned(),
                ..NextStep::default()
            }),
            ..LogInteractionRequest::default()
        };
        let logged = match self.petrov.contacts()?.log_interaction(request).await {
            // Played before on this folder: the same request a day later is another request, and
            // the account is no longer Петров's.
            Err(status)
                if matches!(
                    status.code(),
                    tonic::Code::NotFound | tonic::Code::InvalidArgument
                ) =>
            {
                return Ok(());
            }
            answer => answer.map_err(Refused)?.into_inner(),
        };
        // Only what is planned can be handed over.
        let planned = || async {
            let request = GetTaskRequest {
                task_id: logged.next_task_id.clone(),
                ..GetTaskRequest::default()
            };
            Ok(self
                .admin
                .planning()?
                .get_task(request)
                .await
                .map_err(Refused)?)
        };
        self.until(planned, |_| true).await.map(drop)
    }

    async fn hand_over(&self) -> anyhow::Result<()> {
        let request = TransferAccountsRequest {
            request_id: Uuid::from(StaffId::of_external("demo-hand-over")).to_string(),
            from_owner_id: StaffId::of_external("s-11").to_string(),
            to_owner_id: StaffId::of_external("s-12").to_string(),
            reason: "Петров уходит".to_owned(),
            ..TransferAccountsRequest::default()
        };
        let answer = self
            .admin
            .accounts()?
            .transfer_accounts(request)
            .await
            .map_err(Refused)?
            .into_inner();
        self.admin.settle(answer.position.unwrap_or_default()).await
    }

    async fn show(&self, running: &Running, data: &Path) -> anyhow::Result<()> {
        println!("\nA month of a small office. Петров has left; Смирнова has his accounts.\n");
        self.show_scorecard().await?;
        println!(
            "\nWhat Смирнова sees of {}, whoever wrote it:\n",
            company(SHOWN)
        );
        self.show_timeline().await?;
        println!("\nNext:\n");
        let data = data.display();
        for (command, what) in [
            (
                format!("kontakty report scorecard --by group --data {data}"),
                "the same by group",
            ),
            (
                format!("kontakty log tail contacts --data {data}"),
                "the events as they come",
            ),
            (
                format!("kontakty log verify accounts --data {data}"),
                "proof that nothing was altered",
            ),
            (
                format!("kontakty token --staff s-12 --data {data}"),
                "a token for a frontend",
            ),
        ] {
            println!("  {command:<60}  # {what}");
        }
        println!(
            "\nThe office runs on; gRPC at {}. Ctrl-C stops it.",
            running.grpc
        );
        Ok(())
    }

    async fn show_scorecard(&self) -> anyhow::Result<()> {
        let expected = ACCOUNTS as i64 / 4;
        let answer = self
            .until(
                || async {
                    let period = Some(Period {
                        from: self.began.to_rfc3339(),
                        to: String::new(),
                    });
                    let request = GetScorecardRequest {
                        period,
                        ..GetScorecardRequest::default()
                    };
                    Ok(self
                        .admin
                        .reports()?
                        .get_scorecard(request)
                        .await
                        .map_err(Refused)?
                        .into_inner())
                },
                |answer| {
                    answer
                        .total
                        .as_ref()
                        .is_some_and(|total| total.sales >= expected && total.calls > 0)
                },
            )
            .await?;
        let mut rows = Rows::new(vec![
            text("Manager", "manager"),
            number("Calls", "calls"),
            number("Effective", "effective"),
            number("Meetings", "meetings"),
            number("Sales", "sales"),
            number("Meetings/calls %", "meeting_rate"),
        ]);
        for row in answer.rows {
            let name = STAFF
                .iter()
                .find(|person| person.0 == row.label)
                .map_or("", |person| person.1);
            let figures = row.figures.unwrap_or_default();
            rows.push(vec![
                name.to_owned(),
                figures.calls.to_string(),
                figures.effective_calls.to_string(),
                figures.meetings.to_string(),
                figures.sales.to_string(),
                figures
                    .meeting_rate
                    .map(|rate| rate.percent)
                    .unwrap_or_default(),
            ]);
        }
        rows.print(Format::Table)
    }

    async fn show_timeline(&self) -> anyhow::Result<()> {
        let answer = self
            .until(
                || async {
                    let request = GetTimelineRequest {
                        account_id: AccountId::of_external(&account(SHOWN)).to_string(),
                        page: Some(PageRequest {
                            size: 8,
                            token: String::new(),
                        }),
                        ..GetTimelineRequest::default()
                    };
                    Ok(self
                        .smirnova
                        .contacts()?
                        .get_timeline(request)
                        .await
                        .map_err(Refused)?
                        .into_inner())
                },
                |answer| !answer.interactions.is_empty(),
            )
            .await?;
        let mut rows = Rows::new(vec![
            text("When (UTC)", "when"),
            text("Who", "who"),
            text("What", "what"),
            text("Result", "result"),
            text("Next step", "next_step"),
        ]);
        for entry in answer.interactions {
            let when = entry
                .occurred_at
                .as_ref()
                .and_then(kit::instant)
                .unwrap_or_default();
            let who = STAFF
                .iter()
                .find(|person| StaffId::of_external(person.0).to_string() == entry.author_id);
            let what = format!("{:?}: {:?}", entry.kind(), entry.outcome());
            rows.push(vec![
                when.format("%Y-%m-%d %H:%M").to_string(),
                who.map_or("", |person| person.1).to_owned(),
                what,
                entry.summary,
                entry.next_step.map(|step| step.purpose).unwrap_or_default(),
            ]);
        }
        rows.print(Format::Table)?;
        let day = self
            .smirnova
            .planning()?
            .get_my_day(GetMyDayRequest::default())
            .await
            .map_err(Refused)?
            .into_inner();
        println!(
            "Her day: {} overdue, {} due today.",
            day.overdue.len(),
            day.today.len()
        );
        Ok(())
    }

    async fn until<T, F>(&self, ask: impl Fn() -> F, good: impl Fn(&T) -> bool) -> anyhow::Result<T>
    where
        F: Future<Output = anyhow::Result<T>>,
    {
        let mut answer = ask().await;
        for _ in 0..600 {
            match &answer {
                Ok(value) if good(value) => break,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            answer = ask().await;
        }
        answer
    }
}

fn company(n: usize) -> String {
    format!("ООО «{}-{}»", TRADES[n % TRADES.len()], n + 1)
}

fn account(n: usize) -> String {
    format!("acc-{}", 1001 + n)
}

fn contact(
    external_id: &str,
    n: usize,
    kind: &str,
    outcome: &str,
    at: DateTime<Utc>,
) -> InteractionRow {
    InteractionRow {
        external_id: external_id.to_owned(),
        account: account(n),
        kind: kind.to_owned(),
        outcome: outcome.to_owned(),
        occurred_at: at.to_rfc3339(),
        author: MANAGERS[n % MANAGERS.len()].to_owned(),
        duration_s: if outcome == "no_answer" {
            String::new()
        } else {
            "180".to_owned()
        },
        ..InteractionRow::default()
    }
}

fn taken(results: &[RowResult]) -> anyhow::Result<()> {
    match results
        .iter()
        .find(|result| result.outcome() == row_result::Outcome::Rejected)
    {
        None => Ok(()),
        Some(rejected) => {
            let reasons: Vec<String> = rejected
                .violations
                .iter()
                .map(|violation| format!("{} {}", violation.field, violation.description))
                .collect();
            anyhow::bail!("row {} was rejected: {}", rejected.row, reasons.join("; "))
        }
    }
}
