//! Plan and apply under the built-in rules. The output is a valid input, and its own output has the
//! same length.

#![no_main]

use std::sync::{Arc, LazyLock};

use anon_engine::{Policy, Source, plan};
use anon_model::{Names, Wanted};
use libfuzzer_sys::fuzz_target;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let rules = anon_script::builtin("rsna-v17").expect("it is built in");
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

/// Transfer syntaxes with compressed data sets: a replaced text can change their length.
const DEFLATED: [&str; 3] = [
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.95",
    "1.2.840.10008.1.2.4.205",
];

fn clean(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let plan = plan(&POLICY, Source::part10(bytes)).ok()?;
    let names = names(plan.wanted());
    let output = plan.apply(&names).ok()?.to_vec().expect("in memory");
    let mut again = Vec::new();
    plan.apply_into(&names, &mut again).expect("as before");
    assert_eq!(output, again);
    Some((output, DEFLATED.contains(&plan.transfer_syntax())))
}

fuzz_target!(|data: &[u8]| {
    let Some((output, _)) = clean(data) else {
        return;
    };
    assert!(output.starts_with(&[0; 128]));
    let (again, is_deflated) = clean(&output).expect("an output is an input");
    let (thrice, _) = clean(&again).expect("an output is an input");
    assert!(is_deflated || again.len() == thrice.len());
});
