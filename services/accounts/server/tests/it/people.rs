use api::{
    accounts::{
        AppointGroupHeadRequest, ChangeRoleRequest, ChangeStaffDetailsRequest, DismissStaffRequest,
        FormGroupRequest, HireStaffRequest, ImportStaffRequest, ListGroupsRequest,
        ListStaffRequest, LoginRequest, MoveGroupRequest, RehireStaffRequest, RenameGroupRequest,
        SetPasswordRequest, StaffMember, WhoAmIRequest,
    },
    rights::Role,
};
use tonic::Code;

use crate::office::{ADMIN_PASSWORD, Office, refused, staff_id, staff_row};

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

/// As the list shows somebody once everything is known.
async fn listed(office: &Office, external_id: &str) -> StaffMember {
    let request = ListStaffRequest {
        include_dismissed: true,
        ..Default::default()
    };
    office.up_to_date().await;
    let answer = office.staff("s-02").list_staff(request).await.unwrap();
    let mut staff = answer.into_inner().staff.into_iter();
    staff.find(|one| one.external_id == external_id).unwrap()
}

fn set_password(who: &str, login: &str) -> SetPasswordRequest {
    SetPasswordRequest {
        staff_id: staff_id(who),
        login: login.to_owned(),
        password: "пароль-1".to_owned(),
        ..Default::default()
    }
}

#[tokio::test]
async fn details_are_corrected_one_by_one() {
    let office = Office::staffed().await;
    let mut orlova = office.staff("s-02");
    orlova
        .set_password(set_password("s-12", "smirnova"))
        .await
        .unwrap();
    let change = ChangeStaffDetailsRequest {
        staff_id: staff_id("s-12"),
        name: Some("Титова Ольга Викторовна".to_owned()),
        login: Some("titova".to_owned()),
        ..Default::default()
    };
    for _ in 0..2 {
        orlova.change_staff_details(change.clone()).await.unwrap();
    }
    assert_eq!(office.events("staff.details_changed").await, 1);
    let titova = listed(&office, "s-12").await;
    assert_eq!(titova.name, "Титова Ольга Викторовна");
    let former = refused(office.identity().login(login("smirnova", "пароль-1")).await);
    assert_eq!(former.0, Code::Unauthenticated);
    office
        .identity()
        .login(login("Titova", "пароль-1"))
        .await
        .unwrap();

    let taken = refused(orlova.set_password(set_password("s-11", "titova")).await);
    assert_eq!(
        (taken.0, taken.1.as_str()),
        (Code::AlreadyExists, "LOGIN_TAKEN")
    );
    orlova
        .set_password(set_password("s-11", "smirnova"))
        .await
        .unwrap();

    for (extension, shown) in [("117", "117"), ("", "")] {
        let change = ChangeStaffDetailsRequest {
            staff_id: staff_id("s-12"),
            extension: Some(extension.to_owned()),
            ..Default::default()
        };
        orlova.change_staff_details(change).await.unwrap();
        let titova = listed(&office, "s-12").await;
        assert_eq!(
            (titova.extension.as_str(), titova.name.as_str()),
            (shown, "Титова Ольга Викторовна")
        );
    }
    let nameless = ChangeStaffDetailsRequest {
        staff_id: staff_id("s-12"),
        name: Some(" ".to_owned()),
        extension: Some("1\n2".to_owned()),
        login: Some(String::new()),
        ..Default::default()
    };
    let (code, _, mut fields) = refused(orlova.change_staff_details(nameless).await);
    fields.sort();
    assert_eq!(code, Code::InvalidArgument);
    assert_eq!(fields, ["extension", "login", "name"]);
}

#[tokio::test]
async fn who_was_dismissed_comes_again() {
    let office = Office::staffed().await;
    let mut orlova = office.staff("s-02");
    orlova
        .set_password(set_password("s-12", "smirnova"))
        .await
        .unwrap();
    let before = listed(&office, "s-12").await;
    let rehire = RehireStaffRequest {
        staff_id: staff_id("s-12"),
        role: Role::Head.into(),
        group_id: accounts_domain::group::id_of("Б").to_string(),
        hired_on: "2026-03-02".to_owned(),
        ..Default::default()
    };
    let (code, reason, _) = refused(orlova.rehire_staff(rehire.clone()).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::FailedPrecondition, "STAFF_WORKS_HERE")
    );
    let dismiss = DismissStaffRequest {
        staff_id: staff_id("s-12"),
        reason: "ушла сама".to_owned(),
        ..Default::default()
    };
    orlova.dismiss_staff(dismiss).await.unwrap();
    let closed = refused(office.identity().login(login("smirnova", "пароль-1")).await);
    assert_eq!(closed.0, Code::Unauthenticated);
    let nowhere = RehireStaffRequest {
        group_id: staff_id("nothing"),
        ..rehire.clone()
    };
    let (_, _, fields) = refused(orlova.rehire_staff(nowhere).await);
    assert_eq!(fields, ["group_id"]);

    orlova.rehire_staff(rehire).await.unwrap();
    office.company("acc", "+79000000001", "s-12").await;
    let after = listed(&office, "s-12").await;
    let expected = StaffMember {
        role: Role::Head.into(),
        group_id: accounts_domain::group::id_of("Б").to_string(),
        hired_on: "2026-03-02".to_owned(),
        ..before
    };
    assert_eq!(after, expected);
    office
        .identity()
        .login(login("smirnova", "пароль-1"))
        .await
        .unwrap();
}

#[tokio::test]
async fn who_owns_something_becomes_no_operator() {
    let office = Office::staffed().await;
    office.company("acc", "+79000000001", "s-12").await;
    let change = |who, role: Role| ChangeRoleRequest {
        staff_id: staff_id(who),
        role: role.into(),
        reason: "по просьбе".to_owned(),
        ..Default::default()
    };
    let mut orlova = office.staff("s-02");
    for role in [Role::Operator, Role::Analyst] {
        let (code, reason, _) = refused(orlova.change_role(change("s-12", role)).await);
        assert_eq!(
            (code, reason.as_str()),
            (Code::FailedPrecondition, "STAFF_OWNS_ACCOUNTS")
        );
        orlova.change_role(change("s-11", role)).await.unwrap();
    }
    orlova
        .change_role(change("s-12", Role::Head))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_group_gets_another_name() {
    let office = Office::staffed().await;
    let mut orlova = office.staff("s-02");
    let first = accounts_domain::group::id_of("А").to_string();
    let rename = |id: &str, name: &str| RenameGroupRequest {
        group_id: id.to_owned(),
        name: name.to_owned(),
        ..Default::default()
    };
    let (code, reason, _) = refused(orlova.rename_group(rename(&first, "б")).await);
    assert_eq!(
        (code, reason.as_str()),
        (Code::AlreadyExists, "GROUP_NAME_TAKEN")
    );
    let unknown = rename(&staff_id("nothing"), "Север");
    let unknown = refused(orlova.rename_group(unknown).await);
    assert_eq!(unknown.0, Code::NotFound);
    orlova.rename_group(rename(&first, "Север")).await.unwrap();

    let form = |name: &str| FormGroupRequest {
        name: name.to_owned(),
        ..Default::default()
    };
    let (_, exists, _) = refused(orlova.form_group(form("север")).await);
    assert_eq!(exists, "GROUP_EXISTS");
    // A file of former days changes nothing; a new one says the names of today.
    let import = |rows| ImportStaffRequest {
        rows,
        dry_run: false,
    };
    let petrov = staff_row(1, ("s-11", "Петров", "manager", "А", "s-10"));
    orlova.import_staff(import(vec![petrov])).await.unwrap();
    assert_eq!(office.events("group.formed").await, 2);
    let newcomer = staff_row(1, ("n-1", "Новый Человек", "manager", "север", ""));
    orlova.import_staff(import(vec![newcomer])).await.unwrap();
    assert_eq!(listed(&office, "n-1").await.group_id, first);

    let second = orlova.form_group(form("А")).await.unwrap().into_inner();
    assert_ne!(second.group_id, first);
    let newcomer = staff_row(1, ("n-2", "Новый Человек", "manager", "А", ""));
    orlova.import_staff(import(vec![newcomer])).await.unwrap();
    assert_eq!(listed(&office, "n-2").await.group_id, second.group_id);
}

#[tokio::test]
async fn the_tree_of_groups_has_no_circle() {
    let office = Office::staffed().await;
    let mut orlova = office.staff("s-02");
    let [a, b] = ["А", "Б"].map(|name| accounts_domain::group::id_of(name).to_string());
    let below = |group: &str, parent: &str| MoveGroupRequest {
        group_id: group.to_owned(),
        parent_id: parent.to_owned(),
        ..Default::default()
    };
    orlova.move_group(below(&a, &b)).await.unwrap();
    for (group, parent) in [(&a, &a), (&b, &a), (&b, &b)] {
        let (code, reason, _) = refused(orlova.move_group(below(group, parent)).await);
        assert_eq!(
            (code, reason.as_str()),
            (Code::FailedPrecondition, "GROUP_CIRCLE")
        );
    }
    let (code, _, fields) = refused(orlova.move_group(below(&a, &staff_id("nothing"))).await);
    assert_eq!(
        (code, fields),
        (Code::InvalidArgument, vec!["parent_id".to_owned()])
    );
    let (code, ..) = refused(orlova.move_group(below(&staff_id("nothing"), &a)).await);
    assert_eq!(code, Code::NotFound);
    orlova.move_group(below(&a, "")).await.unwrap();
    orlova.move_group(below(&b, &a)).await.unwrap();
    office.up_to_date().await;
    let groups = orlova.list_groups(ListGroupsRequest::default()).await;
    let groups = groups.unwrap().into_inner().groups;
    let parents: Vec<_> = groups
        .iter()
        .map(|group| (&*group.name, &*group.parent_id))
        .collect();
    assert_eq!(parents, [("А", ""), ("Б", &*a)]);
}
