use api::{
    accounts::{Card, ListAccountsRequest, RegisterProspectRequest},
    common::PageRequest,
};
use tonic::Code;

use crate::office::{Office, card, refused};

async fn register(office: &Office, card: Card) {
    let request = RegisterProspectRequest {
        card: Some(card),
        ..Default::default()
    };
    let answer = office
        .accounts("s-30")
        .register_prospect(request)
        .await
        .unwrap();
    office
        .settle(answer.into_inner().recorded.unwrap().position)
        .await;
}

fn query(text: &str) -> ListAccountsRequest {
    ListAccountsRequest {
        query: text.to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn people_find_what_they_type() {
    let office = Office::staffed().await;
    let vector = Card {
        city: "Миасс".to_owned(),
        r#type: "Застройщик".to_owned(),
        ..card("ООО «Вектор-Строй»", "8 (900) 000-07-77")
    };
    register(&office, vector).await;
    register(&office, card("Ёлка 100%", "8 (495) 777-77-77 доб. 123")).await;
    register(&office, card("Елена", "+7 900 111-22-33")).await;

    for (text, expected) in [
        ("вектор", "ООО «Вектор-Строй»"),
        ("СТРОЙ вект", "ООО «Вектор-Строй»"),
        ("Bектор", "ООО «Вектор-Строй»"),
        ("елка", "Ёлка 100%"),
        ("8 900 000 07 77", "ООО «Вектор-Строй»"),
        ("+79000000777", "ООО «Вектор-Строй»"),
        ("000-07-77", "ООО «Вектор-Строй»"),
        ("0777", "ООО «Вектор-Строй»"),
        ("8 495 777-77-77", "Ёлка 100%"),
        ("100", "Ёлка 100%"),
        ("8 900 111", "Елена"),
    ] {
        assert_eq!(
            office.listed("s-30", query(text)).await,
            [expected],
            "{text}"
        );
    }
    for text in ["Ромашка", "+7 900 000-07-78", "%", "_"] {
        assert!(
            office.listed("s-30", query(text)).await.is_empty(),
            "{text}"
        );
    }

    for request in [
        ListAccountsRequest {
            city: "МИАСС".to_owned(),
            ..Default::default()
        },
        ListAccountsRequest {
            r#type: "застройщик".to_owned(),
            query: "вектор".to_owned(),
            ..Default::default()
        },
    ] {
        assert_eq!(office.listed("s-30", request).await, ["ООО «Вектор-Строй»"]);
    }
}

#[tokio::test]
async fn pages_follow_the_alphabet() {
    let office = Office::staffed().await;
    let names = ["Жук", "арка", "Ёлка", "Елена", "Ель", "Ящик", "ежевика"];
    for (index, name) in names.iter().enumerate() {
        register(&office, card(name, &format!("+790000000{index:02}"))).await;
    }
    let mut operator = office.accounts("s-30");
    let page = |token: String| ListAccountsRequest {
        page: Some(PageRequest { size: 3, token }),
        count: true,
        ..Default::default()
    };
    let mut token = String::new();
    let mut seen = Vec::new();
    loop {
        let answer = operator
            .list_accounts(page(token))
            .await
            .unwrap()
            .into_inner();
        assert_eq!(answer.total, 7);
        seen.extend(
            answer
                .accounts
                .into_iter()
                .map(|account| account.card.unwrap().name),
        );
        token = answer.next_page_token;
        if token.is_empty() {
            break;
        }
        let other = ListAccountsRequest {
            query: "е".to_owned(),
            ..page(token.clone())
        };
        let other = refused(operator.list_accounts(other).await);
        assert_eq!(
            (other.0, other.2),
            (Code::InvalidArgument, vec!["page.token".to_owned()])
        );
    }
    assert_eq!(
        seen,
        ["арка", "ежевика", "Елена", "Ёлка", "Ель", "Жук", "Ящик"]
    );
}
