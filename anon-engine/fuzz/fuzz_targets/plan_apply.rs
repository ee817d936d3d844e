//! Plans and applies the built-in rules. Each output must be a valid input. From the second output on,
//! the length must not change.

#![no_main]

use std::sync::{Arc, LazyLock};

use anon_engine::{Policy, Source, plan};
use anon_model::{Names, Wanted};
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let rules = anon_script::builtin("rsna-v17").expect("the script is built in");
    Policy::new(Arc::new(rules), "1", "P")
});

fn names(wanted: &Wanted) -> Names {
    let mut names = Names::default();
    names.patient = "1-000001".to_owned();
    names.study = "9.1".to_owned();
    names.series = "9.2".to_owned();
    names.instance = "9.3".to_owned();
    names.uids = vec!["9.4".to_owned(); wanted.uids.len()];
    names.accessions = vec!["7".to_owned(); wanted.accessions.len()];
    names
}

/// Transfer syntaxes with deflated data sets (PS3.5 section A.5). A replaced text can change their
/// length.
const DEFLATED: [&str; 3] = [
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.205",
];

/// Returns the output, and true if its data set is deflated; `None` if the object is refused.
fn deidentify(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let plan = plan(&POLICY, Source::part10(bytes)).ok()?;
    let names = names(plan.wanted());
    let output = plan.apply(&names).ok()?.to_vec().expect("in memory");
    let mut again = Vec::new();
    plan.apply_into(&names, &mut again).expect("apply succeeded");
    assert_eq!(output, again);
    Some((output, DEFLATED.contains(&plan.transfer_syntax())))
}

fuzz_target!(|data: &[u8]| {
    let Some((output, _)) = deidentify(data) else {
        return;
    };
    assert!(output.starts_with(&[0; 128]));
    let (second, is_deflated) = deidentify(&output).expect("an output is a valid input");
    let (third, _) = deidentify(&second).expect("an output is a valid input");
    assert!(is_deflated || second.len() == third.len());
});
