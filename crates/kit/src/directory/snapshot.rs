use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use uuid::Uuid;
use vocabulary::{GroupId, Role, StaffId};

use super::absences::{AbsenceEntry, Absences};
use crate::Principal;

/// A member of staff, dismissed ones included: what they did stays theirs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaffEntry {
    pub id: StaffId,
    pub external_id: String,
    pub role: Role,
    /// The present group, or the last one.
    pub group_id: Option<GroupId>,
    pub dismissed: bool,
    pub hired_on: Option<NaiveDate>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupEntry {
    pub id: GroupId,
    pub name: String,
    pub parent_id: Option<GroupId>,
    pub head_id: Option<StaffId>,
}

/// From when on somebody was in a group, or in none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    pub staff_id: StaffId,
    pub from_at: DateTime<Utc>,
    pub group_id: Option<GroupId>,
}

/// Whose accounts, tasks and figures somebody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything, the pool included.
    All,
    Staff(Vec<StaffId>),
}

impl Scope {
    pub fn includes(&self, id: StaffId) -> bool {
        match self {
            Self::All => true,
            Self::Staff(ids) => ids.contains(&id),
        }
    }

    pub fn includes_all_of(&self, other: &Self) -> bool {
        match other {
            Self::All => *self == Self::All,
            Self::Staff(ids) => ids.iter().all(|id| self.includes(*id)),
        }
    }

    /// Whether something with this owner is seen; what nobody owns is seen by those who see all.
    pub fn includes_owner(&self, owner: Option<StaffId>) -> bool {
        *self == Self::All || owner.is_some_and(|owner| self.includes(owner))
    }

    /// For SQL: `$1::uuid[] is null or owner_id = any($1)`.
    pub fn owners(&self) -> Option<Vec<Uuid>> {
        match self {
            Self::All => None,
            Self::Staff(ids) => Some(ids.iter().map(|id| id.0).collect()),
        }
    }

    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Staff(mut ids), Self::Staff(others)) => {
                let new: Vec<_> = others.into_iter().filter(|id| !ids.contains(id)).collect();
                ids.extend(new);
                Self::Staff(ids)
            }
            (Self::All, _) | (_, Self::All) => Self::All,
        }
    }
}

/// Staff and groups at one moment, and the rules of who sees and plans for whom.
#[derive(Debug, Default)]
pub struct Snapshot {
    staff: HashMap<StaffId, StaffEntry>,
    groups: HashMap<GroupId, GroupEntry>,
    /// In order of time.
    memberships: HashMap<StaffId, Vec<Membership>>,
    children: HashMap<GroupId, Vec<GroupId>>,
    absences: Absences,
}

impl Snapshot {
    /// `memberships` in order of time.
    pub fn new(
        staff: Vec<StaffEntry>,
        groups: Vec<GroupEntry>,
        memberships: Vec<Membership>,
    ) -> Self {
        let mut snapshot = Self::default();
        for group in groups {
            if let Some(parent) = group.parent_id {
                snapshot.children.entry(parent).or_default().push(group.id);
            }
            snapshot.groups.insert(group.id, group);
        }
        for membership in memberships {
            let history = snapshot.memberships.entry(membership.staff_id).or_default();
            history.push(membership);
        }
        snapshot.staff = staff.into_iter().map(|entry| (entry.id, entry)).collect();
        snapshot
    }

    #[must_use]
    pub fn with_absences(mut self, absences: Vec<AbsenceEntry>) -> Self {
        self.absences = Absences::new(absences);
        self
    }

    /// Whoever was, is or will be away.
    pub fn absences(&self) -> &Absences {
        &self.absences
    }

    pub fn staff(&self, id: StaffId) -> Option<&StaffEntry> {
        self.staff.get(&id)
    }

    /// Everybody, dismissed ones included, in no order.
    pub fn all_staff(&self) -> impl Iterator<Item = &StaffEntry> {
        self.staff.values()
    }

    /// Everybody who works here now, in no order.
    pub fn active_staff(&self) -> impl Iterator<Item = &StaffEntry> {
        self.staff.values().filter(|entry| !entry.dismissed)
    }

    pub fn group(&self, id: GroupId) -> Option<&GroupEntry> {
        self.groups.get(&id)
    }

    /// All groups in no order.
    pub fn groups(&self) -> impl Iterator<Item = &GroupEntry> {
        self.groups.values()
    }

    /// Where somebody was at a time; before the first record of it, where they were first: imported
    /// history is older than the import of staff.
    pub fn group_of(&self, id: StaffId, at: DateTime<Utc>) -> Option<GroupId> {
        let history = self.memberships.get(&id)?;
        let begun = history.partition_point(|membership| membership.from_at <= at);
        history.get(begun.saturating_sub(1))?.group_id
    }

    /// A group and every group below it.
    pub fn subtree(&self, id: GroupId) -> Vec<GroupId> {
        let mut found = vec![id];
        let mut seen = HashSet::from([id]);
        let mut next = 0;
        while let Some(group) = found.get(next) {
            let below = self.children.get(group).map_or(&[][..], Vec::as_slice);
            // A cycle must not hang the office.
            found.extend(below.iter().filter(|child| seen.insert(**child)));
            next += 1;
        }
        found
    }

    /// As whom somebody acts at a time: first as oneself, then as those who are away then and have
    /// named this substitute. Whom these stand in for is not passed on.
    pub fn acts_as(&self, principal: &Principal, at: DateTime<Utc>) -> Vec<Principal> {
        let mut all = vec![principal.clone()];
        if let Principal::Staff { id, .. } = principal {
            let absent = self.absences.of_substitute(*id, at);
            let absent = absent.filter_map(|id| self.staff(id));
            all.extend(absent.filter(|entry| !entry.dismissed).map(as_caller));
        }
        all
    }

    /// Whose accounts, tasks and figures these see together: a manager one's own, a head also those
    /// of the groups below, an administrator, operator or analyst everybody's. Which methods an
    /// operator or analyst may call at all is written in the contract.
    pub fn scope(&self, all: &[Principal]) -> Scope {
        let scopes = all.iter().map(|one| self.own_scope(one));
        scopes
            .reduce(Scope::and)
            .unwrap_or(Scope::Staff(Vec::new()))
    }

    /// As [`scope`](Self::scope), of one.
    pub fn own_scope(&self, principal: &Principal) -> Scope {
        match principal {
            Principal::Staff { id, role, .. } => match role {
                Role::Administrator | Role::Operator | Role::Analyst => Scope::All,
                Role::Manager => Scope::Staff(vec![*id]),
                Role::Head => Scope::Staff(self.led_by(*id)),
            },
            Principal::Gateway { .. } | Principal::Service { .. } => Scope::All,
            Principal::Anyone => Scope::Staff(Vec::new()),
        }
    }

    /// What a member of staff sees by their own rights, which last: not for somebody away. Nothing,
    /// of who does not work here.
    pub fn scope_of(&self, id: StaffId) -> Scope {
        let active = self.staff(id).filter(|entry| !entry.dismissed);
        active.map_or(Scope::Staff(Vec::new()), |entry| {
            self.own_scope(&as_caller(entry))
        })
    }

    /// Who may give whom something to do: a manager to self, a head to self and the
    /// groups below, an administrator to anyone; a substitute to whom the one who is away may.
    pub fn may_plan_for(
        &self,
        principal: &Principal,
        assignee: StaffId,
        at: DateTime<Utc>,
    ) -> bool {
        let all = self.acts_as(principal, at);
        all.iter().any(|one| self.plans_for(one, assignee))
    }

    pub(crate) fn plans_for(&self, principal: &Principal, assignee: StaffId) -> bool {
        match principal {
            Principal::Staff { id, role, .. } => match role {
                Role::Administrator => true,
                Role::Head => self.led_by(*id).contains(&assignee),
                Role::Manager => *id == assignee,
                Role::Operator | Role::Analyst => false,
            },
            Principal::Service { .. } => true,
            Principal::Gateway { .. } | Principal::Anyone => false,
        }
    }

    /// The groups that somebody leads and every group below them.
    pub fn groups_led_by(&self, head: StaffId) -> HashSet<GroupId> {
        self.groups
            .values()
            .filter(|group| self.leads(head, group))
            .flat_map(|group| self.subtree(group.id))
            .collect()
    }

    /// The head itself and everybody in the groups it leads and below.
    pub fn led_by(&self, head: StaffId) -> Vec<StaffId> {
        let groups = self.groups_led_by(head);
        let members = self.staff.values().filter(|entry| {
            entry.id != head && entry.group_id.is_some_and(|group| groups.contains(&group))
        });
        std::iter::once(head)
            .chain(members.map(|entry| entry.id))
            .collect()
    }

    /// The appointed head leads; in a group without one, its member with the role of a head.
    fn leads(&self, head: StaffId, group: &GroupEntry) -> bool {
        match group.head_id {
            Some(appointed) => appointed == head,
            None => self
                .staff(head)
                .is_some_and(|entry| entry.group_id == Some(group.id)),
        }
    }
}

/// Somebody as a caller would be.
fn as_caller(entry: &StaffEntry) -> Principal {
    Principal::Staff {
        id: entry.id,
        role: entry.role,
        group_id: entry.group_id,
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use vocabulary::AbsenceId;

    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-04-01T09:00:00Z".parse().unwrap()
    }

    fn staff_id(name: &str) -> StaffId {
        StaffId::of_external(name)
    }

    fn group_id(name: &str) -> GroupId {
        GroupId::of_external(name)
    }

    fn staff(name: &str, role: Role, group: &str) -> StaffEntry {
        StaffEntry {
            id: staff_id(name),
            external_id: name.to_owned(),
            role,
            group_id: Some(group_id(group)),
            dismissed: name == "gone",
            hired_on: None,
        }
    }

    fn group(name: &str, parent: Option<&str>, head: Option<&str>) -> GroupEntry {
        GroupEntry {
            id: group_id(name),
            name: name.to_owned(),
            parent_id: parent.map(group_id),
            head_id: head.map(staff_id),
        }
    }

    /// Sales with two groups below it, one of which has a group of its own.
    fn office() -> Snapshot {
        Snapshot::new(
            vec![
                staff("director", Role::Head, "sales"),
                staff("north-head", Role::Head, "north"),
                staff("anna", Role::Manager, "north"),
                staff("boris", Role::Manager, "far-north"),
                staff("gone", Role::Manager, "far-north"),
                staff("vera", Role::Manager, "south"),
                staff("south-head", Role::Head, "south"),
            ],
            vec![
                group("sales", None, Some("director")),
                group("north", Some("sales"), Some("north-head")),
                group("far-north", Some("north"), None),
                group("south", Some("sales"), None),
            ],
            Vec::new(),
        )
    }

    fn principal(name: &str, role: Role) -> Principal {
        Principal::Staff {
            id: staff_id(name),
            role,
            group_id: None,
        }
    }

    #[track_caller]
    fn sees(snapshot: &Snapshot, name: &str, role: Role, expected: &[&str]) {
        let all = snapshot.acts_as(&principal(name, role), noon());
        let Scope::Staff(mut seen) = snapshot.scope(&all) else {
            panic!("{name} sees everything");
        };
        let mut expected: Vec<_> = expected.iter().map(|name| staff_id(name)).collect();
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_manager_sees_and_plans_for_nobody_else() {
        let office = office();
        sees(&office, "anna", Role::Manager, &["anna"]);
        let anna = principal("anna", Role::Manager);
        assert!(office.may_plan_for(&anna, staff_id("anna"), noon()));
        assert!(!office.may_plan_for(&anna, staff_id("boris"), noon()));
    }

    #[test]
    fn a_head_sees_the_groups_below_and_who_left_them_by_dismissal() {
        let office = office();
        let north = ["north-head", "anna", "boris", "gone"];
        sees(&office, "north-head", Role::Head, &north);
        let everyone = [&north[..], &["director", "vera", "south-head"]].concat();
        sees(&office, "director", Role::Head, &everyone);

        let head = principal("north-head", Role::Head);
        assert!(office.may_plan_for(&head, staff_id("north-head"), noon()));
        assert!(office.may_plan_for(&head, staff_id("boris"), noon()));
        assert!(!office.may_plan_for(&head, staff_id("vera"), noon()));
        assert!(!office.may_plan_for(&head, staff_id("director"), noon()));
    }

    #[test]
    fn a_group_without_an_appointed_head_is_led_by_its_head_by_role() {
        let office = office();
        sees(&office, "south-head", Role::Head, &["south-head", "vera"]);
        sees(&office, "stranger", Role::Head, &["stranger"]);
    }

    #[test]
    fn the_others_see_everything_or_nothing() {
        let office = office();
        for role in [Role::Administrator, Role::Operator, Role::Analyst] {
            assert_eq!(office.own_scope(&principal("any", role)), Scope::All);
        }
        let service = Principal::Service {
            name: "planning".to_owned(),
        };
        assert_eq!(office.own_scope(&service), Scope::All);
        assert!(office.may_plan_for(&service, staff_id("anna"), noon()));
        assert!(office.may_plan_for(
            &principal("a", Role::Administrator),
            staff_id("anna"),
            noon()
        ));
        for role in [Role::Operator, Role::Analyst] {
            assert!(!office.may_plan_for(&principal("anna", role), staff_id("anna"), noon()));
        }
        let nobody = office.own_scope(&Principal::Anyone);
        assert_eq!(nobody.owners(), Some(Vec::new()));
        assert!(!nobody.includes_owner(None));
        assert!(Scope::All.includes_owner(None));
        assert!(!office.may_plan_for(&Principal::Anyone, staff_id("anna"), noon()));
    }

    /// Away from noon on for an hour, and who acts instead.
    fn away(name: &str, substitute: &str) -> AbsenceEntry {
        AbsenceEntry {
            id: AbsenceId::of_external(name),
            staff_id: staff_id(name),
            substitute_id: staff_id(substitute),
            from_at: noon(),
            until_at: noon() + TimeDelta::hours(1),
            started: false,
            ended: false,
        }
    }

    #[test]
    fn a_substitute_sees_and_plans_between_two_instants() {
        let office = office().with_absences(vec![away("anna", "vera")]);
        let (vera, anna) = (principal("vera", Role::Manager), staff_id("anna"));
        for (minutes, acts) in [(-1, false), (0, true), (59, true), (60, false)] {
            let at = noon() + TimeDelta::minutes(minutes);
            let scope = office.scope(&office.acts_as(&vera, at));
            assert_eq!(scope.includes(anna), acts, "{minutes}");
            assert_eq!(office.may_plan_for(&vera, anna, at), acts, "{minutes}");
            assert!(scope.includes(staff_id("vera")));
        }
        assert_eq!(
            office.own_scope(&vera),
            Scope::Staff(vec![staff_id("vera")])
        );
        // Who is away sees what she saw.
        sees(&office, "anna", Role::Manager, &["anna"]);
    }

    #[test]
    fn a_substitute_of_a_head_sees_the_groups_and_no_chain_is_followed() {
        let absences = vec![
            away("north-head", "vera"),
            away("vera", "boris"),
            away("gone", "boris"),
        ];
        let office = office().with_absences(absences);
        let seen = ["vera", "north-head", "anna", "boris", "gone"];
        sees(&office, "vera", Role::Manager, &seen);
        sees(&office, "boris", Role::Manager, &["boris", "vera"]);
        let vera = principal("vera", Role::Manager);
        assert!(office.may_plan_for(&vera, staff_id("anna"), noon()));
        assert!(!office.may_plan_for(&vera, staff_id("south-head"), noon()));
    }

    #[test]
    fn a_cycle_of_groups_does_not_hang() {
        let groups = vec![
            group("a", Some("b"), Some("anna")),
            group("b", Some("a"), None),
        ];
        let snapshot = Snapshot::new(Vec::new(), groups, Vec::new());
        let a = group_id("a");
        assert_eq!(snapshot.subtree(a), [a, group_id("b")]);
    }

    #[test]
    fn a_fact_counts_for_the_group_of_its_time() {
        let at = |text: &str| {
            format!("{text}T00:00:00Z")
                .parse::<DateTime<Utc>>()
                .unwrap()
        };
        let since = |from: &str, group: Option<&str>| Membership {
            staff_id: staff_id("anna"),
            from_at: at(from),
            group_id: group.map(group_id),
        };
        let history = vec![
            since("2026-02-01", Some("north")),
            since("2026-03-01", Some("south")),
            since("2026-04-01", None),
        ];
        let snapshot = Snapshot::new(Vec::new(), Vec::new(), history);
        let group_at = |day| snapshot.group_of(staff_id("anna"), at(day));
        assert_eq!(group_at("2026-01-15"), Some(group_id("north")), "before");
        assert_eq!(group_at("2026-02-28"), Some(group_id("north")));
        assert_eq!(group_at("2026-03-01"), Some(group_id("south")), "from on");
        assert_eq!(group_at("2026-05-01"), None);
        assert_eq!(snapshot.group_of(staff_id("boris"), at("2026-03-01")), None);
    }

    #[test]
    fn dismissed_staff_are_known_but_not_active() {
        let office = office();
        assert!(office.staff(staff_id("gone")).unwrap().dismissed);
        assert!(
            office
                .active_staff()
                .all(|entry| entry.external_id != "gone")
        );
        assert_eq!(
            office.all_staff().count(),
            office.active_staff().count() + 1
        );
    }
}
