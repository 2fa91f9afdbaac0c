//! Staff and groups are corrected as the office changes.

use std::time::Duration;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        AppointGroupHeadRequest, ChangeRoleRequest, ChangeStaffDetailsRequest, DismissStaffRequest,
        FormGroupRequest, GetAccountRequest, Group, HireStaffRequest, ListAccountsRequest,
        ListGroupsRequest, ListStaffRequest, LoginRequest, MoveGroupRequest, RehireStaffRequest,
        RenameGroupRequest, SetPasswordRequest, StaffMember, TransferAccountsRequest,
    },
    analytics::{GetScorecardRequest, ScorecardBy, ScorecardRow},
    contacts::GetTimelineRequest,
    planning::{CreateTaskRequest, ListTasksRequest, ReassignTaskRequest, TaskKind},
    rights::Role,
};
use tests::{
    background::{Background, ask, code, fields, import, reason, request_id},
    client::{Client, SERVICES},
    eventually,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

const NOW: &str = "2026-03-10T09:00:00+03:00";
const PASSWORD: &str = "пароль-1";
/// Within it the new rights hold everywhere.
const RIGHTS_FOLLOW: Duration = Duration::from_secs(5);
const ACCOUNTS: &str = "external_id,name,phone,owner
a-1,Вектор,+79000006601,s-11
a-2,Ромашка,+79000006602,s-21
";
const INTERACTIONS: &str = "external_id,account,kind,direction,outcome,occurred_at,author
i-1,a-1,call,outbound,connected,2026-03-05 10:00,s-11
i-2,a-1,meeting,outbound,held,2026-03-06 10:00,s-11
i-3,a-2,call,outbound,connected,2026-03-06 11:00,s-21
";

/// Everybody, those who have left too.
async fn profile(office: &Background, external_id: &str) -> anyhow::Result<StaffMember> {
    let request = ListStaffRequest {
        include_dismissed: true,
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = office.admin.staff().list_staff(request).await?;
    let mut staff = answer.into_inner().staff.into_iter();
    staff
        .find(|one| one.external_id == external_id)
        .with_context(|| format!("{external_id} is not there"))
}

async fn groups(office: &Background) -> anyhow::Result<Vec<Group>> {
    let request = ListGroupsRequest {
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = office.admin.staff().list_groups(request).await?;
    Ok(answer.into_inner().groups)
}

async fn group(office: &Background, name: &str) -> anyhow::Result<String> {
    let groups = groups(office).await?;
    let found = groups.into_iter().find(|group| group.name == name);
    Ok(found.with_context(|| format!("no group {name}"))?.id)
}

async fn form(office: &Background, name: &str) -> Result<String, Status> {
    let request = FormGroupRequest {
        request_id: request_id(),
        name: name.to_owned(),
        ..FormGroupRequest::default()
    };
    let formed = office.admin.staff().form_group(request).await?;
    Ok(formed.into_inner().group_id)
}

async fn hire(office: &Background, external_id: &str, role: Role) -> Result<String, Status> {
    let request = HireStaffRequest {
        request_id: request_id(),
        external_id: external_id.to_owned(),
        name: "Котова Нина Львовна".to_owned(),
        role: role.into(),
        ..HireStaffRequest::default()
    };
    let hired = office.admin.staff().hire_staff(request).await?;
    Ok(hired.into_inner().staff_id)
}

async fn set_password(office: &Background, who: &str, login: &str) -> Result<(), Status> {
    let request = SetPasswordRequest {
        request_id: request_id(),
        staff_id: office.staff[who].clone(),
        login: login.to_owned(),
        password: PASSWORD.to_owned(),
    };
    office.admin.staff().set_password(request).await.map(drop)
}

/// Whether the login lets somebody in.
async fn comes_in(office: &Background, login: &str) -> anyhow::Result<bool> {
    let nobody = Client::new(&office.office.grpc, None)?;
    let request = LoginRequest {
        login: login.to_owned(),
        password: PASSWORD.to_owned(),
    };
    match nobody.identity().login(request).await {
        Ok(_) => Ok(true),
        Err(status) if status.code() == Code::Unauthenticated => Ok(false),
        Err(status) => Err(status.into()),
    }
}

async fn correct(
    office: &Background,
    who: &str,
    details: ChangeStaffDetailsRequest,
) -> Result<(), Status> {
    let request = ChangeStaffDetailsRequest {
        request_id: request_id(),
        staff_id: office.staff[who].clone(),
        ..details
    };
    let answer = office.admin.staff().change_staff_details(request).await;
    answer.map(drop)
}

/// T-019: a name, an extension and a login are corrected one by one; the former login is free.
#[tokio::test]
async fn t019_a_profile_is_corrected() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    set_password(&office, "s-12", "smirnova").await?;
    let before = profile(&office, "s-12").await?;
    let married = ChangeStaffDetailsRequest {
        name: Some("Титова Ольга Викторовна".to_owned()),
        login: Some("titova".to_owned()),
        ..ChangeStaffDetailsRequest::default()
    };
    correct(&office, "s-12", married.clone()).await?;
    let moved_desk = ChangeStaffDetailsRequest {
        extension: Some("117".to_owned()),
        ..ChangeStaffDetailsRequest::default()
    };
    correct(&office, "s-12", moved_desk).await?;
    let expected = StaffMember {
        name: "Титова Ольга Викторовна".to_owned(),
        extension: "117".to_owned(),
        ..before
    };
    let after = profile(&office, "s-12").await?;
    ensure!(after == expected, "{after:?}");
    ensure!(comes_in(&office, "titova").await? && !comes_in(&office, "smirnova").await?);

    let refused = set_password(&office, "s-11", "Titova").await;
    let refused = refused.err().context("a login was given twice")?;
    ensure!(reason(&refused) == "LOGIN_TAKEN", "{refused:?}");
    set_password(&office, "s-11", "smirnova").await?;
    ensure!(comes_in(&office, "smirnova").await?);
    let taken = ChangeStaffDetailsRequest {
        login: Some("smirnova".to_owned()),
        ..ChangeStaffDetailsRequest::default()
    };
    let refused = correct(&office, "s-12", taken).await;
    let refused = refused.err().context("a login was taken away")?;
    ensure!(reason(&refused) == "LOGIN_TAKEN", "{refused:?}");

    // Said again, it is so already.
    let count = async || {
        let events = office.events("accounts").await?;
        let changed = events
            .iter()
            .filter(|(of, _)| of == "staff.details_changed");
        anyhow::Ok(changed.count())
    };
    ensure!(count().await? == 2);
    correct(&office, "s-12", married).await?;
    ensure!(count().await? == 2);
    let faulty = ChangeStaffDetailsRequest {
        name: Some(String::new()),
        extension: Some("1".repeat(21)),
        login: Some(" ".to_owned()),
        ..ChangeStaffDetailsRequest::default()
    };
    let refused = correct(&office, "s-12", faulty).await;
    let refused = refused.err().context("a profile without a name")?;
    ensure!(
        fields(&refused) == ["extension", "login", "name"],
        "{refused:?}"
    );
    let gone = ChangeStaffDetailsRequest {
        extension: Some("118".to_owned()),
        ..ChangeStaffDetailsRequest::default()
    };
    let refused = correct(&office, "s-99", gone).await;
    let refused = refused.err().context("of one who has left")?;
    ensure!(reason(&refused) == "STAFF_DISMISSED", "{refused:?}");
    Ok(())
}

/// T-019, T-006: who was dismissed comes again under the same id, is let in everywhere, owns
/// companies and is seen by the head of the new group.
#[tokio::test]
async fn t019_who_left_comes_again() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    set_password(&office, "s-13", "kuznetsov").await?;
    let before = profile(&office, "s-13").await?;
    let request = DismissStaffRequest {
        request_id: request_id(),
        staff_id: office.staff["s-13"].clone(),
        reason: "уходит".to_owned(),
        min_positions: Vec::new(),
    };
    office.admin.staff().dismiss_staff(request).await?;
    ensure!(!comes_in(&office, "kuznetsov").await?);

    let b = group(&office, "B").await?;
    let rehire = RehireStaffRequest {
        request_id: request_id(),
        staff_id: office.staff["s-13"].clone(),
        role: Role::Manager.into(),
        group_id: b.clone(),
        hired_on: "2026-03-10".to_owned(),
    };
    office.admin.staff().rehire_staff(rehire.clone()).await?;
    let expected = StaffMember {
        group_id: b,
        hired_on: "2026-03-10".to_owned(),
        ..before
    };
    let after = profile(&office, "s-13").await?;
    ensure!(after == expected, "{after:?}");
    ensure!(comes_in(&office, "kuznetsov").await?);
    let kuznetsov = office.client("s-13")?;
    for service in SERVICES {
        let let_in = eventually(
            RIGHTS_FOLLOW,
            || ask(&kuznetsov, service, Vec::new()),
            Result::is_ok,
        );
        let_in.await.context(service)?;
    }
    let csv = "external_id,name,phone,owner\na-3,Заря,+79000006603,s-13\n";
    import(&office.office, "s-02", "accounts", csv)?;
    let id = office.account("a-3").await?;
    for (who, sees) in [("s-13", true), ("s-20", true), ("s-10", false)] {
        let request = GetAccountRequest {
            account_id: id.clone(),
            min_positions: vec![office.head("accounts").await?],
        };
        let seen = office.client(who)?.accounts().get_account(request).await;
        ensure!(seen.is_ok() == sees, "{who}: {seen:?}");
    }

    let again = RehireStaffRequest {
        request_id: request_id(),
        ..rehire.clone()
    };
    let refused = office.admin.staff().rehire_staff(again).await;
    let refused = refused.err().context("was hired while working here")?;
    ensure!(reason(&refused) == "STAFF_WORKS_HERE", "{refused:?}");
    // The same request has the same answer.
    office.admin.staff().rehire_staff(rehire).await?;
    let events = office.events("accounts").await?;
    let rehired = events.iter().filter(|(of, _)| of == "staff.rehired");
    ensure!(rehired.count() == 1);
    Ok(())
}

/// T-019: a group gets another name, and files that say it find the group; the former one is free.
#[tokio::test]
async fn t019_a_group_gets_another_name() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let a = group(&office, "A").await?;
    let rename = async |name: &str| {
        let request = RenameGroupRequest {
            request_id: request_id(),
            group_id: a.clone(),
            name: name.to_owned(),
        };
        office.admin.staff().rename_group(request).await.map(drop)
    };
    let refused = rename("b").await.err().context("two groups of a name")?;
    ensure!(reason(&refused) == "GROUP_NAME_TAKEN", "{refused:?}");
    rename("Север").await?;
    ensure!(group(&office, "Север").await? == a);
    let refused = form(&office, "север").await;
    let refused = refused.err().context("formed twice")?;
    ensure!(reason(&refused) == "GROUP_EXISTS", "{refused:?}");

    let head = "external_id,name,role,group,head,hired_on\n";
    let csv = format!("{head}s-61,Ежов Лев Ильич,manager,Север,s-10,2026-03-10\n");
    import(&office.office, "admin", "staff", &csv)?;
    ensure!(profile(&office, "s-61").await?.group_id == a);
    let former = form(&office, "A").await?;
    ensure!(former != a);
    let csv = format!("{head}s-62,Ежова Анна Ильинична,manager,A,,2026-03-10\n");
    import(&office.office, "admin", "staff", &csv)?;
    ensure!(profile(&office, "s-62").await?.group_id == former);
    ensure!(groups(&office).await?.len() == 3);
    Ok(())
}

async fn move_group(office: &Background, group: &str, parent: &str) -> Result<(), Status> {
    let request = MoveGroupRequest {
        request_id: request_id(),
        group_id: group.to_owned(),
        parent_id: parent.to_owned(),
        ..MoveGroupRequest::default()
    };
    office.admin.staff().move_group(request).await.map(drop)
}

/// What somebody sees: companies, a timeline, tasks, and facts that reports count.
async fn seen(client: &Client, account_id: &str) -> anyhow::Result<(i64, Code, i64, i64)> {
    let request = ListAccountsRequest {
        count: true,
        ..ListAccountsRequest::default()
    };
    let accounts = client.accounts().list_accounts(request).await?;
    let request = GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    };
    let timeline = code(&client.contacts().get_timeline(request).await);
    let request = ListTasksRequest::default();
    let tasks = client.planning().list_tasks(request).await?;
    let request = GetScorecardRequest::default();
    let scorecard = client.reports().get_scorecard(request).await?;
    let total = scorecard.into_inner().total.context("a total")?;
    Ok((
        accounts.into_inner().total,
        timeline,
        tasks.into_inner().total,
        total.calls + total.meetings,
    ))
}

async fn by_group(office: &Background) -> anyhow::Result<Vec<ScorecardRow>> {
    let request = GetScorecardRequest {
        by: ScorecardBy::Group.into(),
        ..GetScorecardRequest::default()
    };
    let answer = office.admin.reports().get_scorecard(request).await?;
    Ok(answer.into_inner().rows)
}

async fn task(office: &Background, who: &str) -> Result<String, Status> {
    let request = CreateTaskRequest {
        request_id: request_id(),
        assignee_id: office.staff[who].clone(),
        due_at: "2026-03-12T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Позвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    let created = office.admin.planning().create_task(request).await?;
    Ok(created.into_inner().task_id)
}

/// T-023, T-028: groups that came from a file get a sales head above them, who sees all that is
/// theirs in every service from then on and no longer; what was counted stays with its group.
#[tokio::test]
async fn t023_t028_a_sales_head_above_groups_from_a_file() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    import(&office.office, "s-02", "interactions", INTERACTIONS)?;
    task(&office, "s-11").await?;
    let (a, b) = (group(&office, "A").await?, group(&office, "B").await?);
    let sales = form(&office, "Продажи").await?;
    let head = hire(&office, "s-50", Role::Head).await?;
    let request = AppointGroupHeadRequest {
        request_id: request_id(),
        group_id: sales.clone(),
        staff_id: head,
        ..AppointGroupHeadRequest::default()
    };
    office.admin.staff().appoint_group_head(request).await?;
    office.caught_up().await?;
    let account = office.account("a-1").await?;
    let figures = by_group(&office).await?;
    ensure!(figures.len() == 2, "{figures:?}");
    let chief = office.client("s-50")?;
    let nothing = (0, Code::NotFound, 0, 0);
    ensure!(seen(&chief, &account).await? == nothing);

    for (group, parent, expected) in [
        (&a, sales.as_str(), (1, Code::Ok, 1, 2)),
        (&b, &sales, (2, Code::Ok, 1, 3)),
        (&a, "", (1, Code::NotFound, 0, 1)),
        (&a, &b, (2, Code::Ok, 1, 3)),
    ] {
        move_group(&office, group, parent).await?;
        let follows = eventually(
            RIGHTS_FOLLOW,
            || seen(&chief, &account),
            |seen| seen.as_ref().is_ok_and(|seen| *seen == expected),
        );
        let follows = follows.await?;
        ensure!(
            follows == expected,
            "{group} below {parent:?}: {follows:?}, not {expected:?}"
        );
        ensure!(by_group(&office).await? == figures, "figures have changed");
    }
    // Nobody's own group has gained anything but what is below it now.
    let seen_by = async |who: &str| seen(&office.client(who)?, &account).await;
    ensure!(seen_by("s-10").await?.0 == 1 && seen_by("s-20").await?.0 == 2);

    for (group, parent) in [(&sales, &a), (&b, &a), (&sales, &sales)] {
        let refused = move_group(&office, group, parent).await;
        let refused = refused.err().context("a circle")?;
        ensure!(
            refused.code() == Code::FailedPrecondition && reason(&refused) == "GROUP_CIRCLE",
            "{refused:?}"
        );
    }
    let refused = move_group(&office, &a, &request_id()).await;
    let refused = refused.err().context("below nothing")?;
    ensure!(fields(&refused) == ["parent_id"], "{refused:?}");
    let refused = move_group(&office, &request_id(), &a).await;
    ensure!(code(&refused) == Code::NotFound, "{refused:?}");
    Ok(())
}

async fn change_role(office: &Background, who: &str, role: Role) -> anyhow::Result<Option<Status>> {
    let request = ChangeRoleRequest {
        request_id: request_id(),
        staff_id: office.staff[who].clone(),
        role: role.into(),
        reason: "по просьбе".to_owned(),
        min_positions: vec![office.head("planning").await?],
    };
    Ok(office.admin.staff().change_role(request).await.err())
}

/// T-006, T-019, T-028: who owns companies or has something to do becomes nobody who cannot own; the
/// refusal counts what is left, as that of a dismissal does.
#[tokio::test]
async fn t006_an_owner_becomes_no_operator() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let task_id = task(&office, "s-11").await?;
    office.caught_up().await?;
    let refused = async |role, expected: &str, accounts: &str| {
        let refused = change_role(&office, "s-11", role).await?;
        let refused = refused.context("became somebody who cannot own")?;
        let info = refused.get_details_error_info().context("no facts")?;
        ensure!(
            refused.code() == Code::FailedPrecondition
                && info.reason == expected
                && info.metadata["accounts"] == accounts
                && info.metadata["open_tasks"] == "1",
            "{refused:?}"
        );
        anyhow::Ok(())
    };
    refused(Role::Operator, "STAFF_OWNS_ACCOUNTS", "1").await?;
    refused(Role::Analyst, "STAFF_OWNS_ACCOUNTS", "1").await?;
    // Who can own may keep it all.
    for role in [Role::Head, Role::Manager] {
        let refused = change_role(&office, "s-11", role).await?;
        ensure!(refused.is_none(), "{refused:?}");
    }

    let request = TransferAccountsRequest {
        request_id: request_id(),
        account_ids: vec![office.account("a-1").await?],
        to_owner_id: office.staff["s-12"].clone(),
        reason: "перераспределение".to_owned(),
        ..TransferAccountsRequest::default()
    };
    office.admin.accounts().transfer_accounts(request).await?;
    refused(Role::Operator, "STAFF_HAS_OPEN_TASKS", "0").await?;
    let request = ReassignTaskRequest {
        request_id: request_id(),
        task_id,
        assignee_id: office.staff["s-12"].clone(),
        reason: "перераспределение".to_owned(),
    };
    office.admin.planning().reassign_task(request).await?;
    let refused = change_role(&office, "s-11", Role::Operator).await?;
    ensure!(refused.is_none(), "{refused:?}");
    ensure!(profile(&office, "s-11").await?.role() == Role::Operator);
    Ok(())
}
