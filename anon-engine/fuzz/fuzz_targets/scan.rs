//! Reads the headers of any bytes in any encoding. The rules keep every element, so that nested data
//! sets are read, too.

#![no_main]

use std::sync::Arc;

use anon_engine::{Policy, Source, plan};
use anon_script::rules::{Action, Element, Method, Rules};
use libfuzzer_sys::fuzz_target;

#[derive(Debug)]
struct KeepAll(Method);

impl Rules for KeepAll {
    fn action(&self, _: Element) -> &Action {
        &Action::Keep
    }
    fn method(&self) -> &Method {
        &self.0
    }
    fn name(&self) -> &str {
        "keep all"
    }
    fn text(&self) -> &str {
        ""
    }
    fn digest(&self) -> [u8; 32] {
        [0; 32]
    }
}

const SYNTAXES: [&str; 5] = [
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.4.50",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    let policy = Policy::new(Arc::new(KeepAll(Method::new("FUZZ"))), "1", "P");
    let source = match SYNTAXES.get(usize::from(*first)) {
        Some(syntax) => Source::data_set(rest, syntax),
        None => Source::part10(rest),
    };
    if let Err(refusal) = plan(&policy, source) {
        assert!(!refusal.reason.is_empty());
    }
});
