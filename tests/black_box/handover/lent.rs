//! What is lent to a substitute is what the one who is away may do, and nothing made of two.

use anyhow::{Context, ensure};
use api::{
    accounts::{
        AppointGroupHeadRequest, EndAbsenceRequest, FormGroupRequest, ListGroupsRequest,
        MarkAbsentRequest, MoveGroupRequest,
    },
    contacts::{Direction, GetTimelineRequest, InteractionKind, LogInteractionRequest, Outcome},
};
use tests::{
    background::{Background, instant, reason, request_id},
    client::Client,
};
use tonic::{Code, Status};

use super::absence::{FROM, away, last, mark, office};

const LATER: &str = "2026-05-09T09:00:00+03:00";

async fn log_call(client: &Client, account_id: &str) -> Result<(), Status> {
    let request = LogInteractionRequest {
        request_id: request_id(),
        account_id: account_id.to_owned(),
        kind: InteractionKind::Call.into(),
        direction: Direction::Outbound.into(),
        outcome: Outcome::Connected.into(),
        ..LogInteractionRequest::default()
    };
    client.contacts().log_interaction(request).await.map(|_| ())
}

async fn read(client: &Client, account_id: &str) -> Result<(), Status> {
    let request = GetTimelineRequest {
        account_id: account_id.to_owned(),
        ..GetTimelineRequest::default()
    };
    client.contacts().get_timeline(request).await.map(|_| ())
}

fn code(answer: Result<(), Status>) -> Code {
    answer.map_or_else(|status| status.code(), |()| Code::Ok)
}

/// T-098, X-16: an operator sees every company and logs no contacts; a manager logs contacts with
/// his own. Whichever stands in for the other, nobody logs contacts with every company.
#[tokio::test]
async fn the_methods_of_one_do_not_meet_the_reach_of_another() -> anyhow::Result<()> {
    let office = office().await?;
    let (petrovs, nikitins) = (
        office.account("acc-11").await?,
        office.account("acc-21").await?,
    );
    let (nikitin, belova) = (office.client("s-21")?, office.client("s-30")?);
    mark(&office, away(&office, "s-30", "s-21", FROM)).await?;
    mark(&office, away(&office, "s-11", "s-30", FROM)).await?;
    office.at(FROM).await?;
    office.caught_up().await?;

    ensure!(code(log_call(&nikitin, &nikitins).await) == Code::Ok);
    ensure!(code(log_call(&nikitin, &petrovs).await) == Code::NotFound);
    ensure!(code(read(&nikitin, &petrovs).await) == Code::NotFound);

    ensure!(code(log_call(&belova, &nikitins).await) == Code::NotFound);
    ensure!(code(log_call(&belova, &petrovs).await) == Code::Ok);
    let (_, metadata) = last(&office, "contacts", "interaction.logged").await?;
    ensure!(
        metadata["actor"]["id"] == office.staff["s-30"].as_str()
            && metadata["on_behalf_of"] == office.staff["s-11"].as_str(),
        "{metadata}"
    );
    Ok(())
}

/// T-098: what was lent is not lent on, nor longer than it was.
#[tokio::test]
async fn a_substitute_prolongs_nothing() -> anyhow::Result<()> {
    let office = office().await?;
    let absence_id = mark(&office, away(&office, "s-10", "s-12", FROM)).await?;
    office.at(FROM).await?;
    office.caught_up().await?;
    let smirnova = office.client("s-12")?;
    let out_of_reach = |status: &Status| reason(status) == "SUBSTITUTE_OUT_OF_REACH";
    for who in ["s-10", "s-11"] {
        let request = longer(&office, who, "s-12");
        let answer = smirnova.staff().mark_absent(request).await;
        let refused = answer.err().context("was taken")?;
        ensure!(out_of_reach(&refused), "{who}: {refused:?}");
    }
    let request = EndAbsenceRequest {
        request_id: request_id(),
        staff_id: office.staff["s-10"].clone(),
        absence_id,
        reason: "вернулся".to_owned(),
    };
    let answer = smirnova.staff().end_absence(request).await;
    ensure!(answer.err().is_some_and(|refused| out_of_reach(&refused)));
    Ok(())
}

fn longer(office: &Background, who: &str, substitute: &str) -> MarkAbsentRequest {
    MarkAbsentRequest {
        until: Some(instant(LATER)),
        ..away(office, who, substitute, "2026-04-09T09:00:00+03:00")
    }
}

/// T-098, X-16: who leads a group lends nobody the sight of those above, who are members of it.
#[tokio::test]
async fn nobody_lends_more_than_the_own_sight() -> anyhow::Result<()> {
    let office = office().await?;
    let request = ListGroupsRequest::default();
    let groups = office.admin.staff().list_groups(request).await?;
    let groups = groups.into_inner().groups;
    let group = |name: &str| {
        let group = groups.iter().find(|group| group.name == name);
        group.map(|group| group.id.clone()).context("no such group")
    };
    let (group_a, group_b) = (group("A")?, group("B")?);
    let form = FormGroupRequest {
        request_id: request_id(),
        name: "Продажи".to_owned(),
        ..FormGroupRequest::default()
    };
    let sales = office
        .admin
        .staff()
        .form_group(form)
        .await?
        .into_inner()
        .group_id;
    for group_id in [&group_a, &group_b] {
        let place = MoveGroupRequest {
            request_id: request_id(),
            group_id: group_id.clone(),
            parent_id: sales.clone(),
            ..MoveGroupRequest::default()
        };
        office.admin.staff().move_group(place).await?;
    }
    for (group_id, head) in [(sales, "s-10"), (group_a, "s-12")] {
        let appoint = AppointGroupHeadRequest {
            request_id: request_id(),
            group_id,
            staff_id: office.staff[head].clone(),
            ..AppointGroupHeadRequest::default()
        };
        office.admin.staff().appoint_group_head(appoint).await?;
    }
    office.caught_up().await?;
    let smirnova = office.client("s-12")?;
    let refused = smirnova
        .staff()
        .mark_absent(away(&office, "s-10", "s-12", FROM))
        .await;
    let refused = refused.err().context("was lent")?;
    ensure!(reason(&refused) == "SUBSTITUTE_OUT_OF_REACH", "{refused:?}");
    // Of those who see no more than she does she names anybody.
    let colleague = away(&office, "s-11", "s-12", FROM);
    smirnova.staff().mark_absent(colleague).await?;
    Ok(())
}
