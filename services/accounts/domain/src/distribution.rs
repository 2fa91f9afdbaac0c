//! A distribution of prospects: who gets which. It is decided whole before the first one is given,
//! so that one that broke off goes on as it was meant.

use es::{Aggregate, Kind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vocabulary::{AccountId, ProspectListId, StaffId};

/// Marker of the aggregate.
pub enum Distribution {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Event {
    /// Who is given which prospects.
    #[serde(rename = "distribution.planned")]
    Planned(Planned),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Planned {
    /// Absent: prospects were named one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_id: Option<ProspectListId>,
    pub shares: Vec<Share>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Share {
    pub staff_id: StaffId,
    pub account_ids: Vec<AccountId>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    pub planned: bool,
}

#[derive(Debug, Clone)]
pub enum Command {
    Plan(Planned),
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Rejection {
    #[error("this distribution is there already")]
    Exists,
}

impl es::Rejection for Rejection {
    fn kind(&self) -> Kind {
        Kind::AlreadyExists
    }

    fn reason(&self) -> &'static str {
        "DISTRIBUTION_EXISTS"
    }
}

impl Aggregate for Distribution {
    type State = State;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    const CATEGORY: &'static str = "distribution";

    fn decide(state: &State, command: Command) -> Result<Vec<Event>, Rejection> {
        let Command::Plan(planned) = command;
        if state.planned {
            return Err(Rejection::Exists);
        }
        Ok(vec![Event::Planned(planned)])
    }

    fn evolve(_: State, event: &Event) -> State {
        let Event::Planned(_) = event;
        State { planned: true }
    }
}

/// Somebody who can be given prospects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    pub staff_id: StaffId,
    /// Accounts owned now.
    pub load: u64,
    /// More than this nobody is to own; `None`: no limit.
    pub capacity: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each in turn, whoever has how many.
    RoundRobin,
    /// The next one to whoever has fewest.
    ByLoad,
}

/// Deals prospects out in order, to seats in order. Gives each seat's share, and what nobody has
/// room for.
pub fn deal(prospects: Vec<AccountId>, seats: &[Seat], way: Way) -> (Vec<Share>, Vec<AccountId>) {
    let mut shares: Vec<_> = seats
        .iter()
        .map(|seat| Share {
            staff_id: seat.staff_id,
            account_ids: Vec::new(),
        })
        .collect();
    let mut left = Vec::new();
    for prospect in prospects {
        let room = shares.iter_mut().zip(seats).filter_map(|(share, seat)| {
            let given = share.account_ids.len() as u64;
            let owned = seat.load + given;
            let before = match way {
                Way::RoundRobin => given,
                Way::ByLoad => owned,
            };
            seat.capacity
                .is_none_or(|capacity| owned < capacity)
                .then_some((before, share))
        });
        // Of several it is the first.
        match room.min_by_key(|(before, _)| *before) {
            Some((_, share)) => share.account_ids.push(prospect),
            None => left.push(prospect),
        }
    }
    (shares, left)
}

#[cfg(test)]
mod tests {
    use es::spec::given;

    use super::*;

    fn prospects(count: usize) -> Vec<AccountId> {
        (0..count)
            .map(|number| AccountId::of_external(&number.to_string()))
            .collect()
    }

    fn seats(loads: &[(u64, Option<u64>)]) -> Vec<Seat> {
        loads
            .iter()
            .zip(11..)
            .map(|(&(load, capacity), number)| Seat {
                staff_id: StaffId::of_external(&format!("s-{number}")),
                load,
                capacity,
            })
            .collect()
    }

    fn counts(count: usize, loads: &[(u64, Option<u64>)], way: Way) -> (Vec<usize>, usize) {
        let (shares, left) = deal(prospects(count), &seats(loads), way);
        let counts = shares.iter().map(|share| share.account_ids.len());
        (counts.collect(), left.len())
    }

    #[test]
    fn round_robin_gives_everybody_the_same() {
        let loads = [(100, None), (0, None), (7, None)];
        assert_eq!(counts(8, &loads, Way::RoundRobin), (vec![3, 3, 2], 0));
        let (shares, _) = deal(prospects(4), &seats(&loads), Way::RoundRobin);
        assert_eq!(shares[0].account_ids, [prospects(4)[0], prospects(4)[3]]);
    }

    #[test]
    fn by_load_evens_out() {
        let loads = [(5, None), (0, None), (3, None)];
        assert_eq!(counts(7, &loads, Way::ByLoad), (vec![0, 5, 2], 0));
        assert_eq!(counts(10, &loads, Way::ByLoad), (vec![1, 6, 3], 0));
    }

    #[test]
    fn nobody_gets_more_than_there_is_room_for() {
        let loads = [(9, Some(10)), (10, Some(10)), (0, Some(3))];
        assert_eq!(counts(6, &loads, Way::RoundRobin), (vec![1, 0, 3], 2));
        assert_eq!(counts(6, &loads, Way::ByLoad), (vec![1, 0, 3], 2));
        assert_eq!(counts(2, &[], Way::ByLoad), (vec![], 2));
    }

    #[test]
    fn a_distribution_is_decided_once() {
        let planned = Planned {
            list_id: Some(ProspectListId::of_external("миасс")),
            shares: deal(prospects(1), &seats(&[(0, None)]), Way::ByLoad).0,
        };
        given::<Distribution>([])
            .when(Command::Plan(planned.clone()))
            .then([Event::Planned(planned.clone())]);
        given::<Distribution>([Event::Planned(planned.clone())])
            .when(Command::Plan(planned))
            .then_rejected(Rejection::Exists);
    }
}
