//! The words of planning, as the contract numbers them and as everything else here names them.

use api::planning;
use vocabulary::TaskKind;

const KIND: &str = "TASK_KIND_";
const STATE: &str = "TASK_STATE_";

/// `None` for a number that the contract does not have, and for unspecified.
pub(crate) fn kind(number: i32) -> Option<TaskKind> {
    planning::TaskKind::try_from(number)
        .ok()?
        .as_str_name()
        .strip_prefix(KIND)?
        .parse()
        .ok()
}

pub(crate) fn kind_number(kind: &str) -> i32 {
    let name = format!("{KIND}{}", kind.to_uppercase());
    planning::TaskKind::from_str_name(&name)
        .unwrap_or_default()
        .into()
}

pub(crate) fn state_number(state: &str) -> i32 {
    let name = format!("{STATE}{}", state.to_uppercase());
    planning::TaskState::from_str_name(&name)
        .unwrap_or_default()
        .into()
}

#[cfg(test)]
mod tests {
    use planning_domain::task::Standing;

    use super::*;
    use crate::views::tasks::state_name;

    #[test]
    fn every_word_has_its_number() {
        for term in TaskKind::ALL {
            assert_eq!(kind(kind_number(term.as_str())), Some(*term));
        }
        for number in [0, 99, -1] {
            assert_eq!(kind(number), None);
        }
        for (standing, state) in [
            (Standing::Open, planning::TaskState::Open),
            (Standing::Completed, planning::TaskState::Completed),
            (Standing::Cancelled, planning::TaskState::Cancelled),
        ] {
            assert_eq!(state_number(state_name(standing)), i32::from(state));
        }
    }
}
