//! Every question that the contract knows, some of them in several ways, and what is said to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Write as _},
};

use anyhow::{Context, ensure};
use api::{
    accounts::{
        CheckDuplicateRequest, CountAccountsRequest, DownloadDocumentRequest,
        GetAccountHistoryRequest, GetAccountRequest, GetAccountStateRequest, GetCatalogueRequest,
        GetDealRequest, GetOrderRequest, GetOwnershipHistoryRequest, GetPipelineBoardRequest,
        GetPolicyRequest, GetStatusHistoryRequest, GetTransferRequest, ListAbsencesRequest,
        ListAccountsRequest, ListCardAccessRequest, ListCardExportsRequest, ListClaimsRequest,
        ListDealsRequest, ListDocumentsRequest, ListGroupsRequest, ListImportRowsRequest,
        ListImportsRequest, ListOrdersRequest, ListPipelinesRequest, ListProspectListsRequest,
        ListSavedViewsRequest, ListStaffRequest, ListTransfersRequest, ListUnusualReadingRequest,
        PaymentState, PlanTransferRequest, PreviewTransferRequest, TransferPlan, TransferShare,
        TransferShares, WhoAmIRequest, transfer_plan::How,
    },
    analytics::{GetScorecardRequest, ScorecardBy},
    clock::GetClockRequest,
    common::Period,
    contacts::{
        GetErasureRequest, GetInteractionRequest, GetTimelineRequest, ListContactPersonsRequest,
        ListErasuresRequest,
    },
    log::{GetHeadRequest, ReadEventsRequest, SubscribeEventsRequest, VerifyLogRequest},
    notifications::{ListRemindersRequest, ListWebhooksRequest, WatchRemindersRequest},
    planning::{
        CountNotDoneRequest, GetMyDayRequest, GetTaskRequest, ListAccountsWithoutNextStepRequest,
        ListDataEntryRequestsRequest, ListTasksRequest,
    },
    views::ListParkedRequest,
};
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MethodDescriptor, ReflectMessage, Value};
use tests::{
    background::{Background, instant},
    client::{Client, SERVICES},
    contract,
};
use uuid::Uuid;

/// One of A, one of B, one of nobody.
const ACCOUNTS: [&str; 3] = ["a-1", "a-4", "a-5"];

/// Asks every method that only asks, some of them in several ways.
struct Asking<'a> {
    office: &'a Background,
    /// By external id.
    accounts: BTreeMap<&'static str, String>,
    interactions: Vec<String>,
    persons: Vec<String>,
    tasks: Vec<String>,
    orders: Vec<String>,
    documents: Vec<String>,
    imports: Vec<String>,
    transfers: Vec<String>,
    methods: BTreeMap<String, MethodDescriptor>,
    answers: BTreeMap<String, String>,
    asked: BTreeSet<String>,
}

impl Asking<'_> {
    async fn ask(
        &mut self,
        who: &str,
        client: &Client,
        method: &str,
        request: impl Message + Debug,
    ) -> anyhow::Result<()> {
        let descriptor = self.methods.get(method).context(method.to_owned())?;
        let bytes = request.encode_to_vec();
        let last_only = method == "LogService.VerifyLog";
        let parts = if last_only { usize::MAX } else { 1 };
        let answer = contract::call(client, descriptor, bytes, parts).await;
        let said = match answer {
            Err(status) => format!("{:?} {}", status.code(), status.message()),
            Ok(mut parts) => {
                let part = parts.pop().context("an empty stream")?;
                let mut message = DynamicMessage::decode(descriptor.output(), part.as_slice())?;
                without_bytes(&mut message);
                without_order(&mut message);
                named(&message.to_string())
            }
        };
        let number = self.answers.len();
        self.asked.insert(method.to_owned());
        let question = format!(
            "{number:03} {method} by {who}: {}",
            named(&format!("{request:?}"))
        );
        self.answers.insert(question, said);
        Ok(())
    }
}

/// Hashes and sealed fields are of every office its own.
fn without_bytes(message: &mut DynamicMessage) {
    for field in message.descriptor().fields() {
        if field.kind() == Kind::Bytes {
            message.clear_field(&field);
        } else if message.has_field(&field) {
            match message.get_field_mut(&field) {
                Value::Message(inner) => without_bytes(inner),
                Value::List(list) => {
                    for value in list.iter_mut() {
                        if let Value::Message(inner) = value {
                            without_bytes(inner);
                        }
                    }
                }
                _ => {}
            }
        }
    }
}

/// Rules react to different streams at the same time: which is first recorded is chance.
fn without_order(message: &mut DynamicMessage) {
    let Some(Value::List(events)) = message.get_field_by_name_mut("events") else {
        return;
    };
    for event in events.iter_mut() {
        if let Value::Message(event) = event {
            for field in ["position", "event_id", "request_id"] {
                event.clear_field_by_name(field);
            }
            if let Some(Value::String(stream)) = event.get_field_by_name_mut("stream") {
                let category = stream.find('-').unwrap_or(stream.len());
                stream.truncate(category);
            }
        }
    }
    events.sort_by_cached_key(ToString::to_string);
}

/// Ids are drawn by chance: each is called by the order in which it comes up.
fn named(text: &str) -> String {
    let mut seen = Vec::new();
    let mut written = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        written.push_str(before);
        let id = from.get(..36).filter(|id| Uuid::try_parse(id).is_ok());
        let word = from.find(|c: char| !c.is_ascii_hexdigit());
        let (taken, behind) =
            from.split_at(id.map_or_else(|| word.unwrap_or(from.len()), str::len));
        if id.is_none() {
            written.push_str(taken);
        } else {
            let known = seen.iter().position(|one| *one == taken);
            let number = known.unwrap_or_else(|| {
                seen.push(taken);
                seen.len() - 1
            });
            let _ = write!(written, "#{number}");
        }
        rest = behind;
    }
    written + rest
}

pub(super) async fn answers(office: &Background) -> anyhow::Result<BTreeMap<String, String>> {
    let methods: BTreeMap<_, _> = contract::methods()?
        .into_iter()
        .map(|method| (contract::name(&method), method))
        .collect();
    let questions: BTreeSet<_> = methods
        .iter()
        .filter(|(_, method)| only_asks(method))
        .map(|(name, _)| name.clone())
        .collect();
    let mut accounts = BTreeMap::new();
    for account in ACCOUNTS {
        accounts.insert(account, office.account(account).await?);
    }
    let request = GetTimelineRequest {
        account_id: accounts["a-1"].clone(),
        ..GetTimelineRequest::default()
    };
    let timeline = office
        .admin
        .contacts()
        .get_timeline(request)
        .await?
        .into_inner();
    let request = ListContactPersonsRequest {
        account_id: accounts["a-1"].clone(),
        ..ListContactPersonsRequest::default()
    };
    let persons = office
        .admin
        .contacts()
        .list_contact_persons(request)
        .await?
        .into_inner()
        .persons;
    let request = ListTasksRequest::default();
    let tasks = office
        .admin
        .planning()
        .list_tasks(request)
        .await?
        .into_inner()
        .tasks;
    let request = ListOrdersRequest::default();
    let orders = office.admin.orders().list_orders(request).await?;
    let orders = orders.into_inner().orders;
    let request = ListDocumentsRequest {
        account_id: accounts["a-1"].clone(),
        ..ListDocumentsRequest::default()
    };
    let documents = office.admin.documents().list_documents(request).await?;
    let documents = documents.into_inner().documents;
    let request = ListImportsRequest::default();
    let imports = office.admin.imports().list_imports(request).await?;
    let imports = imports.into_inner().imports;
    let request = ListTransfersRequest::default();
    let transfers = office.admin.transfers().list_transfers(request).await?;
    let transfers = transfers.into_inner().transfers;
    let counts = [
        orders.len(),
        documents.len(),
        imports.len(),
        transfers.len(),
    ];
    ensure!(counts == [4, 1, 1, 1], "{counts:?}");
    let mut asking = Asking {
        office,
        accounts,
        interactions: timeline
            .interactions
            .into_iter()
            .map(|one| one.id)
            .collect(),
        persons: persons.into_iter().map(|person| person.id).collect(),
        tasks: tasks.into_iter().map(|task| task.id).collect(),
        orders: orders
            .into_iter()
            .filter_map(|of| of.order)
            .map(|order| order.id)
            .collect(),
        documents: documents.into_iter().map(|document| document.id).collect(),
        imports: imports.into_iter().map(|import| import.id).collect(),
        transfers: transfers.into_iter().map(|transfer| transfer.id).collect(),
        methods,
        answers: BTreeMap::new(),
        asked: BTreeSet::new(),
    };
    for who in ["s-02", "s-10", "s-12", "s-21", "s-30", "s-40"] {
        let client = office.client(who)?;
        of_people(&mut asking, who, &client).await?;
        of_companies(&mut asking, who, &client).await?;
        of_contacts(&mut asking, who, &client).await?;
        of_tasks(&mut asking, who, &client).await?;
        of_figures(&mut asking, who, &client).await?;
    }
    of_logs(&mut asking, &office.client("s-40")?).await?;
    let missed: Vec<_> = questions.difference(&asking.asked).collect();
    ensure!(missed.is_empty(), "nobody asked {missed:?}");
    Ok(asking.answers)
}

/// And one that there is not.
fn with_absent(ids: &[String]) -> Vec<String> {
    let absent = Uuid::nil().to_string();
    ids.iter().cloned().chain([absent]).collect()
}

/// It changes nothing, staff may call it, and it is not about how far things are at this moment.
fn only_asks(method: &MethodDescriptor) -> bool {
    let request = method.input();
    let changes = request.get_field_by_name("request_id").is_some()
        || request.get_field_by_name("rows").is_some()
        || method.is_client_streaming();
    let other = [
        "Login",
        "SetClock",
        "ReadOpenedEvents",
        "FindAccountsOfPersons",
        "ExportEvents",
        "ExportOpenedEvents",
        "ExportAccounts",
        "ExportPersons",
        "ListViews",
        "RebuildView",
        "SwitchBack",
        "DiscardVersion",
        "RetryParked",
        "SkipParked",
    ];
    !changes && !other.contains(&method.name())
}

async fn of_people(asking: &mut Asking<'_>, who: &str, client: &Client) -> anyhow::Result<()> {
    let everybody = ListStaffRequest {
        include_dismissed: true,
        ..ListStaffRequest::default()
    };
    asking
        .ask(
            who,
            client,
            "IdentityService.WhoAmI",
            WhoAmIRequest::default(),
        )
        .await?;
    asking
        .ask(who, client, "StaffService.ListStaff", everybody)
        .await?;
    asking
        .ask(
            who,
            client,
            "StaffService.ListGroups",
            ListGroupsRequest::default(),
        )
        .await?;
    asking
        .ask(
            who,
            client,
            "ClockService.GetClock",
            GetClockRequest::default(),
        )
        .await
}

async fn of_companies(asking: &mut Asking<'_>, who: &str, client: &Client) -> anyhow::Result<()> {
    let list = ListAccountsRequest {
        count: true,
        ..ListAccountsRequest::default()
    };
    for request in [
        list.clone(),
        ListAccountsRequest {
            query: "елка".to_owned(),
            ..list.clone()
        },
        ListAccountsRequest {
            query: "8 (900) 000-01-01".to_owned(),
            ..list.clone()
        },
        ListAccountsRequest {
            city: "миасс".to_owned(),
            ..list.clone()
        },
        ListAccountsRequest {
            in_pool: true,
            ..list.clone()
        },
        ListAccountsRequest {
            status: "new".to_owned(),
            ..list.clone()
        },
        ListAccountsRequest {
            lifecycle: 2,
            ..list
        },
    ] {
        asking
            .ask(who, client, "AccountsService.ListAccounts", request)
            .await?;
    }
    for account in ACCOUNTS {
        let account_id = asking.accounts[account].clone();
        let request = GetAccountRequest {
            account_id: account_id.clone(),
            ..GetAccountRequest::default()
        };
        asking
            .ask(who, client, "AccountsService.GetAccount", request)
            .await?;
        let request = GetStatusHistoryRequest {
            account_id: account_id.clone(),
            ..GetStatusHistoryRequest::default()
        };
        asking
            .ask(who, client, "CardsService.GetStatusHistory", request)
            .await?;
        let request = GetOwnershipHistoryRequest {
            account_id,
            ..GetOwnershipHistoryRequest::default()
        };
        asking
            .ask(who, client, "AccountsService.GetOwnershipHistory", request)
            .await?;
        let request = GetAccountStateRequest {
            account_id: asking.accounts[account].clone(),
            as_of: Some(instant("2026-03-06T12:00:00+03:00")),
            ..GetAccountStateRequest::default()
        };
        asking
            .ask(who, client, "HistoryService.GetAccountState", request)
            .await?;
        let request = GetAccountHistoryRequest {
            account_id: asking.accounts[account].clone(),
            field: "owner".to_owned(),
            ..GetAccountHistoryRequest::default()
        };
        asking
            .ask(who, client, "HistoryService.GetAccountHistory", request)
            .await?;
    }
    for as_of in [None, Some(instant("2025-06-17T12:00:00+03:00"))] {
        let request = CountAccountsRequest {
            as_of,
            ..CountAccountsRequest::default()
        };
        asking
            .ask(who, client, "HistoryService.CountAccounts", request)
            .await?;
    }
    let request = GetCatalogueRequest {
        include_history: true,
    };
    asking
        .ask(who, client, "CatalogueService.GetCatalogue", request)
        .await?;
    asking
        .ask(
            who,
            client,
            "DealsService.ListPipelines",
            ListPipelinesRequest::default(),
        )
        .await?;
    // The cards that were opened for the questions before.
    asking.office.caught_up().await?;
    let request = ListCardAccessRequest::default();
    asking
        .ask(who, client, "AccessService.ListCardAccess", request)
        .await?;
    let request = ListCardExportsRequest::default();
    asking
        .ask(who, client, "ExportService.ListCardExports", request)
        .await?;
    let request = ListUnusualReadingRequest::default();
    asking
        .ask(who, client, "AccessService.ListUnusualReading", request)
        .await?;
    asking
        .ask(
            who,
            client,
            "PolicyService.GetPolicy",
            GetPolicyRequest::default(),
        )
        .await?;
    let request = ListDealsRequest::default();
    asking
        .ask(who, client, "DealsService.ListDeals", request)
        .await?;
    for account in ACCOUNTS {
        let account_id = asking.accounts[account].clone();
        let request = ListDealsRequest {
            account_id: account_id.clone(),
            ..ListDealsRequest::default()
        };
        asking
            .ask(who, client, "DealsService.ListDeals", request)
            .await?;
        // There is neither such a deal nor such a pipeline.
        let request = GetDealRequest {
            deal_id: account_id.clone(),
            ..GetDealRequest::default()
        };
        asking
            .ask(who, client, "DealsService.GetDeal", request)
            .await?;
        let request = GetPipelineBoardRequest {
            pipeline_id: account_id,
            ..GetPipelineBoardRequest::default()
        };
        asking
            .ask(who, client, "DealsService.GetPipelineBoard", request)
            .await?;
    }
    of_orders(asking, who, client).await?;
    let request = CheckDuplicateRequest {
        phones: vec!["8 (900) 000-01-01".to_owned()],
        ..CheckDuplicateRequest::default()
    };
    asking
        .ask(who, client, "DuplicatesService.CheckDuplicate", request)
        .await?;
    let request = ListClaimsRequest::default();
    asking
        .ask(who, client, "ProspectsService.ListClaims", request)
        .await?;
    let request = ListSavedViewsRequest::default();
    asking
        .ask(who, client, "SavedViewsService.ListSavedViews", request)
        .await?;
    let request = ListImportsRequest::default();
    asking
        .ask(who, client, "ImportsService.ListImports", request)
        .await?;
    for import_id in with_absent(&asking.imports) {
        let request = ListImportRowsRequest {
            import_id,
            ..ListImportRowsRequest::default()
        };
        asking
            .ask(who, client, "ImportsService.ListImportRows", request)
            .await?;
    }
    let request = ListProspectListsRequest::default();
    asking
        .ask(who, client, "ProspectsService.ListProspectLists", request)
        .await?;
    let request = PreviewTransferRequest {
        from_owner_id: asking.office.staff["s-12"].clone(),
        ..PreviewTransferRequest::default()
    };
    asking
        .ask(who, client, "AccountsService.PreviewTransfer", request)
        .await?;
    let shares = TransferShares {
        shares: vec![TransferShare {
            to_owner_id: asking.office.staff["s-13"].clone(),
            weight: 1,
        }],
        ..TransferShares::default()
    };
    let request = PlanTransferRequest {
        plan: Some(TransferPlan {
            from_owner_id: asking.office.staff["s-12"].clone(),
            how: Some(How::Shares(shares)),
        }),
        ..PlanTransferRequest::default()
    };
    asking
        .ask(who, client, "TransfersService.PlanTransfer", request)
        .await?;
    for transfer_id in with_absent(&asking.transfers) {
        let request = GetTransferRequest {
            transfer_id,
            ..GetTransferRequest::default()
        };
        asking
            .ask(who, client, "TransfersService.GetTransfer", request)
            .await?;
    }
    let request = ListTransfersRequest::default();
    asking
        .ask(who, client, "TransfersService.ListTransfers", request)
        .await?;
    let request = ListAbsencesRequest::default();
    asking
        .ask(who, client, "StaffService.ListAbsences", request)
        .await
}

async fn of_orders(asking: &mut Asking<'_>, who: &str, client: &Client) -> anyhow::Result<()> {
    for payment in [PaymentState::Unspecified, PaymentState::Unpaid] {
        let request = ListOrdersRequest {
            payment: payment.into(),
            ..ListOrdersRequest::default()
        };
        asking
            .ask(who, client, "OrdersService.ListOrders", request)
            .await?;
    }
    for order_id in with_absent(&asking.orders) {
        let request = GetOrderRequest {
            order_id,
            ..GetOrderRequest::default()
        };
        asking
            .ask(who, client, "OrdersService.GetOrder", request)
            .await?;
    }
    for document_id in with_absent(&asking.documents) {
        let request = DownloadDocumentRequest {
            document_id,
            ..DownloadDocumentRequest::default()
        };
        asking
            .ask(who, client, "DocumentsService.DownloadDocument", request)
            .await?;
    }
    for account in ACCOUNTS {
        let account_id = asking.accounts[account].clone();
        let request = ListDocumentsRequest {
            account_id,
            ..ListDocumentsRequest::default()
        };
        asking
            .ask(who, client, "DocumentsService.ListDocuments", request)
            .await?;
    }
    Ok(())
}

async fn of_contacts(asking: &mut Asking<'_>, who: &str, client: &Client) -> anyhow::Result<()> {
    for account in ACCOUNTS {
        let account_id = asking.accounts[account].clone();
        let request = GetTimelineRequest {
            account_id: account_id.clone(),
            ..GetTimelineRequest::default()
        };
        asking
            .ask(who, client, "ContactsService.GetTimeline", request.clone())
            .await?;
        let request = GetTimelineRequest { kind: 1, ..request };
        asking
            .ask(who, client, "ContactsService.GetTimeline", request)
            .await?;
        let request = ListContactPersonsRequest {
            account_id,
            ..ListContactPersonsRequest::default()
        };
        asking
            .ask(who, client, "ContactsService.ListContactPersons", request)
            .await?;
    }
    for interaction_id in asking.interactions.clone() {
        let request = GetInteractionRequest {
            interaction_id,
            ..GetInteractionRequest::default()
        };
        asking
            .ask(who, client, "ContactsService.GetInteraction", request)
            .await?;
    }
    for person_id in asking.persons.clone() {
        let request = GetErasureRequest {
            person_id,
            ..GetErasureRequest::default()
        };
        asking
            .ask(who, client, "ContactsService.GetErasure", request)
            .await?;
    }
    let request = ListErasuresRequest::default();
    asking
        .ask(who, client, "ContactsService.ListErasures", request)
        .await
}

async fn of_tasks(asking: &mut Asking<'_>, who: &str, client: &Client) -> anyhow::Result<()> {
    let period = Some(Period {
        from: "2026-03-09".to_owned(),
        to: "2026-03-13".to_owned(),
    });
    let list = ListTasksRequest::default();
    for request in [
        list.clone(),
        ListTasksRequest {
            only_open: true,
            period: period.clone(),
            ..list.clone()
        },
        ListTasksRequest {
            only_open: true,
            include_earlier: true,
            period: period.clone(),
            ..list.clone()
        },
        ListTasksRequest {
            only_overdue: true,
            ..list.clone()
        },
        ListTasksRequest {
            as_of: Some(instant("2026-03-08T12:00:00+03:00")),
            ..list
        },
    ] {
        asking
            .ask(who, client, "PlanningService.ListTasks", request)
            .await?;
    }
    for task_id in asking.tasks.clone() {
        let request = GetTaskRequest {
            task_id,
            ..GetTaskRequest::default()
        };
        asking
            .ask(who, client, "PlanningService.GetTask", request)
            .await?;
    }
    asking
        .ask(
            who,
            client,
            "PlanningService.GetMyDay",
            GetMyDayRequest::default(),
        )
        .await?;
    let request = CountNotDoneRequest {
        period,
        ..CountNotDoneRequest::default()
    };
    asking
        .ask(who, client, "PlanningService.CountNotDone", request)
        .await?;
    let request = ListAccountsWithoutNextStepRequest::default();
    asking
        .ask(
            who,
            client,
            "PlanningService.ListAccountsWithoutNextStep",
            request,
        )
        .await?;
    let request = ListDataEntryRequestsRequest::default();
    asking
        .ask(
            who,
            client,
            "DataEntryService.ListDataEntryRequests",
            request,
        )
        .await?;
    let request = ListRemindersRequest::default();
    asking
        .ask(who, client, "RemindersService.ListReminders", request)
        .await?;
    let request = ListWebhooksRequest::default();
    asking
        .ask(who, client, "WebhooksService.ListWebhooks", request)
        .await?;
    // Nothing is due that was not acknowledged: the first part is the sign of life.
    let request = WatchRemindersRequest::default();
    asking
        .ask(who, client, "RemindersService.WatchReminders", request)
        .await
}

async fn of_figures(asking: &mut Asking<'_>, who: &str, client: &Client) -> anyhow::Result<()> {
    for by in [ScorecardBy::Manager, ScorecardBy::Group, ScorecardBy::Month] {
        for to in ["", "2026-03-06"] {
            let request = GetScorecardRequest {
                by: by.into(),
                period: Some(Period {
                    from: "2026-03-01".to_owned(),
                    to: to.to_owned(),
                }),
                ..GetScorecardRequest::default()
            };
            asking
                .ask(who, client, "ReportsService.GetScorecard", request)
                .await?;
        }
    }
    Ok(())
}

async fn of_logs(asking: &mut Asking<'_>, client: &Client) -> anyhow::Result<()> {
    for service in SERVICES {
        // Each process answers for its own log.
        let (who, service) = ("s-40", service.to_owned());
        let client = &client.clone().of(&service);
        let request = GetHeadRequest {
            service: service.clone(),
        };
        asking
            .ask(who, client, "LogService.GetHead", request)
            .await?;
        let request = ReadEventsRequest {
            service: service.clone(),
            ..ReadEventsRequest::default()
        };
        asking
            .ask(who, client, "LogService.ReadEvents", request)
            .await?;
        let request = SubscribeEventsRequest {
            service: service.clone(),
            ..SubscribeEventsRequest::default()
        };
        asking
            .ask(who, client, "LogService.SubscribeEvents", request)
            .await?;
        let request = ListParkedRequest {
            service: service.clone(),
        };
        asking
            .ask(who, client, "ViewsService.ListParked", request)
            .await?;
        asking
            .ask(
                who,
                client,
                "LogService.VerifyLog",
                VerifyLogRequest {
                    service,
                    after_position: 0,
                },
            )
            .await?;
    }
    Ok(())
}
