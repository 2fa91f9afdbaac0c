//! Lists that people keep with their filters.

use anyhow::{Context, ensure};
use api::accounts::{
    DeleteViewRequest, Lifecycle, ListAccountsRequest, ListGroupsRequest, ListSavedViewsRequest,
    SaveViewRequest, SavedView, ShareViewRequest, saved_view, share_view_request::With,
};
use tests::{
    background::{Background, code, fields, import, reason, request_id},
    client::Client,
};
use tonic::{Code, Status};

const ACCOUNTS: &str = "external_id,name,phone,city,owner
a-1,Вектор,+79000004401,Миасс,s-11
a-2,Вега,+79000004402,Миасс,s-12
a-3,Венера,+79000004403,Миасс,s-21
a-4,Восток,+79000004404,Тверь,s-11
";

async fn views(office: &Background, client: &Client) -> anyhow::Result<Vec<SavedView>> {
    let request = ListSavedViewsRequest {
        min_positions: vec![office.head("accounts").await?],
    };
    let answer = client.saved_views().list_saved_views(request).await?;
    Ok(answer.into_inner().views)
}

async fn save(client: &Client, request: SaveViewRequest) -> Result<String, Status> {
    let answer = client.saved_views().save_view(request).await?;
    Ok(answer.into_inner().view_id)
}

async fn share(client: &Client, view_id: &str, with: Option<With>) -> Result<(), Status> {
    let request = ShareViewRequest {
        request_id: request_id(),
        view_id: view_id.to_owned(),
        with,
    };
    client.saved_views().share_view(request).await.map(drop)
}

/// What somebody finds who opens a view: the list with its filters, under one's own rights.
async fn opened(client: &Client, view: &SavedView) -> anyhow::Result<Vec<String>> {
    let filter = view.filter.clone().context("a filter")?;
    let answer = client.accounts().list_accounts(filter).await?;
    let accounts = answer.into_inner().accounts.into_iter();
    let cards = accounts.filter_map(|account| account.card);
    Ok(cards.map(|card| card.name).collect())
}

fn names(views: &[SavedView]) -> Vec<&str> {
    views.iter().map(|view| view.name.as_str()).collect()
}

/// X-19, T-027: views are kept with filters and columns, for oneself, a group or everybody; a shared
/// one shows nobody more than they see anyway.
#[tokio::test]
async fn x19_views_are_kept_and_shared() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let [petrov, smirnova, zaitsev, volkova, nikitin] =
        ["s-11", "s-12", "s-10", "s-20", "s-21"].map(|who| office.client(who));
    let (petrov, smirnova, zaitsev) = (petrov?, smirnova?, zaitsev?);
    let (volkova, nikitin) = (volkova?, nikitin?);
    let miass = SaveViewRequest {
        request_id: request_id(),
        name: "Миасс, проспекты".to_owned(),
        filter: Some(ListAccountsRequest {
            lifecycle: Lifecycle::Prospect.into(),
            city: "миасс".to_owned(),
            query: "ве".to_owned(),
            status: "Новый".to_owned(),
            ..ListAccountsRequest::default()
        }),
        columns: ["name", "city", "last_result"].map(str::to_owned).to_vec(),
        ..SaveViewRequest::default()
    };
    let id = save(&petrov, miass.clone()).await?;
    ensure!(
        save(&petrov, miass.clone()).await? == id,
        "sent again, it is another view"
    );
    let own = views(&office, &petrov).await?;
    ensure!(
        own.len() == 1 && own[0].columns == ["name", "city", "last_result"],
        "{own:?}"
    );
    ensure!(own[0].filter.as_ref().map(|filter| filter.status.as_str()) == Some("new"));
    ensure!(opened(&petrov, &own[0]).await? == ["Вектор"]);
    for other in [&smirnova, &zaitsev, &nikitin, &office.admin] {
        ensure!(views(&office, other).await?.is_empty());
        let taken = save(
            other,
            SaveViewRequest {
                request_id: request_id(),
                view_id: id.clone(),
                ..miass.clone()
            },
        )
        .await;
        ensure!(code(&taken) == Code::NotFound, "{taken:?}");
    }
    let shared = share(&petrov, &id, Some(With::Everybody(true))).await;
    ensure!(code(&shared) == Code::PermissionDenied, "{shared:?}");

    let refused = SaveViewRequest {
        request_id: request_id(),
        name: "  ".to_owned(),
        filter: Some(ListAccountsRequest {
            status: "нет такого".to_owned(),
            owner_id: "кто-то".to_owned(),
            ..ListAccountsRequest::default()
        }),
        ..SaveViewRequest::default()
    };
    let refused = save(&petrov, refused).await.err().context("was saved")?;
    ensure!(
        fields(&refused) == ["filter.owner_id", "filter.status", "name"],
        "{refused:?}"
    );

    // Heads share with the groups that they lead.
    let groups = zaitsev
        .staff()
        .list_groups(ListGroupsRequest::default())
        .await?;
    let groups = groups.into_inner().groups;
    let group = |name: &str| {
        let found = groups.iter().find(|group| group.name == name);
        With::GroupId(found.map(|group| group.id.clone()).unwrap_or_default())
    };
    let of_a = SaveViewRequest {
        request_id: request_id(),
        name: "Группа А".to_owned(),
        ..miass.clone()
    };
    let of_a = save(&zaitsev, of_a).await?;
    for (with, field) in [
        (group("B"), "group_id"),
        (With::Everybody(true), "everybody"),
    ] {
        let refused = share(&zaitsev, &of_a, Some(with))
            .await
            .err()
            .context("was shared")?;
        ensure!(fields(&refused) == [field], "{refused:?}");
    }
    share(&zaitsev, &of_a, Some(group("A"))).await?;
    ensure!(names(&views(&office, &petrov).await?) == ["Группа А", "Миасс, проспекты"]);
    let found = views(&office, &smirnova).await?;
    ensure!(names(&found) == ["Группа А"]);
    ensure!(
        found[0].with
            == Some(match group("A") {
                With::GroupId(id) => saved_view::With::GroupId(id),
                With::Everybody(all) => saved_view::With::Everybody(all),
            })
    );
    ensure!(
        views(&office, &nikitin).await?.is_empty() && views(&office, &volkova).await?.is_empty()
    );
    // The same view, and to each their own.
    ensure!(opened(&smirnova, &found[0]).await? == ["Вега"]);
    ensure!(opened(&zaitsev, &found[0]).await? == ["Вега", "Вектор"]);
    let not_hers = SaveViewRequest {
        request_id: request_id(),
        view_id: of_a.clone(),
        ..miass.clone()
    };
    let refused = save(&smirnova, not_hers)
        .await
        .err()
        .context("was changed")?;
    ensure!(reason(&refused) == "VIEW_OF_OTHERS", "{refused:?}");

    // Administrators share with everybody, and tidy up.
    let of_all = SaveViewRequest {
        request_id: request_id(),
        name: "Все".to_owned(),
        ..miass.clone()
    };
    let of_all = save(&office.admin, of_all).await?;
    share(&office.admin, &of_all, Some(With::Everybody(true))).await?;
    let found = views(&office, &nikitin).await?;
    ensure!(names(&found) == ["Все"]);
    ensure!(opened(&nikitin, &found[0]).await? == ["Венера"]);
    let delete = DeleteViewRequest {
        request_id: request_id(),
        view_id: of_all.clone(),
    };
    let refused = nikitin.saved_views().delete_view(delete).await;
    ensure!(code(&refused) == Code::PermissionDenied, "{refused:?}");
    let changed = SaveViewRequest {
        request_id: request_id(),
        view_id: of_all.clone(),
        name: "Все в Твери".to_owned(),
        filter: Some(ListAccountsRequest {
            city: "Тверь".to_owned(),
            ..ListAccountsRequest::default()
        }),
        columns: Vec::new(),
    };
    save(&office.admin, changed).await?;
    let found = views(&office, &petrov).await?;
    ensure!(names(&found) == ["Все в Твери", "Группа А", "Миасс, проспекты"]);
    ensure!(opened(&petrov, &found[0]).await? == ["Восток"]);
    for view_id in [of_all, of_a] {
        let delete = DeleteViewRequest {
            request_id: request_id(),
            view_id,
        };
        office.admin.saved_views().delete_view(delete).await?;
    }
    ensure!(names(&views(&office, &petrov).await?) == ["Миасс, проспекты"]);
    ensure!(views(&office, &zaitsev).await?.is_empty());
    Ok(())
}
