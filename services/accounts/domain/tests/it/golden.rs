//! Every event ever stored stays readable; CONTRIBUTING.md says what to do when one changes.

use std::path::Path;

use accounts_domain::{
    account::Account, catalogue::Catalogue, deal::Deal, distribution::Distribution,
    group::SalesGroup, pipeline::Pipeline, prospect_list::ProspectList, staff::StaffMember,
};
use es::golden::{family, faults};

#[test]
fn every_stored_form_still_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let faults = faults(
        &folder,
        &[
            family::<Account>(),
            family::<Catalogue>(),
            family::<Deal>(),
            family::<Distribution>(),
            family::<Pipeline>(),
            family::<ProspectList>(),
            family::<SalesGroup>(),
            family::<StaffMember>(),
        ],
    );
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
