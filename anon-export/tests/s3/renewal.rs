//! Keys that expire and are renewed, and refusals that no real pool can be brought to.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anon_export::cognito::{CognitoError, Login, LoginStep, Pools};
use anon_export::s3::{Credentials, S3Error, S3Sink, ServiceText};
use anon_export::{
    Backoff, Cancel, Error, ExportOptions, Exporter, MemorySource, Quiet, Remedy, Selection,
};
use serde_json::{Value, json};

use crate::export::{CollectedEvents, source};
use crate::fake_cognito::{CognitoRequest, FakeCognito};
use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::setup::{PART, bytes, config, impatient, key, put};
use crate::shared::{Test, wait};

/// What a pool answers whose keys last for so many seconds. The number of the request is in the keys.
fn fine(asked: &CognitoRequest, lasts: u64) -> (u16, Value) {
    let answer = match asked.name.as_str() {
        "InitiateAuth" => json!({ "AuthenticationResult": {
            "IdToken": format!("id-{}", asked.before),
            "AccessToken": "access",
            "RefreshToken": "refresh",
            "ExpiresIn": 3600,
        }}),
        "GetUser" => json!({ "Username": "tester", "UserAttributes": [
            { "Name": "email", "Value": "tester@example.org" },
            { "Name": "sub", "Value": "0f0e0d0c" },
        ]}),
        "GetId" => json!({ "IdentityId": "eu-central-1:me" }),
        _ => {
            let now = clock().duration_since(UNIX_EPOCH).unwrap_or_default();
            json!({ "Credentials": {
                "AccessKeyId": format!("KEY{}", asked.before),
                "SecretKey": "secret",
                "SessionToken": format!("token-{}", asked.before),
                "Expiration": now.as_secs_f64() + Duration::from_secs(lasts).as_secs_f64(),
            }})
        }
    };
    (200, answer)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an expiration is a time of the day"
)]
fn clock() -> SystemTime {
    SystemTime::now()
}

fn refusal(code: &str) -> (u16, Value) {
    (400, json!({ "__type": code, "message": "CANARY" }))
}

fn open(s3: &FakeS3, pool: &FakeCognito) -> Result<S3Sink, Error> {
    let login = Credentials::Cognito(Box::new(pool.login()));
    S3Sink::open(config(&s3.endpoint()).with_credentials(login))
}

/// The tokens that puts were signed with, in their order.
fn tokens(s3: &FakeS3) -> Vec<String> {
    let token =
        |head: &crate::fake_s3::RequestHead| head.header("x-amz-security-token").map(str::to_owned);
    s3.seen(RequestKind::Put).iter().filter_map(token).collect()
}

#[test]
fn keys_are_kept_while_they_last() -> Test {
    let (s3, pool) = (
        FakeS3::start(|_, _| None)?,
        FakeCognito::start(|it| fine(it, 3600))?,
    );
    let sink = open(&s3, &pool)?;
    for n in 0..5 {
        put(&sink, &key(n), b"object")?;
    }
    assert_eq!(pool.asked("GetCredentialsForIdentity"), 1);
    assert_eq!(tokens(&s3), ["token-0"; 5]);
    assert_eq!(
        s3.seen(RequestKind::Put)[0].path,
        format!("trials/0f0e0d0c/TRIAL-7/{}", key(0))
    );
    Ok(())
}

/// Keys of two seconds are renewed when one is left, by one of those who need them.
#[test]
fn keys_are_renewed_before_they_expire() -> Test {
    let (s3, pool) = (
        FakeS3::start(|_, _| None)?,
        FakeCognito::start(|it| fine(it, 2))?,
    );
    let sink = open(&s3, &pool)?;
    wait::until("keys are renewed", Duration::from_mins(1), || {
        put(&sink, &key(1), b"object")?;
        Ok(pool.asked("GetCredentialsForIdentity") >= 3)
    })?;
    put(&sink, &key(2), b"object")?;
    let tokens = tokens(&s3);
    assert!(
        tokens.is_sorted(),
        "older keys after newer ones: {tokens:?}"
    );
    assert!(tokens.len() > 3 && tokens.iter().any(|it| it != "token-0"));
    assert_eq!(pool.asked("InitiateAuth"), 1, "nobody logs in again");
    Ok(())
}

#[test]
fn keys_that_are_refused_are_renewed() -> Test {
    let s3 = FakeS3::start(|head, before| {
        let expired = head.kind() == RequestKind::Put && before == 0;
        expired.then_some(ServiceFault::Refuses(400, "ExpiredToken", None))
    })?;
    let pool = FakeCognito::start(|it| fine(it, 3600))?;
    let sink = open(&s3, &pool)?;
    match put(&sink, &key(1), b"object") {
        Err(Error::S3(error @ S3Error::Renewing)) => assert_eq!(error.remedy(), Remedy::Retry),
        other => panic!("{other:?}"),
    }
    put(&sink, &key(1), b"object")?;
    assert_eq!(tokens(&s3), ["token-0", "token-1"]);
    Ok(())
}

/// The ID token is over: a new one by the refresh token, and the keys with it.
#[test]
fn an_old_token_is_refreshed() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    let pool = FakeCognito::start(|it| {
        let with = |token: &str| it.body["Logins"].to_string().contains(token);
        match it.name.as_str() {
            "GetCredentialsForIdentity" if it.before > 0 && with("id-0") => {
                refusal("NotAuthorizedException")
            }
            _ => fine(it, 1),
        }
    })?;
    let sink = open(&s3, &pool)?;
    wait::until("the token is refreshed", Duration::from_mins(1), || {
        put(&sink, &key(1), b"object")?;
        Ok(pool.asked("InitiateAuth") >= 2)
    })?;
    put(&sink, &key(1), b"object")?;
    Ok(())
}

/// While the old keys last, a renewal that fails stops nothing; then it does, with its own error.
#[test]
fn a_session_that_cannot_be_renewed_ends() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    let pool = FakeCognito::start(|it| match it.name.as_str() {
        "GetCredentialsForIdentity" if it.before > 0 => refusal("NotAuthorizedException"),
        "InitiateAuth" if it.refreshes() => refusal("NotAuthorizedException"),
        // Long enough for a put, also on a busy machine.
        _ => fine(it, 8),
    })?;
    let sink = open(&s3, &pool)?;
    let mut ended = None;
    wait::until("the session ends", Duration::from_mins(1), || {
        ended = put(&sink, &key(1), b"object").err();
        Ok(ended.is_some())
    })?;
    match ended {
        Some(Error::Cognito(error @ CognitoError::SessionEnded)) => {
            assert_eq!(error.remedy(), Remedy::Stop);
        }
        other => panic!("{other:?}"),
    }
    assert!(pool.asked("GetCredentialsForIdentity") > 1);
    assert!(!s3.objects().is_empty(), "the first keys were used");
    Ok(())
}

/// The account stands in the request for the identity, if it is known.
#[test]
fn the_account_is_told() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    for account in [None, Some("123456789012")] {
        let told = std::sync::Arc::new(std::sync::Mutex::new(None));
        let hears = std::sync::Arc::clone(&told);
        let pool = FakeCognito::start(move |it| {
            if it.name == "GetId" {
                *hears.lock().expect("what was told") = Some(it.body.clone());
            }
            fine(it, 3600)
        })?;
        let login = Credentials::Cognito(Box::new(pool.login_with(account)));
        S3Sink::open(config(&s3.endpoint()).with_credentials(login))?;
        let told = told
            .lock()
            .expect("what was told")
            .take()
            .ok_or("not asked")?;
        assert_eq!(told["AccountId"].as_str(), account);
        let login = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool";
        assert_eq!(told["Logins"][login], "id-0", "{told}");
    }
    Ok(())
}

#[test]
fn a_pool_that_is_away_has_its_error() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    let unused = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let pools = Pools::new("eu-central-1_pool", "client", "eu-central-1:identities");
    let pools = pools.with_endpoint(format!("http://{unused}"));
    let login = Login::new(pools, "tester", crate::setup::text("CANARY"));
    let config = config(&s3.endpoint()).with_credentials(Credentials::Cognito(Box::new(login)));
    match S3Sink::open(config) {
        Err(Error::Cognito(error @ CognitoError::Unreachable)) => {
            assert_eq!(error.remedy(), Remedy::Retry);
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}

/// An export whose keys are refused in the middle goes on with new ones, and what is told as sent is there
/// byte for byte.
#[test]
fn an_export_outlives_its_keys() -> Test {
    let s3 = FakeS3::start(|head, before| {
        let expired =
            matches!(head.kind(), RequestKind::Put | RequestKind::KeyPart) && before % 3 == 1;
        expired.then_some(ServiceFault::Refuses(400, "ExpiredToken", None))
    })?;
    let pool = FakeCognito::start(|it| fine(it, 3600))?;
    let mut source = MemorySource::new();
    for n in 0..12 {
        let len = if n < 2 { PART + 7 } else { 1000 };
        source.insert(key(n), bytes(len, 5));
    }
    let options = ExportOptions::default()
        .with_attempts(NonZeroU32::MIN.saturating_add(30))
        .with_backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
    let all = Selection::all();
    let report = Exporter::new(Arc::new(open(&s3, &pool)?))
        .with_options(options)
        .export(&source, &all, &Cancel::new(), &Quiet)?;
    assert_eq!((report.counts.sent, report.counts.failed), (12, 0));
    assert!(
        pool.asked("GetCredentialsForIdentity") > 1,
        "they were renewed"
    );
    let there = s3.objects();
    for (key, object) in source.iter() {
        let path = format!("trials/0f0e0d0c/TRIAL-7/{key}");
        assert!(there.get(&path).is_some_and(|it| it == object), "{key}");
    }
    assert_eq!((there.len(), s3.uploads()), (12, 0));
    Ok(())
}

/// A pool that falls silent when keys are to be renewed: once, and it is tried again; for good, and each
/// patient is told.
#[test]
fn an_export_meets_a_pool_that_stalls() -> Test {
    for for_good in [false, true] {
        // The first keys are refused.
        let s3 = FakeS3::start(|head, _| {
            let is_old = head.header("x-amz-security-token") == Some("token-0");
            let expired = ServiceFault::Refuses(400, "ExpiredToken", None);
            (is_old && head.kind() == RequestKind::Put).then_some(expired)
        })?;
        let pool = FakeCognito::start(move |it| {
            let renews = it.name == "GetCredentialsForIdentity" && it.before > 0;
            if renews && (for_good || it.before == 1) {
                loop {
                    std::thread::park();
                }
            }
            fine(it, 3600)
        })?;
        let login = Credentials::Cognito(Box::new(pool.login()));
        let sink = S3Sink::open(impatient(&s3.endpoint()).with_credentials(login))?;
        let options = ExportOptions::default()
            .with_attempts(NonZeroU32::MIN.saturating_add(3))
            .with_give_up_after(NonZeroU32::MIN)
            .with_objects(NonZeroUsize::MIN)
            .with_backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
        let told = CollectedEvents::default();
        let ended = Exporter::new(Arc::new(sink)).with_options(options).export(
            &source()?,
            &Selection::all(),
            &Cancel::new(),
            &told,
        );
        if for_good {
            let ended = ended.expect_err("nothing can be put");
            let stalled = |error: &Error| matches!(error, Error::Cognito(CognitoError::Stalled));
            assert!(stalled(&ended.error), "{ended:?}");
            let patients = told.patients.into_inner()?;
            assert_eq!(patients.len(), 4);
            for report in patients.values() {
                assert!(report.error.as_deref().is_some_and(stalled), "{report:?}");
            }
            assert!(s3.objects().is_empty() && s3.uploads() == 0);
        } else {
            assert!(ended?.is_complete());
            assert_eq!((s3.objects().len(), s3.uploads()), (12, 0));
        }
    }
    Ok(())
}

#[test]
fn each_odd_answer_has_its_error() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    let lacks = |step, what| CognitoError::IncompleteResponse { step, what };
    let challenge = |name: &str| CognitoError::Challenge {
        challenge: ServiceText::new(name),
    };
    let table: [(&str, (u16, Value), CognitoError); 11] = [
        (
            "InitiateAuth",
            (200, json!({ "ChallengeName": "SOFTWARE_TOKEN_MFA" })),
            challenge("SOFTWARE_TOKEN_MFA"),
        ),
        (
            "InitiateAuth",
            (200, json!({})),
            lacks(LoginStep::Authenticate, "the result"),
        ),
        (
            "InitiateAuth",
            (200, json!({ "AuthenticationResult": { "IdToken": "x" } })),
            lacks(LoginStep::Authenticate, "the access token"),
        ),
        (
            "InitiateAuth",
            (200, json!("<html>")),
            CognitoError::NotCognito {
                step: LoginStep::Authenticate,
            },
        ),
        (
            "InitiateAuth",
            refusal("PasswordResetRequiredException"),
            CognitoError::PasswordResetRequired,
        ),
        (
            "InitiateAuth",
            refusal("TooManyRequestsException"),
            CognitoError::Throttled,
        ),
        (
            "GetUser",
            (
                200,
                json!({ "UserAttributes": [{ "Name": "email", "Value": "x" }] }),
            ),
            CognitoError::NoSub,
        ),
        (
            "GetUser",
            (
                200,
                json!({ "UserAttributes": [{ "Name": "sub", "Value": "../x" }] }),
            ),
            CognitoError::InvalidSub,
        ),
        (
            "GetId",
            refusal("ResourceNotFoundException"),
            CognitoError::UnknownIdentityPool,
        ),
        (
            "GetCredentialsForIdentity",
            refusal("InvalidIdentityPoolConfigurationException"),
            CognitoError::NoRole,
        ),
        (
            "GetCredentialsForIdentity",
            (200, json!({ "Credentials": { "AccessKeyId": "x" } })),
            lacks(LoginStep::Credentials, "the expiration"),
        ),
    ];
    for (name, answer, wanted) in table {
        let pool = FakeCognito::start(move |it| {
            if it.name == name {
                answer.clone()
            } else {
                fine(it, 3600)
            }
        })?;
        match open(&s3, &pool) {
            Err(Error::Cognito(error)) => {
                let all = format!("{error} {error:?}");
                assert!(!all.contains("CANARY"), "{all}");
                assert_eq!(error, wanted, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    Ok(())
}
