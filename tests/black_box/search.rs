//! Companies as people look for them.

use anyhow::{Context, ensure};
use api::{
    accounts::{Card, ChangeAccountStatusRequest, ListAccountsRequest, RegisterProspectRequest},
    common::PageRequest,
    contacts::{
        ChangePersonDetailsRequest, InteractionKind, ListContactPersonsRequest,
        LogInteractionRequest, Outcome,
    },
};
use tests::{
    background::{Background, fields, import, reason, request_id},
    client::Client,
};

const ACCOUNTS: &str = "external_id,name,phone,email,city,region,address,project,type,owner
a-1,ООО «Вектор-Строй»,8 (800) 555-35-35,info@vector.example,Миасс,Челябинская область,\"пр. Автозаводцев, 12\",поставка бетона,застройщик,s-11
a-2,Ёлка,8-812-555-35-36,,Санкт-Петербург,,ул. Ленина 5,новогодние украшения,магазин,s-11
a-3,Cтройсервис,+7 900 000-22-03,,Орёл,Орловская область,Заводская площадь,ремонт крыш,подрядчик,s-11
a-4,OOO BEKTOP,+7 900 000-22-04,,Пермь,,,,,s-12
a-5,ежевика,+7 900 000-22-05,,Тверь,,,,,s-11
a-6,Яблоко,+7 900 000-22-06,,Тверь,,,,,s-11
a-7,Елена,+7 900 000-22-07,,Тверь,,,,,s-11
";

const VECTOR: &str = "ООО «Вектор-Строй»";

async fn listed(client: &Client, request: ListAccountsRequest) -> anyhow::Result<Vec<String>> {
    let answer = client.accounts().list_accounts(request).await?.into_inner();
    let names = answer
        .accounts
        .into_iter()
        .filter_map(|account| account.card);
    Ok(names.map(|card| card.name).collect())
}

fn query(text: &str) -> ListAccountsRequest {
    ListAccountsRequest {
        query: text.to_owned(),
        ..ListAccountsRequest::default()
    }
}

/// T-015: what people type: ё and е, capitals, look-alike letters, telephones in any form, parts and
/// forms of words of name, place, address and project; filters combine.
#[tokio::test]
async fn t015_people_find_what_they_type() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let petrov = office.client("s-11")?;
    for (text, expected) in [
        ("вектор", &[VECTOR][..]),
        ("СТРОЙ вект", &[VECTOR]),
        // With Latin В, Е, К, Т, О and Р.
        ("BEKTOP", &[VECTOR]),
        ("елка", &["Ёлка"]),
        ("ёЛКА", &["Ёлка"]),
        // The name has a Latin C, what is typed has none.
        ("стройсервис", &["Cтройсервис"]),
        ("строй", &[VECTOR, "Cтройсервис"]),
        ("88005553535", &[VECTOR]),
        ("+7 800 555 35 35", &[VECTOR]),
        ("8-800", &[VECTOR]),
        ("7 812 555-35-36", &["Ёлка"]),
        ("8 (812) 555", &["Ёлка"]),
        ("555-35", &["Ёлка", VECTOR]),
        // Places, addresses and projects, in the forms in which people write them.
        ("миасс", &[VECTOR]),
        ("в Миассе", &[VECTOR]),
        ("орел", &["Cтройсервис"]),
        ("автозаводцев", &[VECTOR]),
        ("ленина 5", &["Ёлка"]),
        ("бетон", &[VECTOR]),
        ("поставки бетона", &[VECTOR]),
        ("ремонта крыши", &["Cтройсервис"]),
        ("вектор бетоном", &[VECTOR]),
        ("застройщики", &[VECTOR]),
        ("тверь", &["ежевика", "Елена", "Яблоко"]),
        ("нет такого", &[]),
        ("%", &[]),
    ] {
        let found = listed(&petrov, query(text)).await?;
        let (mut found, mut expected) = (found, expected.to_vec());
        if text != "тверь" {
            found.sort();
            expected.sort_unstable();
        }
        ensure!(found == expected, "{text}: {found:?}");
    }
    // The other way round: what is typed is Russian, the name is not.
    ensure!(listed(&office.client("s-12")?, query("ооо вектор")).await? == ["OOO BEKTOP"]);

    let of = |change: fn(&mut ListAccountsRequest)| {
        let mut request = ListAccountsRequest::default();
        change(&mut request);
        request
    };
    for (request, expected) in [
        (
            of(|one| one.address = "завод".to_owned()),
            &[VECTOR, "Cтройсервис"][..],
        ),
        (
            of(|one| one.address = "заводской".to_owned()),
            &["Cтройсервис"],
        ),
        (of(|one| one.project = "украшение".to_owned()), &["Ёлка"]),
        (of(|one| one.city = "ОРЕЛ".to_owned()), &["Cтройсервис"]),
        (
            of(|one| one.region = "Челябинская область".to_owned()),
            &[VECTOR],
        ),
        (of(|one| one.r#type = "Магазин".to_owned()), &["Ёлка"]),
        (
            of(|one| {
                one.query = "строй".to_owned();
                one.project = "бетон".to_owned();
            }),
            &[VECTOR],
        ),
        (
            of(|one| {
                one.city = "Тверь".to_owned();
                one.address = "завод".to_owned();
            }),
            &[],
        ),
    ] {
        let mut found = listed(&petrov, request.clone()).await?;
        let mut expected = expected.to_vec();
        found.sort();
        expected.sort_unstable();
        ensure!(found == expected, "{request:?}: {found:?}");
    }
    Ok(())
}

const PERSONS: &str = "external_id,account,name,position,phone,email
p-1,a-1,Ильин Константин Петрович,директор,+7 900 000-01-15,
p-2,a-2,Соколова Вера Андреевна,бухгалтер,+7 900 000-03-33,v.sokolova@example.org
p-3,a-3,Соколов Пётр,директор,,
p-4,a-4,Ильина Анна,директор,+7 900 000-01-16,
";

/// T-015: companies by their contact persons, also together with other filters; nobody finds
/// by a person what they do not see, and a former name finds nobody.
#[tokio::test]
async fn t015_companies_are_found_by_their_contact_persons() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    import(&office.office, "s-02", "persons", PERSONS)?;
    let (petrov, zaitsev, nikitin) = (
        office.client("s-11")?,
        office.client("s-10")?,
        office.client("s-21")?,
    );
    let seen = vec![office.head("contacts").await?];
    let of = |text: &str| ListAccountsRequest {
        contact_person: text.to_owned(),
        min_positions: seen.clone(),
        ..ListAccountsRequest::default()
    };
    for (text, expected) in [
        ("ильин", &[VECTOR][..]),
        ("константин ИЛЬИН", &[VECTOR]),
        ("директор", &[VECTOR, "Cтройсервис"]),
        ("соколов петр", &["Cтройсервис"]),
        ("соколов", &["Ёлка", "Cтройсервис"]),
        ("8 (900) 000-01-15", &[VECTOR]),
        ("000-03-33", &["Ёлка"]),
        ("v.sokolova@example.org", &["Ёлка"]),
        ("нет такого", &[]),
        ("%", &[]),
    ] {
        let (mut found, mut expected) = (listed(&petrov, of(text)).await?, expected.to_vec());
        found.sort();
        expected.sort_unstable();
        ensure!(found == expected, "{text}: {found:?}");
    }
    let combined = ListAccountsRequest {
        city: "Орёл".to_owned(),
        count: true,
        ..of("соколов")
    };
    ensure!(listed(&petrov, combined).await? == ["Cтройсервис"]);
    ensure!(listed(&zaitsev, of("ильин")).await?.len() == 2);
    ensure!(listed(&office.admin, of("ильин")).await?.len() == 2);
    ensure!(listed(&nikitin, of("ильин")).await?.is_empty());

    let request = ListContactPersonsRequest {
        account_id: office.account("a-1").await?,
        ..ListContactPersonsRequest::default()
    };
    let persons = petrov.contacts().list_contact_persons(request).await?;
    let person = persons.into_inner().persons.pop().context("a person")?;
    let change = ChangePersonDetailsRequest {
        request_id: request_id(),
        person_id: person.id,
        name: Some("Ильинский Константин".to_owned()),
        ..ChangePersonDetailsRequest::default()
    };
    let changed = office
        .admin
        .contacts()
        .change_person_details(change)
        .await?;
    let recorded = changed.into_inner().recorded.context("recorded")?;
    let later = ListAccountsRequest {
        min_positions: recorded.position.into_iter().collect(),
        ..of("петрович")
    };
    ensure!(listed(&petrov, later).await?.is_empty());
    ensure!(listed(&petrov, of("ильинский")).await? == [VECTOR]);
    Ok(())
}

/// T-004: a company that is reached like another one is refused, unless that is meant; an answer that
/// was lost is given again.
#[tokio::test]
async fn t004_a_duplicate_is_refused_before_it_is_there() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let nikitin = office.client("s-21")?;
    let request = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "Тоже Вектор".to_owned(),
            phones: vec![
                "+7 900 000-22-99".to_owned(),
                "8 (800) 555 35 35".to_owned(),
            ],
            emails: vec!["INFO@vector.example".to_owned()],
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    let refused = nikitin.accounts().register_prospect(request.clone()).await;
    let refused = refused.err().context("a duplicate was registered")?;
    ensure!(reason(&refused) == "DUPLICATE", "{refused:?}");
    ensure!(
        fields(&refused) == ["card.emails[0]", "card.phones[1]"],
        "{refused:?}"
    );
    let meant = RegisterProspectRequest {
        despite_duplicates: true,
        ..request
    };
    let registered = nikitin.accounts().register_prospect(meant).await?;
    ensure!(!registered.into_inner().account_id.is_empty());
    // Its own numbers are known by the time it is asked for again.
    let new = RegisterProspectRequest {
        request_id: request_id(),
        card: Some(Card {
            name: "Новая".to_owned(),
            phones: vec!["+7 900 000-22-98".to_owned()],
            ..Card::default()
        }),
        ..RegisterProspectRequest::default()
    };
    let first = nikitin.accounts().register_prospect(new.clone()).await?;
    office.caught_up().await?;
    let again = nikitin.accounts().register_prospect(new).await?;
    ensure!(first.into_inner() == again.into_inner());
    Ok(())
}

/// T-015: by manager, status and the result of the last contact.
#[tokio::test]
async fn t015_by_manager_status_and_last_result() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let (petrov, zaitsev) = (office.client("s-11")?, office.client("s-10")?);
    let vector = office.account("a-1").await?;
    let mut seen = Vec::new();
    for (when, outcome) in [
        ("2026-03-09T12:00:00+03:00", Outcome::CallBack),
        // Typed later, made before: not the last one.
        ("2026-03-06T12:00:00+03:00", Outcome::Refused),
    ] {
        let request = LogInteractionRequest {
            request_id: request_id(),
            account_id: vector.clone(),
            kind: InteractionKind::Call.into(),
            outcome: outcome.into(),
            occurred_at: Some(tests::background::instant(when)),
            ..LogInteractionRequest::default()
        };
        let logged = petrov
            .contacts()
            .log_interaction(request)
            .await?
            .into_inner();
        seen.extend(logged.recorded.and_then(|recorded| recorded.position));
    }
    let of = |outcome: &str| ListAccountsRequest {
        last_outcome: outcome.to_owned(),
        min_positions: seen.clone(),
        ..ListAccountsRequest::default()
    };
    ensure!(listed(&petrov, of("call_back")).await? == ["ООО «Вектор-Строй»"]);
    ensure!(listed(&petrov, of("refused")).await?.is_empty());
    let unknown = petrov
        .accounts()
        .list_accounts(of("maybe"))
        .await
        .err()
        .context("listed")?;
    ensure!(fields(&unknown) == ["last_outcome"], "{unknown:?}");

    let request = ChangeAccountStatusRequest {
        request_id: request_id(),
        account_id: vector,
        status: "contacted".to_owned(),
        ..ChangeAccountStatusRequest::default()
    };
    let changed = petrov
        .cards()
        .change_account_status(request)
        .await?
        .into_inner();
    let seen: Vec<_> = changed
        .recorded
        .and_then(|recorded| recorded.position)
        .into_iter()
        .collect();
    let by = |status: &str, owner: &str| ListAccountsRequest {
        status: status.to_owned(),
        owner_id: office.staff[owner].clone(),
        min_positions: seen.clone(),
        ..ListAccountsRequest::default()
    };
    ensure!(listed(&zaitsev, by("contacted", "s-11")).await? == ["ООО «Вектор-Строй»"]);
    ensure!(listed(&zaitsev, by("contacted", "s-12")).await?.is_empty());
    ensure!(listed(&zaitsev, by("new", "s-12")).await? == ["OOO BEKTOP"]);
    Ok(())
}

/// T-015: pages in Russian alphabetical order stay whole while rows come in.
#[tokio::test]
async fn t015_pages_stay_whole_while_rows_change() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    let mut page = PageRequest {
        size: 2,
        token: String::new(),
    };
    let mut seen = Vec::new();
    for round in 0..10 {
        let request = ListAccountsRequest {
            page: Some(page.clone()),
            min_positions: vec![office.head("accounts").await?],
            ..ListAccountsRequest::default()
        };
        let answer = office
            .admin
            .accounts()
            .list_accounts(request)
            .await?
            .into_inner();
        seen.extend(
            answer
                .accounts
                .into_iter()
                .filter_map(|account| account.card)
                .map(|card| card.name),
        );
        page.token = answer.next_page_token;
        if page.token.is_empty() {
            break;
        }
        // Before what was shown already.
        let request = RegisterProspectRequest {
            request_id: request_id(),
            card: Some(Card {
                name: format!("Абзац {round}"),
                phones: vec![format!("+7900000330{round}")],
                ..Card::default()
            }),
            ..RegisterProspectRequest::default()
        };
        office.admin.accounts().register_prospect(request).await?;
    }
    let expected = [
        "ежевика",
        "Елена",
        "Ёлка",
        "ООО «Вектор-Строй»",
        "Яблоко",
        "Cтройсервис",
        "OOO BEKTOP",
    ];
    let (mut sorted, mut wanted) = (seen.clone(), expected.map(str::to_owned).to_vec());
    sorted.sort();
    wanted.sort();
    ensure!(sorted == wanted, "{seen:?}");
    let russian: Vec<_> = seen
        .iter()
        .filter(|name| expected[..5].contains(&name.as_str()))
        .collect();
    ensure!(
        russian == expected[..5].iter().collect::<Vec<_>>(),
        "{seen:?}"
    );
    Ok(())
}
