//! A generated office: people of all roles in a tree of groups, and what they own, said and
//! promised. The same seed gives the same office.

mod load;

use std::ops::Range;

/// What time it is in that office.
pub const NOW: &str = "2026-03-10T09:00:00+03:00";
/// A request id that the logs of accounts, contacts and planning have seen when all is loaded.
pub const SPENT: &str = "00000000-0000-4000-8000-000000000001";
/// The only stage of the pipeline of all deals.
pub const STAGE: &str = "Новая";
const ACCOUNTS: usize = 24;
const INTERACTIONS: usize = 40;
const ORDERS: usize = 10;
const TASKS: usize = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Administrator,
    Head,
    Manager,
    Operator,
    Analyst,
}

pub struct Person {
    pub external_id: String,
    pub id: String,
    pub role: Role,
    pub group: Option<usize>,
    pub dismissed: bool,
}

pub struct Group {
    pub name: &'static str,
    pub id: String,
    pub parent: Option<usize>,
    pub head: Option<usize>,
}

pub struct Account {
    pub external_id: String,
    pub id: String,
    pub phone: String,
    /// `None`: in the pool.
    pub owner: Option<usize>,
    /// Who has claimed it, out of the pool.
    pub claim: Option<usize>,
    /// There is one deal with each.
    pub deal_id: String,
    /// And one document.
    pub document_id: String,
    /// And one request to the operator about each.
    pub data_entry_id: String,
}

/// Prospects to call, and who calls them; everybody when nobody is named.
pub struct List {
    pub id: String,
    pub staff: Vec<usize>,
    pub groups: Vec<usize>,
}

/// A list of companies that somebody keeps.
pub struct View {
    pub id: String,
    pub owner: usize,
    pub readers: Readers,
}

#[derive(Clone, Copy)]
pub enum Readers {
    Nobody,
    Group(usize),
    Everybody,
}

/// Somebody at an account.
pub struct Contact {
    pub external_id: String,
    pub id: String,
    pub account: usize,
}

pub struct Interaction {
    pub external_id: String,
    pub id: String,
    pub account: usize,
    pub author: usize,
    pub what: (&'static str, &'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Open,
    Completed,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// By three days: too long ago to be reminded of.
    Overdue,
    /// In some minutes: its reminder is there at once.
    Soon,
    /// In some days.
    Later,
}

pub struct Task {
    pub external_id: String,
    pub id: String,
    pub account: Option<usize>,
    pub assignee: usize,
    pub due: Due,
    pub standing: Standing,
}

/// A fact that reports count: whose it is and of which group, as it was then.
pub struct Fact {
    pub staff: usize,
    pub group: Option<usize>,
    /// Calls, effective calls, meetings, sales.
    pub figures: [i64; 4],
}

pub struct World {
    pub groups: Vec<Group>,
    pub staff: Vec<Person>,
    pub accounts: Vec<Account>,
    pub contacts: Vec<Contact>,
    pub interactions: Vec<Interaction>,
    pub tasks: Vec<Task>,
    pub facts: Vec<Fact>,
    pub lists: Vec<List>,
    pub views: Vec<View>,
    /// Whose each of them is.
    pub orders: Vec<usize>,
    /// Their ids.
    pub order_ids: Vec<String>,
    pub pipeline_id: String,
    /// Hand-overs: from whom to whom.
    pub transfers: Vec<(String, usize, usize)>,
    /// Those who have opened a card of theirs, and taken a list of them out.
    pub readers: Vec<usize>,
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// True in one of so many cases.
    fn once_in(&mut self, cases: usize) -> bool {
        self.below(cases) == 0
    }
}

const KINDS: [(&str, &str); 5] = [
    ("call", "connected"),
    ("call", "agreed_next_step"),
    ("call", "wrong_number"),
    ("meeting", "held"),
    ("email", "sent"),
];

impl World {
    pub fn generate(seed: u64) -> Self {
        let mut random = Random(seed);
        let groups = groups();
        let staff = staff(&mut random);
        let sellers: Vec<_> = (0..staff.len())
            .filter(|index| matches!(staff[*index].role, Role::Head | Role::Manager))
            .collect();
        let accounts: Vec<_> = (0..ACCOUNTS)
            .map(|number| {
                let owner = (!random.once_in(5)).then(|| random.one_of(&sellers));
                let claimed = owner.is_none() && !random.once_in(3);
                Account {
                    external_id: format!("v-a{number}"),
                    id: String::new(),
                    phone: format!("+7901000{number:04}"),
                    deal_id: String::new(),
                    document_id: String::new(),
                    data_entry_id: String::new(),
                    owner,
                    claim: claimed.then(|| random.one_of(&sellers)),
                }
            })
            .collect();
        let contacts = (0..ACCOUNTS)
            .filter(|_| !random.once_in(3))
            .map(|account| Contact {
                external_id: format!("v-p{account}"),
                id: String::new(),
                account,
            })
            .collect();
        let interactions: Vec<_> = (0..INTERACTIONS)
            .map(|number| Interaction {
                external_id: format!("v-i{number}"),
                id: String::new(),
                account: random.below(ACCOUNTS),
                author: random.one_of(&sellers),
                what: random.one_of(&KINDS),
            })
            .collect();
        let owned: Vec<_> = (0..ACCOUNTS)
            .filter(|index| accounts[*index].owner.is_some())
            .collect();
        let orders: Vec<_> = (0..ORDERS).map(|_| random.one_of(&owned)).collect();
        let tasks = (0..TASKS)
            .map(|number| task(&mut random, number, &sellers))
            .collect();
        let said = interactions.iter().map(|interaction| {
            let figures = match interaction.what {
                ("call", "agreed_next_step") => [1, 1, 0, 0],
                ("call", "connected") => [1, 0, 0, 0],
                ("meeting", _) => [0, 0, 1, 0],
                _ => [0; 4],
            };
            (interaction.author, figures)
        });
        let sold = orders.iter().filter_map(|account| {
            let seller = accounts[*account].owner?;
            Some((seller, [0, 0, 0, 1]))
        });
        let facts = said
            .chain(sold)
            .filter(|(_, figures)| *figures != [0; 4])
            .map(|(author, figures)| Fact {
                staff: author,
                group: staff[author].group,
                figures,
            })
            .collect();
        let lists = vec![
            list(&[], &[]),
            list(&sellers[sellers.len() - 1..], &[]),
            list(&sellers[..1], &[1]),
        ];
        let views = views(&staff);
        Self {
            groups,
            staff,
            lists,
            views,
            accounts,
            contacts,
            interactions,
            tasks,
            facts,
            orders,
            order_ids: Vec::new(),
            pipeline_id: String::new(),
            transfers: Vec::new(),
            readers: Vec::new(),
        }
    }
}

/// The whole, the north with the far north below it, and the south. Nobody was appointed to lead
/// the far north: its member with the role of a head does.
fn groups() -> Vec<Group> {
    let group = |name, parent, head| Group {
        name,
        id: String::new(),
        parent,
        head,
    };
    vec![
        group("Продажи", None, Some(2)),
        group("Север", Some(0), Some(3)),
        group("Крайний Север", Some(1), None),
        group("Юг", Some(0), Some(5)),
    ]
}

/// Where the heads stand in the list, and who they lead, is written in [`groups`].
fn staff(random: &mut Random) -> Vec<Person> {
    const MANAGERS: Range<usize> = 1..7;
    let person = |external_id: &str, role, group| Person {
        external_id: external_id.to_owned(),
        id: String::new(),
        role,
        group,
        dismissed: false,
    };
    let mut staff = vec![
        person("admin", Role::Administrator, None),
        person("v-ad", Role::Administrator, None),
        person("v-h0", Role::Head, Some(0)),
        person("v-h1", Role::Head, Some(1)),
        person("v-h2", Role::Head, Some(2)),
        person("v-h3", Role::Head, Some(3)),
        person("v-h9", Role::Head, None),
        person("v-op", Role::Operator, None),
        person("v-an", Role::Analyst, None),
    ];
    for number in MANAGERS {
        // Each group has at least one.
        let group = if number < 4 {
            number
        } else {
            1 + random.below(3)
        };
        staff.push(person(&format!("v-m{number}"), Role::Manager, Some(group)));
    }
    staff
}

fn list(staff: &[usize], groups: &[usize]) -> List {
    List {
        id: String::new(),
        staff: staff.to_vec(),
        groups: groups.to_vec(),
    }
}

/// Of somebody of each role, for each circle of readers that the role may have.
fn views(staff: &[Person]) -> Vec<View> {
    let of = |owner, readers| View {
        id: String::new(),
        owner,
        readers,
    };
    let found = |external_id: &str| staff.iter().position(|one| one.external_id == external_id);
    let mut views = vec![
        of(0, Readers::Nobody),
        of(0, Readers::Everybody),
        of(0, Readers::Group(3)),
    ];
    views.extend(found("v-h1").map(|head| of(head, Readers::Group(1))));
    views.extend(found("v-m1").map(|manager| of(manager, Readers::Nobody)));
    views.extend(found("v-op").map(|operator| of(operator, Readers::Nobody)));
    views
}

fn task(random: &mut Random, number: usize, sellers: &[usize]) -> Task {
    let mut due = random.one_of(&[Due::Overdue, Due::Soon, Due::Later, Due::Later]);
    let mut standing = match random.below(6) {
        0 if due == Due::Overdue => Standing::Completed,
        1 if due != Due::Overdue => Standing::Cancelled,
        _ => Standing::Open,
    };
    if number == 0 {
        // Whatever the seed, there is one.
        (due, standing) = (Due::Later, Standing::Cancelled);
    }
    Task {
        external_id: format!("v-t{number}"),
        id: String::new(),
        account: (!random.once_in(3)).then(|| random.below(ACCOUNTS)),
        assignee: random.one_of(sellers),
        due,
        standing,
    }
}
