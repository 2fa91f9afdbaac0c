//! Who sees what, and who may call what: written a second time, without knowing how the services do
//! it. Whatever they answer must be the same.

use std::collections::BTreeSet;

use crate::population::{List, Readers, Role, Task, View, World};

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

    /// Whoever sees its owner; the pool is for those who see everything, and for whoever sees the
    /// one who has claimed it.
    pub fn sees_account(&self, who: usize, account: usize) -> bool {
        let account = &self.accounts[account];
        match (account.owner, account.claim) {
            (Some(owner), _) => self.sees(who, owner),
            (None, Some(holder)) => self.sees(who, holder),
            (None, None) => self.sees_everything(who),
        }
    }

    /// What is only claimed is in the list of claims, and in no other.
    pub fn lists_account(&self, who: usize, account: usize) -> bool {
        let owned = self.accounts[account].owner.is_some();
        self.sees_account(who, account) && (owned || self.sees_everything(who))
    }

    fn is_below(&self, mut group: usize, above: usize) -> bool {
        loop {
            if group == above {
                return true;
            }
            match self.groups[group].parent {
                Some(parent) => group = parent,
                None => return false,
            }
        }
    }

    /// Managers know the lists that they are to call.
    pub fn knows(&self, who: usize, list: &List) -> bool {
        let person = &self.staff[who];
        let anybody = list.staff.is_empty() && list.groups.is_empty();
        let in_group = person.group.is_some_and(|own| {
            let mut groups = list.groups.iter();
            groups.any(|group| self.is_below(own, *group))
        });
        person.role != Role::Manager || anybody || list.staff.contains(&who) || in_group
    }

    /// One's own views, and those that are shared with one.
    pub fn finds(&self, who: usize, view: &View) -> bool {
        let person = &self.staff[who];
        view.owner == who
            || match view.readers {
                Readers::Nobody => false,
                Readers::Everybody => true,
                Readers::Group(group) => {
                    person.role == Role::Administrator
                        || person.group.is_some_and(|own| self.is_below(own, group))
                        || (person.role == Role::Head && self.led_by(who).contains(&group))
                }
            }
    }

    /// Whoever sees its account; of one about no account, its assignee.
    pub fn sees_task(&self, who: usize, task: &Task) -> bool {
        match task.account {
            Some(account) => self.sees_account(who, account),
            None => self.sees(who, task.assignee),
        }
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
        | "StaffService.ListAbsences"
        | "CatalogueService.GetCatalogue"
        | "PolicyService.GetPolicy"
        | "ClockService.GetClock" => &[Administrator, Head, Manager, Operator, Analyst],
        "StaffService.HireStaff"
        | "StaffService.ChangeRole"
        | "StaffService.MoveToGroup"
        | "StaffService.SetPassword"
        | "StaffService.ChangeStaffDetails"
        | "StaffService.DismissStaff"
        | "StaffService.RehireStaff"
        | "StaffService.FormGroup"
        | "StaffService.RenameGroup"
        | "StaffService.MoveGroup"
        | "StaffService.AppointGroupHead"
        | "StaffService.ImportStaff"
        | "DealsService.PublishPipeline"
        | "PolicyService.ChangePolicy"
        | "CatalogueService.PublishEntries"
        | "CatalogueService.WithdrawEntry"
        | "CatalogueService.PublishField"
        | "CatalogueService.WithdrawField"
        | "ClockService.SetClock"
        | "ContactsService.ConfirmErasure"
        | "ContactsService.ListErasures"
        | "ViewsService.RebuildView"
        | "ViewsService.SwitchBack"
        | "ViewsService.DiscardVersion"
        | "ViewsService.RetryParked"
        | "ViewsService.SkipParked"
        | "WebhooksService.RegisterWebhook"
        | "WebhooksService.PauseWebhook"
        | "WebhooksService.ResumeWebhook"
        | "WebhooksService.RemoveWebhook"
        | "WebhooksService.ListWebhooks"
        | "LogService.ExportOpenedEvents" => &[Administrator],
        "ImportsService.ListImports" | "ImportsService.ListImportRows" => {
            &[Administrator, Operator, Analyst]
        }
        "AccountsService.RegisterProspect"
        | "AccountsService.ChangeAccountDetails"
        | "AccountsService.GetAccount"
        | "AccountsService.ListAccounts"
        | "AccountsService.GetOwnershipHistory"
        | "AccountsService.ImportAccounts"
        | "CardsService.GetStatusHistory"
        | "HistoryService.GetAccountState"
        | "HistoryService.GetAccountHistory"
        | "HistoryService.CountAccounts"
        | "DuplicatesService.CheckDuplicate"
        | "SavedViewsService.SaveView"
        | "SavedViewsService.DeleteView"
        | "SavedViewsService.ListSavedViews"
        | "ContactsService.AddContactPerson"
        | "ContactsService.ChangePersonDetails"
        | "ContactsService.ListContactPersons"
        | "ContactsService.RequestErasure"
        | "ContactsService.GetErasure"
        | "ContactsService.ImportPersons"
        | "DataEntryService.ListDataEntryRequests" => &[Administrator, Head, Manager, Operator],
        "AccountsService.AssignOwner"
        | "AccountsService.TransferAccounts"
        | "AccountsService.PreviewTransfer"
        | "TransfersService.PlanTransfer"
        | "TransfersService.StartTransfer"
        | "TransfersService.ListTransfers"
        | "TransfersService.GetTransfer"
        | "StaffService.MarkAbsent"
        | "StaffService.EndAbsence"
        | "AccountsService.ReturnToPool"
        | "DuplicatesService.MergeAccounts"
        | "DuplicatesService.UnmergeAccounts"
        | "AccessService.ListCardAccess"
        | "AccessService.ListUnusualReading"
        | "ExportService.ListCardExports"
        | "ProspectsService.CreateProspectList"
        | "ProspectsService.ChangeProspectList"
        | "ProspectsService.AddToProspectList"
        | "ProspectsService.RemoveFromProspectList"
        | "ProspectsService.CloseProspectList"
        | "ProspectsService.DistributeProspects"
        | "SavedViewsService.ShareView"
        | "ContactsService.RedactInteraction"
        | "PlanningService.CountNotDone" => &[Administrator, Head],
        "AccountsService.RegisterOrder"
        | "AccountsService.CancelOrder"
        | "AccountsService.ImportOrders"
        | "CardsService.ChangeAccountStatus"
        | "OrdersService.RecordShipment"
        | "OrdersService.ReverseShipment"
        | "OrdersService.RecordPayment"
        | "OrdersService.ReversePayment"
        | "OrdersService.GetOrder"
        | "OrdersService.ListOrders"
        | "OrdersService.ImportShipments"
        | "OrdersService.ImportPayments"
        | "DocumentsService.UploadDocument"
        | "DocumentsService.DownloadDocument"
        | "DocumentsService.ListDocuments"
        | "DealsService.ListPipelines"
        | "DealsService.OpenDeal"
        | "DealsService.SetDealFields"
        | "DealsService.MoveDealStage"
        | "DealsService.SuspendDeal"
        | "DealsService.WinDeal"
        | "DealsService.LoseDeal"
        | "DealsService.GetDeal"
        | "DealsService.ListDeals"
        | "DealsService.GetPipelineBoard"
        | "DealsService.ImportDeals"
        | "ProspectsService.ClaimProspect"
        | "ProspectsService.RenewClaim"
        | "ProspectsService.ReleaseClaim"
        | "ProspectsService.ListClaims"
        | "ProspectsService.NextProspect"
        | "ProspectsService.ListProspectLists"
        | "ContactsService.LogInteraction"
        | "ContactsService.GetInteraction"
        | "ContactsService.GetTimeline"
        | "ContactsService.ImportInteractions"
        | "DataEntryService.RequestDataEntry"
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
        "ExportService.ExportAccounts" | "PersonExportService.ExportPersons" => {
            &[Administrator, Head, Manager]
        }
        "DataEntryService.CompleteDataEntry" | "DataEntryService.DeclineDataEntry" => {
            &[Administrator, Operator]
        }
        "ReportsService.GetScorecard" => &[Administrator, Head, Manager, Analyst],
        "LogService.GetHead"
        | "LogService.ReadEvents"
        | "LogService.SubscribeEvents"
        | "LogService.VerifyLog"
        | "LogService.ExportEvents"
        | "ViewsService.ListViews"
        | "ViewsService.ListParked" => &[Administrator, Analyst],
        "LogService.ReadOpenedEvents" | "ContactsService.FindAccountsOfPersons" => &[],
        _ => return None,
    })
}
