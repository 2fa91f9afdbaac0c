use anyhow::{Context, ensure};
use api::{
    accounts::{
        Account, AssignOwnerRequest, CatalogueEntry, CatalogueList, ChangeAccountDetailsRequest,
        ChangeAccountStatusRequest, GetAccountHistoryRequest, GetAccountRequest,
        GetCatalogueRequest, MergeAccountsRequest, PublishEntriesRequest, ReturnToPoolRequest,
        TransferAccountsRequest, UnmergeAccountsRequest, WithdrawEntryRequest,
    },
    log::ReadEventsRequest,
};
use tests::{
    background::{Background, import, request_id},
    client::Client,
};

const ACCOUNTS: &str = "external_id,name,phone,city,owner
acc-1,ООО «Вектор-Строй»,+7 900 000-05-55,Миасс,s-11
acc-2,Вектор,+7 900 000-05-56,Миасс,s-12
";

async fn get(office: &Background, id: &str) -> anyhow::Result<Account> {
    let request = GetAccountRequest {
        account_id: id.to_owned(),
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = office.admin.accounts().get_account(request).await?;
    let account = answer.into_inner().account.context("an account")?;
    Ok(Account {
        // What was done and undone has made the stream longer.
        version: 0,
        status_since: None,
        ..account
    })
}

/// Everything that the log of accounts holds, byte for byte.
async fn events(client: &Client) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut hashes = Vec::new();
    loop {
        let request = ReadEventsRequest {
            service: "accounts".to_owned(),
            after_position: hashes.len() as i64,
            limit: 1_000,
        };
        let page = client.log("accounts").read_events(request).await?;
        let page = page.into_inner().events;
        if page.is_empty() {
            return Ok(hashes);
        }
        hashes.extend(page.into_iter().map(|event| event.hash));
    }
}

/// nothing is ever deleted, so restoring is a further event: what was merged is told apart,
/// what was returned is given back, a field gets the value that its history holds, and what was
/// withdrawn is published again. The log only grows.
#[tokio::test]
async fn x14_what_was_done_is_undone_and_nothing_is_deleted() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let admin = &office.admin;
    let id = office.account("acc-1").await?;
    let other = office.account("acc-2").await?;
    let (first, second) = (get(&office, &id).await?, get(&office, &other).await?);
    let before = events(admin).await?;

    // MergeAccounts, and UnmergeAccounts.
    let merge = MergeAccountsRequest {
        request_id: request_id(),
        survivor_id: id.clone(),
        merged_id: other.clone(),
        reason: "одна компания".to_owned(),
    };
    admin.duplicates().merge_accounts(merge).await?;
    ensure!(get(&office, &other).await?.id == id);
    let unmerge = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id: other.clone(),
        reason: "две компании".to_owned(),
    };
    admin.duplicates().unmerge_accounts(unmerge).await?;
    ensure!(get(&office, &id).await? == first && get(&office, &other).await? == second);

    // ReturnToPool, and AssignOwner.
    let back = ReturnToPoolRequest {
        request_id: request_id(),
        account_id: id.clone(),
        reason: "отпуск".to_owned(),
    };
    admin.accounts().return_to_pool(back).await?;
    ensure!(get(&office, &id).await?.owner_id.is_empty());
    let assign = AssignOwnerRequest {
        request_id: request_id(),
        account_id: id.clone(),
        owner_id: office.staff["s-11"].clone(),
    };
    admin.accounts().assign_owner(assign).await?;
    ensure!(get(&office, &id).await? == first);

    // TransferAccounts there and back.
    for to in ["s-12", "s-11"] {
        let transfer = TransferAccountsRequest {
            request_id: request_id(),
            account_ids: vec![id.clone()],
            to_owner_id: office.staff[to].clone(),
            reason: "отпуск".to_owned(),
            ..TransferAccountsRequest::default()
        };
        admin.accounts().transfer_accounts(transfer).await?;
    }
    ensure!(get(&office, &id).await? == first);

    // A field: its history knows what was there.
    let change = |city: &str| ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: id.clone(),
        city: Some(city.to_owned()),
        ..ChangeAccountDetailsRequest::default()
    };
    let mut accounts = admin.accounts();
    accounts.change_account_details(change("Челябинск")).await?;
    let history = GetAccountHistoryRequest {
        account_id: id.clone(),
        field: "city".to_owned(),
        min_positions: vec![office.head("accounts").await?],
        ..GetAccountHistoryRequest::default()
    };
    let history = admin
        .history()
        .get_account_history(history)
        .await?
        .into_inner();
    let old = history.changes[0].old.clone().context("an old value")?;
    accounts.change_account_details(change(&old.text)).await?;
    ensure!(get(&office, &id).await? == first);

    // ChangeAccountStatus there and back.
    for status in ["contacted", "new"] {
        let request = ChangeAccountStatusRequest {
            request_id: request_id(),
            account_id: id.clone(),
            status: status.to_owned(),
            ..ChangeAccountStatusRequest::default()
        };
        admin.cards().change_account_status(request).await?;
    }
    ensure!(get(&office, &id).await? == first);

    // WithdrawEntry, and PublishEntries.
    let publish = || PublishEntriesRequest {
        request_id: request_id(),
        list: CatalogueList::Rubric.into(),
        entries: vec![CatalogueEntry {
            key: "dealers".to_owned(),
            name: "Дилеры".to_owned(),
            ..CatalogueEntry::default()
        }],
    };
    let rubrics = async || {
        let request = GetCatalogueRequest::default();
        let catalogue = admin.catalogue().get_catalogue(request).await?;
        anyhow::Ok(catalogue.into_inner().rubrics.len())
    };
    admin.catalogue().publish_entries(publish()).await?;
    let withdraw = WithdrawEntryRequest {
        request_id: request_id(),
        list: CatalogueList::Rubric.into(),
        key: "dealers".to_owned(),
    };
    admin.catalogue().withdraw_entry(withdraw).await?;
    ensure!(rubrics().await? == 0);
    admin.catalogue().publish_entries(publish()).await?;
    ensure!(rubrics().await? == 1);

    let after = events(admin).await?;
    ensure!(after.len() > before.len() && after.starts_with(&before));
    Ok(())
}
