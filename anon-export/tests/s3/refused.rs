//! What real servers refuse has its own error.

use anon_export::s3::{S3Config, S3Error, S3Sink};
use anon_export::{Error, Remedy, Sink as _};

use crate::export::{CollectedEvents, export, source};
use crate::fake_s3::{FakeS3, RequestKind};
use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, SECRET_KEY, config, impatient, key, keys, list, put};
use crate::shared::Test;

/// `check` and `put` fail alike, and nothing can be put until a person has looked.
fn refuses(config: S3Config, wanted: &S3Error) -> Test {
    let sink = S3Sink::open(config)?;
    for (call, result) in [
        ("check", sink.check()),
        ("put", put(&sink, &key(1), b"object").map(drop)),
    ] {
        match result {
            Err(Error::S3(error)) => {
                assert_eq!(error.remedy(), wanted.remedy(), "{call}");
                assert_eq!(error, *wanted, "{call}");
            }
            other => return Err(format!("{call}: {wanted:?} is expected: {other:?}").into()),
        }
    }
    Ok(())
}

/// Real servers: who is wrong altogether is asked once, and each patient has its error.
#[test]
fn what_rclone_refuses_is_told_of_each_patient() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    let config = || config(&server.endpoint());
    let wrong = |access, secret| config().with_credentials(keys(access, secret));
    let elsewhere = S3Config::new("no-such-bucket", "P")
        .with_endpoint(server.endpoint())
        .with_credentials(keys(ACCESS_KEY, SECRET_KEY));
    for (config, wanted, words) in [
        (
            wrong("OTHERKEY", SECRET_KEY),
            S3Error::UnknownKey,
            "does not know the access key: check it",
        ),
        (
            wrong(ACCESS_KEY, "another secret"),
            S3Error::WrongSecret,
            "not that of the access key: check both",
        ),
        (
            elsewhere,
            S3Error::NoBucket,
            "the bucket is not there: check its name",
        ),
    ] {
        let told = CollectedEvents::default();
        let ended = export(&config, &source()?, &told)?.expect_err("it is refused");
        assert!(
            matches!(&*ended.error, Error::S3(error) if *error == wanted),
            "{ended:?}"
        );
        let report = &ended.report;
        assert_eq!((report.patients, report.patients_failed), (4, 4));
        assert_eq!((report.counts.sent, report.counts.found), (0, 0));
        let patients = told.patients.into_inner()?;
        assert_eq!(patients.len(), 4);
        for (patient, report) in patients {
            let error = report.error.ok_or("an error")?;
            assert!(matches!(&*error, Error::S3(error) if *error == wanted));
            assert!(error.text().contains(words), "{patient}: {}", error.text());
        }
        assert!(!server.files().exists() || server.files().read_dir()?.next().is_none());
    }
    Ok(())
}

/// Keys that may not touch one patient's place: that patient has the error, and the others are there.
#[test]
fn what_moto_denies_is_told_of_its_patient() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    let made = server.denying("TRIAL-7/S-1/*")?;
    let key = |name: &str| made.get(name).map_or("", String::as_str);
    let config = config(&server.endpoint()).with_credentials(keys(key("ACCESS"), key("SECRET")));
    let told = CollectedEvents::default();
    let report = export(&config, &source()?, &told)??;
    assert_eq!((report.counts.sent, report.counts.failed), (9, 3));
    for (patient, report) in told.patients.into_inner()? {
        let denied = report.error.as_deref();
        let is_denied = matches!(denied, Some(Error::S3(S3Error::Denied { .. })));
        assert_eq!(is_denied, patient == "S-1", "{patient}: {report:?}");
        assert_eq!(report.counts.sent, if is_denied { 0 } else { 3 });
    }
    let sink = S3Sink::open(config)?;
    for (patient, there) in [("S-0", 3), ("S-1", 0), ("S-2", 3), ("S-3", 3)] {
        assert_eq!(list(&sink, patient)?.len(), there, "{patient}");
    }
    Ok(())
}

#[test]
fn rclone_refuses_wrong_keys_and_buckets() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    let config = || config(&server.endpoint());
    let wrong = |access, secret| config().with_credentials(keys(access, secret));
    refuses(wrong("OTHERKEY", SECRET_KEY), &S3Error::UnknownKey)?;
    refuses(wrong(ACCESS_KEY, "another secret"), &S3Error::WrongSecret)?;
    let elsewhere = S3Config::new("no-such-bucket", "P")
        .with_endpoint(server.endpoint())
        .with_credentials(keys(ACCESS_KEY, SECRET_KEY));
    refuses(elsewhere, &S3Error::NoBucket)
}

#[test]
fn nothing_is_sent_in_clear_to_others() {
    let refused = S3Sink::open(config("http://192.0.2.1:9000"));
    assert!(
        matches!(refused, Err(Error::S3(S3Error::Cleartext))),
        "{refused:?}"
    );
}

/// Where no endpoint says otherwise, a region must be known; and it is the one that is signed for.
#[test]
fn a_region_is_needed() -> Test {
    let nowhere = S3Config::new("trials", "P").with_credentials(keys(ACCESS_KEY, SECRET_KEY));
    let refused = S3Sink::open(nowhere);
    assert!(
        matches!(refused, Err(Error::S3(S3Error::NoRegion))),
        "{refused:?}"
    );
    let double = FakeS3::start(|_, _| None)?;
    S3Sink::open(config(&double.endpoint()))?.check()?;
    let signed = double.seen(RequestKind::List)[0]
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
fn nobody_listens() -> Test {
    let unused = std::net::TcpListener::bind("127.0.0.1:0")?;
    let endpoint = format!("http://{}", unused.local_addr()?);
    drop(unused);
    let sink = S3Sink::open(impatient(&endpoint))?;
    match sink.check() {
        Err(Error::S3(S3Error::Unreachable)) => {}
        other => panic!("{other:?}"),
    }
    let sink = S3Sink::open(impatient("https://no-such-host.invalid"))?;
    match sink.check() {
        Err(Error::S3(error @ S3Error::Unreachable)) => {
            assert_eq!(error.remedy(), Remedy::Retry);
        }
        other => panic!("{other:?}"),
    }
    Ok(())
}
