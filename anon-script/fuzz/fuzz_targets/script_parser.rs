//! Parses any text. The spans of its problems are inside it, and the text of accepted rules compiles
//! to the same rules.
#![no_main]

use anon_script::{Diagnostic, Dialect, Rules as _, load, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The parser takes UTF-8 only, so other bytes are replaced.
    let text = String::from_utf8_lossy(bytes);
    let (script, problems) = parse(&text);
    check_spans(&text, &problems);
    for rule in &script.elements {
        for span in [rule.span, rule.tag_span, rule.text.whole()] {
            assert!(text.get(span.start..span.end).is_some(), "{span:?}");
        }
    }
    for dialect in [None, Some(Dialect::Rsna), Some(Dialect::Ctp)] {
        match load(&text, dialect) {
            Ok(compiled) => {
                let again = load(compiled.rules.text(), Some(Dialect::Rsna));
                let again = again.expect("the text of rules compiles");
                assert_eq!(again.rules.digest(), compiled.rules.digest());
                assert_eq!(again.rules.text(), compiled.rules.text());
            }
            Err(problems) => {
                assert!(problems.iter().any(Diagnostic::is_error));
                check_spans(&text, &problems);
            }
        }
    }
});

fn check_spans(text: &str, problems: &[Diagnostic]) {
    for problem in problems {
        let span = problem.span;
        assert!(text.get(span.start..span.end).is_some(), "{span:?}");
        assert!(problem.position.line >= 1 && problem.position.column >= 1);
    }
}
