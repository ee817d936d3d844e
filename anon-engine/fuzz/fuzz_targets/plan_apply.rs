//! Plans and applies the built-in rules, a profile and a script of CTP. Each output of the first two must be a
//! valid input. From the second output of the built-in rules on, the length must not change.

#![no_main]

use std::sync::{Arc, LazyLock};

use anon_engine::{Policy, Source, plan};
use anon_model::{Names, Wanted};
use libfuzzer_sys::fuzz_target;

static RSNA: LazyLock<Policy> = LazyLock::new(|| {
    let rules = anon_script::builtin("rsna-v17").expect("the script is built in");
    Policy::new(Arc::new(rules), "1", "P")
});

static PROFILE: LazyLock<Policy> = LazyLock::new(|| {
    let name = "basic+clean-descriptors+modified-dates+patient-characteristics";
    let rules = anon_script::profile::Profile::named(name).expect("it is built in");
    Policy::new(Arc::new(rules), "1", "P")
});

const SCRIPT: &str = r#"<script><p t="DATEINC">-10</p>
<e en="T" t="00080018" n="SOPInstanceUID">@hashuid(1.2,this)</e>
<e en="T" t="00080020" n="StudyDate">@incrementdate(this,@DATEINC)</e>
<e en="T" t="00081030" n="StudyDescription">@append(){@truncate(SeriesDescription,4)}</e>
<e en="T" t="00100010" n="PatientName">@hash(root:PatientID,8)</e>
<e en="T" t="00100020" n="PatientID">@hashptid(99,this,8)</e>
<e en="T" t="00120062" n="PatientIdentityRemoved">@always()YES</e>
<e en="T" t="0009[SIEMENS]01" n="Private">@if(this,exists){@value(this)}{@remove()}</e>
</script>"#;

static CTP: LazyLock<Policy> = LazyLock::new(|| {
    let script = anon_script::check::strict_ctp(SCRIPT).expect("the script is sound");
    let rules =
        anon_script::ctp::CtpProgram::new("fuzz", SCRIPT, script).expect("it can be applied");
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
fn deidentify(policy: &Policy, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
    let plan = plan(policy, Source::part10(bytes)).ok()?;
    let names = names(plan.wanted());
    let output = plan.apply(&names).ok()?.to_vec().expect("in memory");
    let mut again = Vec::new();
    plan.apply_into(&names, &mut again)
        .expect("apply succeeded");
    assert_eq!(output, again);
    Some((output, DEFLATED.contains(&plan.transfer_syntax())))
}

fuzz_target!(|data: &[u8]| {
    deidentify(&CTP, data);
    if let Some((output, _)) = deidentify(&PROFILE, data) {
        deidentify(&PROFILE, &output).expect("an output is a valid input");
    }
    let Some((output, _)) = deidentify(&RSNA, data) else {
        return;
    };
    assert!(output.starts_with(&[0; 128]));
    let (second, is_deflated) = deidentify(&RSNA, &output).expect("an output is a valid input");
    let (third, _) = deidentify(&RSNA, &second).expect("an output is a valid input");
    assert!(is_deflated || second.len() == third.len());
});
