//! The command on a terminal: password prompts, signals during a prompt, and the progress bar.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};
use serde_json::{Value, json};

use crate::archive::{Archive, Behaviour};
use crate::export_cognito::User;
use crate::query;
use crate::shared::wait;
use crate::support::{Scene, Test, tree};

const PATIENCE: Duration = Duration::from_mins(1);
const END: &str = "<the end>";
const ASKED: &str = "Password of the Cognito user: ";

/// A run on a pseudo-terminal that the test controls.
struct TerminalRun {
    child: Child,
    terminal: File,
    /// Kept open, so that the terminal modes can be read after the run.
    other_end: File,
    said: Arc<Mutex<Vec<u8>>>,
}

impl TerminalRun {
    /// Standard output is a pipe, everything else the terminal.
    fn start(scene: &Scene, args: &[&str], variables: &[(&str, &str)]) -> Test<Self> {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&terminal)?;
        unlockpt(&terminal)?;
        let name = ptsname(&terminal, Vec::new())?;
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let other_end = File::from(rustix::fs::open(&*name, flags, Mode::empty())?);
        // Without a width no progress bar is drawn.
        let size = Winsize {
            ws_row: 24,
            ws_col: 120,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size)?;
        let child = Command::new("setsid")
            .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_anon")])
            .args(args)
            .current_dir(scene.path())
            .env("HOME", scene.path())
            .env("TERM", "xterm")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env_remove("ANON_PROJECT")
            .envs(variables.iter().copied())
            .stdin(other_end.try_clone()?)
            .stdout(Stdio::piped())
            .stderr(other_end.try_clone()?)
            .spawn()?;
        let terminal = File::from(terminal);
        let (mut from, said) = (terminal.try_clone()?, Arc::default());
        let heard: Arc<Mutex<Vec<u8>>> = Arc::clone(&said);
        // The thread ends with the test process.
        thread::spawn(move || {
            let mut some = [0; 1024];
            while let Ok(count @ 1..) = from.read(&mut some) {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.extend_from_slice(some.get(..count).unwrap_or_default());
            }
        });
        Ok(Self {
            child,
            terminal,
            other_end,
            said,
        })
    }

    /// Returns everything written to the terminal.
    fn said(&self) -> String {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).into_owned()
    }

    fn waits_for(&self, words: &str) -> Test {
        let heard = wait::until(words, PATIENCE, || Ok(self.said().contains(words)));
        heard.map_err(|error| format!("{error}\n{}", self.said()).into())
    }

    fn type_keys(&mut self, keys: &str) -> Test {
        Ok(self.terminal.write_all(keys.as_bytes())?)
    }

    /// Whether the terminal shows what is typed.
    fn echoes(&self) -> Test<bool> {
        let modes = tcgetattr(&self.terminal)?.local_modes;
        Ok(modes.contains(LocalModes::ECHO))
    }

    /// Waits for the end; returns the exit code and the last line of output.
    fn finish(&mut self) -> Test<(Option<i32>, Value)> {
        let mut out = String::new();
        let mut from = self.child.stdout.take().ok_or("no pipe")?;
        from.read_to_string(&mut out)?;
        let code = self.child.wait()?.code();
        // All output of the run arrives before this marker.
        self.other_end.write_all(END.as_bytes())?;
        self.waits_for(END)?;
        let last = out
            .lines()
            .last()
            .map_or(Ok(Value::Null), serde_json::from_str);
        Ok((code, last.unwrap_or_default()))
    }
}

impl Drop for TerminalRun {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
    }
}

const EXPORT: [&str; 7] = [
    "-p",
    "project",
    "--format",
    "json",
    "export",
    "s3",
    "--password-in-clear",
];

fn export(scene: &Scene) -> Test<TerminalRun> {
    TerminalRun::start(scene, &[&EXPORT[..], &["--all"]].concat(), &[])
}

/// Asserts that no file in the scene contains this text.
#[track_caller]
fn assert_no_file_contains(scene: &Scene, secret: &str) -> Test {
    for (name, bytes) in tree(scene.path())? {
        let is_there = bytes
            .windows(secret.len())
            .any(|it| it == secret.as_bytes());
        assert!(!is_there, "{name} holds a password");
    }
    Ok(())
}

/// The studies that `find --pick` listed are retrieved by the numbers that are typed.
#[test]
fn find_asks_which_studies_to_retrieve() -> Test {
    let scene = query::made()?;
    let archive = Archive::start(Behaviour::default(), query::studies(1..=3))?;
    let node = archive.node();
    let args = [
        "find",
        &node,
        "--study-date",
        "19000101-",
        "--pick",
        "--via",
        "get",
    ];
    let mut session = TerminalRun::start(&scene, &[&["-p", "project"][..], &args].concat(), &[])?;
    let question = "Studies to retrieve";
    session.waits_for(question)?;
    session.type_keys("7\n")?;
    session.waits_for("the numbers 1 to 3")?;
    session.type_keys("1,3\n")?;
    let (code, _) = session.finish()?;
    assert_eq!(code, Some(0), "{}", session.said());
    assert_eq!(scene.public()?.len(), 12);
    Ok(())
}

#[test]
fn a_typed_password_is_not_shown() -> Test {
    let Some(user) = User::start()? else {
        return Ok(());
    };
    let password = user.id("PASSWORD");
    for (typed, code) in [("CANARY-Passw0rd!", 5), (password, 0)] {
        let mut session = export(&user.scene)?;
        session.waits_for(ASKED)?;
        assert!(!session.echoes()?, "what is typed is shown");
        session.type_keys(&format!("{typed}\n"))?;
        let (ended, summary) = session.finish()?;
        let said = session.said();
        assert_eq!(ended, Some(code), "{summary} {said}");
        assert!(session.echoes()?, "the terminal is as it was");
        assert!(!said.contains(typed), "{said}");
        if code == 0 {
            assert_eq!(summary["sent"], 40);
        }
        assert_no_file_contains(&user.scene, typed)?;
    }
    Ok(())
}

/// If the pool demands a new password, it is asked for twice and set if both entries agree.
#[test]
fn a_new_password_is_asked_for_twice() -> Test {
    let Some(user) = User::start()? else {
        return Ok(());
    };
    user.scene.set("s3.username", "newcomer")?;
    let new = "New-Passw0rd!";
    for (again, code) in [("Other-Passw0rd!", 3), (new, 0)] {
        let mut session = export(&user.scene)?;
        for (question, answer) in [
            (ASKED, user.id("TEMPORARY")),
            ("New password of the Cognito user: ", new),
            ("Repeat the new password: ", again),
        ] {
            session.waits_for(question)?;
            session.type_keys(&format!("{answer}\n"))?;
        }
        let (ended, summary) = session.finish()?;
        let said = session.said();
        assert_eq!(ended, Some(code), "{summary} {said}");
        assert!(!said.contains("Passw0rd"), "{said}");
        let differ = said.contains("differ: the password is not changed");
        assert_eq!(differ, code == 3, "{said}");
        assert!(session.echoes()?);
    }
    assert_no_file_contains(&user.scene, new)
}

/// A project with Cognito settings but no reachable server.
fn project_without_server() -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(3)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    for (key, value) in [
        ("s3.bucket", "trials"),
        ("s3.endpoint", "http://127.0.0.1:9"),
        ("s3.user_pool_id", "eu-central-1_pool"),
        ("s3.app_client_id", "client"),
        ("s3.identity_pool_id", "eu-central-1:identities"),
        ("s3.username", "tester"),
    ] {
        scene.set(key, value)?;
    }
    Ok(scene)
}

#[test]
fn a_signal_ends_a_password_prompt() -> Test {
    let scene = project_without_server()?;
    let mut session = export(&scene)?;
    session.waits_for(ASKED)?;
    // Half a password, and Ctrl-C.
    session.type_keys("CANARY\x03")?;
    let (code, summary) = session.finish()?;
    assert_eq!(code, Some(130), "{}", session.said());
    assert_eq!(
        (&summary["event"], &summary["interrupted"], &summary["sent"]),
        (&json!("summary"), &json!(true), &json!(0)),
        "{summary}"
    );
    assert!(session.echoes()?, "the terminal is as it was");
    assert!(!session.said().contains("CANARY"), "{}", session.said());
    Ok(())
}

/// Neither an empty line nor end of file counts as a password.
#[test]
fn an_empty_password_is_refused() -> Test {
    let scene = project_without_server()?;
    for (typed, code, words) in [
        ("\n", 3, "the password is empty"),
        ("\x04", 3, "the password is empty"),
    ] {
        let mut session = export(&scene)?;
        session.waits_for(ASKED)?;
        session.type_keys(typed)?;
        let (ended, _) = session.finish()?;
        session.waits_for(words)?;
        assert_eq!(ended, Some(code), "{}", session.said());
    }
    Ok(())
}

/// The node accepts the connection and never responds, so the bar stays visible.
#[test]
fn a_progress_bar_shows_rate_and_time_left() -> Test {
    let scene = project_without_server()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let place = format!("SILENT@{}", listener.local_addr()?);
    let args = ["-p", "project", "export", &place, "--all"];
    let mut session = TerminalRun::start(&scene, &args, &[])?;
    let _connection = listener.accept()?;
    for words in ["0 of 3 objects", "/s", " left"] {
        session.waits_for(words)?;
    }
    session.type_keys("\x03")?;
    let (code, _) = session.finish()?;
    assert_eq!(code, Some(130), "{}", session.said());
    Ok(())
}
