use api::{
    analytics::{GetScorecardRequest, ScorecardBy},
    common::Period,
};
use prost_types::Timestamp;
use tonic::Code;
use uuid::Uuid;
use vocabulary::GroupId;

use crate::office::{Contact, Office, staff};

fn all() -> GetScorecardRequest {
    GetScorecardRequest::default()
}

fn of(who: &str) -> GetScorecardRequest {
    GetScorecardRequest {
        staff_id: staff(who).to_string(),
        ..all()
    }
}

fn of_group(name: &str) -> GetScorecardRequest {
    GetScorecardRequest {
        group_id: GroupId::of_external(name).to_string(),
        ..all()
    }
}

/// One call each: s-11 in А and, before that, in Б; s-13 in А1; s-21 in Б and, before, in А.
async fn office() -> Office {
    let office = Office::open("2026-04-10T12:00:00+03:00").await;
    for (author, group) in [
        ("s-11", "А"),
        ("s-11", "Б"),
        ("s-13", "А1"),
        ("s-21", "Б"),
        ("s-21", "А"),
    ] {
        let call = Contact {
            kind: "call",
            direction: "outbound",
            outcome: "connected",
            author,
            group,
            at: "2026-03-10T12:00:00+03:00",
        };
        office.contact(&format!("{author} {group}"), &call).await;
    }
    office
}

#[tokio::test]
async fn everybody_sees_the_own_part() {
    let office = office().await;
    for (who, request, calls) in [
        ("s-02", all(), Some(5)),
        ("s-40", all(), Some(5)),
        ("s-11", all(), Some(2)),
        ("s-11", of("s-11"), Some(2)),
        ("s-12", all(), Some(0)),
        // Her people, and whoever was there.
        ("s-10", all(), Some(4)),
        ("s-10", of("s-11"), Some(2)),
        ("s-10", of("s-13"), Some(1)),
        ("s-10", of("s-21"), Some(1)),
        ("s-10", of_group("А"), Some(3)),
        ("s-10", of_group("А1"), Some(1)),
        ("s-20", all(), Some(3)),
        ("s-40", of_group("Б"), Some(2)),
        // Not theirs, or nothing at all: the same answer.
        ("s-11", of("s-12"), None),
        ("s-11", of("s-10"), None),
        ("s-11", of_group("А"), None),
        ("s-10", of("s-20"), None),
        ("s-10", of_group("Б"), None),
        ("s-20", of("s-13"), None),
        ("s-20", of_group("А1"), None),
        ("s-02", of("nobody"), None),
        ("s-02", of_group("nothing"), None),
    ] {
        let asked = format!("{who}: {request:?}");
        match (office.scorecard(who, request).await, calls) {
            (Ok(answer), Some(calls)) => {
                assert_eq!(answer.total.unwrap().calls, calls, "{asked}");
            }
            (Err(status), None) => assert_eq!(status.code(), Code::NotFound, "{asked}"),
            (answer, _) => panic!("{asked}: {answer:?}"),
        }
    }
}

#[tokio::test]
async fn faults_are_named_at_once() {
    let office = office().await;
    let request = GetScorecardRequest {
        period: Some(Period {
            from: "март".to_owned(),
            to: "2026-04-01".to_owned(),
        }),
        by: ScorecardBy::Month.into(),
        as_of: Some(Timestamp {
            seconds: i64::MAX,
            nanos: 0,
        }),
        staff_id: "я".to_owned(),
        group_id: Uuid::nil().to_string(),
        ..all()
    };
    let status = office.scorecard("s-02", request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let details = String::from_utf8_lossy(status.details());
    for field in ["period.from", "as_of", "staff_id"] {
        assert!(details.contains(field), "{field}");
    }
    assert!(!details.contains("group_id"));
}
