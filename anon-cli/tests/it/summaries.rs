//! With `--format json` every run ends with exactly one summary, also a failed run.

use crate::support::{Scene, Test};

#[test]
fn a_failed_run_has_one_summary_with_its_error() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    scene.run(&["init", "project"])?.exits(0);
    for (project, args, code, command) in [
        ("nowhere", &["status"][..], 3, "status"),
        ("nowhere", &["index"], 3, "index"),
        ("project", &["import", "in", "lost"], 4, "import"),
        ("project", &["import", "in", "--site-id", "6"], 3, "import"),
        (
            "project",
            &["config", "set", "burned_in", "maybe"],
            3,
            "config set",
        ),
        ("project", &["config", "get", "nonsense"], 3, "config get"),
        ("project", &["script", "check", "lost"], 3, "script check"),
        (
            "project",
            &["script", "explain", "rsna-v17", "Nonsense"],
            3,
            "script explain",
        ),
        (
            "project",
            &["quarantine", "show", "ffffffffffff"],
            3,
            "quarantine show",
        ),
        ("project", &["echo", "nobody"], 3, "echo"),
        ("project", &["echo", "NOBODY@127.0.0.1:1"], 5, "echo"),
        (
            "project",
            &["find", "NOBODY@127.0.0.1:1", "--patient-id", "1"],
            5,
            "find",
        ),
        ("project", &["export", "nobody", "--all"], 3, "export"),
    ] {
        let all = [&["-p", project, "--format", "json"], args].concat();
        let ran = scene.run(&all)?.exits(code);
        let summary = ran.summary()?;
        let error = summary["error"].as_str().unwrap_or_default();
        assert!(!error.is_empty(), "{args:?}: {summary}");
        assert_eq!(summary["command"], command, "{args:?}");
        assert_eq!(summary["code"], code, "{args:?}");
        let first = error.lines().next().unwrap_or_default();
        assert!(ran.err.contains(first), "{args:?}: {}", ran.err);
    }
    // A usage error has no summary.
    let wrong = scene.json(&["import"])?.exits(2);
    assert_eq!(wrong.out, "");
    Ok(())
}
