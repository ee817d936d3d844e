//! `anon export s3` with access keys, to rclone, which checks signatures, and to moto.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use crate::s3_servers::{BUCKET, S3Server};
use crate::shared::servers::certificates::Authority;
use crate::support::{Run, Scene, Test, finish, tree};

const ACCESS: &str = "ANONKEY";
const SECRET: &str = "anon-secret-key";

/// A project with images, and settings for a server.
pub(crate) fn made(server: &S3Server) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(40)?;
    scene
        .run(&["init", "project", "--name", "TRIAL 7"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    scene.set("s3.endpoint", &server.endpoint())?;
    scene.set("s3.bucket", BUCKET)?;
    scene.set("s3.prefix", "site 4+%")?;
    Ok(scene)
}

/// Exports with these variables and without those of AWS.
pub(crate) fn export(scene: &Scene, more: &[&str], variables: &[(&str, &str)]) -> Test<Run> {
    let start = ["-p", "project", "--format", "json", "export", "s3", "--all"];
    // The servers of these tests are on this machine.
    let start = [&start[..], &["--password-in-clear"]].concat();
    let mut command = scene.command(&[&start[..], more].concat());
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_PROFILE",
        "AWS_REGION",
    ] {
        command.env_remove(name);
    }
    command
        .env("HOME", scene.path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .envs(variables.iter().copied());
    finish(&mut command)
}

const AWS_KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", ACCESS),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
];

fn counts(summary: &Value) -> [&Value; 3] {
    ["sent", "skipped", "failed"].map(|field| &summary[field])
}

/// Compares how many objects were sent, skipped and failed.
#[track_caller]
pub(crate) fn assert_counts(summary: &Value, expected: [u64; 3]) {
    assert_eq!(counts(summary), expected.map(Value::from).each_ref());
}

/// Asserts that the bucket holds the same files as `public/` and nothing else.
#[track_caller]
pub(crate) fn assert_copy_of_public(scene: &Scene, server: &S3Server, below: &str) -> Test {
    let there: BTreeMap<_, _> = tree(&server.files())?
        .into_iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix(below)?.to_owned(), bytes)))
        .collect();
    assert!(there == scene.public()?, "{below} is no copy of public/");
    Ok(())
}

#[test]
fn export_to_s3_sends_everything_once() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let dry = export(&scene, &["--dry-run"], &AWS_KEYS)?.exits(0);
    assert_counts(&dry.summary()?, [40, 0, 0]);
    assert!(tree(&server.files())?.is_empty(), "a dry run sends");
    let ran = export(&scene, &[], &AWS_KEYS)?.exits(0).summary()?;
    assert_counts(&ran, [40, 0, 0]);
    assert_copy_of_public(&scene, &server, "site 4+%/TRIAL 7/")?;
    let again = export(&scene, &[], &AWS_KEYS)?.exits(0).summary()?;
    assert_counts(&again, [0, 40, 0]);
    // Without the journal, lengths and ETags in the bucket are compared.
    fs::remove_dir_all(scene.project().join("export"))?;
    let again = export(&scene, &[], &AWS_KEYS)?.exits(0).summary()?;
    assert_counts(&again, [0, 40, 0]);
    Ok(())
}

/// An object of the same length with a changed byte is detected. Another program put it: its original is
/// not known.
#[test]
fn export_to_s3_replaces_an_object_that_was_changed_only_if_asked() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    export(&scene, &[], &AWS_KEYS)?.exits(0);
    let top = server.files().join("site 4+%/TRIAL 7");
    let first = scene.public()?.into_keys().next().ok_or("an output")?;
    let mut bytes = fs::read(top.join(&first))?;
    let last = bytes.last_mut().ok_or("a byte")?;
    *last ^= 1;
    std::io::Write::write_all(&mut fs::File::create(top.join(&first))?, &bytes)?;
    let refused = export(&scene, &[], &AWS_KEYS)?.exits(1).summary()?;
    assert_counts(&refused, [0, 39, 1]);
    assert!(fs::read(top.join(&first))? == bytes, "it stays");
    let ran = export(&scene, &["--replace"], &AWS_KEYS)?;
    assert_counts(&ran.exits(0).summary()?, [1, 39, 0]);
    assert_copy_of_public(&scene, &server, "site 4+%/TRIAL 7/")
}

#[test]
fn s3_credentials_come_from_the_configured_variables_or_file() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let without = export(&scene, &[], &[])?.exits(3).summary()?;
    let said = without["error"].as_str().unwrap_or_default();
    assert!(said.contains("no S3 credentials"), "{without}");
    scene.set("s3.access_key_env", "TRIAL_KEY")?;
    let half = export(&scene, &[], &AWS_KEYS)?.exits(3);
    assert!(half.err.contains("s3.secret_key_env"), "{}", half.err);
    scene.set("s3.secret_key_env", "TRIAL_SECRET")?;
    let unset = export(&scene, &[], &AWS_KEYS)?.exits(3);
    assert!(unset.err.contains("TRIAL_KEY"), "{}", unset.err);
    let wrong = [("TRIAL_KEY", ACCESS), ("TRIAL_SECRET", "CANARY")];
    let wrong = export(&scene, &[], &wrong)?.exits(5);
    let all = format!("{}{}", wrong.out, wrong.err);
    assert!(
        all.contains("the secret key does not belong to the access key"),
        "{all}"
    );
    assert!(!all.contains("CANARY"), "{all}");
    let right = [("TRIAL_KEY", ACCESS), ("TRIAL_SECRET", SECRET)];
    export(&scene, &[], &right)?.exits(0);
    scene.set("s3.access_key_env", "")?;
    scene.set("s3.secret_key_env", "")?;
    let lines = format!("access_key = {ACCESS}\nsecret_key = {SECRET}\n");
    let file = scene.write("keys", lines.as_bytes())?;
    scene.set("s3.credentials_file", &file.to_string_lossy())?;
    #[cfg(unix)]
    {
        crate::support::chmod(&file, 0o644)?;
        let open = export(&scene, &[], &[])?.exits(3);
        assert!(open.err.contains("chmod 600"), "{}", open.err);
        crate::support::chmod(&file, 0o600)?;
    }
    let ran = export(&scene, &[], &[])?.exits(0).summary()?;
    assert_counts(&ran, [0, 40, 0]);
    Ok(())
}

/// Asserts that every patient has one event with this error.
#[track_caller]
pub(crate) fn assert_every_patient_has_error(scene: &Scene, ran: &Run, words: &str) -> Test {
    let mut patients = scene.patients()?;
    for event in ran.events()? {
        if event["event"] != "patient" {
            continue;
        }
        let error = event["error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{event}");
        assert_eq!(event["sent"], 0, "{event}");
        let patient = event["patient"].as_str().unwrap_or_default();
        assert!(patients.remove(patient), "{event}");
    }
    assert!(patients.is_empty(), "not told of: {patients:?}");
    let summary = ran.summary()?;
    assert_eq!(summary["patients_failed"], summary["patients"], "{summary}");
    let error = summary["error"].as_str().unwrap_or_default();
    assert!(error.contains(words), "{summary}");
    Ok(())
}

/// Wrong keys and a bucket that is not there, at a real server: every patient has the error, people are
/// told of many at once, and once it is right all is sent.
#[test]
fn an_unusable_bucket_is_reported_for_every_patient() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = Scene::new()?;
    scene.patients_of_one(25)?;
    scene
        .run(&["init", "project", "--name", "TRIAL 7"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    scene.set("s3.endpoint", &server.endpoint())?;
    scene.set("s3.bucket", BUCKET)?;
    let keys = |access, secret| {
        [
            ("AWS_ACCESS_KEY_ID", access),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    };
    let wrong_key = export(&scene, &[], &keys("OTHER", SECRET))?.exits(5);
    assert_every_patient_has_error(
        &scene,
        &wrong_key,
        "does not know the access key: check the key",
    )?;
    let wrong_secret = export(&scene, &[], &keys(ACCESS, "CANARY"))?.exits(5);
    assert_every_patient_has_error(
        &scene,
        &wrong_secret,
        "does not belong to the access key: check both",
    )?;
    let mut command = scene.command(&["-p", "project", "export", "s3", "--all"]);
    let ran = finish(command.envs(keys(ACCESS, "CANARY")))?.exits(5);
    let error = "the secret key does not belong to the access key";
    let named = scene.patients()?;
    let named = named
        .iter()
        .filter(|it| ran.out.contains(&format!("{it}: {error}")));
    assert_eq!(named.count(), 10, "{}", ran.out);
    let rest = format!("the remaining 15 patients: {error}");
    assert!(ran.out.contains(&rest), "{}", ran.out);
    scene.set("s3.bucket", "no-such-bucket")?;
    let no_bucket = export(&scene, &[], &AWS_KEYS)?.exits(5);
    assert_every_patient_has_error(
        &scene,
        &no_bucket,
        "the bucket does not exist: check its name",
    )?;
    assert!(tree(&server.files())?.is_empty());
    // A selection: the others were not asked for.
    let one = scene.patients()?.pop_first().ok_or("a patient")?;
    let arguments = [
        "-p",
        "project",
        "--format",
        "json",
        "export",
        "s3",
        "--patient",
        &one,
    ];
    let selected = finish(scene.command(&arguments).envs(AWS_KEYS))?.exits(5);
    let events = selected.events()?;
    let told = events.iter().filter(|event| event["event"] == "patient");
    assert_eq!(told.count(), 1, "{}", selected.out);
    scene.set("s3.bucket", BUCKET)?;
    let ran = export(&scene, &[], &AWS_KEYS)?.exits(0).summary()?;
    assert_counts(&ran, [25, 0, 0]);
    assert_copy_of_public(&scene, &server, "TRIAL 7/")
}

/// Keys that may not touch one patient's place: that patient has the error, the others are sent, exit 1.
#[test]
fn access_denied_fails_only_the_patient_concerned() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let patients = scene.patients()?;
    let denied = patients.first().ok_or("a patient")?;
    let keys = server.keys_that_deny(&format!("*/{denied}/*"))?;
    let key = |name: &str| keys.get(name).map_or("", String::as_str);
    let variables = [
        ("AWS_ACCESS_KEY_ID", key("ACCESS")),
        ("AWS_SECRET_ACCESS_KEY", key("SECRET")),
    ];
    let ran = export(&scene, &[], &variables)?.exits(1);
    let mut told = 0;
    for event in ran.events()? {
        if event["event"] != "patient" {
            continue;
        }
        told += 1;
        let error = event["error"].as_str();
        if event["patient"] == **denied {
            let allow = "denies s3:PutObject: grant it to these credentials";
            assert!(error.is_some_and(|it| it.contains(allow)), "{event}");
            assert_eq!(
                (&event["sent"], &event["failed"]),
                (&Value::from(0), &event["found"])
            );
        } else {
            assert_eq!((error, &event["sent"]), (None, &event["found"]), "{event}");
        }
    }
    assert_eq!(told, patients.len());
    let summary = ran.summary()?;
    assert_eq!(summary["patients_failed"], 1, "{summary}");
    assert_eq!(summary["error"], Value::Null, "{summary}");
    let again = export(&scene, &[], &variables)?.exits(1).summary()?;
    assert_eq!(
        counts(&again),
        [&Value::from(0), &summary["sent"], &summary["failed"]]
    );
    Ok(())
}

/// The bucket in the host of the URL: `trials.localhost`, which not every system resolves, hence a table of
/// hosts of our own, where that can be had.
#[test]
#[cfg(target_os = "linux")]
fn s3_addressing_host_puts_the_bucket_in_the_host_name() -> Test {
    let Some(server) = S3Server::rclone_with(ACCESS, SECRET, &[("PATH_STYLE", "false")])? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let endpoint = format!("http://localhost:{}", server.address().port());
    scene.set("s3.endpoint", &endpoint)?;
    scene.set("s3.addressing", "host")?;
    let hosts = format!("127.0.0.1 localhost {BUCKET}.localhost\n");
    let hosts = scene.write("hosts", hosts.as_bytes())?;
    let export = scene.command(&["-p", "project", "--format", "json", "export", "s3", "--all"]);
    let inside = r#"mount --bind "$0" /etc/hosts && exec "$@""#;
    for making in [&["--mount"][..], &["--mount", "--user", "--map-root-user"]] {
        let can = Command::new("unshare").args(making).arg("true").output();
        if !can.is_ok_and(|can| can.status.success()) {
            continue;
        }
        let mut command = Command::new("unshare");
        command
            .args(making)
            .args(["sh", "-c", inside])
            .arg(&hosts)
            .arg(export.get_program())
            .args(export.get_args())
            .current_dir(scene.path())
            .envs(AWS_KEYS);
        let ran = finish(&mut command)?.exits(0).summary()?;
        assert_counts(&ran, [40, 0, 0]);
        return assert_copy_of_public(&scene, &server, "site 4+%/TRIAL 7/");
    }
    // Written directly, because the test harness captures `eprintln!`.
    writeln!(
        std::io::stderr(),
        "skipped: no mount namespace (unshare --mount) can be had"
    )?;
    Ok(())
}

/// The profile is chosen by the setting or by `AWS_PROFILE`.
#[test]
fn s3_credentials_come_from_an_aws_profile() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let lines =
        format!("[trial]\naws_access_key_id = {ACCESS}\naws_secret_access_key = {SECRET}\n");
    scene.write(".aws/credentials", lines.as_bytes())?;
    export(&scene, &[], &[])?.exits(3);
    let of_variable = [("AWS_PROFILE", "trial")];
    let ran = export(&scene, &[], &of_variable)?.exits(0).summary()?;
    assert_counts(&ran, [40, 0, 0]);
    assert_copy_of_public(&scene, &server, "site 4+%/TRIAL 7/")?;
    scene.set("s3.profile", "trial")?;
    let ran = export(&scene, &[], &[])?.exits(0).summary()?;
    assert_counts(&ran, [0, 40, 0]);
    Ok(())
}

/// Serves short-lived keys as a container agent does, to clients with the token. Counts the requests.
#[cfg(unix)]
fn agent() -> Test<(String, Arc<AtomicU32>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    let requests = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&requests);
    let answer = move |stream: TcpStream| -> Test {
        let mut stream = BufReader::new(stream);
        let (mut line, mut is_ours) = (String::new(), false);
        while stream.read_line(&mut line)? > 2 {
            is_ours |= line
                .to_ascii_lowercase()
                .starts_with("authorization: canary");
            line.clear();
        }
        let soon = Command::new("date")
            .args(["-u", "-d", "+2 seconds", "+%Y-%m-%dT%H:%M:%SZ"])
            .output()?;
        let keys = serde_json::json!({
            "AccessKeyId": ACCESS,
            "SecretAccessKey": SECRET,
            "Token": "CANARYTOKEN",
            "Expiration": String::from_utf8(soon.stdout)?.trim(),
        });
        let (status, keys) = if is_ours {
            counted.fetch_add(1, Ordering::Relaxed);
            (200, keys.to_string())
        } else {
            (401, String::new())
        };
        let (stream, len) = (stream.get_mut(), keys.len());
        write!(
            stream,
            "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\
             connection: close\r\n\r\n{keys}"
        )?;
        Ok(())
    };
    // The thread ends with the test process; a failure shows at the client.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(answer(stream));
        }
    });
    Ok((url, requests))
}

/// Keys of a container are asked for again before they are over, in the middle of an export.
#[test]
#[cfg(unix)]
fn s3_credentials_from_a_container_agent_are_renewed() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let (url, requests) = agent()?;
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "CANARY"),
    ];
    let ran = export(&scene, &[], &variables)?.exits(0);
    assert_counts(&ran.summary()?, [40, 0, 0]);
    assert_copy_of_public(&scene, &server, "site 4+%/TRIAL 7/")?;
    let requests = requests.load(Ordering::Relaxed);
    assert!(requests > 1, "asked {requests} times");
    // The agent does not know us.
    let variables = [variables[0], ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "other")];
    let refused = export(&scene, &[], &variables)?;
    assert!(matches!(refused.code, Some(3 | 5)), "{refused:?}");
    let all = format!("{}{}{}{}", ran.out, ran.err, refused.out, refused.err);
    assert!(!all.contains("CANARY"), "{all}");
    Ok(())
}

/// The token of a web identity for keys, which moto gives to everybody.
#[test]
fn s3_credentials_come_from_a_web_identity_token() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    let scene = made(&server)?;
    let token = scene.write("token", b"CANARY")?;
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &*token.to_string_lossy()),
        ("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/trial"),
        ("AWS_ENDPOINT_URL_STS", &server.endpoint()),
        ("AWS_REGION", "eu-central-1"),
    ];
    let ran = export(&scene, &[], &variables)?.exits(0).summary()?;
    assert_counts(&ran, [40, 0, 0]);
    assert!(
        server.log()?.contains("\"POST / "),
        "the service of tokens was asked"
    );
    Ok(())
}

#[test]
fn export_to_s3_names_missing_settings() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let bucket = export(&scene, &[], &[])?.exits(3);
    assert!(
        bucket.err.contains("config set s3.bucket"),
        "{}",
        bucket.err
    );
    scene.set("s3.bucket", BUCKET)?;
    scene.set("s3.endpoint", "http://192.0.2.1:9000")?;
    let clear = export(&scene, &[], &AWS_KEYS)?.exits(3);
    assert!(clear.err.contains("s3.allow_cleartext"), "{}", clear.err);
    let unused = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    scene.set("s3.endpoint", &format!("http://{unused}"))?;
    scene.set("export.attempts", "1")?;
    let away = export(&scene, &[], &AWS_KEYS)?.exits(5);
    let all = format!("{}{}", away.out, away.err);
    assert!(all.contains("cannot be reached"), "{all}");
    Ok(())
}

#[test]
fn s3_authorities_trusts_a_private_certificate_authority() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let Some(server) = S3Server::rclone_tls(ACCESS, SECRET, &authority.identity("server"))? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let refused = export(&scene, &[], &AWS_KEYS)?.exits(5);
    let all = format!("{}{}", refused.out, refused.err);
    assert!(all.contains("to s3.authorities"), "{all}");
    for (name, text, problem) in [
        ("none.pem", None, "cannot read the file of s3.authorities"),
        ("words.pem", Some("words"), "-----BEGIN CERTIFICATE-----"),
    ] {
        if let Some(text) = text {
            scene.write(&format!("project/{name}"), text.as_bytes())?;
        }
        scene.set("s3.authorities", name)?;
        let unusable = export(&scene, &[], &AWS_KEYS)?.exits(3);
        assert!(unusable.err.contains(problem), "{}", unusable.err);
    }
    let trusted = authority.trusted();
    scene.set("s3.authorities", &trusted.to_string_lossy())?;
    let ran = export(&scene, &[], &AWS_KEYS)?.exits(0).summary()?;
    assert_counts(&ran, [40, 0, 0]);
    assert_copy_of_public(&scene, &server, "site 4+%/TRIAL 7/")
}
