//! Each failure of a real server has its error.

use anon_export::s3::{S3Config, S3Error, S3Sink};
use anon_export::{Error, Remedy, Sink as _};

use crate::export::{CollectedEvents, export, source};
use crate::fake_s3::{FakeS3, RequestKind};
use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, SECRET_KEY, config, key, keys, list, put, with_short_timeouts};
use crate::shared::Test;

/// Checks that `check` and `put` fail with the same error.
fn check_refused(config: S3Config, expected: &S3Error) -> Test {
    let sink = S3Sink::open(config)?;
    for (call, result) in [
        ("check", sink.check()),
        ("put", put(&sink, &key(1), b"object").map(drop)),
    ] {
        match result {
            Err(Error::S3(error)) => {
                assert_eq!(error.remedy(), expected.remedy(), "{call}");
                assert_eq!(error, *expected, "{call}");
            }
            other => return Err(format!("{call}: {expected:?} is expected: {other:?}").into()),
        }
    }
    Ok(())
}

/// A wrong configuration is detected by one request, and each patient gets the error.
#[test]
fn wrong_keys_and_buckets_fail_each_patient_on_rclone() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    let config = || config(&server.endpoint());
    let wrong = |access, secret| config().with_credentials(keys(access, secret));
    let elsewhere = S3Config::new("no-such-bucket", "P")
        .with_endpoint(server.endpoint())
        .with_credentials(keys(ACCESS_KEY, SECRET_KEY));
    for (config, expected, words) in [
        (
            wrong("OTHERKEY", SECRET_KEY),
            S3Error::UnknownKey,
            "does not know the access key: check the key",
        ),
        (
            wrong(ACCESS_KEY, "another secret"),
            S3Error::WrongSecret,
            "does not belong to the access key: check both",
        ),
        (
            elsewhere,
            S3Error::NoBucket,
            "the bucket does not exist: check its name",
        ),
    ] {
        let events = CollectedEvents::default();
        let ended = export(&config, &source()?, &events)?.expect_err("it is refused");
        assert!(
            matches!(&*ended.error, Error::S3(error) if *error == expected),
            "{ended:?}"
        );
        let report = &ended.report;
        assert_eq!((report.patients, report.patients_failed), (4, 4));
        assert_eq!((report.counts.sent, report.counts.found), (0, 0));
        let patients = events.patients.into_inner()?;
        assert_eq!(patients.len(), 4);
        for (patient, report) in patients {
            let error = report.error.ok_or("an error")?;
            assert!(matches!(&*error, Error::S3(error) if *error == expected));
            assert!(error.text().contains(words), "{patient}: {}", error.text());
        }
        assert!(!server.files().exists() || server.files().read_dir()?.next().is_none());
    }
    Ok(())
}

/// Keys without permission for one patient: that patient has the error, and the others are stored.
#[test]
fn denied_prefix_fails_only_its_patient_on_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    let made = server.keys_that_deny("TRIAL-7/S-1/*")?;
    let key = |name: &str| made.get(name).map_or("", String::as_str);
    let config = config(&server.endpoint()).with_credentials(keys(key("ACCESS"), key("SECRET")));
    let events = CollectedEvents::default();
    let report = export(&config, &source()?, &events)??;
    assert_eq!((report.counts.sent, report.counts.failed), (9, 3));
    for (patient, report) in events.patients.into_inner()? {
        let denied = report.error.as_deref();
        let is_denied = matches!(denied, Some(Error::S3(S3Error::Denied { .. })));
        assert_eq!(is_denied, patient == "S-1", "{patient}: {report:?}");
        assert_eq!(report.counts.sent, if is_denied { 0 } else { 3 });
    }
    let sink = S3Sink::open(config)?;
    for (patient, count) in [("S-0", 3), ("S-1", 0), ("S-2", 3), ("S-3", 3)] {
        assert_eq!(list(&sink, patient)?.len(), count, "{patient}");
    }
    Ok(())
}

#[test]
fn wrong_keys_and_buckets_are_refused_by_rclone() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    let config = || config(&server.endpoint());
    let wrong = |access, secret| config().with_credentials(keys(access, secret));
    check_refused(wrong("OTHERKEY", SECRET_KEY), &S3Error::UnknownKey)?;
    check_refused(wrong(ACCESS_KEY, "another secret"), &S3Error::WrongSecret)?;
    let elsewhere = S3Config::new("no-such-bucket", "P")
        .with_endpoint(server.endpoint())
        .with_credentials(keys(ACCESS_KEY, SECRET_KEY));
    check_refused(elsewhere, &S3Error::NoBucket)
}

#[test]
fn cleartext_to_another_machine_is_refused() {
    let refused = S3Sink::open(config("http://192.0.2.1:9000"));
    assert!(
        matches!(refused, Err(Error::S3(S3Error::Cleartext))),
        "{refused:?}"
    );
}

/// Without an endpoint the region must be known. It is the one that requests are signed for.
#[test]
fn region_is_required_and_signed() -> Test {
    let nowhere = S3Config::new("trials", "P").with_credentials(keys(ACCESS_KEY, SECRET_KEY));
    let refused = S3Sink::open(nowhere);
    assert!(
        matches!(refused, Err(Error::S3(S3Error::NoRegion))),
        "{refused:?}"
    );
    let server = FakeS3::start(|_, _| None)?;
    S3Sink::open(config(&server.endpoint()))?.check()?;
    let signed = server.seen(RequestKind::List)[0]
        .header("authorization")
        .map(str::to_owned);
    assert!(
        signed
            .as_ref()
            .is_some_and(|it| it.contains("/eu-central-1/s3/")),
        "{signed:?}"
    );
    Ok(())
}

#[test]
fn unreachable_service_is_an_error() -> Test {
    let unused = std::net::TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", unused.local_addr()?);
    drop(unused);
    let sink = S3Sink::open(with_short_timeouts(&endpoint))?;
    match sink.check() {
        Err(Error::S3(S3Error::Unreachable)) => {}
        other => panic!("{other:?}"),
    }
    let sink = S3Sink::open(with_short_timeouts("https://no-such-host.invalid"))?;
    match sink.check() {
        Err(Error::S3(error @ S3Error::Unreachable)) => {
            assert_eq!(error.remedy(), Remedy::Retry);
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}
