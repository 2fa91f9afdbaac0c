use anyhow::{Context, ensure};
use api::{
    accounts::{
        ChangeAccountDetailsRequest, ChangePolicyRequest, GetPolicyRequest, PhoneList,
        UnusualReading,
    },
    common::Position,
    contacts::{ChangePersonDetailsRequest, ContactPoints, ListContactPersonsRequest},
    planning::{
        CompleteDataEntryRequest, DataEntryState, DeclineDataEntryRequest,
        ListDataEntryRequestsRequest, ListTasksRequest, RequestDataEntryRequest,
    },
};
use tests::{
    background::{Background, code, fields, import, reason, request_id},
    client::Client,
};
use tonic::{Code, Status};

const ACCOUNTS: &str = "external_id,name,phone,owner
acc-1,ООО «Вектор-Строй»,+7 900 000-05-55,s-11
acc-2,ООО «Гамма»,+7 900 000-05-56,s-21
";
const PERSONS: &str = "external_id,account,name,phone\np-1,acc-1,Ильин К. П.,+7 900 000-01-15\n";

/// The first person of an account, as somebody sees it.
async fn person(
    client: &Client,
    account_id: &str,
    seen: Vec<Position>,
) -> anyhow::Result<api::contacts::Person> {
    let request = ListContactPersonsRequest {
        account_id: account_id.to_owned(),
        min_positions: seen,
    };
    let persons = client.contacts().list_contact_persons(request).await?;
    persons.into_inner().persons.pop().context("a person")
}

async fn set_phone(client: &Client, person_id: &str, phone: &str) -> Result<(), Status> {
    let request = ChangePersonDetailsRequest {
        request_id: request_id(),
        person_id: person_id.to_owned(),
        phones: Some(ContactPoints {
            values: vec![phone.to_owned()],
        }),
        ..ChangePersonDetailsRequest::default()
    };
    client
        .contacts()
        .change_person_details(request)
        .await
        .map(drop)
}

/// T-026: an administrator lets managers edit personal data, too, and takes it back.
#[tokio::test]
async fn t026_the_office_decides_who_edits_personal_data() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    import(&office.office, "s-02", "persons", PERSONS)?;
    let (admin, petrov) = (&office.admin, office.client("s-11")?);
    let account_id = office.account("acc-1").await?;
    let seen = vec![office.head("contacts").await?];
    let ilyin = person(&petrov, &account_id, seen).await?;
    let policy = async || {
        let answer = petrov.policy().get_policy(GetPolicyRequest {}).await?;
        answer.into_inner().policy.context("a policy")
    };
    let begun = policy().await?;
    let expected = UnusualReading {
        at_least: 50,
        times_usual: 3,
    };
    ensure!(begun.personal_data_by_operator_only && begun.unusual_reading == Some(expected));

    let card = |phones: Option<&str>, city: Option<&str>| ChangeAccountDetailsRequest {
        request_id: request_id(),
        account_id: account_id.clone(),
        phones: phones.map(|phone| PhoneList {
            phones: vec![phone.to_owned()],
        }),
        city: city.map(str::to_owned),
        ..ChangeAccountDetailsRequest::default()
    };
    let changed = async |request| petrov.accounts().change_account_details(request).await;
    // What is about the sale is the manager's own.
    changed(card(None, Some("Миасс"))).await?;
    let refused = changed(card(Some("+7 900 000-05-57"), None)).await;
    let refused = refused.err().context("was changed")?;
    ensure!(
        reason(&refused) == "PERSONAL_DATA_BY_OPERATOR",
        "{refused:?}"
    );
    let operator = office.client("s-30")?;
    let phone = card(Some("+7 900 000-05-57"), None);
    operator.accounts().change_account_details(phone).await?;

    let turn = async |client: &Client, only: bool, why: &str| {
        let request = ChangePolicyRequest {
            request_id: request_id(),
            personal_data_by_operator_only: Some(only),
            reason: why.to_owned(),
            ..ChangePolicyRequest::default()
        };
        let answer = client.policy().change_policy(request).await;
        answer.map(|answer| answer.into_inner().recorded.unwrap_or_default())
    };
    let head = turn(&office.client("s-10")?, false, "удобнее").await;
    ensure!(code(&head) == Code::PermissionDenied);
    let silent = turn(admin, false, "").await.err().context("no reason")?;
    ensure!(fields(&silent) == ["reason"], "{silent:?}");
    let recorded = turn(admin, false, "оператор в отпуске").await?;
    let seen: Vec<_> = recorded.position.into_iter().collect();
    ensure!(!policy().await?.personal_data_by_operator_only);
    changed(card(Some("+7 900 000-05-58"), None)).await?;
    // Contacts follows; a question that waits for the change finds it there.
    person(&petrov, &account_id, seen).await?;
    set_phone(&petrov, &ilyin.id, "+7 900 000-01-16").await?;

    let recorded = turn(admin, true, "оператор вернулся").await?;
    let seen: Vec<_> = recorded.position.into_iter().collect();
    person(&petrov, &account_id, seen).await?;
    let refused = set_phone(&petrov, &ilyin.id, "+7 900 000-01-17").await;
    let refused = refused.err().context("was changed")?;
    ensure!(reason(&refused) == "PERSONAL_DATA_BY_OPERATOR");
    let seen = vec![office.head("contacts").await?];
    let ilyin = person(&petrov, &account_id, seen).await?;
    ensure!(ilyin.phones == ["+79000000116"], "{ilyin:?}");
    Ok(())
}

/// T-054: the operator's queue: oldest first, each entry done or declined with a reason, and whoever
/// asked sees what became of it.
#[tokio::test]
async fn t054_the_queue_of_the_operator() -> anyhow::Result<()> {
    let office = Background::start("2026-03-10T09:00:00+03:00").await?;
    import(&office.office, "s-02", "accounts", ACCOUNTS)?;
    import(&office.office, "s-02", "persons", PERSONS)?;
    let (petrov, belova) = (office.client("s-11")?, office.client("s-30")?);
    let own = office.account("acc-1").await?;
    let foreign = office.account("acc-2").await?;
    let ask = async |client: &Client, account_id: &str, what: &str| {
        let request = RequestDataEntryRequest {
            request_id: request_id(),
            account_id: account_id.to_owned(),
            what: what.to_owned(),
            ..RequestDataEntryRequest::default()
        };
        let answer = client.data_entry().request_data_entry(request).await;
        answer.map(|answer| answer.into_inner().data_entry_id)
    };
    let address = ask(&petrov, &own, "Новый адрес: пр. Ленина, 1").await?;
    office.at("2026-03-10T10:00:00+03:00").await?;
    let phone = ask(&office.client("s-21")?, &foreign, "Номер не отвечает").await?;
    office.at("2026-03-10T11:00:00+03:00").await?;
    let mail = ask(&petrov, &own, "Почта: info@vector.example").await?;
    let hidden = ask(&petrov, &foreign, "Чужая карточка").await;
    ensure!(code(&hidden) == Code::NotFound, "{hidden:?}");
    let silent = ask(&petrov, &own, " ").await.err().context("nothing")?;
    ensure!(fields(&silent) == ["what"], "{silent:?}");
    let operator = ask(&belova, &own, "Сама себе").await;
    ensure!(code(&operator) == Code::PermissionDenied);

    let queue = async |client: &Client, state: DataEntryState| {
        let request = ListDataEntryRequestsRequest {
            state: state.into(),
            min_positions: vec![office.head("planning").await?],
            ..ListDataEntryRequestsRequest::default()
        };
        let mut entries = client.data_entry();
        let listed = entries.list_data_entry_requests(request).await?;
        anyhow::Ok(listed.into_inner().requests)
    };
    let ids = |entries: &[api::planning::DataEntryRequest]| -> Vec<String> {
        entries.iter().map(|entry| entry.id.clone()).collect()
    };
    let waiting = queue(&belova, DataEntryState::Unspecified).await?;
    ensure!(ids(&waiting) == [address.clone(), phone.clone(), mail.clone()]);
    let mine = queue(&petrov, DataEntryState::Open).await?;
    ensure!(ids(&mine) == [address.clone(), mail.clone()]);

    let complete = async |client: &Client, id: &str| {
        let request = CompleteDataEntryRequest {
            request_id: request_id(),
            data_entry_id: id.to_owned(),
        };
        client.data_entry().complete_data_entry(request).await
    };
    let decline = async |id: &str, why: &str| {
        let request = DeclineDataEntryRequest {
            request_id: request_id(),
            data_entry_id: id.to_owned(),
            reason: why.to_owned(),
        };
        belova.data_entry().decline_data_entry(request).await
    };
    ensure!(code(&complete(&petrov, &address).await) == Code::PermissionDenied);
    complete(&belova, &address).await?;
    complete(&belova, &address).await?;
    let silent = decline(&mail, "").await.err().context("no reason")?;
    ensure!(fields(&silent) == ["reason"], "{silent:?}");
    decline(&mail, "адрес не существует").await?;
    let late = decline(&address, "поздно")
        .await
        .err()
        .context("too late")?;
    ensure!(reason(&late) == "DATA_ENTRY_DONE", "{late:?}");
    let unknown = complete(&belova, &request_id())
        .await
        .err()
        .context("nothing")?;
    ensure!(unknown.code() == Code::NotFound, "{unknown:?}");

    ensure!(ids(&queue(&belova, DataEntryState::Open).await?) == [phone]);
    let done = queue(&petrov, DataEntryState::Done).await?;
    ensure!(ids(&done) == [address] && done[0].closed_by == office.staff["s-30"]);
    let declined = queue(&petrov, DataEntryState::Declined).await?;
    ensure!(ids(&declined) == [mail] && declined[0].reason == "адрес не существует");

    // An operator enters; what was said and what is promised is none of an operator's business.
    let tasks = belova
        .planning()
        .list_tasks(ListTasksRequest::default())
        .await;
    ensure!(code(&tasks) == Code::PermissionDenied);
    Ok(())
}
