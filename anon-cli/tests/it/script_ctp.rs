//! `anon script explain` for scripts of CTP, against the results of CTP itself.
//!
//! `ctp_vectors/` has the results: `eval-vectors.tsv` has a row for each expression, with the input, the lookup
//! table, the element of the rule, and what CTP made of it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Scene, Test};

/// One result of CTP.
struct Vector<'v> {
    input: &'v str,
    lookup: &'v str,
    tag: &'v str,
    expression: &'v str,
    kind: &'v str,
    result: &'v str,
}

const VECTORS: &str = include_str!("ctp_vectors/eval-vectors.tsv");

fn vectors() -> impl Iterator<Item = Vector<'static>> {
    VECTORS.lines().skip(1).filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Vector {
            input: fields.next()?,
            lookup: fields.next()?,
            tag: fields.next()?,
            expression: fields.next()?,
            kind: fields.next()?,
            result: fields.next()?,
        })
    })
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/it/ctp_vectors")
        .join(name)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Writes the script of the vectors with one more rule.
fn script(scene: &Scene, tag: &str, expression: &str) -> Test<&'static str> {
    let context = std::fs::read_to_string(data("context.script"))?;
    let rule = format!(
        r#"<e en="T" t="{tag}" n="">{}</e></script>"#,
        escaped(expression)
    );
    scene.write("one.script", context.replace("</script>", &rule).as_bytes())?;
    Ok("one.script")
}

fn explain(scene: &Scene, dialect: &str, vector: &Vector<'_>) -> Test<Value> {
    // The vectors were made beside the rules of `context.script`. This one asks for the rule of Patient ID, so it
    // cannot stand in its place.
    let asks_for_patient = vector.expression == "@hashuid(1.2.3,SOPInstanceUID,PatientID)";
    let tag = if asks_for_patient {
        "00100040"
    } else {
        vector.tag
    };
    let script = script(scene, tag, vector.expression)?;
    let (input, lookup) = (data(vector.input), data(vector.lookup));
    let (input, lookup) = (
        input.to_str().ok_or("a path")?,
        lookup.to_str().ok_or("a path")?,
    );
    let mut args = vec![
        "--format",
        "json",
        "script",
        "explain",
        script,
        tag,
        "--dialect",
        dialect,
        "--with",
        input,
    ];
    if vector.lookup != "-" {
        args.extend(["--lookup", lookup]);
    }
    scene.run(&args)?.exits(0).summary()
}

/// Rules that number texts start with an empty table here, so only the first of each kind is comparable.
fn is_later_number(vector: &Vector<'_>) -> bool {
    vector.expression.starts_with("@integer") && matches!(vector.result, "0002" | "003")
}

#[test]
fn rules_of_ctp_give_what_ctp_gives() -> Test {
    let scene = Scene::new()?;
    let mut differences = Vec::new();
    let mut count = 0;
    for vector in vectors().filter(|vector| !is_later_number(vector)) {
        count += 1;
        let found = explain(&scene, "ctp-compatible", &vector)?;
        let is_same = match vector.kind {
            "value" => found["value"] == vector.result,
            kind => found["outcome"] == kind,
        };
        if !is_same {
            differences.push(format!(
                "{} {} -> {found}, not {}",
                vector.input, vector.expression, vector.result
            ));
        }
    }
    assert!(
        differences.is_empty(),
        "{} of {count}:\n{}",
        differences.len(),
        differences.join("\n")
    );
    assert!(count > 300, "{count} vectors");
    Ok(())
}

#[test]
fn the_result_of_a_rule_says_what_becomes_of_the_element() -> Test {
    let scene = Scene::new()?;
    let table = [
        ("00100020", "@remove()", "remove", json!("@remove()")),
        (
            "00100020",
            "x @remove() y",
            "remove",
            json!("x @remove() y"),
        ),
        ("00100020", "@keep()", "keep", json!("@keep()")),
        ("00100020", "@empty()", "empty", json!("@empty()")),
        ("00100020", "@blank(3)", "value", json!("@blank(3)")),
        ("00100020", "@blank()", "empty", json!("@blank()")),
        ("00100020", "@hash(this,8)", "value", json!("34047179")),
        ("00081140", "@process()", "keep", json!("@keep()")),
    ];
    for (tag, expression, outcome, value) in table {
        for dialect in ["ctp", "ctp-compatible"] {
            let vector = Vector {
                input: "t1.dcm",
                lookup: "-",
                tag,
                expression,
                kind: "",
                result: "",
            };
            let found = explain(&scene, dialect, &vector)?;
            assert_eq!(
                (&found["outcome"], &found["value"]),
                (&json!(outcome), &value),
                "{expression}"
            );
        }
    }
    Ok(())
}

#[test]
fn strict_rules_quarantine_what_ctp_would_write_or_pass_on() -> Test {
    let scene = Scene::new()?;
    let table = [
        ("@skip()", "skip"),
        ("@hash()", "value"),
        ("@hashuid(@UIDROOT)", "value"),
        ("@round(PatientName,5)", "value"),
        ("@keep() extra", "value"),
    ];
    for (expression, compatible) in table {
        let vector = Vector {
            input: "t1.dcm",
            lookup: "-",
            tag: "00100020",
            expression,
            kind: "",
            result: "",
        };
        assert_eq!(
            explain(&scene, "ctp-compatible", &vector)?["outcome"],
            compatible,
            "{expression}"
        );
        let strict = explain(&scene, "ctp-strict", &vector)?;
        assert_eq!(strict["outcome"], "quarantine", "{expression}");
        assert!(
            strict["reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("script")),
            "{strict}"
        );
    }
    Ok(())
}

#[test]
fn strict_scripts_are_refused_where_ctp_would_not_notice() -> Test {
    let scene = Scene::new()?;
    let table = [
        ("@hsah(this)", "did you mean `@hash`?"),
        ("@hash(this,@SITID)", "did you mean `@SITEID`?"),
        ("@keep", "CTP needs parentheses"),
        ("@contents(PatientID", "add the missing `)`"),
    ];
    for (expression, help) in table {
        let script = script(&scene, "00100020", expression)?;
        let ran = scene
            .run(&["script", "explain", script, "PatientID", "--dialect", "ctp"])?
            .exits(3);
        assert!(ran.out.contains(help), "{expression}: {}", ran.out);
    }
    Ok(())
}

/// A Patient ID that holds `@remove()` removes itself with CTP.
#[test]
fn a_value_is_no_command() -> Test {
    let scene = Scene::new()?;
    scene.write("table", b"ptid/MRN-12345=@remove()")?;
    let script = script(&scene, "00100020", "@lookup(this,ptid)")?;
    let input = data("t1.dcm");
    let input = input.to_str().ok_or("a path")?;
    let outcomes: HashMap<&str, &str> =
        HashMap::from([("ctp", "value"), ("ctp-compatible", "remove")]);
    for dialect in ["ctp", "ctp-compatible"] {
        let args = [
            "--format",
            "json",
            "script",
            "explain",
            script,
            "00100020",
            "--dialect",
            dialect,
            "--with",
            input,
            "--lookup",
            "table",
        ];
        let found = scene.run(&args)?.exits(0).summary()?;
        assert_eq!(found["outcome"], *outcomes.get(dialect).ok_or("a dialect")?);
    }
    scene.write("table", b"ptid/MRN-12345=A\nptid/MRN-12345=B\n")?;
    let args = [
        "script",
        "explain",
        script,
        "00100020",
        "--dialect",
        "ctp",
        "--lookup",
        "table",
    ];
    let refused = scene.run(&args)?.exits(3);
    assert!(refused.err.contains("table:2"), "{}", refused.err);
    Ok(())
}

#[test]
fn elements_without_a_rule_are_what_the_switches_make_of_them() -> Test {
    let scene = Scene::new()?;
    let script = r#"<script>
      <e en="T" t="00100020" n="">@hash(this)</e>
      <r en="T" t="privategroups"/><r en="T" t="unspecifiedelements"/><r en="T" t="curves"/><r en="T" t="overlays"/>
      <k en="T" t="0018"/>
    </script>"#;
    scene.write("one.script", script.as_bytes())?;
    let table = [
        ("00100010", "remove", "remove"),
        ("00180050", "keep", "keep"),
        ("00280010", "keep", "keep"),
        ("00080018", "keep", "keep"),
        ("00091001", "remove", "remove"),
        ("60003000", "remove", "remove"),
        ("50000010", "remove", "remove"),
    ];
    for (tag, strict, compatible) in table {
        for (dialect, expected) in [("ctp", strict), ("ctp-compatible", compatible)] {
            let args = [
                "--format",
                "json",
                "script",
                "explain",
                "one.script",
                tag,
                "--dialect",
                dialect,
            ];
            let found = scene.run(&args)?.exits(0).summary()?;
            assert_eq!(found["outcome"], expected, "{tag} {dialect}");
        }
    }
    Ok(())
}

/// A script in the way of public ones: hashes, moved dates, constants, parameters, a private block, insertions.
const APPLIED: &str = r#"<script>
<p t="SITEID">99</p><p t="UIDROOT">1.2.826.0.1.3680043.99</p><p t="DATEINC">-10</p>
<e en="T" t="00080016" n="SOPClassUID">@keep()</e>
<e en="T" t="00080018" n="SOPInstanceUID">@hashuid(@UIDROOT,this)</e>
<e en="T" t="00080012" n="InstanceCreationDate">@always()@date()</e>
<e en="T" t="00080020" n="StudyDate">@incrementdate(this,@DATEINC)</e>
<e en="T" t="00081030" n="StudyDescription">@if(this,contains,"Zaphodius"){CLEANED}{@keep()}</e>
<e en="T" t="00100010" n="PatientName">@param(@SITEID)^@hash(PatientID,8)</e>
<e en="T" t="00100020" n="PatientID">@hashptid(@SITEID,this,8)</e>
<e en="T" t="00120062" n="PatientIdentityRemoved">@always()YES</e>
<e en="T" t="00120063" n="DeidentificationMethod">@always()CTP stage</e>
<e en="T" t="00120064" n="DeidentificationMethodCodeSeq">113100/113105</e>
<e en="T" t="0020000D" n="StudyInstanceUID">@hashuid(@UIDROOT,this)</e>
<e en="T" t="0020000E" n="SeriesInstanceUID">@hashuid(@UIDROOT,this)</e>
<e en="T" t="0009[GOOD]01" n="Useful">@keep()</e>
<e en="T" t="00090010" n="Creator">@keep()</e>
<k en="T" t="0018">keep</k>
<r en="T" t="privategroups">private</r>
<r en="T" t="unspecifiedelements">unspecified</r>
</script>"#;

fn element(bytes: &[u8], tag: dicom_core::Tag) -> Test<Option<String>> {
    let object = dicom_object::from_reader(bytes)?;
    let element = object.element_opt(tag)?;
    let text = element.map(dicom_core::DataElement::to_str).transpose()?;
    Ok(text.map(|text| text.trim_end_matches(['\0', ' ']).to_owned()))
}

#[test]
fn a_script_of_ctp_de_identifies_objects_as_it_says() -> Test {
    use anon_engine::testing::files::{Place, ct_small};
    use dicom_core::{Tag, VR};
    let scene = Scene::new()?;
    let object = |n: u32| {
        ct_small(&Place::nth(7, n, 5))
            .put(Tag(0x0008, 0x0020), VR::DA, "20240131")
            .put(Tag(0x0008, 0x1030), VR::LO, "CT of Zaphodius")
            .put(Tag(0x0010, 0x0010), VR::PN, "Zaphodius^Beeblebrox")
            .put(Tag(0x0010, 0x0020), VR::LO, "MRN-12345")
            .put(Tag(0x0010, 0x4000), VR::LT, "Zaphodius again")
            .private((0x0009, 0x10, 0x01), "GOOD", VR::LO, "useful")
            .private((0x0009, 0x11, 0x01), "BAD", VR::LO, "Zaphodius")
    };
    scene.put("in/1", &object(1))?;
    scene.put("in/2", &object(1))?;
    scene.write("trial.script", APPLIED.as_bytes())?;
    scene.run(&["script", "check", "trial.script"])?.exits(0);
    let args = [
        "init",
        "project",
        "--script",
        "trial.script",
        "--modalities",
        "all",
    ];
    scene.run(&args)?.exits(0);
    let summary = scene.json(&["import", "in"])?.exits(0).summary()?;
    assert_eq!(
        (&summary["stored"], &summary["duplicates"]),
        (&json!(1), &json!(1))
    );

    let public = scene.public()?;
    let (path, bytes) = public.iter().next().ok_or("nothing is stored")?;
    let value = |group, tag| element(bytes, Tag(group, tag));
    assert!(
        !bytes.windows(9).any(|part| part == b"Zaphodius"),
        "a name stays"
    );
    // The expression of CTP's vectors: `@hashptid(@SITEID,this,8)` of MRN-12345.
    assert_eq!(value(0x0010, 0x0020)?.as_deref(), Some("21539588"));
    assert_eq!(value(0x0008, 0x0020)?.as_deref(), Some("20240121"));
    assert_eq!(value(0x0008, 0x1030)?.as_deref(), Some("CLEANED"));
    assert_eq!(value(0x0012, 0x0062)?.as_deref(), Some("YES"));
    assert_eq!(value(0x0012, 0x0063)?.as_deref(), Some("CTP stage"));
    assert_eq!(value(0x0009, 0x1001)?.as_deref(), Some("useful"));
    assert_eq!(value(0x0009, 0x1101)?, None);
    let today = value(0x0008, 0x0012)?.ok_or("no date")?;
    assert!(today.starts_with("20") && today.len() == 8, "{today}");
    assert_eq!(
        value(0x0013, 0x0010)?,
        None,
        "the script writes no private block"
    );
    // What the script computes names the files, and leads back to the originals.
    let instance = value(0x0008, 0x0018)?.ok_or("no UID")?;
    assert!(
        instance.starts_with("1.2.826.0.1.3680043.99."),
        "{instance}"
    );
    assert!(path.starts_with("21539588/"), "{path}");
    assert!(path.ends_with(&format!("/{instance}.dcm")), "{path}");
    let back = scene
        .run(&["-p", "project", "reidentify", "21539588"])?
        .exits(0);
    assert!(back.out.contains("MRN-12345"), "{}", back.out);
    Ok(())
}

/// Two patients under one pseudonym would be one patient.
#[test]
fn two_patients_with_one_computed_id_are_not_merged() -> Test {
    use anon_engine::testing::files::{Place, ct_small};
    use dicom_core::{Tag, VR};
    let scene = Scene::new()?;
    for (n, patient) in [(1, "A"), (2, "B")] {
        let object = ct_small(&Place::nth(7, n * 50, 5)).put(Tag(0x0010, 0x0020), VR::LO, patient);
        scene.put(&format!("in/{n}"), &object)?;
    }
    let script = APPLIED.replace("@hashptid(@SITEID,this,8)", "@param(@SITEID)");
    scene.write("trial.script", script.as_bytes())?;
    let args = [
        "init",
        "project",
        "--script",
        "trial.script",
        "--modalities",
        "all",
    ];
    scene.run(&args)?.exits(0);
    let ran = scene.json(&["import", "in", "--jobs", "1"])?.exits(1);
    let summary = ran.summary()?;
    assert_eq!(summary["stored"], 1);
    assert_eq!(summary["quarantined"]["Capture_PHI_Error"], 1, "{summary}");
    let listed = scene
        .run(&["-p", "project", "quarantine", "list"])?
        .exits(0);
    assert!(
        listed.out.contains("the same patient id for two originals"),
        "{}",
        listed.out
    );
    Ok(())
}

#[test]
fn a_script_of_ctp_that_cannot_be_applied_is_refused_with_its_line() -> Test {
    let scene = Scene::new()?;
    for (rule, expect) in [
        ("@lookup(this,ptid)", "line 2: @lookup is not supported yet"),
        (
            "@always()@integer(this,ptid,4)",
            "line 2: @integer is not supported yet",
        ),
        ("@hsah(this,8)", "did you mean `@hash`?"),
        ("@hash(this,@NOWHERE)", "S017"),
    ] {
        let script = format!(
            "<script>\n<e en=\"T\" t=\"00100020\" n=\"PatientID\">{rule}</e>\n\
             <e en=\"T\" t=\"00100010\" n=\"PatientName\">@hash(this,8)</e></script>"
        );
        scene.write("trial.script", script.as_bytes())?;
        for args in [
            &["script", "check", "trial.script"][..],
            &["init", "project", "--script", "trial.script"],
        ] {
            let ran = scene.run(args)?.exits(3);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(said.contains(expect), "{rule}: {said}");
        }
        assert!(!scene.project().exists());
    }
    Ok(())
}

#[test]
fn a_script_that_keeps_what_it_does_not_name_is_said_to_do_so() -> Test {
    let scene = Scene::new()?;
    let script = APPLIED.replace(
        r#"<r en="T" t="unspecifiedelements">"#,
        r#"<r en="F" t="unspecifiedelements">"#,
    );
    scene.write("trial.script", script.as_bytes())?;
    let ran = scene.run(&["script", "check", "trial.script"])?.exits(0);
    assert!(
        ran.err.contains("keeps every element that no row names"),
        "{}",
        ran.err
    );
    let ran = scene
        .run(&["init", "project", "--script", "trial.script"])?
        .exits(0);
    assert!(
        ran.err.contains("keeps every element that no row names"),
        "{}",
        ran.err
    );
    Ok(())
}
