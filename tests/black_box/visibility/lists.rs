use anyhow::bail;
use api::accounts::{
    DeleteViewRequest, ListAccountsRequest, ListImportRowsRequest, ListImportsRequest,
    ListSavedViewsRequest, SaveViewRequest, ShareViewRequest, share_view_request::With,
};
use tests::population::{Role, SPENT};

use super::walk::{HIDDEN, PASSED, Walk};

const OF_OTHERS: &str = "VIEW_OF_OTHERS";

pub(super) async fn walk(walk: &mut Walk<'_>, method: &str) -> anyhow::Result<()> {
    match method {
        "ListImports" => imports(walk).await?,
        "ListImportRows" => import_rows(walk).await?,
        "ListSavedViews" => {
            let request = ListSavedViewsRequest::default();
            let answer = walk.client.saved_views().list_saved_views(request).await?;
            let listed = answer.into_inner().views;
            let (world, who) = (walk.world, walk.who);
            let found = world.views.iter().filter(|view| world.finds(who, view));
            let found = found.map(|view| view.id.clone());
            walk.same(method, found, listed.into_iter().map(|view| view.id));
        }
        "SaveView" | "ShareView" | "DeleteView" => {
            for view in 0..walk.world.views.len() {
                of_view(walk, method, view).await;
            }
        }
        _ => bail!("the oracle does not know {method}"),
    }
    Ok(())
}

/// Whose it is may do what; others may not even know of it, unless it was shared with them.
async fn of_view(walk: &mut Walk<'_>, method: &str, view: usize) {
    let (world, who) = (walk.world, walk.who);
    let (mut client, request_id) = (walk.client.saved_views(), SPENT.to_owned());
    let asked = &world.views[view];
    let view_id = asked.id.clone();
    let tidies = method != "SaveView" && world.staff[who].role == Role::Administrator;
    let expected = if !world.finds(who, asked) {
        HIDDEN
    } else if asked.owner == who || tidies {
        PASSED
    } else {
        OF_OTHERS
    };
    let question = format!("{method} {view}");
    match method {
        "SaveView" => {
            let request = SaveViewRequest {
                request_id,
                view_id,
                name: "Другая".to_owned(),
                filter: Some(ListAccountsRequest::default()),
                columns: Vec::new(),
            };
            let answer = client.save_view(request).await;
            walk.answer(question, expected, &answer);
        }
        "ShareView" => {
            let request = ShareViewRequest {
                request_id: request_id.clone(),
                view_id: view_id.clone(),
                with: None,
            };
            let answer = client.share_view(request).await;
            walk.answer(question, expected, &answer);
            for (group, known) in world.groups.iter().enumerate() {
                let leads = world.staff[who].role == Role::Administrator
                    || world.led_by(who).contains(&group);
                let request = ShareViewRequest {
                    request_id: request_id.clone(),
                    view_id: view_id.clone(),
                    with: Some(With::GroupId(known.id.clone())),
                };
                let answer = client.share_view(request).await;
                let expected = if leads { expected } else { "invalid group_id" };
                walk.answer(format!("ShareView {view} with {group}"), expected, &answer);
            }
        }
        _ => {
            let request = DeleteViewRequest {
                request_id,
                view_id,
            };
            let answer = client.delete_view(request).await;
            walk.answer(question, expected, &answer);
        }
    }
}

/// Whoever may ask at all sees everything; there was one file of companies.
async fn imports(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let request = ListImportsRequest::default();
    let answer = walk.client.imports().list_imports(request).await;
    walk.no_leak("ListImports", &answer);
    let brought = answer?.into_inner().imports.into_iter();
    let brought: Vec<_> = brought.map(|file| file.created).collect();
    let expected = format!("{:?}", [walk.world.accounts.len()]);
    walk.expect("ListImports", &expected, &format!("{brought:?}"));
    Ok(())
}

async fn import_rows(walk: &mut Walk<'_>) -> anyhow::Result<()> {
    let mut client = walk.client.imports();
    let files = client.list_imports(ListImportsRequest::default()).await?;
    for file in files.into_inner().imports {
        let request = ListImportRowsRequest {
            import_id: file.id,
            ..ListImportRowsRequest::default()
        };
        let answer = client.list_import_rows(request).await;
        walk.no_leak("ListImportRows", &answer);
        let rows = answer?.into_inner().rows.into_iter();
        let accounts = walk.world.accounts.iter();
        let accounts: Vec<_> = accounts.map(|account| account.id.clone()).collect();
        walk.same("ListImportRows", accounts, rows.map(|row| row.account_id));
    }
    Ok(())
}
