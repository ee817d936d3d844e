//! Tests of scripts: examples in folders, V17's own script, properties, and bugs of V17.

mod clean;
mod clean_properties;
mod corpus;
mod ctp;
mod faults;
mod hostile;
mod older_form;
mod operations;
mod profile;
mod properties;
mod v17;

use anon_script::Diagnostic;

fn listed(problems: &[Diagnostic]) -> String {
    let mut out = String::new();
    for problem in problems {
        out.push_str(&problem.to_string());
        out.push('\n');
    }
    out
}
