//! Who sees what (`reliability.md`, I14): fifty lines that know nothing of how the services do it.

use std::collections::BTreeSet;

use crate::population::{Role, Task, World};

impl World {
    /// The groups that somebody leads and those below them.
    pub fn led_by(&self, who: usize) -> BTreeSet<usize> {
        let leads = |group: usize| match self.groups[group].head {
            Some(head) => head == who,
            None => self.staff[who].role == Role::Head && self.staff[who].group == Some(group),
        };
        let below = |mut group: usize| loop {
            if leads(group) {
                return true;
            }
            match self.groups[group].parent {
                Some(parent) => group = parent,
                None => return false,
            }
        };
        (0..self.groups.len())
            .filter(|group| below(*group))
            .collect()
    }

    /// A manager oneself, a head oneself and the groups below, the others everybody.
    pub fn sees(&self, who: usize, other: usize) -> bool {
        match self.staff[who].role {
            Role::Administrator | Role::Operator | Role::Analyst => true,
            Role::Manager => who == other,
            Role::Head => {
                let group = self.staff[other].group;
                who == other || group.is_some_and(|group| self.led_by(who).contains(&group))
            }
        }
    }

    pub fn sees_everything(&self, who: usize) -> bool {
        !matches!(self.staff[who].role, Role::Head | Role::Manager)
    }

    /// Whoever sees its owner; the pool is for those who see everything.
    pub fn sees_account(&self, who: usize, account: usize) -> bool {
        match self.accounts[account].owner {
            Some(owner) => self.sees(who, owner),
            None => self.sees_everything(who),
        }
    }

    /// Whoever sees its assignee or its account.
    pub fn sees_task(&self, who: usize, task: &Task) -> bool {
        let account = task.account;
        self.sees(who, task.assignee) || account.is_some_and(|one| self.sees_account(who, one))
    }

    pub fn plans_for(&self, who: usize, other: usize) -> bool {
        match self.staff[who].role {
            Role::Administrator | Role::Head | Role::Manager => self.sees(who, other),
            Role::Operator | Role::Analyst => false,
        }
    }

    /// Facts of those whom one sees, and of one's groups as they were then.
    pub fn sees_fact(&self, who: usize, staff: usize, group: Option<usize>) -> bool {
        let led = |group| self.led_by(who).contains(&group);
        self.sees(who, staff) || group.is_some_and(led)
    }
}

/// Who may call a method at all; `None`: the oracle does not know it.
pub fn callers(method: &str) -> Option<&'static [Role]> {
    use Role::{Administrator, Analyst, Head, Manager, Operator};
    Some(match method {
        "IdentityService.Login"
        | "IdentityService.WhoAmI"
        | "StaffService.ListStaff"
        | "StaffService.ListGroups"
        | "ClockService.GetClock" => &[Administrator, Head, Manager, Operator, Analyst],
        "StaffService.HireStaff"
        | "StaffService.ChangeRole"
        | "StaffService.MoveToGroup"
        | "StaffService.SetPassword"
        | "StaffService.DismissStaff"
        | "StaffService.FormGroup"
        | "StaffService.AppointGroupHead"
        | "StaffService.ImportStaff"
        | "ClockService.SetClock"
        | "ContactsService.ConfirmErasure"
        | "ContactsService.ListErasures"
        | "ViewsService.RebuildView"
        | "ViewsService.SwitchBack"
        | "ViewsService.DiscardVersion"
        | "ViewsService.RetryParked"
        | "ViewsService.SkipParked"
        | "LogService.ExportOpenedEvents" => &[Administrator],
        "AccountsService.RegisterProspect"
        | "AccountsService.ChangeAccountDetails"
        | "AccountsService.GetAccount"
        | "AccountsService.ListAccounts"
        | "AccountsService.GetOwnershipHistory"
        | "AccountsService.ImportAccounts"
        | "ContactsService.AddContactPerson"
        | "ContactsService.ChangePersonDetails"
        | "ContactsService.ListContactPersons"
        | "ContactsService.RequestErasure"
        | "ContactsService.GetErasure"
        | "ContactsService.ImportPersons" => &[Administrator, Head, Manager, Operator],
        "AccountsService.AssignOwner"
        | "AccountsService.TransferAccounts"
        | "AccountsService.PreviewTransfer"
        | "AccountsService.ReturnToPool"
        | "ContactsService.RedactInteraction"
        | "PlanningService.CountNotDone" => &[Administrator, Head],
        "AccountsService.RegisterOrder"
        | "AccountsService.CancelOrder"
        | "AccountsService.ImportOrders"
        | "ContactsService.LogInteraction"
        | "ContactsService.GetInteraction"
        | "ContactsService.GetTimeline"
        | "ContactsService.ImportInteractions"
        | "PlanningService.CreateTask"
        | "PlanningService.CompleteTask"
        | "PlanningService.RescheduleTask"
        | "PlanningService.CancelTask"
        | "PlanningService.ReassignTask"
        | "PlanningService.GetTask"
        | "PlanningService.GetMyDay"
        | "PlanningService.ListTasks"
        | "PlanningService.ListAccountsWithoutNextStep"
        | "PlanningService.ImportTasks"
        | "RemindersService.WatchReminders"
        | "RemindersService.AcknowledgeReminder"
        | "RemindersService.ListReminders" => &[Administrator, Head, Manager],
        "ReportsService.GetScorecard" => &[Administrator, Head, Manager, Analyst],
        "LogService.GetHead"
        | "LogService.ReadEvents"
        | "LogService.SubscribeEvents"
        | "LogService.VerifyLog"
        | "LogService.ExportEvents"
        | "ViewsService.ListViews"
        | "ViewsService.ListParked" => &[Administrator, Analyst],
        "LogService.ReadOpenedEvents" => &[],
        _ => return None,
    })
}
