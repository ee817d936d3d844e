//! Any text is read without harm, its problems stand inside it, and accepted rules write themselves.
#![no_main]

use anon_script::{Diagnostic, Dialect, Rules as _, load, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // Bytes that are no UTF-8 never reach the parser as they are; what a lossy reader makes of
    // them may.
    let text = String::from_utf8_lossy(bytes);
    let (script, problems) = parse(&text);
    stand_in(&text, &problems);
    for rule in &script.elements {
        for span in [rule.span, rule.tag_span, rule.text.whole()] {
            assert!(text.get(span.start..span.end).is_some(), "{span:?}");
        }
    }
    for dialect in [None, Some(Dialect::Rsna), Some(Dialect::Ctp)] {
        match load(&text, dialect) {
            Ok(compiled) => {
                let again = load(compiled.rules.text(), Some(Dialect::Rsna));
                let again = again.expect("what it writes, it reads");
                assert_eq!(again.rules.digest(), compiled.rules.digest());
                assert_eq!(again.rules.text(), compiled.rules.text());
            }
            Err(problems) => {
                assert!(problems.iter().any(Diagnostic::is_error));
                stand_in(&text, &problems);
            }
        }
    }
});

fn stand_in(text: &str, problems: &[Diagnostic]) {
    for problem in problems {
        let span = problem.span;
        assert!(text.get(span.start..span.end).is_some(), "{span:?}");
        assert!(problem.position.line >= 1 && problem.position.column >= 1);
    }
}
