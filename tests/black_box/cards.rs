//! Cards: what an office knows of companies, how they are found, loaded and taken along.

use std::slice;

use anyhow::{Context, ensure};
use api::{
    accounts::{
        Account, Card, CatalogueEntry, CatalogueList, ChangeAccountDetailsRequest,
        ChangeAccountStatusRequest, CustomValue, FieldDefinition, FieldKind, GetAccountRequest,
        GetCatalogueRequest, GetStatusHistoryRequest, Link, ListAccountsRequest,
        PublishEntriesRequest, PublishFieldRequest, RegisterProspectRequest, RubricList,
        WithdrawEntryRequest, custom_value::Value, link::Target,
    },
    common::{Money, Position},
    planning::ListAccountsWithoutNextStepRequest,
};
use tests::{
    background::{Background, fields, reason, request_id},
    client::Client,
};
use tonic::Code;

const NOW: &str = "2026-03-10T09:00:00+03:00";

fn company(name: &str, phone: &str) -> Card {
    Card {
        name: name.to_owned(),
        phones: vec![phone.to_owned()],
        ..Card::default()
    }
}

async fn register(client: &Client, card: Card) -> anyhow::Result<(String, Position)> {
    let request = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(card),
        ..RegisterProspectRequest::default()
    };
    let answer = client.accounts().register_prospect(request).await?;
    let answer = answer.into_inner();
    let position = answer.recorded.context("recorded")?.position;
    Ok((answer.account_id, position.context("a position")?))
}

async fn get(client: &Client, id: &str, seen: &Position) -> anyhow::Result<Account> {
    let request = GetAccountRequest {
        account_id: id.to_owned(),
        min_positions: vec![seen.clone()],
    };
    let answer = client.accounts().get_account(request).await?;
    answer.into_inner().account.context("an account")
}

async fn publish_field(client: &Client, field: FieldDefinition) -> Result<(), tonic::Status> {
    let request = PublishFieldRequest {
        request_id: request_id(),
        field: Some(field),
    };
    client.catalogue().publish_field(request).await.map(drop)
}

fn field(key: &str, kind: FieldKind) -> FieldDefinition {
    FieldDefinition {
        key: key.to_owned(),
        name: key.to_owned(),
        kind: kind.into(),
        searchable: true,
        ..FieldDefinition::default()
    }
}

fn custom(key: &str, value: Value) -> CustomValue {
    CustomValue {
        key: key.to_owned(),
        value: Some(value),
    }
}

fn entry(key: &str, name: &str) -> CatalogueEntry {
    CatalogueEntry {
        key: key.to_owned(),
        name: name.to_owned(),
        ..CatalogueEntry::default()
    }
}

/// T-011, T-012, T-014, T-020, T-021: the fields of every card, sources, rubrics, links, and fields
/// that the office has agreed on; unknown is neither empty nor zero.
#[tokio::test]
async fn t011_t012_t014_t020_t021_what_a_card_can_hold() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let (admin, petrov) = (&office.admin, office.client("s-11")?);
    let catalogue = async |client: &Client| {
        let request = GetCatalogueRequest::default();
        anyhow::Ok(
            client
                .catalogue()
                .get_catalogue(request)
                .await?
                .into_inner(),
        )
    };
    let sources = catalogue(&petrov).await?.sources;
    ensure!(sources.len() == 26, "{} sources", sources.len());
    ensure!(
        sources
            .iter()
            .any(|source| source.name == "Холодный звонок")
    );

    let rubrics = PublishEntriesRequest {
        request_id: request_id(),
        list: CatalogueList::Rubric.into(),
        entries: vec![entry("dealers", "Дилеры"), entry("builders", "Строители")],
    };
    let refused = petrov.catalogue().publish_entries(rubrics.clone()).await;
    ensure!(refused.err().map(|status| status.code()) == Some(Code::PermissionDenied));
    admin.catalogue().publish_entries(rubrics).await?;
    for definition in [
        field("inn", FieldKind::Text),
        field("staff", FieldKind::Number),
        field("founded", FieldKind::Date),
        field("network", FieldKind::YesNo),
        FieldDefinition {
            searchable: false,
            ..field("secret", FieldKind::YesNo)
        },
        field("turnover", FieldKind::Money),
        FieldDefinition {
            choices: vec![entry("small", "Малый"), entry("big", "Большой")],
            required: true,
            ..field("size", FieldKind::Choice)
        },
    ] {
        publish_field(admin, definition).await?;
    }

    let (holding, _) = register(
        &petrov,
        Card {
            custom: vec![custom("size", Value::Unknown(true))],
            ..company("Холдинг", "+7 900 000-11-01")
        },
    )
    .await?;
    let amount = Money {
        minor_units: 18_000_000,
        currency: "RUB".to_owned(),
    };
    let full = Card {
        r#type: "застройщик".to_owned(),
        city: "Миасс".to_owned(),
        address: "пр. Ленина, 1".to_owned(),
        project: "бетон".to_owned(),
        industry: "строительство".to_owned(),
        source: "холодный ЗВОНОК".to_owned(),
        rubrics: vec!["Строители".to_owned(), "dealers".to_owned()],
        links: vec![
            Link {
                title: "Сайт".to_owned(),
                target: Some(Target::Url("https://vector.example".to_owned())),
            },
            Link {
                title: "Холдинг".to_owned(),
                target: Some(Target::AccountId(holding.clone())),
            },
        ],
        custom: vec![
            custom("inn", Value::Text("7415000000".to_owned())),
            custom("staff", Value::Number("0".to_owned())),
            custom("founded", Value::Date("1999-12-31".to_owned())),
            custom("network", Value::Yes(false)),
            custom("turnover", Value::Money(amount)),
            custom("size", Value::Choice("большой".to_owned())),
        ],
        unknown: vec!["region".to_owned()],
        ..company("ООО «Вектор-Строй»", "+7 900 000-11-02")
    };
    let (id, seen) = register(&petrov, full.clone()).await?;
    let account = get(&petrov, &id, &seen).await?;
    let mut expected = Card {
        source: "cold_call".to_owned(),
        rubrics: vec!["builders".to_owned(), "dealers".to_owned()],
        phones: vec!["+79000001102".to_owned()],
        ..full.clone()
    };
    let size = expected.custom.last_mut().context("size")?;
    size.value = Some(Value::Choice("big".to_owned()));
    expected.custom.sort_by(|a, b| a.key.cmp(&b.key));
    ensure!(account.card.as_ref() == Some(&expected), "{account:?}");
    ensure!(account.status == "new");

    let found = async |wanted: ListAccountsRequest| {
        let listed = petrov.accounts().list_accounts(wanted).await?.into_inner();
        anyhow::Ok(
            listed
                .accounts
                .into_iter()
                .map(|one| one.id)
                .collect::<Vec<_>>(),
        )
    };
    let wanted = ListAccountsRequest {
        status: "Новый".to_owned(),
        source: "Холодный звонок".to_owned(),
        rubrics: vec!["Дилеры".to_owned()],
        custom: vec![
            custom("staff", Value::Number("0,0".to_owned())),
            custom("size", Value::Choice("Большой".to_owned())),
        ],
        ..ListAccountsRequest::default()
    };
    ensure!(found(wanted.clone()).await? == slice::from_ref(&id));
    let small = ListAccountsRequest {
        custom: vec![custom("size", Value::Choice("small".to_owned()))],
        ..wanted
    };
    ensure!(found(small).await?.is_empty());
    let unknown = ListAccountsRequest {
        custom: vec![custom("size", Value::Unknown(true))],
        ..ListAccountsRequest::default()
    };
    ensure!(found(unknown).await? == slice::from_ref(&holding));
    let network = ListAccountsRequest {
        custom: vec![custom("secret", Value::Yes(true))],
        ..ListAccountsRequest::default()
    };
    let refused = petrov.accounts().list_accounts(network).await;
    let refused = refused.err().context("was listed")?;
    ensure!(fields(&refused) == ["custom.secret"], "{refused:?}");

    // Unknown is a value of its own: not empty, not zero, and known again with the next value.
    let change = ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: id.clone(),
        city: Some(String::new()),
        region: Some("Челябинская область".to_owned()),
        unknown: vec!["industry".to_owned()],
        rubrics: Some(RubricList::default()),
        custom: vec![
            custom("staff", Value::Unknown(true)),
            custom("inn", Value::Empty(true)),
        ],
        ..ChangeAccountDetailsRequest::default()
    };
    let recorded = petrov.accounts().change_account_details(change).await?;
    let seen = recorded.into_inner().recorded.context("recorded")?.position;
    let seen = seen.context("a position")?;
    let card = get(&petrov, &id, &seen).await?.card.context("a card")?;
    ensure!(card.unknown == ["industry"], "{:?}", card.unknown);
    ensure!(card.city.is_empty() && card.industry.is_empty() && card.rubrics.is_empty());
    let value = |key: &str| {
        let mut values = card.custom.iter();
        let found = values.find(|value| value.key == key);
        found.and_then(|value| value.value.clone())
    };
    ensure!(value("staff") == Some(Value::Unknown(true)) && value("inn").is_none());

    // Another manager's account is not even worth a link.
    let stranger = office.client("s-21")?;
    let linked = Card {
        links: full.links.clone(),
        custom: vec![custom("size", Value::Unknown(true))],
        ..company("Чужая", "+7 900 000-11-03")
    };
    let refused = register(&stranger, linked)
        .await
        .err()
        .context("was taken")?;
    let refused = refused.downcast::<tonic::Status>()?;
    ensure!(
        fields(&refused) == ["card.links[1].account_id"],
        "{refused:?}"
    );

    // What is withdrawn cannot be chosen any more, and stays where it is.
    let withdraw = WithdrawEntryRequest {
        request_id: request_id(),
        list: CatalogueList::Source.into(),
        key: "cold_call".to_owned(),
    };
    admin.catalogue().withdraw_entry(withdraw).await?;
    ensure!(catalogue(&petrov).await?.sources.len() == 25);
    let refused = register(
        &petrov,
        Card {
            source: "cold_call".to_owned(),
            custom: vec![custom("size", Value::Unknown(true))],
            ..company("Новая", "+7 900 000-11-04")
        },
    )
    .await;
    let refused = refused
        .err()
        .context("was taken")?
        .downcast::<tonic::Status>()?;
    ensure!(fields(&refused) == ["card.source"], "{refused:?}");
    ensure!(card.source == "cold_call");
    Ok(())
}

/// T-012, T-013: a field has versions, never changes its kind, and more than seven required ones
/// need a reason; every fault of a card is named at once.
#[tokio::test]
async fn t012_t013_fields_have_versions_and_a_limit() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let (admin, petrov) = (&office.admin, office.client("s-11")?);
    let required = |n: i32| FieldDefinition {
        required: true,
        ..field(&format!("f{n}"), FieldKind::Number)
    };
    for n in 1..=7 {
        publish_field(admin, required(n)).await?;
    }
    let refused = publish_field(admin, required(8))
        .await
        .err()
        .context("an eighth")?;
    ensure!(
        reason(&refused) == "TOO_MANY_REQUIRED_FIELDS",
        "{refused:?}"
    );
    let argued = FieldDefinition {
        override_reason: "требование банка".to_owned(),
        ..required(8)
    };
    publish_field(admin, argued).await?;
    let other_kind = publish_field(admin, field("f1", FieldKind::Text)).await;
    let refused = other_kind.err().context("another kind")?;
    ensure!(reason(&refused) == "FIELD_KIND_FIXED", "{refused:?}");
    publish_field(admin, field("f1", FieldKind::Number)).await?;
    let request = GetCatalogueRequest {
        include_history: true,
    };
    let catalogue = petrov
        .catalogue()
        .get_catalogue(request)
        .await?
        .into_inner();
    let versions: Vec<_> = catalogue
        .fields
        .iter()
        .filter(|field| field.key == "f1")
        .map(|field| (field.version, field.required, field.withdrawn))
        .collect();
    ensure!(
        versions == [(1, true, true), (2, false, false)],
        "{versions:?}"
    );

    let bad = Card {
        city: "Миасс".to_owned(),
        source: "сорока на хвосте".to_owned(),
        rubrics: vec!["нет такой".to_owned()],
        links: vec![Link {
            title: String::new(),
            target: Some(Target::Url("javascript:alert(1)".to_owned())),
        }],
        custom: vec![
            custom("f2", Value::Text("много".to_owned())),
            custom("f3", Value::Number("1e9".to_owned())),
            custom("f4", Value::Number("4".to_owned())),
            custom("f4", Value::Number("5".to_owned())),
            custom("nosuch", Value::Yes(true)),
            custom("f5", Value::Unknown(true)),
            custom("f6", Value::Number("6".to_owned())),
            custom("f7", Value::Number("7".to_owned())),
        ],
        unknown: vec!["city".to_owned(), "name".to_owned()],
        ..Card::default()
    };
    let refused = register(&petrov, bad).await.err().context("was taken")?;
    let refused = refused.downcast::<tonic::Status>()?;
    let expected = [
        "card.custom.f2",
        "card.custom.f3",
        "card.custom.f4",
        "card.custom.f8",
        "card.custom[4].key",
        "card.emails",
        "card.links[0].title",
        "card.links[0].url",
        "card.name",
        "card.phones",
        "card.rubrics[0]",
        "card.source",
        "card.unknown[0]",
        "card.unknown[1]",
    ];
    ensure!(fields(&refused) == expected, "{:?}", fields(&refused));
    Ok(())
}

/// every status, who gave it and how long it lasted.
#[tokio::test]
async fn x12_time_in_each_status() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let petrov = office.client("s-11")?;
    let (id, _) = register(&petrov, company("Вектор", "+7 900 000-12-01")).await?;
    let change = async |client: &Client, status: &str, version: i64| {
        let request = ChangeAccountStatusRequest {
            request_id: request_id(),
            account_id: id.clone(),
            expected_version: version,
            status: status.to_owned(),
            reason: "по звонку".to_owned(),
        };
        let mut cards = client.cards();
        let answer = cards.change_account_status(request).await;
        answer.map(|answer| answer.into_inner().recorded.unwrap_or_default())
    };
    office.at("2026-03-10T10:00:00+03:00").await?;
    change(&petrov, "Контакт установлен", 1).await?;
    office.at("2026-03-11T10:00:00+03:00").await?;
    let stale = change(&petrov, "refused", 1).await.err().context("stale")?;
    ensure!(stale.code() == Code::Aborted, "{stale:?}");
    change(&petrov, "new", 2).await?;
    office.at("2026-03-11T12:00:00+03:00").await?;
    change(&petrov, "contacted", 0).await?;
    let last = change(&petrov, "contacted", 0).await?;
    ensure!(last.version == 4, "the same status again is nothing new");
    let unknown = change(&petrov, "почти клиент", 0)
        .await
        .err()
        .context("no status")?;
    ensure!(fields(&unknown) == ["status"], "{unknown:?}");
    let hidden = change(&office.client("s-21")?, "refused", 0).await;
    ensure!(hidden.err().map(|status| status.code()) == Some(Code::NotFound));

    office.at("2026-03-11T12:30:00+03:00").await?;
    let request = GetStatusHistoryRequest {
        account_id: id.clone(),
        min_positions: last.position.into_iter().collect(),
    };
    let history = petrov
        .cards()
        .get_status_history(request)
        .await?
        .into_inner();
    let times: Vec<_> = history
        .times
        .iter()
        .map(|time| (time.status.as_str(), time.seconds, time.to.is_some()))
        .collect();
    let hour = 3_600;
    ensure!(
        times
            == [
                ("new", hour, true),
                ("contacted", 24 * hour, true),
                ("new", 2 * hour, true),
                ("contacted", hour / 2, false),
            ],
        "{times:?}"
    );
    ensure!(
        history
            .times
            .iter()
            .all(|time| time.changed_by == office.staff["s-11"])
    );
    ensure!(history.times[1].reason == "по звонку");
    let totals: Vec<_> = history
        .totals
        .iter()
        .map(|total| (total.status.as_str(), total.seconds))
        .collect();
    let expected = [("contacted", 24 * hour + hour / 2), ("new", 3 * hour)];
    ensure!(totals == expected, "{totals:?}");
    Ok(())
}

/// T-045: with an account in a closed status nobody works, so nobody has to plan anything with it;
/// which statuses those are the office says.
#[tokio::test]
async fn t045_a_closed_status_needs_no_next_step() -> anyhow::Result<()> {
    let office = Background::start(NOW).await?;
    let (admin, petrov) = (&office.admin, office.client("s-11")?);
    let (id, _) = register(&petrov, company("Вектор", "+7 900 000-45-01")).await?;
    let missing = async || {
        office.caught_up().await?;
        let request = ListAccountsWithoutNextStepRequest::default();
        let mut planning = petrov.planning();
        let answer = planning.list_accounts_without_next_step(request).await?;
        let answer = answer.into_inner();
        ensure!(answer.total == answer.accounts.len() as i64);
        let accounts = answer.accounts.into_iter();
        Ok(accounts.map(|one| one.account_id).collect::<Vec<_>>())
    };
    let change = async |status: &str| {
        let request = ChangeAccountStatusRequest {
            request_id: request_id(),
            account_id: id.clone(),
            status: status.to_owned(),
            reason: "по звонку".to_owned(),
            ..ChangeAccountStatusRequest::default()
        };
        petrov.cards().change_account_status(request).await
    };
    let publish = async |list: CatalogueList, closed: bool| {
        let request = PublishEntriesRequest {
            request_id: request_id(),
            list: list.into(),
            entries: vec![CatalogueEntry {
                closed,
                ..entry("bankrupt", "Банкрот")
            }],
        };
        admin.catalogue().publish_entries(request).await
    };
    let alone = vec![id.clone()];
    ensure!(missing().await? == alone);
    for (status, closed) in [("refused", true), ("contacted", false), ("inactive", true)] {
        change(status).await?;
        ensure!(missing().await?.is_empty() == closed, "{status}");
    }
    publish(CatalogueList::Status, false).await?;
    change("bankrupt").await?;
    ensure!(missing().await? == alone);
    publish(CatalogueList::Status, true).await?;
    ensure!(missing().await?.is_empty());
    let request = GetCatalogueRequest::default();
    let catalogue = admin.catalogue().get_catalogue(request).await?.into_inner();
    let closed = catalogue.statuses.iter().filter(|status| status.closed);
    let closed: Vec<_> = closed.map(|status| status.key.as_str()).collect();
    ensure!(closed == ["refused", "inactive", "bankrupt"], "{closed:?}");
    publish(CatalogueList::Status, false).await?;
    ensure!(missing().await? == alone);
    let refused = publish(CatalogueList::Source, true).await.err();
    let refused = refused.context("a closed source")?;
    ensure!(fields(&refused) == ["entries[0].closed"], "{refused:?}");
    Ok(())
}
