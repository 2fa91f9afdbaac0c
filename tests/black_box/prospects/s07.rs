//! Three levels of visibility, and the masked hit.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CheckDuplicateRequest, GetAccountRequest, ListAccountsRequest, ListGroupsRequest,
        MoveToGroupRequest,
    },
    planning::{CreateTaskRequest, ListTasksRequest, TaskKind},
};
use tests::{
    background::{Background, code, request_id},
    eventually,
};
use tonic::{Code, Status};

use super::{call_to, company, heads, refusal, timeline};

/// S-07: three levels of visibility and the masked hit (T-004, T-009, T-023, T-025).
#[tokio::test]
async fn s07_three_levels_of_visibility_and_the_masked_hit() -> anyhow::Result<()> {
    let office = Background::start("2026-03-31T12:00:00+03:00").await?;
    let nikitins = company(&office, "Никитина", "+7 900 000-07-77", "s-21").await?;
    let mut smirnovas = String::new();
    let mut phones = 0;
    for (owner, many) in [("s-11", 3), ("s-12", 2), ("s-10", 1), ("s-21", 3), ("", 5)] {
        for number in 0..many {
            phones += 1;
            let phone = format!("+7 900 000-08-{phones:02}");
            let id = company(
                &office,
                &format!("Компания {owner} {number}"),
                &phone,
                owner,
            )
            .await?;
            if owner == "s-12" {
                smirnovas = id;
            }
        }
    }
    let smirnova = office.client("s-12")?;
    let task = CreateTaskRequest {
        request_id: request_id(),
        account_id: smirnovas.clone(),
        assignee_id: office.staff["s-12"].clone(),
        due_at: "2026-04-02T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    smirnova.planning().create_task(task).await?;
    let seen = heads(&office, "accounts").await?;
    smirnova
        .contacts()
        .log_interaction(call_to(&smirnovas, &seen))
        .await?;

    let list = async |staff: &str, query: &str| {
        let request = ListAccountsRequest {
            query: query.to_owned(),
            min_positions: heads(&office, "accounts").await?,
            ..ListAccountsRequest::default()
        };
        let answer = office
            .client(staff)?
            .accounts()
            .list_accounts(request)
            .await?;
        anyhow::Ok(answer.into_inner().accounts.len())
    };
    for (staff, expected) in [("s-11", 3), ("s-10", 6), ("s-20", 4), ("s-02", 15)] {
        let found = list(staff, "").await?;
        ensure!(found == expected, "{staff}: {found}");
    }
    let petrov = office.client("s-11")?;
    let open = async |account_id: &str| {
        let request = GetAccountRequest {
            account_id: account_id.to_owned(),
            ..GetAccountRequest::default()
        };
        refusal(petrov.accounts().get_account(request).await)
    };
    let (hidden, unknown) = (open(&nikitins).await?, open(&request_id()).await?);
    ensure!(hidden.code() == Code::NotFound, "{hidden:?}");
    ensure!(
        (hidden.code(), hidden.message(), hidden.details())
            == (unknown.code(), unknown.message(), unknown.details())
    );

    let check = CheckDuplicateRequest {
        phones: vec!["8 (900) 000-07-77".to_owned()],
        ..CheckDuplicateRequest::default()
    };
    let hits = petrov
        .duplicates()
        .check_duplicate(check.clone())
        .await?
        .into_inner()
        .hits;
    let [hit] = &hits[..] else {
        anyhow::bail!("{hits:?}")
    };
    ensure!(
        (hit.owner.as_str(), hit.account_id.as_str(), hit.in_pool) == ("Никитин П. О.", "", false),
        "{hit:?}"
    );
    ensure!(hit.matches == ["phones[0]"]);
    // Who sees the company is told which it is.
    let hits = office
        .client("s-20")?
        .duplicates()
        .check_duplicate(check)
        .await?
        .into_inner()
        .hits;
    ensure!(
        hits.len() == 1 && hits[0].account_id == nikitins,
        "{hits:?}"
    );

    office.at("2026-04-01T00:00:00+03:00").await?;
    let request = ListGroupsRequest::default();
    let groups = office.admin.staff().list_groups(request).await?;
    let groups = groups.into_inner().groups;
    let group_b = groups
        .iter()
        .find(|group| group.name == "B")
        .context("group B")?;
    let request = MoveToGroupRequest {
        request_id: request_id(),
        staff_id: office.staff["s-12"].clone(),
        group_id: group_b.id.clone(),
        ..MoveToGroupRequest::default()
    };
    office.admin.staff().move_to_group(request).await?;
    for (staff, expected) in [("s-10", 4), ("s-20", 6)] {
        let found = list(staff, "").await?;
        ensure!(found == expected, "{staff}: {found}");
        let found = list(staff, "Компания s-12").await?;
        ensure!(
            found == if staff == "s-20" { 2 } else { 0 },
            "{staff} finds {found}"
        );
    }
    for (staff, sees) in [("s-10", false), ("s-20", true)] {
        let client = office.client(staff)?;
        let follows = eventually(
            Duration::from_secs(1),
            || async {
                let tasks = ListTasksRequest {
                    account_id: smirnovas.clone(),
                    ..ListTasksRequest::default()
                };
                let tasks = client.planning().list_tasks(tasks).await?.into_inner().total;
                let timeline = client.contacts().get_timeline(timeline(&smirnovas)).await;
                Ok::<_, Status>((tasks, code(&timeline)))
            },
            |answer| matches!(answer, Ok((tasks, code)) if (*tasks == 1, *code == Code::Ok) == (sees, sees)),
        )
        .await?;
        ensure!(
            follows
                == if sees {
                    (1, Code::Ok)
                } else {
                    (0, Code::NotFound)
                },
            "{staff}: {follows:?}"
        );
    }
    Ok(())
}
