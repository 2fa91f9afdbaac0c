//! Hand-overs and absences: who may give what of whose to whom.

use anyhow::bail;
use api::accounts::{
    EndAbsenceRequest, GetTransferRequest, ListTransfersRequest, MarkAbsentRequest,
    PlanTransferRequest, StartTransferRequest, TransferList, TransferListPart, TransferPlan,
    TransferShare, TransferShares, transfer_plan::How,
};
use prost_types::Timestamp;
use tests::{
    background::{largest_page, request_id},
    population::{Role, SPENT},
};

use super::{
    accounts::{OUT_OF_REACH, sellers},
    walk::{HIDDEN, OK, PASSED, Walk},
};

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "PlanTransfer" => plan(walk).await?,
        "StartTransfer" => start(walk).await,
        "ListTransfers" => list(walk).await?,
        "GetTransfer" => get(walk).await,
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

fn share(from: &str, to: &str) -> TransferPlan {
    TransferPlan {
        from_owner_id: from.to_owned(),
        how: Some(How::Shares(TransferShares {
            shares: vec![TransferShare {
                to_owner_id: to.to_owned(),
                weight: 1,
            }],
            ..TransferShares::default()
        })),
    }
}

/// Somebody else than `not`, whom the caller sees.
fn receiver(walk: &Walk<'_>, not: usize) -> Option<usize> {
    let mut sellers = sellers(walk).into_iter();
    sellers.find(|who| *who != not && walk.world.sees(walk.who, *who))
}

async fn plan(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let (world, who) = (walk.world, walk.who);
    let mut client = walk.client.transfers();
    for owner in sellers(walk) {
        let Some(to) = receiver(walk, owner) else {
            continue;
        };
        let request = PlanTransferRequest {
            plan: Some(share(&world.staff[owner].id, &world.staff[to].id)),
            ..PlanTransferRequest::default()
        };
        let answer = client.plan_transfer(request).await;
        let seen = world.sees(who, owner);
        let expected = if seen { OK } else { OUT_OF_REACH };
        walk.answer(format!("PlanTransfer of {owner}"), expected, &answer);
        if let Ok(answer) = answer {
            let owned = world
                .accounts
                .iter()
                .filter(|one| one.owner == Some(owner))
                .map(|one| one.id.clone());
            let receivers = answer.into_inner().receivers.into_iter();
            let given = receivers.flat_map(|receiver| receiver.account_ids);
            walk.same(format!("PlanTransfer of {owner} gives"), owned, given);
        }
    }
    // All accounts there are, by name: those that are not seen are not there.
    let Some(to) = receiver(walk, usize::MAX) else {
        return Ok(());
    };
    let account_ids = world.accounts.iter().map(|one| one.id.clone());
    let part = TransferListPart {
        to_owner_id: world.staff[to].id.clone(),
        account_ids: account_ids.collect(),
    };
    let request = PlanTransferRequest {
        plan: Some(TransferPlan {
            how: Some(How::List(TransferList { parts: vec![part] })),
            ..TransferPlan::default()
        }),
        ..PlanTransferRequest::default()
    };
    let answer = client.plan_transfer(request).await?.into_inner();
    let hidden = (0..world.accounts.len()).filter(|one| !world.sees_account(who, *one));
    let hidden = hidden.map(|one| world.accounts[one].id.clone());
    let said = answer.kept.into_iter().filter(|kept| {
        let violation = kept.violation.as_ref();
        violation.is_some_and(|violation| violation.reason == HIDDEN)
    });
    let said = said.map(|kept| kept.account_id);
    walk.same("PlanTransfer hides", hidden, said);
    Ok(())
}

async fn start(walk: &mut Walk<'_>) {
    let mut client = walk.client.transfers();
    for owner in sellers(walk) {
        let Some(to) = receiver(walk, owner) else {
            continue;
        };
        let staff = &walk.world.staff;
        let request = StartTransferRequest {
            request_id: SPENT.to_owned(),
            plan: Some(share(&staff[owner].id, &staff[to].id)),
            reason: "проверка".to_owned(),
        };
        let answer = client.start_transfer(request).await;
        let seen = walk.world.sees(walk.who, owner);
        let expected = if seen { PASSED } else { OUT_OF_REACH };
        walk.answer(format!("StartTransfer of {owner}"), expected, &answer);
    }
}

async fn list(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let request = ListTransfersRequest {
        page: Some(largest_page()),
        ..ListTransfersRequest::default()
    };
    let answer = walk.client.transfers().list_transfers(request).await?;
    let (world, who) = (walk.world, walk.who);
    let seen = world
        .transfers
        .iter()
        .filter(|(_, from, to)| world.sees(who, *from) && world.sees(who, *to));
    let listed = answer.into_inner().transfers.into_iter().map(|one| one.id);
    walk.same("ListTransfers", seen.map(|(id, ..)| id.clone()), listed);
    Ok(())
}

/// Those that others have made, and one that is not there.
async fn get(walk: &mut Walk<'_>) {
    let mut client = walk.client.transfers();
    let transfers = walk.world.transfers.iter();
    let known = transfers.map(|(id, from, to)| {
        let seen = walk.world.sees(walk.who, *from) && walk.world.sees(walk.who, *to);
        (id.clone(), seen)
    });
    let asked: Vec<_> = known.chain([(request_id(), false)]).collect();
    for (transfer_id, seen) in asked {
        let request = GetTransferRequest {
            transfer_id,
            ..GetTransferRequest::default()
        };
        let answer = client.get_transfer(request).await;
        walk.answer("GetTransfer", if seen { OK } else { HIDDEN }, &answer);
    }
}

/// Administrators for everybody; heads for the managers and heads whom they see.
pub(super) async fn absences(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    const REFUSED: &str = "SUBSTITUTE_OUT_OF_REACH";
    let (world, me) = (walk.world, walk.who);
    let mut client = walk.client.staff();
    for (other, person) in world.staff.iter().enumerate() {
        if other == me || person.dismissed || world.staff[me].dismissed {
            continue;
        }
        let leads = world.sees(me, other) && matches!(person.role, Role::Manager | Role::Head);
        let may = world.staff[me].role == Role::Administrator || leads;
        let (expected, said) = if method == "MarkAbsent" {
            let request = MarkAbsentRequest {
                request_id: SPENT.to_owned(),
                staff_id: person.id.clone(),
                substitute_id: world.staff[me].id.clone(),
                from: None,
                until: Some(Timestamp {
                    seconds: 4_000_000_000,
                    nanos: 0,
                }),
                reason: "проверка".to_owned(),
            };
            let answer = client.mark_absent(request).await;
            (
                if may { PASSED } else { REFUSED },
                super::walk::said(&answer),
            )
        } else {
            let request = EndAbsenceRequest {
                request_id: SPENT.to_owned(),
                staff_id: person.id.clone(),
                absence_id: request_id(),
                reason: "проверка".to_owned(),
            };
            let answer = client.end_absence(request).await;
            (
                if may { PASSED } else { REFUSED },
                super::walk::said(&answer),
            )
        };
        walk.expect(format!("{method} of {other}"), expected, &said);
    }
    Ok(())
}
