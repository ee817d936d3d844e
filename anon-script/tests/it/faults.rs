//! Bugs of V17 in reading scripts. Each test shows the correct behaviour.

use anon_script::{
    Action, Code, Compiled, Dialect, Element, Rules as _, Severity, Tag, builtin, load,
};

const REQUIRED: &str = r#"<e en="T" t="00080016">@keep</e><e en="T" t="00080018">@uid</e><e en="T" t="0020000D">@uid</e><e en="T" t="0020000E">@uid</e>"#;

/// A script of these rows and the required ones.
fn script(rows: &str) -> String {
    format!("<script>{REQUIRED}{rows}</script>")
}

#[track_caller]
fn accepted(rows: &str) -> Compiled {
    let compiled = load(&script(rows), None);
    assert!(compiled.is_ok(), "{rows}: {compiled:?}");
    compiled.expect("a valid script")
}

/// The errors of a script that is refused.
#[track_caller]
fn refused(rows: &str) -> Vec<Code> {
    let problems = load(&script(rows), None).expect_err(rows);
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error);
    errors.map(|problem| problem.code).collect()
}

#[track_caller]
fn action(rows: &str, tag: Tag) -> Action {
    accepted(rows).rules.action(Element::root(tag)).clone()
}

/// V17 applies `@ptid` only in the root data set.
#[test]
fn f01_patient_is_replaced_at_every_depth() {
    let rules = builtin("rsna-v17").expect("a built-in rule set");
    for depth in [0, 1, 7] {
        for tag in [Tag(0x0010, 0x0010), Tag(0x0010, 0x0020)] {
            assert_eq!(
                rules.action(Element::nested(tag, depth)),
                &Action::Patient,
                "{tag} at {depth}"
            );
        }
    }
}

#[test]
fn f04_uids_and_the_sync_pulse_are_replaced() {
    let rules = builtin("rsna-v17").expect("a built-in rule set");
    for tag in [
        Tag(0x0018, 0x991E),
        Tag(0x0020, 0x0242),
        Tag(0x0020, 0x9312),
        Tag(0x0020, 0x9313),
        Tag(0x0028, 0x0304),
    ] {
        assert_eq!(rules.action(Element::root(tag)), &Action::Uid, "{tag}");
    }
    assert_eq!(
        rules.action(Element::root(Tag(0x0018, 0x9623))),
        &Action::ShiftDate
    );
}

/// V17 always writes the same three codes.
#[test]
fn f08_no_codes_are_written_unless_the_script_states_them() {
    for rules in [
        builtin("rsna-v17").expect("a built-in rule set"),
        accepted("").rules,
    ] {
        assert_eq!(&*rules.method().text, "RSNA DICOM ANONYMIZER");
        assert_eq!(rules.method().codes, []);
    }
}

/// In V17 a worker crashes if a script removes one of the four.
#[test]
fn f12_required_attributes_cannot_be_removed() {
    for tag in ["00080016", "00080018", "0020000D", "0020000E"] {
        for operation in ["@remove()", "@empty()"] {
            let text = script("").replace(
                &format!("t=\"{tag}\">@uid"),
                &format!("t=\"{tag}\">{operation}"),
            );
            let text = text.replace(
                &format!("t=\"{tag}\">@keep"),
                &format!("t=\"{tag}\">{operation}"),
            );
            let problems = load(&text, Some(Dialect::Rsna)).expect_err(&text);
            assert!(
                problems
                    .iter()
                    .any(|problem| problem.code == Code::RequiredRemoved),
                "{tag} {operation}: {problems:?}"
            );
        }
    }
}

/// V17 reads only the first digit of a width. It divides by a width of 0.
#[test]
fn f16_a_width_is_read_with_all_its_digits() {
    for (operation, width) in [
        ("@round(this,5)", 5),
        ("@round(10)", 10),
        ("@round(this, 100)", 100),
        ("@round(999)", 999),
    ] {
        let row = format!("<e en=\"T\" t=\"00101010\">{operation}</e>");
        assert_eq!(
            action(&row, Tag(0x0010, 0x1010)),
            Action::RoundAge { width },
            "{operation}"
        );
    }
    for operation in [
        "@round",
        "@round()",
        "@round(this)",
        "@round(0)",
        "@round(this,1000)",
        "@round(-5)",
        "@round(5Y)",
        "@round(this,5,5)",
        "@round(PatientAge,5)",
    ] {
        let row = format!("<e en=\"T\" t=\"00101010\">{operation}</e>");
        assert_eq!(refused(&row), [Code::Arguments], "{operation}");
    }
}

/// V17 replaces every date-time by 20000101. Here date-times shift like dates.
#[test]
fn f17_date_times_shift() {
    let rules = builtin("rsna-v17").expect("a built-in rule set");
    for tag in [
        Tag(0x0008, 0x002A),
        Tag(0x0018, 0x1078),
        Tag(0x0018, 0x9516),
    ] {
        assert_eq!(
            rules.action(Element::root(tag)),
            &Action::ShiftDate,
            "{tag}"
        );
    }
}

/// V17 runs a row with `en="F"`, which its author did not want.
#[test]
fn f23_a_disabled_operation_is_refused() {
    for operation in ["@uid", "@remove()", "@keep", "text"] {
        let row = format!("<e en=\"F\" t=\"00200052\">{operation}</e>");
        assert!(refused(&row).contains(&Code::Disabled), "{operation}");
    }
    assert_eq!(
        action("<e en=\"F\" t=\"00081030\"></e>", Tag(0x0008, 0x1030)),
        Action::Keep
    );
    // A row without `en` is not disabled, and V17 runs it.
    assert_eq!(
        action("<e t=\"00200052\">@uid</e>", Tag(0x0020, 0x0052)),
        Action::Uid
    );
}

/// In V17 a later `@remove` does not override an earlier `@keep`.
#[test]
fn duplicates_with_different_operations_are_refused() {
    let row = |operation| format!("<e en=\"T\" t=\"00081030\">{operation}</e>");
    assert_eq!(
        refused(&(row("") + &row("@remove()"))),
        [Code::Contradiction]
    );
    assert_eq!(
        refused(&(row("@remove()") + &row(""))),
        [Code::Contradiction]
    );
    let same = accepted(&(row("@keep") + &row("")));
    assert_eq!(
        same.warnings
            .iter()
            .map(|warning| warning.code)
            .collect::<Vec<_>>(),
        [Code::Repeated]
    );
    // A tag in lower case is the same tag.
    let lower = "<e en=\"T\" t=\"0008103e\">@keep</e><e en=\"T\" t=\"0008103E\">@empty()</e>";
    assert_eq!(refused(lower), [Code::Contradiction]);
}

/// V17 keeps the value if it does not know the operation.
#[test]
fn unknown_operations_are_refused() {
    for (operation, meant) in [
        ("@UID", "`@uid`"),
        ("@uidd", "`@uid`"),
        ("@Remove()", "`@remove`"),
        ("@EMPTY()", "`@empty`"),
        ("@hasdate", "`@hashdate`"),
        ("@ptidd", "`@ptid`"),
    ] {
        let text = script(&format!("<e en=\"T\" t=\"00081030\">{operation}</e>"));
        let problems = load(&text, None).expect_err(operation);
        let problem = problems
            .iter()
            .find(|problem| problem.code == Code::UnknownOperation)
            .expect(operation);
        assert!(
            problem.help.contains(meant),
            "{operation}: {}",
            problem.help
        );
        assert!(
            operation.starts_with(&problem.text),
            "{operation}: {}",
            problem.text
        );
    }
    assert_eq!(
        refused("<e en=\"T\" t=\"00081030\">@scrub</e>"),
        [Code::UnknownOperation]
    );
}

/// V17 reads `@hashuid(…)` as `uid` and `vaccine` as `acc`, and ignores parameters.
#[test]
fn an_operation_inside_another_word_does_not_count() {
    assert_eq!(
        action(
            "<e en=\"T\" t=\"00081030\">vaccine</e>",
            Tag(0x0008, 0x1030)
        ),
        Action::Replace("vaccine".into())
    );
    for row in [
        "<e en=\"T\" t=\"00200052\">@hashuid(@ROOT,this)</e>",
        "<e en=\"T\" t=\"00081030\">@param(@X)</e>",
    ] {
        let text = script(row);
        assert_eq!(
            load(&text, None)
                .map(|_| ())
                .expect_err(row)
                .iter()
                .filter(|problem| problem.code == Code::BothDialects)
                .count(),
            2,
            "{row}"
        );
        assert!(load(&text, Some(Dialect::Rsna)).is_err(), "{row}");
    }
}

/// V17 runs an operation even if there is text beside it.
#[test]
fn text_beside_an_operation_is_refused() {
    for text in ["@uid x", "x @uid", "@keep@remove", "@empty() @empty()"] {
        assert_eq!(
            refused(&format!("<e en=\"T\" t=\"00200052\">{text}</e>")),
            [Code::Mixed],
            "{text}"
        );
    }
    for text in [
        "uid",
        "remove",
        "@",
        "hashdate(this,PatientID)",
        "Empty()",
        "hash(this)",
    ] {
        let errors = refused(&format!("<e en=\"T\" t=\"00080080\">{text}</e>"));
        assert_eq!(errors.len(), 1, "{text}: {errors:?}");
    }
}

/// V17 never matches a tag in lower case, and removes the element.
#[test]
fn tags_in_lower_case_are_warned_about() {
    let compiled = accepted("<e en=\"T\" t=\"0008103e\">@keep</e>");
    assert_eq!(
        compiled
            .warnings
            .iter()
            .map(|warning| warning.code)
            .collect::<Vec<_>>(),
        [Code::TagCase]
    );
    assert_eq!(
        compiled.rules.action(Element::root(Tag(0x0008, 0x103E))),
        &Action::Keep
    );
}

/// CTP reads tags in either case.
#[test]
fn tags_in_lower_case_are_valid_in_ctp() {
    let text = r#"<script><e en="T" t="0008103e">@hash(this)</e></script>"#;
    let problems = load(text, None).expect_err("it is of CTP");
    assert!(
        problems
            .iter()
            .all(|problem| problem.code == Code::NotExecuted),
        "{problems:?}"
    );
}

/// Rows `k` and `r` have no effect in V17. A script that relies on them gets a warning.
#[test]
fn switches_without_effect_are_warned_about() {
    for (row, says) in [
        ("<k en=\"T\" t=\"0018\">Keep</k>", true),
        ("<k en=\"F\" t=\"0018\">Keep</k>", false),
        ("<r en=\"T\" t=\"privategroups\"/>", false),
        ("<r en=\"F\" t=\"privategroups\"/>", true),
        ("<r en=\"F\" t=\"unspecifiedelements\"/>", false),
        ("<r en=\"F\" t=\"overlays\"/>", true),
    ] {
        let compiled = accepted(row);
        assert_eq!(
            compiled
                .warnings
                .iter()
                .any(|warning| warning.code == Code::NoEffect),
            says,
            "{row}"
        );
        assert_eq!(
            compiled.rules.action(Element::root(Tag(0x0018, 0x1030))),
            &Action::Remove,
            "{row}"
        );
    }
}

/// V17 ignores the VR. An operation that does not fit it would keep a value by mistake.
#[test]
fn operations_and_constants_must_fit_the_vr() {
    for (tag, operation) in [
        ("00100030", "@uid"),
        ("00081030", "@hashdate"),
        ("00080030", "@hashdate"),
        ("00101010", "@hashdate"),
        ("00100030", "@round(5)"),
        ("00081030", "@round(5)"),
        ("00100030", "@acc"),
        ("00100030", "@ptid"),
        ("7FE00010", "@uid"),
        ("7FE00010", "@hashdate"),
        ("00280106", "@acc"),
        ("00081140", "@uid"),
    ] {
        let errors = refused(&format!("<e en=\"T\" t=\"{tag}\">{operation}</e>"));
        assert_eq!(errors, [Code::Misfit], "{tag} {operation}");
    }
    for tag in ["00081140", "7FE00010", "00280106", "00280010"] {
        let errors = refused(&format!("<e en=\"T\" t=\"{tag}\">REMOVED</e>"));
        assert_eq!(errors, [Code::Constant], "{tag}");
    }
}

#[test]
fn private_elements_cannot_be_kept() {
    for operation in ["", "@keep", "@empty()", "@uid"] {
        assert_eq!(
            refused(&format!("<e en=\"T\" t=\"00091001\">{operation}</e>")),
            [Code::Private],
            "{operation:?}"
        );
    }
    assert_eq!(
        action(
            "<e en=\"T\" t=\"00091001\">@remove()</e>",
            Tag(0x0009, 0x1001)
        ),
        Action::Remove
    );
    let errors = load(
        &script("<e en=\"T\" t=\"0009[ACME 1.1]01\">@keep</e>"),
        Some(Dialect::Rsna),
    )
    .expect_err("a private block");
    assert!(errors.iter().any(|problem| problem.code == Code::Private));
}

#[test]
fn original_uids_are_warned_about() {
    for tag in ["00080018", "0020000D", "0020000E"] {
        let text = script("<e en=\"T\" t=\"00200052\">@uid</e>")
            .replace(&format!("t=\"{tag}\">@uid"), &format!("t=\"{tag}\">@keep"));
        let compiled = load(&text, None).expect(tag);
        assert_eq!(
            compiled
                .warnings
                .iter()
                .map(|warning| warning.code)
                .collect::<Vec<_>>(),
            [Code::OriginalUid],
            "{tag}"
        );
    }
}

/// V17 writes its own method and three codes. A script may state others (PS3.16 CID 7050).
#[test]
fn a_script_may_state_its_method_and_codes() {
    let rows =
        r#"<e en="T" t="00120063">OUR OWN \@ WAY</e><e en="T" t="00120064">113100 / 113107</e>"#;
    let rules = accepted(rows).rules;
    assert_eq!(&*rules.method().text, "OUR OWN @ WAY");
    let codes: Vec<_> = rules
        .method()
        .codes
        .iter()
        .map(|(code, _)| &**code)
        .collect();
    assert_eq!(codes, ["113100", "113107"]);
    assert_eq!(
        rules.action(Element::root(Tag(0x0012, 0x0064))),
        &Action::Remove
    );
    let again = load(rules.text(), None).expect("our own text").rules;
    assert_eq!(again.digest(), rules.digest());
    assert_eq!(again.method(), rules.method());
    for claim in [
        "113101",
        "113100/113101",
        "113999",
        "reset/113100",
        "113100/",
    ] {
        let row = format!("<e en=\"T\" t=\"00120064\">{claim}</e>");
        assert_eq!(refused(&row), [Code::Constant], "{claim}");
    }
}

/// Every output has these elements. A row that differs from the output gets a warning.
#[test]
fn rows_that_are_overruled_are_warned_about() {
    for (tag, operation, says) in [
        ("00100020", "@keep", true),
        ("00100010", "ANONYMOUS", true),
        ("00100010", "@ptid", false),
        ("00100010", "@remove()", false),
        ("00120062", "YES", false),
        ("00120062", "NO", true),
        ("00120063", "@keep", true),
        ("00120064", "@remove()", false),
        ("00081030", "@keep", false),
        ("00080000", "@keep", true),
        ("00020010", "@keep", true),
    ] {
        let compiled = accepted(&format!("<e en=\"T\" t=\"{tag}\">{operation}</e>"));
        let codes: Vec<_> = compiled
            .warnings
            .iter()
            .map(|warning| warning.code)
            .collect();
        let expect: &[Code] = if says { &[Code::NoEffect] } else { &[] };
        assert_eq!(codes, expect, "{tag} {operation}");
    }
}

/// Commenting an operation out would keep the element, perhaps by mistake.
#[test]
fn a_commented_out_operation_is_refused() {
    let row = r#"<e en="T" t="00081030"><!-- @remove() --></e>"#;
    assert_eq!(refused(row), [Code::Commented]);
    let row = r#"<e en="T" t="00081030">@empty<!-- for now --></e>"#;
    assert_eq!(action(row, Tag(0x0008, 0x1030)), Action::Empty);
}

/// V17 has no escapes, so a backslash that is dropped changes a constant.
#[test]
fn stray_backslashes_are_warned_about() {
    let compiled = accepted(r#"<e en="T" t="00080008">DERIVED\SECONDARY</e>"#);
    let codes: Vec<_> = compiled
        .warnings
        .iter()
        .map(|warning| warning.code)
        .collect();
    assert_eq!(codes, [Code::StrayEscape]);
    let row = r#"<e en="T" t="00080008">DERIVED\\SECONDARY</e>"#;
    assert_eq!(
        action(row, Tag(0x0008, 0x0008)),
        Action::Replace(r"DERIVED\SECONDARY".into())
    );
}

/// An error after a thousand warnings still refuses the script.
#[test]
fn an_error_after_any_number_of_warnings_refuses_the_script() {
    let warned = r#"<k en="T" t="18"/>"#.repeat(5_000);
    let row = |operation| format!("<e en=\"T\" t=\"00081030\">{operation}</e>");
    let rows = format!("{warned}{}{}", row("@keep"), row("@remove()"));
    assert_eq!(refused(&rows), [Code::TooMany]);
    let most = anon_script::diagnostic::MAX_PROBLEMS;
    assert_eq!(accepted(&warned).warnings.len(), most + 1);
}

/// No script of CTP is accepted until its functions are supported, not even one without a rule.
#[test]
fn scripts_of_ctp_are_refused() {
    for text in [
        r#"<script><p t="UIDROOT">1.2</p></script>"#,
        r#"<script><r en="T" t="privategroups"/></script>"#,
        r#"<script><e en="F" t="00100010">@hash(this)</e></script>"#,
        r#"<script><e en="T" t="00100010">@remove()</e></script>"#,
        "keep.group18=",
    ] {
        let problems = load(text, Some(Dialect::Ctp)).expect_err(text);
        let is_said = problems
            .iter()
            .any(|problem| problem.code == Code::NotExecuted);
        assert!(is_said, "{text}: {problems:?}");
    }
}

/// A script whose rows all have no effect is refused: the text of its rules could not be read
/// again.
#[test]
fn a_script_with_only_ineffective_rows_is_refused() {
    for row in [
        r#"<e t="00020016"/>"#,
        r#"<e t="FFFEE000"/>"#,
        r#"<p t="A">1</p>"#,
        "",
    ] {
        let text = format!("<script>{row}</script>");
        let problems = load(&text, Some(Dialect::Rsna)).expect_err(row);
        assert!(
            problems.iter().any(|problem| problem.code == Code::NoRules),
            "{row}: {problems:?}"
        );
    }
}
