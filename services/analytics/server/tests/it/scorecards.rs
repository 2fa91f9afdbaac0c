use api::{
    analytics::{GetScorecardRequest, GetScorecardResponse, Scorecard, ScorecardBy},
    common::Period,
};
use futures::future::join_all;

use crate::office::{Contact, Office, group, instant, staff};

const CALL: Contact<'_> = Contact {
    kind: "call",
    direction: "outbound",
    outcome: "no_answer",
    author: "s-11",
    group: "А",
    at: "2026-03-10T12:00:00+03:00",
};
const EFFECTIVE: Contact<'_> = Contact {
    outcome: "agreed_next_step",
    ..CALL
};
const MEETING: Contact<'_> = Contact {
    kind: "meeting",
    outcome: "held",
    ..CALL
};

fn march(by: ScorecardBy) -> GetScorecardRequest {
    GetScorecardRequest {
        period: Some(Period {
            from: "2026-03-01".to_owned(),
            to: "2026-04-01".to_owned(),
        }),
        by: by.into(),
        ..Default::default()
    }
}

/// Calls, effective calls, meetings, sales.
fn figures(card: Option<&Scorecard>) -> Figures {
    let card = card.unwrap();
    (card.calls, card.effective_calls, card.meetings, card.sales)
}

/// Calls, effective calls, meetings, sales.
type Figures = (i64, i64, i64, i64);

fn rows(answer: &GetScorecardResponse) -> Vec<(&str, Figures)> {
    let rows = answer.rows.iter();
    rows.map(|row| (row.label.as_str(), figures(row.figures.as_ref())))
        .collect()
}

fn rates(answer: &GetScorecardResponse) -> (&str, &str) {
    let total = answer.total.as_ref().unwrap();
    (
        &total.meeting_rate.as_ref().unwrap().percent,
        &total.sale_rate.as_ref().unwrap().percent,
    )
}

/// Scenario S-23: 240 outbound calls, 96 effective, 36 meetings held, 9 orders of Петров.
async fn a_month_of_calls(office: &Office) {
    for (prefix, count, contact) in [("c", 144, CALL), ("e", 96, EFFECTIVE), ("m", 36, MEETING)] {
        join_all((0..count).map(|index| {
            let contact = contact.clone();
            async move { office.contact(&format!("{prefix}-{index}"), &contact).await }
        }))
        .await;
    }
    for index in 0..9 {
        let name = format!("o-{index}");
        office
            .order(&name, "s-11", "А", "2026-03-20T12:00:00+03:00")
            .await;
    }
}

#[tokio::test]
async fn a_closed_month_stays_as_it_was_known() {
    let office = Office::open("2026-03-31T20:00:00+03:00").await;
    a_month_of_calls(&office).await;
    let uncounted = [
        Contact {
            outcome: "wrong_number",
            ..CALL
        },
        Contact {
            direction: "inbound",
            ..EFFECTIVE
        },
        Contact {
            outcome: "not_held",
            ..MEETING
        },
        Contact {
            kind: "email",
            ..EFFECTIVE
        },
    ];
    for (index, contact) in uncounted.iter().enumerate() {
        office.contact(&format!("u-{index}"), contact).await;
    }
    office.at("2026-04-03T09:30:00+03:00");
    let late = Contact {
        at: "2026-03-31T17:50:00+03:00",
        ..EFFECTIVE
    };
    office.contact("late", &late).await;

    let now = office
        .scorecard("s-11", march(ScorecardBy::Manager))
        .await
        .unwrap();
    assert_eq!(rows(&now), [("s-11", (241, 97, 36, 9))]);
    assert_eq!(rates(&now), ("14.9", "25.0"));
    assert_eq!(
        (now.rows[0].id.clone(), now.metric_version),
        (staff("s-11").to_string(), 1)
    );
    let read_to: Vec<_> = now
        .read_to
        .iter()
        .map(|at| (&*at.service, at.position))
        .collect();
    assert_eq!(read_to, [("accounts", 22), ("contacts", 281)]);

    let closed = GetScorecardRequest {
        as_recorded_at: Some(kit::timestamp(instant("2026-04-01T08:00:00+03:00"))),
        ..march(ScorecardBy::Manager)
    };
    office.at("2026-05-03T09:30:00+03:00");
    let closed = office.scorecard("s-11", closed).await.unwrap();
    assert_eq!(figures(closed.total.as_ref()), (240, 96, 36, 9));
    assert_eq!(rates(&closed), ("15.0", "25.0"));
}

#[tokio::test]
async fn a_cancelled_order_is_no_sale_from_then_on() {
    let office = Office::open("2026-03-20T12:00:00+03:00").await;
    office
        .order("o-1", "s-11", "А", "2026-03-20T12:00:00+03:00")
        .await;
    office
        .order("o-2", "s-11", "А", "2026-03-20T12:00:00+03:00")
        .await;
    office.at("2026-04-10T12:00:00+03:00");
    office.cancelled("o-2").await;

    let at = |text| Some(kit::timestamp(instant(text)));
    for (as_of, as_recorded_at, sales) in [
        (None, None, 1),
        (at("2026-04-10T12:00:00+03:00"), None, 1),
        (at("2026-04-10T11:59:59+03:00"), None, 2),
        (None, at("2026-04-10T11:59:59+03:00"), 2),
        (None, at("2026-04-10T12:00:00+03:00"), 1),
        (None, at("2026-03-20T11:59:59+03:00"), 0),
    ] {
        let request = GetScorecardRequest {
            as_of,
            as_recorded_at,
            ..march(ScorecardBy::Manager)
        };
        let answer = office.scorecard("s-02", request).await.unwrap();
        let found = answer.total.as_ref().unwrap();
        assert_eq!(found.sales, sales, "{as_of:?} {as_recorded_at:?}");
        let rate = found.sale_rate.as_ref().unwrap();
        assert_eq!(
            (rate.numerator, rate.denominator, &*rate.percent),
            (sales, 0, "")
        );
    }
}

#[tokio::test]
async fn months_are_the_companys() {
    let office = Office::open("2026-04-10T12:00:00+03:00").await;
    for (name, at) in [
        ("1", "2026-02-28T23:59:59+03:00"),
        ("2", "2026-03-01T00:00:00+03:00"),
        ("3", "2026-03-31T23:59:59+03:00"),
        ("4", "2026-04-01T00:00:00+03:00"),
    ] {
        office.contact(name, &Contact { at, ..CALL }).await;
    }
    office
        .order("o-1", "s-11", "А", "2026-03-31T20:59:59Z")
        .await;
    let all = GetScorecardRequest {
        by: ScorecardBy::Month.into(),
        ..Default::default()
    };
    let answer = office.scorecard("s-40", all).await.unwrap();
    assert_eq!(
        rows(&answer),
        [
            ("2026-02", (1, 0, 0, 0)),
            ("2026-03", (2, 0, 0, 1)),
            ("2026-04", (1, 0, 0, 0)),
        ]
    );
    assert!(answer.rows.iter().all(|row| row.id.is_empty()));
    let one = office
        .scorecard("s-40", march(ScorecardBy::Month))
        .await
        .unwrap();
    assert_eq!(rows(&one), [("2026-03", (2, 0, 0, 1))]);
}

#[tokio::test]
async fn facts_stay_with_the_group_of_their_time() {
    let office = Office::open("2026-04-10T12:00:00+03:00").await;
    office.contact("1", &CALL).await;
    office
        .contact(
            "2",
            &Contact {
                group: "Б",
                ..EFFECTIVE
            },
        )
        .await;
    office
        .contact(
            "3",
            &Contact {
                author: "s-12",
                group: "",
                ..CALL
            },
        )
        .await;
    office
        .contact(
            "4",
            &Contact {
                author: "s-13",
                group: "А1",
                ..MEETING
            },
        )
        .await;
    office
        .order("o-1", "", "", "2026-03-20T12:00:00+03:00")
        .await;

    let by_group = office
        .scorecard("s-02", march(ScorecardBy::Group))
        .await
        .unwrap();
    assert_eq!(
        rows(&by_group),
        [
            ("", (1, 0, 0, 1)),
            ("А", (1, 0, 0, 0)),
            ("А1", (0, 0, 1, 0)),
            ("Б", (1, 1, 0, 0)),
        ]
    );
    let by_manager = office
        .scorecard("s-02", march(ScorecardBy::Unspecified))
        .await
        .unwrap();
    assert_eq!(
        rows(&by_manager),
        [
            ("", (0, 0, 0, 1)),
            ("s-11", (2, 1, 0, 0)),
            ("s-12", (1, 0, 0, 0)),
            ("s-13", (0, 0, 1, 0)),
        ]
    );
    assert_eq!(by_manager.total, by_group.total);
    assert_eq!(rates(&by_group), ("33.3", "100.0"));

    let below = GetScorecardRequest {
        group_id: group("А").unwrap().to_string(),
        ..march(ScorecardBy::Manager)
    };
    let below = office.scorecard("s-02", below).await.unwrap();
    assert_eq!(
        rows(&below),
        [("s-11", (1, 0, 0, 0)), ("s-13", (0, 0, 1, 0))]
    );
}
