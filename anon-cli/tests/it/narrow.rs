//! The command on a terminal of 80 columns, with input, output and errors on it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use anon_engine::testing::files::{Place, ct_small};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::support::{Scene, Test};

const COLUMNS: u16 = 80;

/// What was shown, and the exit code.
struct Shown {
    text: String,
    code: Option<i32>,
}

impl Shown {
    /// Returns the lines as they stand at the end: without colours, and without what was overwritten.
    fn lines(&self) -> Vec<String> {
        let plain = without_escapes(&self.text);
        let lines = plain.split('\n').map(|line| {
            let line = line.trim_end_matches('\r');
            line.rsplit('\r').next().unwrap_or_default().to_owned()
        });
        lines.collect()
    }

    #[track_caller]
    fn fits(&self) {
        for line in self.lines() {
            let length = line.chars().count();
            let is_command = line.starts_with("  anon ");
            assert!(
                length <= usize::from(COLUMNS) || is_command,
                "{length}: {line}"
            );
        }
    }
}

fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // `ESC [ numbers letter`
            let _ = chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Runs with everything on a terminal of 80 columns. Types `keys` once a question mark or `yes:` shows.
fn run(
    scene: &Scene,
    args: &[&str],
    variables: &[(&str, &str)],
    keys: Option<&str>,
) -> Test<Shown> {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    grantpt(&terminal)?;
    unlockpt(&terminal)?;
    let name = ptsname(&terminal, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let other_end = File::from(rustix::fs::open(&*name, flags, Mode::empty())?);
    let size = Winsize {
        ws_row: 24,
        ws_col: COLUMNS,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size)?;
    let mut child = Command::new("setsid")
        .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_anon")])
        .args(args)
        .current_dir(scene.path())
        .env("TERM", "xterm")
        .env("XDG_STATE_HOME", scene.path().join(".state"))
        .env_remove("ANON_PROJECT")
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR")
        .envs(variables.iter().copied())
        .stdin(Stdio::from(other_end.try_clone()?))
        .stdout(Stdio::from(other_end.try_clone()?))
        .stderr(Stdio::from(other_end))
        .spawn()?;
    let mut terminal = File::from(terminal);
    let (mut text, mut some) = (Vec::new(), [0; 4096]);
    let mut keys = keys;
    // Reading fails once the last process has closed the terminal.
    while let Ok(count @ 1..) = terminal.read(&mut some) {
        text.extend_from_slice(some.get(..count).unwrap_or_default());
        if text.ends_with(b"Type yes: ")
            && let Some(keys) = keys.take()
        {
            terminal.write_all(keys.as_bytes())?;
        }
    }
    let code = child.wait()?.code();
    let text = String::from_utf8(text)?;
    Ok(Shown { text, code })
}

fn filled() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.put("in/1.dcm", &ct_small(&Place::new(3)))?;
    scene.put("in/2.dcm", &ct_small(&Place::new(4).patient(2)))?;
    scene.ultrasound("in/us.dcm")?;
    let ran = scene.json(&["import", "in", "--site-id", "455993669"])?;
    ran.exits(1);
    Ok(scene)
}

#[test]
fn tables_and_messages_fit_80_columns_and_break_between_words() -> Test {
    let scene = filled()?;
    let place = Place::new(3);
    scene.write(
        "pixels.script",
        b"{ Modality.equals(\"US\") }\n(0,0,640,40)\n",
    )?;
    for (args, words) in [
        (&["init", "other"][..], "anon -p"),
        (&["-p", "project", "status"], "2 patients"),
        (&["-p", "project", "patients"], "455993669-000002"),
        (&["-p", "project", "studies"], "2 studies"),
        (&["-p", "project", "index"], &place.study_uid()),
        (&["-p", "project", "quarantine", "list"], "quarantine show"),
        (
            &["-p", "project", "reidentify", "455993669-000001"],
            &place.patient_id(),
        ),
        (&["-p", "project", "import", "in"], "3 files"),
        (&["-p", "project", "list", "modalities"], "Mammography"),
        (
            &["-p", "project", "list", "storage-classes"],
            "1.2.840.10008.5.1.4.1.1.2 ",
        ),
        (
            &["-p", "project", "list", "transfer-syntaxes"],
            "RLE Lossless",
        ),
        (&["list", "projects"], "project"),
        (
            &["-p", "project", "config", "set", "modalities", "CT,RM"],
            "MR?",
        ),
        (&["script", "check", "pixels.script"], "pixel script"),
        (&["-p", "nowhere", "status"], "anon -p nowhere init"),
    ] {
        let shown = run(&scene, args, &[], None)?;
        assert!(shown.text.contains(words), "{args:?}\n{}", shown.text);
        shown.fits();
    }
    Ok(())
}

#[test]
fn errors_are_red_unless_no_color_is_set() -> Test {
    let scene = Scene::new()?;
    for args in [&["-p", "nowhere", "status"][..], &["imprt"]] {
        let red = run(&scene, args, &[], None)?;
        assert!(red.text.contains("\u{1b}[31m"), "{args:?}: {}", red.text);
        let plain = run(&scene, args, &[("NO_COLOR", "1")], None)?;
        assert!(!plain.text.contains('\u{1b}'), "{args:?}: {}", plain.text);
        assert!(plain.text.contains("error: "), "{args:?}: {}", plain.text);
    }
    let piped = scene.run(&["-p", "nowhere", "status"])?;
    assert!(!piped.err.contains('\u{1b}'), "{}", piped.err);
    Ok(())
}

#[test]
fn quarantine_clear_asks_on_a_terminal() -> Test {
    let scene = filled()?;
    let clear = ["-p", "project", "quarantine", "clear", "--all"];
    let count = || -> Test<serde_json::Value> {
        Ok(scene.json(&["quarantine", "list"])?.summary()?["entries"].clone())
    };
    for answer in ["no\n", "\n", "\x04", "\x03"] {
        let kept = run(&scene, &clear, &[], Some(answer))?;
        assert!(kept.text.contains("Delete 1 entry of"), "{}", kept.text);
        assert!(kept.text.contains("nothing was deleted"), "{}", kept.text);
        assert!(
            matches!(kept.code, Some(1 | 130)),
            "{answer:?}: {:?}",
            kept.code
        );
        assert_eq!(count()?, 1);
    }
    let gone = run(&scene, &clear, &[], Some("yes\n"))?;
    assert_eq!(gone.code, Some(0), "{}", gone.text);
    assert_eq!(count()?, 0);
    // An empty quarantine asks nothing, and neither does a run with `--yes`.
    let empty = run(&scene, &clear, &[], None)?;
    assert!(empty.text.contains("0 entries deleted"), "{}", empty.text);
    scene.json(&["import", "in"])?.exits(1);
    let unasked = run(&scene, &[&clear[..], &["--yes"]].concat(), &[], None)?;
    assert!(unasked.text.contains("1 entry deleted"), "{}", unasked.text);
    Ok(())
}
