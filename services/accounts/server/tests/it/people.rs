use api::{
    accounts::{
        AppointGroupHeadRequest, ChangeRoleRequest, DismissStaffRequest, FormGroupRequest,
        HireStaffRequest, ListGroupsRequest, ListStaffRequest, LoginRequest, SetPasswordRequest,
        WhoAmIRequest,
    },
    rights::Role,
};
use tonic::Code;

use crate::office::{ADMIN_PASSWORD, Office, refused, staff_id};

fn login(login: &str, password: &str) -> LoginRequest {
    LoginRequest {
        login: login.to_owned(),
        password: password.to_owned(),
    }
}

#[tokio::test]
async fn the_first_administrator_comes_in_and_hires() {
    let office = Office::empty().await;
    let token = office
        .identity()
        .login(login("Admin ", ADMIN_PASSWORD))
        .await
        .unwrap();
    let token = token.into_inner().access_token;
    let me = office
        .identity_with(&token)
        .who_am_i(WhoAmIRequest {})
        .await
        .unwrap();
    assert_eq!(me.get_ref().external_id, "admin");
    assert_eq!(me.get_ref().role(), Role::Administrator);
    assert_eq!(office.events("staff.hired").await, 1);

    let hire = HireStaffRequest {
        external_id: "s-11".to_owned(),
        name: "Петров Алексей Игоревич".to_owned(),
        role: Role::Manager.into(),
        login: "petrov".to_owned(),
        password: "пароль-1".to_owned(),
        ..Default::default()
    };
    let mut admin = office.staff("admin");
    admin.hire_staff(hire.clone()).await.unwrap();
    office
        .identity()
        .login(login("petrov", "пароль-1"))
        .await
        .unwrap();
    let wrong = refused(office.identity().login(login("petrov", "пароль-2")).await);
    assert_eq!(wrong.0, Code::Unauthenticated);
    assert_eq!(
        refused(office.identity().login(login("nobody", "пароль-1")).await),
        wrong
    );

    let exists = refused(admin.hire_staff(hire.clone()).await);
    assert_eq!(
        (exists.0, exists.1.as_str()),
        (Code::AlreadyExists, "STAFF_EXISTS")
    );
    let same_login = HireStaffRequest {
        external_id: "s-12".to_owned(),
        login: "PETROV".to_owned(),
        ..hire
    };
    let refusal = refused(admin.hire_staff(same_login).await);
    assert_eq!(
        (refusal.0, refusal.1.as_str()),
        (Code::AlreadyExists, "LOGIN_TAKEN")
    );
}

#[tokio::test]
async fn every_fault_is_named_at_once() {
    let office = Office::empty().await;
    let hire = HireStaffRequest {
        group_id: staff_id("nothing"),
        hired_on: "вчера".to_owned(),
        password: "short".to_owned(),
        ..Default::default()
    };
    let (code, _, mut fields) = refused(office.staff("admin").hire_staff(hire).await);
    fields.sort();
    assert_eq!(code, Code::InvalidArgument);
    let expected = [
        "external_id",
        "group_id",
        "hired_on",
        "login",
        "name",
        "password",
        "role",
    ];
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn an_administrator_stays() {
    let office = Office::staffed().await;
    let mut staff = office.staff("s-02");
    let dismiss = DismissStaffRequest {
        staff_id: staff_id("s-02"),
        reason: "ухожу".to_owned(),
        ..Default::default()
    };
    let change = ChangeRoleRequest {
        staff_id: staff_id("s-02"),
        role: Role::Manager.into(),
        reason: "хочу продавать".to_owned(),
        ..Default::default()
    };
    let (code, _, fields) = refused(staff.dismiss_staff(dismiss).await);
    assert_eq!(
        (code, fields),
        (Code::InvalidArgument, vec!["staff_id".to_owned()])
    );
    let (code, _, fields) = refused(staff.change_role(change).await);
    assert_eq!(
        (code, fields),
        (Code::InvalidArgument, vec!["staff_id".to_owned()])
    );
}

#[tokio::test]
async fn who_is_dismissed_cannot_come_in() {
    let office = Office::staffed().await;
    let mut orlova = office.staff("s-02");
    let password = SetPasswordRequest {
        staff_id: staff_id("s-12"),
        login: "smirnova".to_owned(),
        password: "пароль-1".to_owned(),
        ..Default::default()
    };
    orlova.set_password(password).await.unwrap();
    office
        .identity()
        .login(login("smirnova", "пароль-1"))
        .await
        .unwrap();
    let dismiss = DismissStaffRequest {
        staff_id: staff_id("s-12"),
        reason: "сокращение".to_owned(),
        ..Default::default()
    };
    let dismissed = orlova.dismiss_staff(dismiss).await.unwrap().into_inner();
    let refusal = refused(office.identity().login(login("smirnova", "пароль-1")).await);
    assert_eq!(refusal.0, Code::Unauthenticated);

    let list = |include_dismissed| ListStaffRequest {
        include_dismissed,
        min_positions: dismissed
            .recorded
            .clone()
            .unwrap()
            .position
            .into_iter()
            .collect(),
    };
    let names = |include| {
        let mut orlova = orlova.clone();
        let request = list(include);
        async move {
            let answer = orlova.list_staff(request).await.unwrap().into_inner();
            answer
                .staff
                .into_iter()
                .map(|person| person.name)
                .collect::<Vec<_>>()
        }
    };
    let present = names(false).await;
    assert!(!present.contains(&"Смирнова Ольга Викторовна".to_owned()));
    let everybody = names(true).await;
    assert_eq!(everybody.len(), present.len() + 1);
    let russian = everybody
        .iter()
        .filter(|name| name.as_str() != "Administrator");
    let mut sorted: Vec<_> = russian.clone().collect();
    sorted.sort();
    assert_eq!(russian.collect::<Vec<_>>(), sorted);
}

#[tokio::test]
async fn a_group_gets_a_head() {
    let office = Office::staffed().await;
    let mut orlova = office.staff("s-02");
    let form = FormGroupRequest {
        name: "Группа В".to_owned(),
        ..Default::default()
    };
    let formed = orlova.form_group(form.clone()).await.unwrap().into_inner();
    let exists = refused(orlova.form_group(form).await);
    assert_eq!(
        (exists.0, exists.1.as_str()),
        (Code::AlreadyExists, "GROUP_EXISTS")
    );

    let appoint = AppointGroupHeadRequest {
        group_id: formed.group_id.clone(),
        staff_id: staff_id("s-12"),
        ..Default::default()
    };
    let appointed = orlova
        .appoint_group_head(appoint)
        .await
        .unwrap()
        .into_inner();
    let positions = || {
        appointed
            .recorded
            .clone()
            .unwrap()
            .position
            .into_iter()
            .collect()
    };
    let groups = ListGroupsRequest {
        min_positions: positions(),
    };
    let groups = orlova
        .list_groups(groups)
        .await
        .unwrap()
        .into_inner()
        .groups;
    let heads: Vec<_> = groups
        .iter()
        .map(|group| (&*group.name, &*group.head_id))
        .collect();
    let (zaitsev, smirnova, volkova) = (staff_id("s-10"), staff_id("s-12"), staff_id("s-20"));
    assert_eq!(
        heads,
        [("А", &*zaitsev), ("Б", &*volkova), ("Группа В", &*smirnova)]
    );
    let staff = ListStaffRequest {
        min_positions: positions(),
        ..Default::default()
    };
    let staff = orlova.list_staff(staff).await.unwrap().into_inner().staff;
    let head = staff.iter().find(|person| person.id == smirnova).unwrap();
    assert_eq!(head.role(), Role::Head);
}
