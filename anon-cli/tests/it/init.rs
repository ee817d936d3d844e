//! `anon init`, finding a project, permissions.

use std::fs;

use crate::support::{Scene, Test, chmod, mode};

#[test]
fn init_creates_a_private_project_and_warns_about_kept_text() -> Test {
    let scene = Scene::new()?;
    let made = scene.run(&["init", "project"])?.exits(0);
    assert_eq!(made.err.lines().count(), 3, "{}", made.err);
    assert!(made.err.contains("free text") && made.err.contains("keyed"));
    let project = scene.project();
    assert_eq!(mode(&project.join("private"))?, 0o700);
    assert_eq!(mode(&project.join("private/quarantine"))?, 0o700);
    let settings = fs::read_to_string(project.join("project.toml"))?;
    let site = settings
        .lines()
        .find_map(|line| line.strip_prefix("site_id = "));
    let digits = site.ok_or("no site id")?.trim_matches('"');
    assert!(
        digits.len() == 9 && digits.bytes().all(|b| b.is_ascii_digit()),
        "{digits}"
    );
    let again = scene.run(&["init", "project"])?.exits(3);
    assert!(
        again.err.contains("already holds a project"),
        "{}",
        again.err
    );
    Ok(())
}

#[test]
fn the_umask_opens_nothing() -> Test {
    let scene = Scene::new()?;
    let anon = env!("CARGO_BIN_EXE_anon");
    scene.cts(1)?;
    let script = format!("umask 0; '{anon}' -q -p project import in && '{anon}' -p project index");
    let ran = crate::support::finish(
        std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(scene.path()),
    )?;
    ran.exits(0);
    for name in ["lookup.redb", "audit.jsonl", "lock", "logs/anon.log"] {
        assert_eq!(
            mode(&scene.project().join("private").join(name))?,
            0o600,
            "{name}"
        );
    }
    assert_eq!(mode(&scene.project().join("private/logs"))?, 0o700);
    Ok(())
}

#[test]
fn options_are_settings() -> Test {
    let scene = Scene::new()?;
    let ran = scene
        .json(&[
            "init",
            "--name",
            "TRIAL-7",
            "--site-id",
            "99.99",
            "--uid-root",
            "1.2.3",
            "--modalities",
            "CT,mr",
        ])?
        .exits(0);
    assert_eq!(ran.summary()?["site_id"], "99.99");
    for (key, value) in [
        ("name", "TRIAL-7"),
        ("uid_root", "1.2.3"),
        ("modalities", "CT,MR"),
    ] {
        let got = scene
            .run(&["-p", "project", "config", "get", key])?
            .exits(0);
        assert_eq!(got.out.trim_end(), value, "{key}");
    }
    for (option, value) in [
        ("--name", "a name that is too long"),
        ("--site-id", "x"),
        ("--modalities", "CT,XX"),
        ("--script", "no-such-script"),
        ("--profile", "basic+nothing"),
    ] {
        let ran = scene.run(&["init", "other", option, value])?.exits(3);
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
        assert!(!scene.path().join("other").exists(), "{option}");
    }
    Ok(())
}

#[test]
fn settings_are_taken_over_under_a_new_site_id() -> Test {
    let scene = Scene::new()?;
    scene.write("my.script", SCRIPT.as_bytes())?;
    scene
        .run(&[
            "init",
            "one",
            "--name",
            "ONE",
            "--script",
            "my.script",
            "--site-id",
            "5",
        ])?
        .exits(0);
    fs::remove_file(scene.path().join("my.script"))?;
    scene.run(&["init", "two", "--from", "one"])?.exits(0);
    let get = |project, key| -> Test<String> {
        Ok(scene
            .run(&["-p", project, "config", "get", key])?
            .exits(0)
            .out)
    };
    assert_eq!(get("one", "name")?, get("two", "name")?);
    assert_ne!(get("one", "site_id")?, get("two", "site_id")?);
    assert_eq!(
        fs::read(scene.path().join("one/anonymizer.script"))?,
        fs::read(scene.path().join("two/anonymizer.script"))?
    );
    scene.run(&["init", "three", "--from", "nowhere"])?.exits(3);
    Ok(())
}

pub(crate) const SCRIPT: &str = r#"<script>
<e en="T" t="00080016" n="SOPClassUID">@keep</e>
<e en="T" t="00080018" n="SOPInstanceUID">@uid</e>
<e en="T" t="0020000D" n="StudyInstanceUID">@uid</e>
<e en="T" t="0020000E" n="SeriesInstanceUID">@uid</e>
<e en="T" t="00080020" n="StudyDate">@hashdate</e>
<e en="T" t="00100010" n="PatientName">@ptid</e>
<e en="T" t="00100020" n="PatientID">@ptid</e>
</script>"#;

#[test]
fn a_project_is_found_and_one_that_is_missing_is_named() -> Test {
    let scene = Scene::new()?;
    let none = scene.run(&["status"])?.exits(3);
    assert!(none.err.contains("anon init"), "{}", none.err);
    let none = scene.run(&["-p", "nowhere", "status"])?.exits(3);
    assert!(none.err.contains("  anon -p nowhere init"), "{}", none.err);
    scene.run(&["init", "project"])?.exits(0);
    let below = scene.project().join("public");
    crate::support::finish(scene.command(&["status"]).current_dir(&below))?.exits(0);
    crate::support::finish(scene.command(&["status"]).env("ANON_PROJECT", "project"))?.exits(0);
    scene.run(&["no-such-command"])?.exits(2);
    Ok(())
}

#[test]
fn looser_modes_and_secrets_are_refused() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let private = scene.project().join("private");
    chmod(&private, 0o755)?;
    let ran = scene.run(&["-p", "project", "status"])?.exits(4);
    assert!(ran.err.contains("chmod 700 '"), "{}", ran.err);
    chmod(&private, 0o700)?;
    let file = scene.project().join("project.toml");
    let text = fs::read_to_string(&file)?;
    scene.write(
        "project/project.toml",
        text.replace("[s3]", "[s3]\npassword = \"x\"").as_bytes(),
    )?;
    let ran = scene.run(&["-p", "project", "status"])?.exits(3);
    assert!(ran.err.contains("secret"), "{}", ran.err);
    Ok(())
}

/// A file cannot be moved between file systems in one step.
#[cfg(target_os = "linux")]
#[test]
fn public_dir_on_another_file_system_is_refused() -> Test {
    use std::os::unix::fs::MetadataExt;
    let scene = Scene::new()?;
    let other = tempfile::tempdir_in("/dev/shm")?;
    if fs::metadata(other.path())?.dev() == fs::metadata(scene.path())?.dev() {
        return Ok(()); // a machine with one file system only
    }
    scene.cts(1)?;
    scene.run(&["init", "project"])?.exits(0);
    let public = other.path().join("public");
    let public = public.to_str().ok_or("a text")?;
    scene.set("public_dir", public)?;
    let ran = scene.json(&["import", "in"])?.exits(4);
    assert!(ran.err.contains("another file system"), "{}", ran.err);
    Ok(())
}

#[test]
fn log_levels_control_the_log_file() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    scene.run(&["init", "project"])?.exits(0);
    let log = || -> Test<usize> {
        scene.json(&["import", "in"])?.exits(0);
        let file = scene.project().join("private/logs/anon.log");
        let lines = fs::read_to_string(&file)?.lines().count();
        fs::remove_file(file)?;
        Ok(lines)
    };
    let usual = log()?;
    assert!(usual > 0);
    scene.set("log.level", "off")?;
    assert_eq!(log()?, 0);
    let only = ["config", "set", "log.target.anon", "info"];
    scene.json(&only)?.exits(0);
    assert!(log()? > 0);
    Ok(())
}

/// A directory may be named after a patient.
#[test]
fn the_log_names_a_script_without_its_directory() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    // A tag in lower case is a warning.
    scene.write(
        "my.script",
        SCRIPT.replace("0020000D", "0020000d").as_bytes(),
    )?;
    scene
        .run(&["init", "project", "--script", "my.script"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    let log = fs::read_to_string(scene.project().join("private/logs/anon.log"))?;
    assert!(log.contains(" anonymizer.script:"), "{log}");
    let directory = scene.path().to_string_lossy().into_owned();
    assert!(!log.contains(&directory), "{log}");
    Ok(())
}

#[test]
fn keyed_dates_create_a_secret_key() -> Test {
    let scene = Scene::new()?;
    scene.cts(2)?;
    scene.run(&["init", "project"])?.exits(0);
    scene
        .run(&["-p", "project", "config", "set", "dates", "keyed"])?
        .exits(0);
    let key = scene.project().join("private/secret.key");
    assert_eq!((fs::read(&key)?.len(), mode(&key)?), (32, 0o600));
    scene.json(&["import", "in"])?.exits(0);
    let ran = scene
        .run(&["-p", "project", "config", "set", "dates", "v17"])?
        .exits(3);
    assert!(ran.err.contains("frozen"), "{}", ran.err);
    // Another secret would make other dates of the same patients.
    fs::remove_file(&key)?;
    for args in [&["status"][..], &["import", "in"]] {
        let ran = scene.json(args)?.exits(3);
        assert!(ran.err.contains("put it back"), "{}", ran.err);
        assert!(!key.exists(), "{args:?}");
    }
    Ok(())
}
