//! `anon export s3` as a Cognito user: moto stands for Cognito, rclone for S3.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
#[cfg(feature = "keyring")]
use std::process::Command;

use serde_json::Value;

use crate::export_s3::{
    assert_copy_of_public, assert_counts, assert_every_patient_has_error, export, made,
};
use crate::s3_servers::{BUCKET, S3Server};
#[cfg(feature = "keyring")]
use crate::shared::servers::{
    self,
    dependency::{self, Dependency},
};
#[cfg(feature = "keyring")]
use crate::support::Run;
use crate::support::{Scene, Test, finish, tree};

/// A project for the user `tester` of this Cognito.
fn made_for_user(
    server: &S3Server,
    cognito: &S3Server,
    ids: &BTreeMap<String, String>,
) -> Test<Scene> {
    let id = |name: &str| ids.get(name).map_or("", String::as_str);
    let scene = made(server)?;
    for (key, value) in [
        ("s3.cognito_endpoint", &*cognito.endpoint()),
        ("s3.region", "eu-central-1"),
        ("s3.user_pool_id", id("USER_POOL")),
        ("s3.app_client_id", id("CLIENT")),
        ("s3.identity_pool_id", id("IDENTITY_POOL")),
        ("s3.username", "tester"),
    ] {
        scene.set(key, value)?;
    }
    Ok(scene)
}

/// A Cognito user with a project, moto for Cognito, and rclone with the keys that moto gives to everybody.
pub(crate) struct User {
    pub(crate) scene: Scene,
    ids: BTreeMap<String, String>,
    server: S3Server,
    _cognito: S3Server,
}

impl User {
    pub(crate) fn start() -> Test<Option<Self>> {
        let (Some(cognito), Some(server)) = (
            S3Server::moto()?,
            S3Server::rclone("TESTACCESSKEY12345", "ABCSECRETKEY")?,
        ) else {
            return Ok(None);
        };
        let ids = cognito.cognito()?;
        Ok(Some(Self {
            scene: made_for_user(&server, &cognito, &ids)?,
            ids,
            server,
            _cognito: cognito,
        }))
    }

    pub(crate) fn id(&self, name: &str) -> &str {
        self.ids.get(name).map_or("", String::as_str)
    }
}

/// No password, key or token is printed even at the most detailed level.
#[test]
fn secrets_are_never_printed_at_any_log_level() -> Test {
    let Some(user) = User::start()? else {
        return Ok(());
    };
    user.scene.set("s3.password_env", "TRIAL_PASSWORD")?;
    let password = user.id("PASSWORD");
    let verbose = [
        "-vvv",
        "-p",
        "project",
        "export",
        "s3",
        "--all",
        "--password-in-clear",
    ];
    let mut command = user.scene.command(&verbose);
    let ran = finish(command.env("TRIAL_PASSWORD", password))?.exits(0);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("TRACE anon_export"), "{said}");
    // The keys and the session token of moto, and how tokens of JSON begin.
    for secret in [password, "TESTACCESSKEY", "ABCSECRETKEY", "ABC12345", "eyJ"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    user.scene.set("s3.username", "")?;
    user.scene.set("s3.password_env", "")?;
    fs::remove_dir_all(user.scene.project().join("export"))?;
    let mut command = user.scene.command(&verbose);
    let keys = [
        ("AWS_ACCESS_KEY_ID", "TESTACCESSKEY12345"),
        ("AWS_SECRET_ACCESS_KEY", "ABCSECRETKEY"),
        ("AWS_SESSION_TOKEN", "CANARYTOKEN"),
    ];
    let ran = finish(command.envs(keys))?.exits(0);
    let said = format!("{}{}", ran.out, ran.err);
    for (_, secret) in keys {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    assert!(!tree(&user.server.files())?.is_empty());
    Ok(())
}

#[test]
fn a_password_is_sent_to_this_machine_or_in_clear_only_where_the_command_line_says_so() -> Test {
    let scene = Scene::new()?;
    scene.cts(1)?;
    scene.json(&["import", "in"])?.exits(0);
    let listens = TcpListener::bind("127.0.0.1:0")?;
    listens.set_nonblocking(true)?;
    for (key, value) in [
        ("s3.bucket", BUCKET),
        ("s3.endpoint", "http://127.0.0.1:9"),
        ("s3.user_pool_id", "eu-central-1_pool"),
        ("s3.app_client_id", "client"),
        ("s3.identity_pool_id", "eu-central-1:identities"),
        ("s3.username", "tester"),
        ("s3.password_env", "TRIAL_PASSWORD"),
        ("s3.allow_cleartext", "true"),
    ] {
        scene.set(key, value)?;
    }
    let here = listens.local_addr()?;
    for endpoint in [
        format!("http://{here}"),
        format!("https://{here}"),
        "http://idp.example.org".to_owned(),
    ] {
        scene.set("s3.cognito_endpoint", &endpoint)?;
        let args = ["-p", "project", "export", "s3", "--all"];
        let mut command = scene.command(&args);
        let ran = finish(command.env("TRIAL_PASSWORD", "CANARY"))?.exits(3);
        assert!(ran.err.contains("--password-in-clear"), "{}", ran.err);
        assert!(listens.accept().is_err(), "nothing was sent");
    }
    Ok(())
}

/// The pool accepts the connection and never responds, or never completes its response.
#[test]
fn a_cognito_pool_that_stalls_is_reported_for_every_patient() -> Test {
    let scene = Scene::new()?;
    scene.cts(10)?;
    scene.run(&["init", "project"])?.exits(0);
    scene.json(&["import", "in"])?.exits(0);
    let stalls = TcpListener::bind("127.0.0.1:0")?;
    let pool = format!("http://{}", stalls.local_addr()?);
    for (key, value) in [
        ("s3.bucket", BUCKET),
        ("s3.endpoint", "http://127.0.0.1:9"),
        ("s3.cognito_endpoint", &*pool),
        ("s3.user_pool_id", "eu-central-1_pool"),
        ("s3.app_client_id", "client"),
        ("s3.identity_pool_id", "eu-central-1:identities"),
        ("s3.username", "tester"),
        ("s3.password_env", "TRIAL_PASSWORD"),
        ("s3.connect_timeout", "1"),
        ("s3.stall_timeout", "1"),
    ] {
        scene.set(key, value)?;
    }
    for begins in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let stalls = stalls.try_clone()?;
        let connection = std::thread::spawn(move || -> std::io::Result<TcpStream> {
            let mut connection = BufReader::new(stalls.accept()?.0);
            // Reads the whole request before responding.
            let mut line = String::new();
            while connection.read_line(&mut line)? > 2 {
                line.clear();
            }
            let mut connection = connection.into_inner();
            connection.write_all(begins.as_bytes())?;
            Ok(connection)
        });
        let ran = export(&scene, &[], &[("TRIAL_PASSWORD", "CANARY")])?.exits(5);
        assert_every_patient_has_error(&scene, &ran, "Cognito did not respond in time")?;
        drop(connection.join().map_err(|_| "it was asked")??);
    }
    Ok(())
}

/// A login at a pool that does not answer is given up when a signal comes.
#[test]
#[cfg(unix)]
fn a_signal_ends_a_cognito_login() -> Test {
    use rustix::process::{Pid, Signal, kill_process};

    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    for (key, value) in [
        ("s3.bucket", BUCKET),
        ("s3.endpoint", "http://127.0.0.1:9"),
        (
            "s3.cognito_endpoint",
            &format!("http://{}", silent.local_addr()?),
        ),
        ("s3.user_pool_id", "eu-central-1_pool"),
        ("s3.app_client_id", "client"),
        ("s3.identity_pool_id", "eu-central-1:identities"),
        ("s3.username", "tester"),
        ("s3.password_env", "TRIAL_PASSWORD"),
    ] {
        scene.set(key, value)?;
    }
    let child = scene
        .command(&[
            "-p",
            "project",
            "--format",
            "json",
            "export",
            "s3",
            "--all",
            "--password-in-clear",
        ])
        .env("TRIAL_PASSWORD", "CANARY")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    let connection = silent.accept()?;
    let pid = Pid::from_raw(child.id().try_into()?).ok_or("a process")?;
    kill_process(pid, Signal::INT)?;
    let output = child.wait_with_output()?;
    assert_eq!(output.status.code(), Some(130));
    let out = String::from_utf8(output.stdout)?;
    let last: Value = serde_json::from_str(out.lines().last().ok_or("nothing was said")?)?;
    assert_eq!(last["interrupted"], true, "{last}");
    drop(connection);
    Ok(())
}

#[test]
fn a_cognito_user_exports_below_their_own_prefix() -> Test {
    // The keys that moto gives to everybody.
    let (Some(cognito), Some(server)) = (
        S3Server::moto()?,
        S3Server::rclone("TESTACCESSKEY12345", "ABCSECRETKEY")?,
    ) else {
        return Ok(());
    };
    let ids = cognito.cognito()?;
    let id = |name: &str| ids.get(name).map_or("", String::as_str);
    let scene = made_for_user(&server, &cognito, &ids)?;
    let unasked = export(&scene, &[], &[])?.exits(3);
    assert!(unasked.err.contains("s3.password_env"), "{}", unasked.err);
    scene.set("s3.password_env", "TRIAL_PASSWORD")?;
    let wrong = export(&scene, &[], &[("TRIAL_PASSWORD", "CANARY")])?.exits(5);
    assert_every_patient_has_error(&scene, &wrong, "user name or the password: check both")?;
    let said = format!("{}{}", wrong.out, wrong.err);
    assert!(!said.contains("CANARY"), "{said}");
    let right = [("TRIAL_PASSWORD", id("PASSWORD"))];
    let ran = export(&scene, &[], &right)?.exits(0).summary()?;
    assert_counts(&ran, [40, 0, 0]);
    assert_copy_of_public(&scene, &server, &format!("site 4+%/{}/TRIAL 7/", id("SUB")))?;
    // The password itself, where a name should be, is not repeated.
    let mistaken = export(&scene, &["--new-password-env", "CANARY-1!"], &right)?.exits(3);
    let said = format!("{}{}", mistaken.out, mistaken.err);
    assert!(
        said.contains("not the name of an environment variable"),
        "{said}"
    );
    assert!(!said.contains("CANARY"), "{said}");
    // A user who must choose a new password: it is never made up.
    scene.set("s3.username", "newcomer")?;
    let temporary = ("TRIAL_PASSWORD", id("TEMPORARY"));
    let wanted = export(&scene, &[], &[temporary])?.exits(3);
    assert!(wanted.err.contains("--new-password-env"), "{}", wanted.err);
    let new = ["--new-password-env", "TRIAL_NEW"];
    let given = [temporary, ("TRIAL_NEW", "New-Passw0rd!")];
    export(&scene, &new, &given)?.exits(0);
    let later = [("TRIAL_PASSWORD", "New-Passw0rd!")];
    let ran = export(&scene, &[], &later)?.exits(0).summary()?;
    assert_counts(&ran, [0, 40, 0]);
    Ok(())
}

/// In a session of its own, with GNOME Keyring.
#[test]
#[cfg(feature = "keyring")]
fn the_cognito_password_comes_from_the_system_keyring() -> Test {
    let (Some(cognito), Some(server)) = (
        S3Server::moto()?,
        S3Server::rclone("TESTACCESSKEY12345", "ABCSECRETKEY")?,
    ) else {
        return Ok(());
    };
    if !dependency::are_installed(&[Dependency::Keyring])? {
        return Ok(());
    }
    let ids = cognito.cognito()?;
    let scene = made_for_user(&server, &cognito, &ids)?;
    let of_session = |user: &str, password: &str, args: &[&str]| -> Test<Run> {
        let mut command = Command::new("bash");
        command
            .arg(servers::scripts().join("keyring.sh"))
            .arg(env!("CARGO_BIN_EXE_anon"))
            .args(args)
            .current_dir(scene.path())
            .env("HOME", scene.path())
            .env("STATE", scene.path().join("session"))
            .env("SERVICE", "anon trial")
            .env("USER", user)
            .env("PASSWORD", password);
        finish(&mut command)
    };
    let args = [
        "-p",
        "project",
        "--format",
        "json",
        "export",
        "s3",
        "--all",
        "--password-in-clear",
    ];
    let password = ids.get("PASSWORD").ok_or("a password")?;
    scene.set("s3.password_keyring", "anon trial/tester")?;
    let absent = of_session("other", password, &args)?.exits(3);
    assert!(
        absent
            .err
            .contains("anon trial/tester does not exist: store it"),
        "{}",
        absent.err
    );
    let wrong = of_session("tester", "CANARY", &args)?.exits(5);
    assert!(!format!("{}{}", wrong.out, wrong.err).contains("CANARY"));
    let ran = of_session("tester", password, &args)?.exits(0).summary()?;
    assert_counts(&ran, [40, 0, 0]);
    let log = fs::read_to_string(scene.project().join("private/logs/anon.log"))?;
    assert!(!log.contains("CANARY") && !log.contains(password), "{log}");
    // Without a session.
    let nowhere = [
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"),
        ("XDG_RUNTIME_DIR", "/nowhere"),
    ];
    let alone = export(&scene, &[], &nowhere)?.exits(3);
    assert!(alone.err.contains("no system keyring"), "{}", alone.err);
    scene.set("s3.password_env", "TRIAL_PASSWORD")?;
    let both = export(&scene, &[], &[("TRIAL_PASSWORD", password)])?.exits(3);
    assert!(both.err.contains("unset one of them"), "{}", both.err);
    Ok(())
}
