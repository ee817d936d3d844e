//! The older form of CTP's scripts. CTP converts it to the XML form, so both must give the same
//! rules.

use anon_script::script::{Enabled, Script, ScriptForm, Target};
use anon_script::{Code, Tag, parse};

/// The content of a script without its positions.
#[derive(Debug, PartialEq, Eq)]
struct Content {
    rules: Vec<(Enabled, Target, String)>,
    params: Vec<(String, String)>,
    switches: Vec<String>,
}

fn content(script: &Script) -> Content {
    let rules = script.elements.iter().map(|rule| {
        let text = rule.text.value().to_owned();
        (rule.enabled, rule.target.clone(), text)
    });
    let params = script.params.iter();
    let params = params.map(|param| (param.name.clone(), param.value.value().to_owned()));
    let switches = script.keeps.iter().chain(&script.removes);
    Content {
        rules: rules.collect(),
        params: params.collect(),
        switches: switches.map(|switch| switch.name.clone()).collect(),
    }
}

#[test]
fn both_forms_of_a_script_give_the_same_rules() {
    let older = r"# a comment, and below it a rule that is disabled
! another comment \
param.UIDROOT=1.2.3
  param.SITE : ACME
set.[0010,0010]PatientName=@param(@SITE)-@integer(PatientID,ptid,4)
set.[0010,0020]PatientID: @hash(this,\
    10)
#set.[0008,0020]StudyDate=@remove()
set.[0008,0050]AccessionNumber=
set.[0008,1030]StudyDescription=a\\\\b\u00e4
set.[0009[ACME_1.1]27]Alias=@keep()

keep.group18=
keep.safeprivateelements
remove.privategroups=T
remove.overlays
";
    let xml = r#"<script>
<p t="UIDROOT">1.2.3</p><p t="SITE">ACME</p>
<e en="T" t="00100010">@param(@SITE)-@integer(PatientID,ptid,4)</e>
<e en="T" t="00100020">@hash(this,10)</e>
<e en="F" t="00080020">@remove()</e>
<e en="T" t="00080050"/>
<e en="T" t="00081030">a\\bä</e>
<e en="T" t="0009[ACME_1.1]27">@keep()</e>
<k en="T" t="18"/><k en="T" t="safeprivateelements"/>
<r en="T" t="privategroups"/><r en="T" t="overlays"/>
</script>"#;
    let (older, problems) = parse(older);
    assert_eq!(problems, []);
    assert_eq!(older.form, ScriptForm::Properties);
    let (xml, problems) = parse(xml);
    assert_eq!(problems, []);
    assert_eq!(xml.form, ScriptForm::Xml);
    assert_eq!(content(&older), content(&xml));
}

#[test]
fn escapes_in_values_are_resolved_once() {
    for (written, value) in [
        (r"A=1", "1"),
        (r"A 1", "1"),
        (r"A : 1 ", "1 "),
        (r"A=\ 1", " 1"),
        (r"A=a\=b\:c", "a=b:c"),
        (r"A=\t\n\r\f|", "\t\n\r\u{c}|"),
        (r"A=\u0041\u00e4", "Aä"),
        (r"A=\ud83d\ude00", "\u{1F600}"),
        (r"A=\ud83dx", "\u{FFFD}x"),
        (r"A=\u00", "u00"),
        (r"A=\q", "q"),
        (r"A=\", ""),
        ("A=a\\\n   b", "ab"),
        ("A=a\\\r\n\t b", "ab"),
        ("A=a\\\\\n", "a\\"),
        (r"A=#1", "#1"),
    ] {
        let (script, problems) = parse(&format!("param.{written}"));
        assert_eq!(problems, [], "{written}");
        let values: Vec<_> = script
            .params
            .iter()
            .map(|param| param.value.value())
            .collect();
        assert_eq!(values, [value], "{written}");
    }
}

/// CTP ignores such lines without a message.
#[test]
fn lines_that_are_no_setting_are_reported() {
    for (line, code) in [
        ("set.(0008,0070)Manufacturer=x", Code::BadLine),
        ("set.00080080=y", Code::BadLine),
        ("nonsense", Code::BadLine),
        ("Param.A=1", Code::BadLine),
        ("set.[0008,008]X=@remove()", Code::BadTag),
        ("set.[zzzz,0080]X=@remove()", Code::BadTag),
        ("set.[0008,0080]X=@f(", Code::OpenCall),
    ] {
        let text = format!("param.A=1\n{line}\nparam.B=2\n");
        let (script, problems) = parse(&text);
        let found: Vec<_> = problems
            .iter()
            .map(|problem| (problem.code, problem.position.line))
            .collect();
        assert_eq!(found, [(code, 2)], "{line}");
        assert_eq!(script.params.len(), 2, "{line}");
    }
}

#[test]
fn spans_include_the_escapes_as_written() {
    let text = "set.[0010,0020]X=a\\u0040\\\n  uid@hash(this)";
    let (script, problems) = parse(text);
    assert_eq!(problems, []);
    let [rule] = script.elements.as_slice() else {
        panic!("{script:?}");
    };
    assert_eq!(rule.target, Target::Tag(Tag(0x0010, 0x0020)));
    assert_eq!(rule.text.value(), "a@uid@hash(this)");
    let spans: Vec<_> = rule
        .expression
        .parts
        .iter()
        .map(|part| match part {
            anon_script::syntax::Part::Literal { span, .. }
            | anon_script::syntax::Part::Word { span, .. } => span.of(text),
            anon_script::syntax::Part::Call(call) => call.span.of(text),
        })
        .collect();
    assert_eq!(spans, ["a", "\\u0040\\\n  uid", "@hash(this)"]);
}
