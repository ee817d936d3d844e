//! `anon export s3`: to rclone, which checks signatures, with keys and as a Cognito user.

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
#[cfg(all(feature = "keyring", feature = "cognito"))]
use crate::shared::servers::{
    self,
    need::{self, Need},
};
use crate::support::{Ran, Scene, Test, finish, tree};

const ACCESS: &str = "ANONKEY";
const SECRET: &str = "anon-secret-key";

/// A project with images, and settings for a server.
fn made(server: &S3Server) -> Test<Scene> {
    let scene = Scene::new()?;
    scene.cts(40)?;
    scene
        .run(&["init", "project", "--name", "TRIAL 7"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    set(&scene, "s3.endpoint", &server.endpoint())?;
    set(&scene, "s3.bucket", BUCKET)?;
    set(&scene, "s3.prefix", "site 4+%")?;
    Ok(scene)
}

pub(crate) fn set(scene: &Scene, key: &str, value: &str) -> Test {
    scene.json(&["config", "set", key, value])?.exits(0);
    Ok(())
}

/// Runs with these variables, and none of AWS.
fn export(scene: &Scene, more: &[&str], variables: &[(&str, &str)]) -> Test<Ran> {
    let start = ["-p", "project", "--format", "json", "export", "s3", "--all"];
    let mut command = scene.command(&[&start, more].concat());
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

const OF_AWS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", ACCESS),
    ("AWS_SECRET_ACCESS_KEY", SECRET),
];

fn counts(summary: &Value) -> [&Value; 3] {
    ["sent", "skipped", "failed"].map(|field| &summary[field])
}

/// The bucket holds what `public/` holds, and nothing else.
#[track_caller]
fn is_copy(scene: &Scene, server: &S3Server, below: &str) -> Test {
    let there: BTreeMap<_, _> = tree(&server.files())?
        .into_iter()
        .filter_map(|(name, bytes)| Some((name.strip_prefix(below)?.to_owned(), bytes)))
        .collect();
    assert!(there == scene.public()?, "{below} is no copy of public/");
    Ok(())
}

#[test]
fn everything_goes_to_s3_once() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let dry = export(&scene, &["--dry-run"], &OF_AWS)?.exits(0);
    assert_eq!(
        counts(&dry.summary()?),
        [40, 0, 0].map(Value::from).each_ref()
    );
    assert!(tree(&server.files())?.is_empty(), "a dry run sends");
    let ran = export(&scene, &[], &OF_AWS)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
    is_copy(&scene, &server, "site 4+%/TRIAL 7/")?;
    let again = export(&scene, &[], &OF_AWS)?.exits(0).summary()?;
    assert_eq!(counts(&again), [0, 40, 0].map(Value::from).each_ref());
    // Without its journal the bucket itself is asked: lengths and ETags tell.
    fs::remove_dir_all(scene.project().join("export"))?;
    let again = export(&scene, &[], &OF_AWS)?.exits(0).summary()?;
    assert_eq!(counts(&again), [0, 40, 0].map(Value::from).each_ref());
    Ok(())
}

/// The same length and another byte: names alone do not tell.
#[test]
fn what_was_damaged_is_sent_again() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    export(&scene, &[], &OF_AWS)?.exits(0);
    let top = server.files().join("site 4+%/TRIAL 7");
    let first = scene.public()?.into_keys().next().ok_or("an output")?;
    let mut bytes = fs::read(top.join(&first))?;
    let last = bytes.last_mut().ok_or("a byte")?;
    *last ^= 1;
    std::io::Write::write_all(&mut fs::File::create(top.join(&first))?, &bytes)?;
    let ran = export(&scene, &[], &OF_AWS)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [1, 39, 0].map(Value::from).each_ref());
    is_copy(&scene, &server, "site 4+%/TRIAL 7/")
}

#[test]
fn keys_come_from_where_the_settings_say() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let without = export(&scene, &[], &[])?.exits(3).summary()?;
    let said = without["error"].as_str().unwrap_or_default();
    assert!(said.contains("no S3 credentials"), "{without}");
    set(&scene, "s3.access_key_env", "TRIAL_KEY")?;
    let half = export(&scene, &[], &OF_AWS)?.exits(3);
    assert!(half.err.contains("s3.secret_key_env"), "{}", half.err);
    set(&scene, "s3.secret_key_env", "TRIAL_SECRET")?;
    let unset = export(&scene, &[], &OF_AWS)?.exits(3);
    assert!(unset.err.contains("TRIAL_KEY"), "{}", unset.err);
    let wrong = [("TRIAL_KEY", ACCESS), ("TRIAL_SECRET", "CANARY")];
    let wrong = export(&scene, &[], &wrong)?.exits(5);
    let all = format!("{}{}", wrong.out, wrong.err);
    assert!(
        all.contains("the secret is not that of the access key"),
        "{all}"
    );
    assert!(!all.contains("CANARY"), "{all}");
    let right = [("TRIAL_KEY", ACCESS), ("TRIAL_SECRET", SECRET)];
    export(&scene, &[], &right)?.exits(0);
    set(&scene, "s3.access_key_env", "")?;
    set(&scene, "s3.secret_key_env", "")?;
    let lines = format!("access_key = {ACCESS}\nsecret_key = {SECRET}\n");
    let file = scene.write("keys", lines.as_bytes())?;
    set(&scene, "s3.credentials_file", &file.to_string_lossy())?;
    #[cfg(unix)]
    {
        crate::support::chmod(&file, 0o644)?;
        let open = export(&scene, &[], &[])?.exits(3);
        assert!(open.err.contains("chmod 600"), "{}", open.err);
        crate::support::chmod(&file, 0o600)?;
    }
    let ran = export(&scene, &[], &[])?.exits(0).summary()?;
    assert_eq!(counts(&ran), [0, 40, 0].map(Value::from).each_ref());
    Ok(())
}

/// The JSON events of patients: each has this error, and each patient one of them.
#[track_caller]
fn each_is_told(scene: &Scene, ran: &Ran, words: &str) -> Test {
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
fn what_holds_for_all_is_told_of_each_patient() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = Scene::new()?;
    scene.patients_of_one(25)?;
    scene
        .run(&["init", "project", "--name", "TRIAL 7"])?
        .exits(0);
    scene.json(&["import", "in"])?.exits(0);
    set(&scene, "s3.endpoint", &server.endpoint())?;
    set(&scene, "s3.bucket", BUCKET)?;
    let keys = |access, secret| {
        [
            ("AWS_ACCESS_KEY_ID", access),
            ("AWS_SECRET_ACCESS_KEY", secret),
        ]
    };
    let wrong_key = export(&scene, &[], &keys("OTHER", SECRET))?.exits(5);
    each_is_told(&scene, &wrong_key, "does not know the access key: check it")?;
    let wrong_secret = export(&scene, &[], &keys(ACCESS, "CANARY"))?.exits(5);
    each_is_told(
        &scene,
        &wrong_secret,
        "not that of the access key: check both",
    )?;
    let mut command = scene.command(&["-p", "project", "export", "s3", "--all"]);
    let ran = finish(command.envs(keys(ACCESS, "CANARY")))?.exits(5);
    let error = "the secret is not that of the access key";
    let named = scene.patients()?;
    let named = named
        .iter()
        .filter(|it| ran.out.contains(&format!("{it}: {error}")));
    assert_eq!(named.count(), 10, "{}", ran.out);
    let rest = format!("the remaining 15 patients: {error}");
    assert!(ran.out.contains(&rest), "{}", ran.out);
    set(&scene, "s3.bucket", "no-such-bucket")?;
    let no_bucket = export(&scene, &[], &OF_AWS)?.exits(5);
    each_is_told(
        &scene,
        &no_bucket,
        "the bucket is not there: check its name",
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
    let selected = finish(scene.command(&arguments).envs(OF_AWS))?.exits(5);
    let events = selected.events()?;
    let told = events.iter().filter(|event| event["event"] == "patient");
    assert_eq!(told.count(), 1, "{}", selected.out);
    set(&scene, "s3.bucket", BUCKET)?;
    let ran = export(&scene, &[], &OF_AWS)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [25, 0, 0].map(Value::from).each_ref());
    is_copy(&scene, &server, "TRIAL 7/")
}

/// Keys that may not touch one patient's place: that patient has the error, the others are sent, exit 1.
#[test]
fn what_is_denied_is_told_of_its_patient() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let patients = scene.patients()?;
    let denied = patients.first().ok_or("a patient")?;
    let keys = server.denying(&format!("*/{denied}/*"))?;
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
            let allow = "denies s3:PutObject: allow it for these credentials";
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
fn the_bucket_stands_in_the_host() -> Test {
    let Some(server) = S3Server::rclone_with(ACCESS, SECRET, &[("PATH_STYLE", "false")])? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let endpoint = format!("http://localhost:{}", server.address().port());
    set(&scene, "s3.endpoint", &endpoint)?;
    set(&scene, "s3.addressing", "host")?;
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
            .envs(OF_AWS);
        let ran = finish(&mut command)?.exits(0).summary()?;
        assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
        return is_copy(&scene, &server, "site 4+%/TRIAL 7/");
    }
    // Not by a macro: the test harness would keep it from whoever runs the tests.
    writeln!(
        std::io::stderr(),
        "skipped: no mount namespace (unshare --mount) can be had"
    )?;
    Ok(())
}

/// As the tools of AWS find them: a profile, by the setting or the variable.
#[test]
fn keys_come_from_a_profile() -> Test {
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
    assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
    is_copy(&scene, &server, "site 4+%/TRIAL 7/")?;
    set(&scene, "s3.profile", "trial")?;
    let ran = export(&scene, &[], &[])?.exits(0).summary()?;
    assert_eq!(counts(&ran), [0, 40, 0].map(Value::from).each_ref());
    Ok(())
}

/// Hands out keys as the agent of a container does, to who has the token; they last for a moment. Says
/// how often it was asked.
#[cfg(unix)]
fn agent() -> Test<(String, Arc<AtomicU32>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/keys", listener.local_addr()?);
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
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
    // It ends with the test process; who asks sees what goes wrong.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(answer(stream));
        }
    });
    Ok((url, asked))
}

/// Keys of a container are asked for again before they are over, in the middle of an export.
#[test]
#[cfg(unix)]
fn keys_of_a_container_are_renewed() -> Test {
    let Some(server) = S3Server::rclone(ACCESS, SECRET)? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let (url, asked) = agent()?;
    let variables = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*url),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "CANARY"),
    ];
    let ran = export(&scene, &[], &variables)?.exits(0);
    assert_eq!(
        counts(&ran.summary()?),
        [40, 0, 0].map(Value::from).each_ref()
    );
    is_copy(&scene, &server, "site 4+%/TRIAL 7/")?;
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 1, "asked {asked} times");
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
fn keys_come_from_a_web_identity() -> Test {
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
    assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
    assert!(
        server.log()?.contains("\"POST / "),
        "the service of tokens was asked"
    );
    Ok(())
}

#[test]
fn what_is_not_set_is_named() -> Test {
    let scene = Scene::new()?;
    scene.run(&["init", "project"])?.exits(0);
    let bucket = export(&scene, &[], &[])?.exits(3);
    assert!(
        bucket.err.contains("anon config set s3.bucket"),
        "{}",
        bucket.err
    );
    set(&scene, "s3.bucket", BUCKET)?;
    set(&scene, "s3.endpoint", "http://192.0.2.1:9000")?;
    let clear = export(&scene, &[], &OF_AWS)?.exits(3);
    assert!(clear.err.contains("s3.allow_cleartext"), "{}", clear.err);
    let unused = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    set(&scene, "s3.endpoint", &format!("http://{unused}"))?;
    set(&scene, "export.attempts", "1")?;
    let away = export(&scene, &[], &OF_AWS)?.exits(5);
    let all = format!("{}{}", away.out, away.err);
    assert!(all.contains("cannot be reached"), "{all}");
    Ok(())
}

#[test]
fn an_authority_of_ones_own_is_named_in_the_settings() -> Test {
    let Some(authority) = Authority::new()? else {
        return Ok(());
    };
    let Some(server) = S3Server::rclone_tls(ACCESS, SECRET, &authority.identity("server"))? else {
        return Ok(());
    };
    let scene = made(&server)?;
    let refused = export(&scene, &[], &OF_AWS)?.exits(5);
    let all = format!("{}{}", refused.out, refused.err);
    assert!(all.contains("in s3.authorities"), "{all}");
    for (name, text, problem) in [
        ("none.pem", None, "s3.authorities cannot be read"),
        ("words.pem", Some("words"), "-----BEGIN CERTIFICATE-----"),
    ] {
        if let Some(text) = text {
            scene.write(&format!("project/{name}"), text.as_bytes())?;
        }
        set(&scene, "s3.authorities", name)?;
        let unusable = export(&scene, &[], &OF_AWS)?.exits(3);
        assert!(unusable.err.contains(problem), "{}", unusable.err);
    }
    let trusted = authority.trusted();
    set(&scene, "s3.authorities", &trusted.to_string_lossy())?;
    let ran = export(&scene, &[], &OF_AWS)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
    is_copy(&scene, &server, "site 4+%/TRIAL 7/")
}

/// A project for the user `tester` of this Cognito.
#[cfg(feature = "cognito")]
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
        set(&scene, key, value)?;
    }
    Ok(scene)
}

/// A Cognito user with a project, moto for Cognito, and rclone with the keys that moto gives to everybody.
#[cfg(feature = "cognito")]
pub(crate) struct User {
    pub(crate) scene: Scene,
    ids: BTreeMap<String, String>,
    server: S3Server,
    _cognito: S3Server,
}

#[cfg(feature = "cognito")]
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

/// Not a word of a password, a key or a token, however much is to be told.
#[test]
#[cfg(feature = "cognito")]
fn nothing_secret_is_said_at_any_level() -> Test {
    let Some(user) = User::start()? else {
        return Ok(());
    };
    set(&user.scene, "s3.password_env", "TRIAL_PASSWORD")?;
    let password = user.id("PASSWORD");
    let verbose = ["-vvv", "-p", "project", "export", "s3", "--all"];
    let mut command = user.scene.command(&verbose);
    let ran = finish(command.env("TRIAL_PASSWORD", password))?.exits(0);
    let said = format!("{}{}", ran.out, ran.err);
    assert!(said.contains("TRACE anon_export"), "{said}");
    // The keys and the session token of moto, and how tokens of JSON begin.
    for secret in [password, "TESTACCESSKEY", "ABCSECRETKEY", "ABC12345", "eyJ"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
    set(&user.scene, "s3.username", "")?;
    set(&user.scene, "s3.password_env", "")?;
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

/// A pool that takes the connection and never answers, or never ends its answer.
#[test]
#[cfg(feature = "cognito")]
fn a_pool_that_stalls_is_told_of_each_patient() -> Test {
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
        set(&scene, key, value)?;
    }
    for begins in ["", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
        let stalls = stalls.try_clone()?;
        let connection = std::thread::spawn(move || -> std::io::Result<TcpStream> {
            let mut connection = BufReader::new(stalls.accept()?.0);
            // An answer before the question would be none.
            let mut line = String::new();
            while connection.read_line(&mut line)? > 2 {
                line.clear();
            }
            let mut connection = connection.into_inner();
            connection.write_all(begins.as_bytes())?;
            Ok(connection)
        });
        let ran = export(&scene, &[], &[("TRIAL_PASSWORD", "CANARY")])?.exits(5);
        each_is_told(&scene, &ran, "Cognito did not answer in time")?;
        drop(connection.join().map_err(|_| "it was asked")??);
    }
    Ok(())
}

/// A login at a pool that does not answer is given up when a signal comes.
#[test]
#[cfg(all(feature = "cognito", unix))]
fn a_signal_ends_a_login() -> Test {
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
        set(&scene, key, value)?;
    }
    let child = scene
        .command(&["-p", "project", "--format", "json", "export", "s3", "--all"])
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
#[cfg(feature = "cognito")]
fn a_cognito_user_exports_into_the_own_directory() -> Test {
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
    set(&scene, "s3.password_env", "TRIAL_PASSWORD")?;
    let wrong = export(&scene, &[], &[("TRIAL_PASSWORD", "CANARY")])?.exits(5);
    each_is_told(&scene, &wrong, "user name or the password: check both")?;
    let said = format!("{}{}", wrong.out, wrong.err);
    assert!(!said.contains("CANARY"), "{said}");
    let right = [("TRIAL_PASSWORD", id("PASSWORD"))];
    let ran = export(&scene, &[], &right)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
    is_copy(&scene, &server, &format!("site 4+%/{}/TRIAL 7/", id("SUB")))?;
    // The password itself, where a name should be, is not repeated.
    let mistaken = export(&scene, &["--new-password-env", "CANARY-1!"], &right)?.exits(3);
    let said = format!("{}{}", mistaken.out, mistaken.err);
    assert!(
        said.contains("no name of an environment variable"),
        "{said}"
    );
    assert!(!said.contains("CANARY"), "{said}");
    // A user who must choose a new password: it is never made up.
    set(&scene, "s3.username", "newcomer")?;
    let temporary = ("TRIAL_PASSWORD", id("TEMPORARY"));
    let wanted = export(&scene, &[], &[temporary])?.exits(3);
    assert!(wanted.err.contains("--new-password-env"), "{}", wanted.err);
    let new = ["--new-password-env", "TRIAL_NEW"];
    let given = [temporary, ("TRIAL_NEW", "New-Passw0rd!")];
    export(&scene, &new, &given)?.exits(0);
    let later = [("TRIAL_PASSWORD", "New-Passw0rd!")];
    let ran = export(&scene, &[], &later)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [0, 40, 0].map(Value::from).each_ref());
    Ok(())
}

/// In a session of its own, with GNOME Keyring.
#[test]
#[cfg(all(feature = "keyring", feature = "cognito"))]
fn the_password_comes_from_the_keyring() -> Test {
    let (Some(cognito), Some(server)) = (
        S3Server::moto()?,
        S3Server::rclone("TESTACCESSKEY12345", "ABCSECRETKEY")?,
    ) else {
        return Ok(());
    };
    if !need::here(&[Need::Keyring])? {
        return Ok(());
    }
    let ids = cognito.cognito()?;
    let scene = made_for_user(&server, &cognito, &ids)?;
    let of_session = |user: &str, password: &str, args: &[&str]| -> Test<Ran> {
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
    let args = ["-p", "project", "--format", "json", "export", "s3", "--all"];
    let password = ids.get("PASSWORD").ok_or("a password")?;
    set(&scene, "s3.password_keyring", "anon trial/tester")?;
    let absent = of_session("other", password, &args)?.exits(3);
    assert!(
        absent
            .err
            .contains("anon trial/tester is not there: store it"),
        "{}",
        absent.err
    );
    let wrong = of_session("tester", "CANARY", &args)?.exits(5);
    assert!(!format!("{}{}", wrong.out, wrong.err).contains("CANARY"));
    let ran = of_session("tester", password, &args)?.exits(0).summary()?;
    assert_eq!(counts(&ran), [40, 0, 0].map(Value::from).each_ref());
    let log = fs::read_to_string(scene.project().join("private/logs/anon.log"))?;
    assert!(!log.contains("CANARY") && !log.contains(password), "{log}");
    // Without a session.
    let nowhere = [
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"),
        ("XDG_RUNTIME_DIR", "/nowhere"),
    ];
    let alone = export(&scene, &[], &nowhere)?.exits(3);
    assert!(
        alone.err.contains("no keyring of the system"),
        "{}",
        alone.err
    );
    set(&scene, "s3.password_env", "TRIAL_PASSWORD")?;
    let both = export(&scene, &[], &[("TRIAL_PASSWORD", password)])?.exits(3);
    assert!(both.err.contains("unset one of them"), "{}", both.err);
    Ok(())
}
