//! Records of the same company.

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CheckDuplicateRequest, GetAccountRequest, Lifecycle, ListAccountsRequest,
        ListImportRowsRequest, ListImportsRequest, MergeAccountsRequest, RegisterOrderRequest,
        UnmergeAccountsRequest,
    },
    common::Money,
    contacts::{AddContactPersonRequest, Interaction, ListContactPersonsRequest},
    planning::{CreateTaskRequest, ListTasksRequest, TaskKind},
};
use tests::{
    background::{Background, caught_up, code, import, reason, request_id},
    client::Client,
};
use tonic::Code;

use super::{call_to, company, count, heads, refusal, timeline};

async fn card(client: &Client, account_id: &str) -> anyhow::Result<api::accounts::Account> {
    let request = GetAccountRequest {
        account_id: account_id.to_owned(),
        ..GetAccountRequest::default()
    };
    let answer = client.accounts().get_account(request).await?;
    answer.into_inner().account.context("a card")
}

async fn interactions(client: &Client, account_id: &str) -> anyhow::Result<Vec<Interaction>> {
    let answer = client.contacts().get_timeline(timeline(account_id)).await?;
    Ok(answer.into_inner().interactions)
}

/// T-005, N-07, X-14: merged records answer as one, and are told apart exactly.
#[tokio::test]
async fn merged_records_answer_as_one_and_are_told_apart_exactly() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let (petrov, nikitin) = (office.client("s-11")?, office.client("s-21")?);
    let admin = &office.client("s-02")?;
    let survivor = company(&office, "Вектор", "+7 900 000-40-01", "s-11").await?;
    let merged = company(&office, "Вектор-Строй", "+7 900 000-40-02", "s-21").await?;
    let seen = heads(&office, "accounts").await?;
    for (client, account) in [(&petrov, &survivor), (&nikitin, &merged)] {
        client
            .contacts()
            .log_interaction(call_to(account, &seen))
            .await?;
        let person = AddContactPersonRequest {
            request_id: request_id(),
            account_id: account.clone(),
            name: format!("Лицо {}", account.len()),
            ..AddContactPersonRequest::default()
        };
        client.contacts().add_contact_person(person).await?;
    }
    let task = CreateTaskRequest {
        request_id: request_id(),
        account_id: merged.clone(),
        assignee_id: office.staff["s-21"].clone(),
        due_at: "2026-03-16T10:00:00+03:00".to_owned(),
        kind: TaskKind::Call.into(),
        comment: "Перезвонить".to_owned(),
        ..CreateTaskRequest::default()
    };
    nikitin.planning().create_task(task).await?;
    caught_up(&office.admin).await?;
    let before = (card(admin, &survivor).await?, card(admin, &merged).await?);
    let history = (
        interactions(admin, &survivor).await?,
        interactions(admin, &merged).await?,
    );

    let merge = |survivor_id: &str, merged_id: &str| MergeAccountsRequest {
        request_id: request_id(),
        survivor_id: survivor_id.to_owned(),
        merged_id: merged_id.to_owned(),
        reason: "одна компания".to_owned(),
    };
    let refused = refusal(
        admin
            .duplicates()
            .merge_accounts(merge(&survivor, &survivor))
            .await,
    )?;
    ensure!(refused.code() == Code::InvalidArgument, "{refused:?}");
    let hidden = office
        .client("s-10")?
        .duplicates()
        .merge_accounts(merge(&survivor, &merged))
        .await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
    let request = merge(&survivor, &merged);
    let first = admin
        .duplicates()
        .merge_accounts(request.clone())
        .await?
        .into_inner();
    let again = admin
        .duplicates()
        .merge_accounts(request)
        .await?
        .into_inner();
    ensure!(
        first == again && first.survivor_id == survivor,
        "{first:?} {again:?}"
    );
    let refused = refusal(
        admin
            .duplicates()
            .merge_accounts(merge(&merged, &survivor))
            .await,
    )?;
    ensure!(reason(&refused) == "MERGED_WITH_ITSELF", "{refused:?}");
    ensure!(count(&office, "accounts", "account.merged").await? == 1);

    caught_up(&office.admin).await?;
    for id in [&survivor, &merged] {
        let card = card(&petrov, id).await?;
        ensure!(
            card.id == survivor && card.merged_ids == [merged.clone()],
            "{card:?}"
        );
        // What was known of the other one is known still, and it is found by it.
        let other: Vec<_> = card.merged_cards.iter().map(|one| &one.name).collect();
        ensure!(other == ["Вектор-Строй"], "{card:?}");
        ensure!(card.merged_cards[0].phones == ["+79000004002"], "{card:?}");
        for query in ["Вектор-Строй", "8 900 000-40-02", "40-02"] {
            let request = ListAccountsRequest {
                query: query.to_owned(),
                ..ListAccountsRequest::default()
            };
            let found = petrov.accounts().list_accounts(request).await?.into_inner();
            let found: Vec<_> = found.accounts.into_iter().map(|one| one.id).collect();
            ensure!(found == [survivor.clone()], "{query}: {found:?}");
        }
        let timeline = interactions(&petrov, id).await?;
        ensure!(timeline.len() == 2 && timeline.iter().all(|one| one.account_id == survivor));
        let persons = ListContactPersonsRequest {
            account_id: id.clone(),
            ..ListContactPersonsRequest::default()
        };
        let persons = petrov
            .contacts()
            .list_contact_persons(persons)
            .await?
            .into_inner()
            .persons;
        ensure!(persons.len() == 2, "{persons:?}");
        let tasks = ListTasksRequest {
            account_id: id.clone(),
            ..ListTasksRequest::default()
        };
        ensure!(
            petrov
                .planning()
                .list_tasks(tasks)
                .await?
                .into_inner()
                .total
                == 1
        );
    }
    let request = GetAccountRequest {
        account_id: merged.clone(),
        ..GetAccountRequest::default()
    };
    let gone = nikitin.accounts().get_account(request).await;
    ensure!(code(&gone) == Code::NotFound);
    let check = CheckDuplicateRequest {
        phones: vec!["8 900 000 40 02".to_owned()],
        ..CheckDuplicateRequest::default()
    };
    let hits = petrov
        .duplicates()
        .check_duplicate(check)
        .await?
        .into_inner()
        .hits;
    ensure!(
        hits.len() == 1 && hits[0].account_id == survivor,
        "{hits:?}"
    );
    let all = admin
        .accounts()
        .list_accounts(ListAccountsRequest::default())
        .await?
        .into_inner();
    ensure!(all.accounts.len() == 1, "{all:?}");

    // What comes later under either id is the survivor's.
    petrov
        .contacts()
        .log_interaction(call_to(&merged, &[]))
        .await?;
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: merged.clone(),
        amount: Some(Money {
            minor_units: 18_000_000,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    ensure!(
        petrov
            .accounts()
            .register_order(order)
            .await?
            .into_inner()
            .converted
    );

    let unmerge = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id: merged.clone(),
        reason: "две компании".to_owned(),
    };
    let answer = admin
        .duplicates()
        .unmerge_accounts(unmerge)
        .await?
        .into_inner();
    ensure!(answer.survivor_id == survivor, "{answer:?}");
    caught_up(&office.admin).await?;
    let after = card(admin, &merged).await?;
    let restored = api::accounts::Account {
        version: before.1.version,
        ..after
    };
    ensure!(restored == before.1, "{restored:?}");
    ensure!(interactions(admin, &merged).await? == history.1);
    let later = interactions(admin, &survivor).await?;
    ensure!(later.len() == 2 && later[1..] == history.0[..], "{later:?}");
    let kept = card(admin, &survivor).await?;
    ensure!(kept.card == before.0.card && kept.owner_id == before.0.owner_id);
    ensure!(kept.orders.len() == 1 && kept.lifecycle() == Lifecycle::Client);
    ensure!(card(&nikitin, &merged).await?.id == merged);
    Ok(())
}

/// N-17: what is sold to a record made by hand is a sale of the file that had the company first.
#[tokio::test]
async fn n17_sales_after_a_merge_are_of_the_row_that_brought_the_company() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let admin = &office.client("s-02")?;
    let by_hand = company(&office, "Вектор", "+7 900 000-60-01", "s-11").await?;
    let mut merged = Vec::new();
    for (day, id, phone) in [(14, "old", "+79000006002"), (15, "new", "+79000006003")] {
        office.at(&format!("2026-03-{day}T10:00:00+03:00")).await?;
        let csv = format!("external_id,name,phone\n{id},Вектор-Строй {id},{phone}\n");
        import(&office.office, "s-11", "accounts", &csv)?;
        let merge = MergeAccountsRequest {
            request_id: request_id(),
            survivor_id: by_hand.clone(),
            merged_id: office.account(id).await?,
            reason: "одна компания".to_owned(),
        };
        merged.push(merge.merged_id.clone());
        admin.duplicates().merge_accounts(merge).await?;
    }
    let order = RegisterOrderRequest {
        request_id: request_id(),
        account_id: by_hand.clone(),
        amount: Some(Money {
            minor_units: 700,
            currency: "RUB".to_owned(),
        }),
        ..RegisterOrderRequest::default()
    };
    office
        .client("s-11")?
        .accounts()
        .register_order(order)
        .await?;
    // Newest file first.
    let (told, rows) = sold(&office).await?;
    ensure!(told == [(0, 0, 0), (1, 1, 700)], "{told:?}");
    ensure!(rows == [vec![], vec![(2, 1)]], "{rows:?}");

    let unmerge = UnmergeAccountsRequest {
        request_id: request_id(),
        merged_id: merged[0].clone(),
        reason: "две компании".to_owned(),
    };
    admin.duplicates().unmerge_accounts(unmerge).await?;
    let (told, rows) = sold(&office).await?;
    ensure!(told == [(1, 1, 700), (0, 0, 0)], "{told:?}");
    ensure!(rows == [vec![(2, 1)], vec![]], "{rows:?}");
    Ok(())
}

/// Clients, orders and sum of each file; and of each the rows that have sold, with how many orders.
async fn sold(
    office: &Background,
) -> anyhow::Result<(Vec<(i64, i64, i64)>, Vec<Vec<(i64, usize)>>)> {
    caught_up(&office.admin).await?;
    let mut client = office.admin.imports();
    let files = client.list_imports(ListImportsRequest::default()).await?;
    let (mut told, mut rows) = (Vec::new(), Vec::new());
    for file in files.into_inner().imports {
        let sum = file.sales.iter().map(|sum| sum.minor_units).sum();
        told.push((file.clients, file.orders, sum));
        let request = ListImportRowsRequest {
            import_id: file.id,
            only_sold: true,
            ..ListImportRowsRequest::default()
        };
        let answer = client.list_import_rows(request).await?.into_inner();
        let of_file = answer.rows.iter().map(|row| (row.row, row.orders.len()));
        rows.push(of_file.collect());
    }
    Ok((told, rows))
}

/// Whoever merges what with what at once, every record still answers.
#[tokio::test]
async fn merges_at_once_make_no_circle() -> anyhow::Result<()> {
    let office = Background::start("2026-03-13T10:00:00+03:00").await?;
    let admin = &office.client("s-02")?;
    let mut ids = Vec::new();
    for number in 0..3 {
        let phone = format!("+7 900 000-50-0{number}");
        ids.push(company(&office, &format!("Круг {number}"), &phone, "s-11").await?);
    }
    let merges = (0..30).map(|number: usize| {
        let request = MergeAccountsRequest {
            request_id: request_id(),
            survivor_id: ids[(number + 1) % 3].clone(),
            merged_id: ids[number % 3].clone(),
            reason: "одна компания".to_owned(),
        };
        async move { admin.duplicates().merge_accounts(request).await }
    });
    let answers = futures::future::join_all(merges).await;
    ensure!(answers.iter().any(Result::is_ok));
    caught_up(&office.admin).await?;
    let mut survivors: Vec<String> = Vec::new();
    for id in &ids {
        survivors.push(card(admin, id).await?.id);
    }
    survivors.dedup();
    ensure!(survivors.len() == 1, "{survivors:?}");
    ensure!(count(&office, "accounts", "account.merged").await? == 2);
    Ok(())
}
