//! Renewal of expiring keys, and failures that a real pool cannot be made to produce.

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
use crate::setup::{PART, bytes, config, key, put, with_short_timeouts};
use crate::shared::{Test, wait};

/// Responds like a pool whose keys expire after so many seconds. The keys contain the number of the
/// request.
fn respond(request: &CognitoRequest, lifetime: u64) -> (u16, Value) {
    let response = match request.name.as_str() {
        "InitiateAuth" => json!({ "AuthenticationResult": {
            "IdToken": format!("id-{}", request.before),
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
                "AccessKeyId": format!("KEY{}", request.before),
                "SecretKey": "secret",
                "SessionToken": format!("token-{}", request.before),
                "Expiration": now.as_secs_f64() + Duration::from_secs(lifetime).as_secs_f64(),
            }})
        }
    };
    (200, response)
}

#[expect(
    clippy::disallowed_methods,
    reason = "an expiration is a wall clock time"
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

/// Returns the session tokens of the puts, in their order.
fn tokens(s3: &FakeS3) -> Vec<String> {
    let token =
        |head: &crate::fake_s3::RequestHead| head.header("x-amz-security-token").map(str::to_owned);
    s3.seen(RequestKind::Put).iter().filter_map(token).collect()
}

#[test]
fn valid_keys_are_not_renewed() -> Test {
    let (s3, pool) = (
        FakeS3::start(|_, _| None)?,
        FakeCognito::start(|it| respond(it, 3600))?,
    );
    let sink = open(&s3, &pool)?;
    for n in 0..5 {
        put(&sink, &key(n), b"object")?;
    }
    assert_eq!(pool.request_count("GetCredentialsForIdentity"), 1);
    assert_eq!(tokens(&s3), ["token-0"; 5]);
    assert_eq!(
        s3.seen(RequestKind::Put)[0].path,
        format!("trials/0f0e0d0c/TRIAL-7/{}", key(0))
    );
    Ok(())
}

/// Keys with a lifetime of two seconds are renewed after one, by one of the requests that need
/// them.
#[test]
fn keys_are_renewed_before_they_expire() -> Test {
    let (s3, pool) = (
        FakeS3::start(|_, _| None)?,
        FakeCognito::start(|it| respond(it, 2))?,
    );
    let sink = open(&s3, &pool)?;
    wait::until("keys are renewed", Duration::from_mins(1), || {
        put(&sink, &key(1), b"object")?;
        Ok(pool.request_count("GetCredentialsForIdentity") >= 3)
    })?;
    put(&sink, &key(2), b"object")?;
    let tokens = tokens(&s3);
    assert!(
        tokens.is_sorted(),
        "older keys used after newer ones: {tokens:?}"
    );
    assert!(tokens.len() > 3 && tokens.iter().any(|it| it != "token-0"));
    assert_eq!(pool.request_count("InitiateAuth"), 1, "no second login");
    Ok(())
}

#[test]
fn rejected_keys_are_renewed() -> Test {
    let s3 = FakeS3::start(|head, before| {
        let expired = head.kind() == RequestKind::Put && before == 0;
        expired.then_some(ServiceFault::Rejects(400, "ExpiredToken", None))
    })?;
    let pool = FakeCognito::start(|it| respond(it, 3600))?;
    let sink = open(&s3, &pool)?;
    match put(&sink, &key(1), b"object") {
        Err(Error::S3(error @ S3Error::Renewing)) => assert_eq!(error.remedy(), Remedy::Retry),
        other => panic!("{other:?}"),
    }
    put(&sink, &key(1), b"object")?;
    assert_eq!(tokens(&s3), ["token-0", "token-1"]);
    Ok(())
}

/// The ID token has expired: it is refreshed, and then the keys are renewed.
#[test]
fn expired_id_token_is_refreshed() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    let pool = FakeCognito::start(|it| {
        let with = |token: &str| it.body["Logins"].to_string().contains(token);
        match it.name.as_str() {
            "GetCredentialsForIdentity" if it.before > 0 && with("id-0") => {
                refusal("NotAuthorizedException")
            }
            _ => respond(it, 1),
        }
    })?;
    let sink = open(&s3, &pool)?;
    wait::until("the token is refreshed", Duration::from_mins(1), || {
        put(&sink, &key(1), b"object")?;
        Ok(pool.request_count("InitiateAuth") >= 2)
    })?;
    put(&sink, &key(1), b"object")?;
    Ok(())
}

/// A failed renewal is an error only once the old keys have expired.
#[test]
fn failed_renewal_ends_the_session_when_keys_expire() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    let pool = FakeCognito::start(|it| match it.name.as_str() {
        "GetCredentialsForIdentity" if it.before > 0 => refusal("NotAuthorizedException"),
        "InitiateAuth" if it.is_refresh() => refusal("NotAuthorizedException"),
        // Long enough for a put, even on a busy machine.
        _ => respond(it, 8),
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
    assert!(pool.request_count("GetCredentialsForIdentity") > 1);
    assert!(!s3.objects().is_empty(), "the first keys were used");
    Ok(())
}

/// The request for the identity contains the account, if configured.
#[test]
fn account_is_sent_with_the_identity_request() -> Test {
    let s3 = FakeS3::start(|_, _| None)?;
    for account in [None, Some("123456789012")] {
        let observed = std::sync::Arc::new(std::sync::Mutex::new(None));
        let recorder = std::sync::Arc::clone(&observed);
        let pool = FakeCognito::start(move |it| {
            if it.name == "GetId" {
                *recorder.lock().expect("the request") = Some(it.body.clone());
            }
            respond(it, 3600)
        })?;
        let login = Credentials::Cognito(Box::new(pool.login_with(account)));
        S3Sink::open(config(&s3.endpoint()).with_credentials(login))?;
        let observed = observed
            .lock()
            .expect("the request")
            .take()
            .ok_or("no request")?;
        assert_eq!(observed["AccountId"].as_str(), account);
        let login = "cognito-idp.eu-central-1.amazonaws.com/eu-central-1_pool";
        assert_eq!(observed["Logins"][login], "id-0", "{observed}");
    }
    Ok(())
}

#[test]
fn unreachable_pool_is_an_error() -> Test {
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

/// An export whose keys are rejected continues with new ones, and everything is stored byte for
/// byte.
#[test]
fn export_continues_with_renewed_keys() -> Test {
    let s3 = FakeS3::start(|head, before| {
        let expired =
            matches!(head.kind(), RequestKind::Put | RequestKind::KeyPart) && before % 3 == 1;
        expired.then_some(ServiceFault::Rejects(400, "ExpiredToken", None))
    })?;
    let pool = FakeCognito::start(|it| respond(it, 3600))?;
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
        pool.request_count("GetCredentialsForIdentity") > 1,
        "they were renewed"
    );
    let stored = s3.objects();
    for (key, object) in source.iter() {
        let path = format!("trials/0f0e0d0c/TRIAL-7/{key}");
        assert!(stored.get(&path).is_some_and(|it| it == object), "{key}");
    }
    assert_eq!((stored.len(), s3.uploads()), (12, 0));
    Ok(())
}

/// The pool stalls when keys are renewed. If it stalls once, the request is retried; if it always
/// stalls, each patient gets the error.
#[test]
fn stalled_renewal_is_retried_or_fails_each_patient() -> Test {
    for always in [false, true] {
        // The first keys are rejected.
        let s3 = FakeS3::start(|head, _| {
            let is_old = head.header("x-amz-security-token") == Some("token-0");
            let expired = ServiceFault::Rejects(400, "ExpiredToken", None);
            (is_old && head.kind() == RequestKind::Put).then_some(expired)
        })?;
        let pool = FakeCognito::start(move |it| {
            let renews = it.name == "GetCredentialsForIdentity" && it.before > 0;
            if renews && (always || it.before == 1) {
                loop {
                    std::thread::park();
                }
            }
            respond(it, 3600)
        })?;
        let login = Credentials::Cognito(Box::new(pool.login()));
        let sink = S3Sink::open(with_short_timeouts(&s3.endpoint()).with_credentials(login))?;
        let options = ExportOptions::default()
            .with_attempts(NonZeroU32::MIN.saturating_add(3))
            .with_give_up_after(NonZeroU32::MIN)
            .with_objects(NonZeroUsize::MIN)
            .with_backoff(Backoff::new(Duration::ZERO, Duration::ZERO));
        let recorded = CollectedEvents::default();
        let ended = Exporter::new(Arc::new(sink)).with_options(options).export(
            &source()?,
            &Selection::all(),
            &Cancel::new(),
            &recorded,
        );
        if always {
            let ended = ended.expect_err("nothing can be put");
            let stalled = |error: &Error| matches!(error, Error::Cognito(CognitoError::Stalled));
            assert!(stalled(&ended.error), "{ended:?}");
            let patients = recorded.patients.into_inner()?;
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
fn each_unexpected_login_response_has_its_error() -> Test {
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
    for (name, response, expected) in table {
        let pool = FakeCognito::start(move |it| {
            if it.name == name {
                response.clone()
            } else {
                respond(it, 3600)
            }
        })?;
        match open(&s3, &pool) {
            Err(Error::Cognito(error)) => {
                let all = format!("{error} {error:?}");
                assert!(!all.contains("CANARY"), "{all}");
                assert_eq!(error, expected, "{name}");
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    Ok(())
}
