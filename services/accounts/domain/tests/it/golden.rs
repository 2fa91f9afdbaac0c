//! Every event ever stored stays readable; CONTRIBUTING.md says what to do when one changes.

use std::path::Path;

use accounts_domain::{
    account::Account,
    catalogue::Catalogue,
    deal::Deal,
    distribution::Distribution,
    document::{Access, Document},
    group::SalesGroup,
    import_batch::ImportBatch,
    order::Order,
    pipeline::Pipeline,
    policy::Policy,
    prospect_list::ProspectList,
    reading::{CardView, Reading},
    saved_view::SavedView,
    staff::StaffMember,
    transfer::Transfer,
};
use es::golden::{family, faults};

#[test]
fn every_stored_form_still_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let faults = faults(
        &folder,
        &[
            family::<Access>(),
            family::<Account>(),
            family::<CardView>(),
            family::<Catalogue>(),
            family::<Deal>(),
            family::<Distribution>(),
            family::<ImportBatch>(),
            family::<Document>(),
            family::<Order>(),
            family::<Pipeline>(),
            family::<Policy>(),
            family::<ProspectList>(),
            family::<Reading>(),
            family::<SalesGroup>(),
            family::<SavedView>(),
            family::<StaffMember>(),
            family::<Transfer>(),
        ],
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
