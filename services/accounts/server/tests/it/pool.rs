use api::accounts::{
    ChangeAccountDetailsRequest, CheckDuplicateRequest, ClaimProspectRequest, PhoneList,
    ReleaseClaimRequest,
};
use tonic::Code;
use vocabulary::AccountId;

use crate::office::{Office, refused};

fn claim(account: AccountId) -> ClaimProspectRequest {
    ClaimProspectRequest {
        account_id: account.to_string(),
        ..Default::default()
    }
}

#[tokio::test]
async fn without_the_right_only_that_it_exists_is_told() {
    let office = Office::staffed_and_configured(|config| {
        config.prospects.show_owners = false;
    })
    .await;
    office.company("acc-1", "+79000000777", "s-21").await;
    let check = CheckDuplicateRequest {
        phones: vec!["8 (900) 000-07-77".to_owned()],
        ..Default::default()
    };
    let hits = async |who| {
        let answer = office.duplicates(who).check_duplicate(check.clone()).await;
        answer.unwrap().into_inner().hits
    };
    let masked = hits("s-11").await;
    assert_eq!(masked.len(), 1);
    assert_eq!(
        (masked[0].owner.as_str(), masked[0].account_id.as_str()),
        ("", "")
    );
    let seen = hits("s-20").await;
    assert_eq!(seen[0].owner, "Никитин П. О.", "who sees the account");
}

#[tokio::test]
async fn addresses_are_compared_without_capitals() {
    let office = Office::staffed().await;
    let account = office.company("acc-1", "+79000000777", "s-11").await;
    let change = ChangeAccountDetailsRequest {
        account_id: account.to_string(),
        emails: Some(api::accounts::EmailList {
            emails: vec!["V.Sokolova@example.org".to_owned()],
        }),
        ..Default::default()
    };
    let changed = office.accounts("s-30").change_account_details(change).await;
    office
        .settle(changed.unwrap().into_inner().recorded.unwrap().position)
        .await;
    let check = CheckDuplicateRequest {
        emails: vec![
            "x@example.org".to_owned(),
            "v.sokolova@EXAMPLE.org".to_owned(),
        ],
        ..Default::default()
    };
    let answer = office.duplicates("s-11").check_duplicate(check).await;
    let hits = answer.unwrap().into_inner().hits;
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].matches, ["emails[1]"]);
    let nothing = CheckDuplicateRequest::default();
    let (code, _, fields) = refused(office.duplicates("s-11").check_duplicate(nothing).await);
    assert_eq!((code, fields.len()), (Code::InvalidArgument, 2));
}

/// What is written on a claimed card is locked with it, and what is taken off it is free.
#[tokio::test]
async fn a_claim_follows_the_numbers_of_its_card() {
    let office = Office::staffed().await;
    let card = office.company("acc-1", "+79000000701", "").await;
    let old = office.company("acc-2", "+79000000701", "").await;
    let new = office.company("acc-3", "+79000000703", "").await;
    office
        .prospects("s-11")
        .claim_prospect(claim(card))
        .await
        .unwrap();
    let phones = ChangeAccountDetailsRequest {
        account_id: card.to_string(),
        phones: Some(PhoneList {
            phones: vec!["8 900 000-07-03".to_owned()],
        }),
        ..Default::default()
    };
    office
        .accounts("s-30")
        .change_account_details(phones)
        .await
        .unwrap();
    let refused = refused(office.prospects("s-12").claim_prospect(claim(new)).await);
    assert_eq!(refused.1, "PHONE_CLAIMED");
    office
        .prospects("s-12")
        .claim_prospect(claim(old))
        .await
        .unwrap();

    let release = ReleaseClaimRequest {
        account_id: card.to_string(),
        ..Default::default()
    };
    // The head gives up what a manager of the group has claimed.
    office
        .prospects("s-10")
        .release_claim(release)
        .await
        .unwrap();
    office
        .prospects("s-12")
        .claim_prospect(claim(new))
        .await
        .unwrap();
    assert_eq!(office.events("account.claim_released").await, 1);
}
