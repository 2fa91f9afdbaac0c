use anyhow::bail;
use api::accounts::{
    AddToProspectListRequest, ChangeProspectListRequest, CheckDuplicateRequest,
    ClaimProspectRequest, CloseProspectListRequest, CreateProspectListRequest,
    DistributeProspectsRequest, ListClaimsRequest, ListProspectListsRequest, MergeAccountsRequest,
    NextProspectRequest, ReleaseClaimRequest, RemoveFromProspectListRequest, RenewClaimRequest,
    UnmergeAccountsRequest,
};
use tests::{
    background::request_id,
    population::{Account, SPENT},
};

use super::walk::{HIDDEN, OK, PASSED, Walk};

const WHY: &str = "проверка";

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    let accounts = 0..walk.world.accounts.len();
    match method {
        "ClaimProspect" | "RenewClaim" | "ReleaseClaim" => {
            for account in accounts {
                of_claim(walk, method, account).await;
            }
        }
        "CheckDuplicate" => {
            for account in accounts {
                check(walk, account).await?;
            }
        }
        "MergeAccounts" => {
            for account in accounts {
                merge(walk, account).await;
            }
        }
        "UnmergeAccounts" => {
            for account in accounts {
                unmerge(walk, account).await;
            }
        }
        "DistributeProspects" => {
            for account in accounts {
                distribute(walk, account).await?;
            }
        }
        "AddToProspectList" => {
            for account in accounts {
                add(walk, account).await;
            }
        }
        _ => of_list(walk, method).await?,
    }
    Ok(())
}

/// Whoever calls may claim what is in the pool, and needs no other right to see it for that.
async fn of_claim(walk: &mut Walk<'_>, method: &str, account: usize) {
    let (mut client, request_id) = (walk.client.prospects(), SPENT.to_owned());
    let account_id = walk.world.accounts[account].id.clone();
    let asked = &walk.world.accounts[account];
    let open = asked.owner.is_none() && (asked.claim.is_none() || method == "ClaimProspect");
    let passes = open || walk.world.sees_account(walk.who, account);
    let expected = if passes { PASSED } else { HIDDEN };
    let question = format!("{method} {account}");
    match method {
        "ClaimProspect" => {
            let request = ClaimProspectRequest {
                request_id,
                account_id,
            };
            let answer = client.claim_prospect(request).await;
            walk.answer(question, expected, &answer);
        }
        "RenewClaim" => {
            let request = RenewClaimRequest {
                request_id,
                account_id,
            };
            let answer = client.renew_claim(request).await;
            walk.answer(question, expected, &answer);
        }
        _ => {
            let request = ReleaseClaimRequest {
                request_id,
                account_id,
            };
            let answer = client.release_claim(request).await;
            walk.answer(question, expected, &answer);
        }
    }
}

/// That there is one everybody is told, which one only who sees or may claim it.
async fn check(walk: &mut Walk<'_>, account: usize) -> anyhow::Result<()> {
    let checked = &walk.world.accounts[account];
    let request = CheckDuplicateRequest {
        phones: vec![checked.phone.clone()],
        ..CheckDuplicateRequest::default()
    };
    let answer = walk.client.duplicates().check_duplicate(request).await;
    let question = format!("CheckDuplicate {account}");
    walk.no_leak(&question, &answer);
    let hits = answer?.into_inner().hits;
    let told = checked.owner.is_none() || walk.world.sees_account(walk.who, account);
    let expected = if told { checked.id.as_str() } else { "" };
    walk.same(
        question,
        [expected.to_owned()],
        hits.into_iter().map(|hit| hit.account_id),
    );
    Ok(())
}

async fn merge(walk: &mut Walk<'_>, account: usize) {
    let world = walk.world;
    let other = (account + 1) % world.accounts.len();
    let request = MergeAccountsRequest {
        request_id: SPENT.to_owned(),
        survivor_id: world.accounts[account].id.clone(),
        merged_id: world.accounts[other].id.clone(),
        reason: WHY.to_owned(),
    };
    let answer = walk.client.duplicates().merge_accounts(request).await;
    let seen = world.sees_account(walk.who, account) && world.sees_account(walk.who, other);
    let expected = if seen { PASSED } else { HIDDEN };
    walk.answer(format!("MergeAccounts {account}"), expected, &answer);
}

async fn unmerge(walk: &mut Walk<'_>, account: usize) {
    let request = UnmergeAccountsRequest {
        request_id: SPENT.to_owned(),
        merged_id: walk.world.accounts[account].id.clone(),
        reason: WHY.to_owned(),
    };
    let answer = walk.client.duplicates().unmerge_accounts(request).await;
    // What is only claimed is nobody's to tell apart.
    let seen = walk.world.lists_account(walk.who, account);
    let expected = if seen { PASSED } else { HIDDEN };
    walk.answer(format!("UnmergeAccounts {account}"), expected, &answer);
}

async fn distribute(walk: &mut Walk<'_>, account: usize) -> anyhow::Result<()> {
    let asked = &walk.world.accounts[account];
    let request = DistributeProspectsRequest {
        request_id: request_id(),
        account_ids: vec![asked.id.clone()],
        staff_ids: vec![walk.world.staff[walk.who].id.clone()],
        preview: true,
        ..DistributeProspectsRequest::default()
    };
    let answer = walk.client.prospects().distribute_prospects(request).await;
    let question = format!("DistributeProspects {account}");
    walk.no_leak(&question, &answer);
    let answer = answer?.into_inner();
    let expected = match (walk.world.sees_account(walk.who, account), asked) {
        (false, _) => HIDDEN,
        (true, Account { owner: Some(_), .. }) => "ALREADY_OWNED",
        (true, Account { claim: Some(_), .. }) => "CLAIMED",
        (true, _) => OK,
    };
    let failure = answer.failures.into_iter().next();
    let said = failure.and_then(|failure| failure.violation);
    let said = said.map_or_else(|| OK.to_owned(), |violation| violation.reason);
    walk.expect(question, expected, &said);
    Ok(())
}

async fn add(walk: &mut Walk<'_>, account: usize) {
    let request = AddToProspectListRequest {
        request_id: SPENT.to_owned(),
        list_id: request_id(),
        account_ids: vec![walk.world.accounts[account].id.clone()],
    };
    let answer = walk.client.prospects().add_to_prospect_list(request).await;
    let seen = walk.world.sees_account(walk.who, account);
    let expected = if seen {
        PASSED
    } else {
        "invalid account_ids[0]"
    };
    walk.answer(format!("AddToProspectList {account}"), expected, &answer);
}

/// Lists are no secret to those who may fill them; managers know those that they call.
async fn of_list(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    let (mut client, request_id) = (walk.client.prospects(), SPENT.to_owned());
    let list_id = tests::background::request_id();
    match method {
        "ListClaims" => {
            let answer = client.list_claims(ListClaimsRequest::default()).await?;
            let claims = answer.into_inner().claims;
            let (world, who) = (walk.world, walk.who);
            let held = world.accounts.iter().filter(|account| {
                let holder = account.claim;
                holder.is_some_and(|holder| world.sees(who, holder))
            });
            let held = held.map(|account| account.id.clone());
            walk.same(
                method,
                held,
                claims.into_iter().map(|claim| claim.account_id),
            );
        }
        "ListProspectLists" => {
            let request = ListProspectListsRequest::default();
            let lists = client
                .list_prospect_lists(request)
                .await?
                .into_inner()
                .lists;
            let (world, who) = (walk.world, walk.who);
            let known = world.lists.iter().filter(|list| world.knows(who, list));
            let known = known.map(|list| list.id.clone());
            walk.same(method, known, lists.into_iter().map(|list| list.id));
        }
        "NextProspect" => {
            let request = NextProspectRequest {
                request_id,
                list_id,
            };
            let answer = client.next_prospect(request).await;
            walk.answer(method, HIDDEN, &answer);
            for (number, list) in walk.world.lists.iter().enumerate() {
                let request = NextProspectRequest {
                    request_id: SPENT.to_owned(),
                    list_id: list.id.clone(),
                };
                let answer = client.next_prospect(request).await;
                let knows = walk.world.knows(walk.who, list);
                let expected = if knows { PASSED } else { HIDDEN };
                walk.answer(format!("NextProspect of {number}"), expected, &answer);
            }
        }
        "CreateProspectList" => {
            let request = CreateProspectListRequest {
                request_id,
                name: "Новый".to_owned(),
                ..CreateProspectListRequest::default()
            };
            let answer = client.create_prospect_list(request).await;
            walk.answer(method, PASSED, &answer);
        }
        "ChangeProspectList" => {
            let request = ChangeProspectListRequest {
                request_id,
                list_id,
                name: "Новый".to_owned(),
                ..ChangeProspectListRequest::default()
            };
            let answer = client.change_prospect_list(request).await;
            walk.answer(method, PASSED, &answer);
        }
        "RemoveFromProspectList" => {
            let request = RemoveFromProspectListRequest {
                request_id,
                list_id,
                account_ids: vec![walk.world.accounts[0].id.clone()],
            };
            let answer = client.remove_from_prospect_list(request).await;
            walk.answer(method, PASSED, &answer);
        }
        "CloseProspectList" => {
            let request = CloseProspectListRequest {
                request_id,
                list_id,
                reason: WHY.to_owned(),
            };
            let answer = client.close_prospect_list(request).await;
            walk.answer(method, PASSED, &answer);
        }
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}
