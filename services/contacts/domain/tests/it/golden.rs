//! Every event ever stored stays readable; CONTRIBUTING.md says what to do when one changes.

use std::path::Path;

use contacts_domain::{DataSubject, Interaction, Person};
use es::golden::{family, faults};

#[test]
fn every_stored_form_still_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let families = [
        family::<DataSubject>(),
        family::<Interaction>(),
        family::<Person>(),
    ];
    let faults = faults(&folder, &families);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
