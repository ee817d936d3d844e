//! `anon script`. Needs no project.

use anon_engine::testing::files::{Place, ct_small};
use serde_json::{Value, json};

use crate::init::SCRIPT;
use crate::support::{Scene, Test};

#[test]
fn script_check_reports_every_problem_with_its_position() -> Test {
    let scene = Scene::new()?;
    let bad = SCRIPT
        .replace("@hashdate", "@HASHDATE")
        .replacen("@ptid", "@ptidd", 1);
    scene.write("bad.script", bad.as_bytes())?;
    scene.write("good.script", SCRIPT.as_bytes())?;
    let ran = scene
        .run(&["--format", "json", "script", "check", "bad.script"])?
        .exits(3);
    let problems = ran.events()?;
    assert_eq!(problems.len(), 3, "{}", ran.out);
    assert_eq!(
        (&problems[0]["line"], &problems[0]["text"]),
        (&json!(6), &json!("@HASHDATE"))
    );
    assert_eq!(
        (&problems[1]["line"], &problems[1]["severity"]),
        (&json!(7), &json!("error"))
    );
    assert!(
        problems[0]["help"]
            .as_str()
            .is_some_and(|help| help.contains("@hashdate"))
    );
    assert_eq!(ran.summary()?["errors"], 2);
    let human = scene.run(&["script", "check", "bad.script"])?.exits(3);
    assert!(human.out.contains("bad.script:6:"), "{}", human.out);
    let good = scene
        .run(&["--format", "json", "script", "check", "good.script"])?
        .exits(0);
    assert_eq!(good.summary()?["rules"], 7);
    scene.run(&["script", "check", "nowhere.script"])?.exits(3);
    scene.run(&["script", "check", "rsna-v17"])?.exits(0);
    Ok(())
}

#[test]
fn script_show_lists_rules_and_what_is_kept() -> Test {
    let scene = Scene::new()?;
    let ran = scene.run(&["script", "show", "rsna-v17"])?.exits(0);
    for part in [
        "note: times are kept",
        "note: free text is kept",
        "MD5",
        "StudyTime",
        "no rule names",
    ] {
        assert!(ran.out.contains(part), "{part}");
    }
    let ran = scene
        .run(&["--format", "json", "script", "show", "rsna-v17"])?
        .exits(0);
    let rules = ran.events()?;
    let rules: Vec<&Value> = rules
        .iter()
        .filter(|event| event["event"] == "rule")
        .collect();
    assert_eq!(rules.len(), 1467);
    Ok(())
}

#[test]
fn script_explain_has_the_contract_fields() -> Test {
    let scene = Scene::new()?;
    scene.write("my.script", SCRIPT.as_bytes())?;
    let place = Place::new(1);
    scene.put("ct.dcm", &ct_small(&place))?;
    let explain = |file: &str, tag: &str, with: bool| -> Test<Value> {
        let mut args = vec!["--format", "json", "script", "explain", file, tag];
        if with {
            args.extend(["--with", "ct.dcm"]);
        }
        scene.run(&args)?.exits(0).summary()
    };
    let date = explain("my.script", "00080020", false)?;
    assert_eq!(
        date,
        json!({"event": "summary", "command": "script explain", "tag": "00080020",
            "rule": "@hashdate", "line": 6, "action": "shift_date", "value": null,
            "outcome": "value"})
    );
    let name = explain("my.script", "PatientName", true)?;
    assert_eq!(
        (&name["value"], &name["outcome"]),
        (&json!("1-000001"), &json!("value"))
    );
    let unlisted = explain("my.script", "(0008,0060)", true)?;
    assert_eq!(
        (&unlisted["rule"], &unlisted["line"], &unlisted["outcome"]),
        (&Value::Null, &Value::Null, &json!("remove"))
    );
    let kept = explain("my.script", "0008,0016", true)?;
    assert_eq!(
        (&kept["action"], &kept["outcome"]),
        (&json!("keep"), &json!("keep"))
    );
    let absent = explain("rsna-v17", "00181078", true)?;
    assert_eq!(
        (&absent["outcome"], &absent["value"]),
        (&json!("skip"), &Value::Null)
    );
    scene
        .run(&["script", "explain", "rsna-v17", "NoSuchTag"])?
        .exits(3);
    scene.write("text", b"no image")?;
    let args = [
        "--format", "json", "script", "explain", "rsna-v17", "00100010", "--with", "text",
    ];
    assert_eq!(
        scene.run(&args)?.exits(0).summary()?["outcome"],
        "quarantine"
    );
    Ok(())
}
