//! Every event ever stored stays readable; CONTRIBUTING.md says what to do when one changes.

use std::path::Path;

use es::golden::{family, faults};
use notifications_domain::{Reminder, Webhook};

#[test]
fn every_stored_form_still_reads() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let faults = faults(&folder, &[family::<Reminder>(), family::<Webhook>()]);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
