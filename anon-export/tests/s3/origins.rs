//! The origin of an object: in its metadata, never in its bytes, and asked for before it is replaced.

use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anon_export::s3::{S3Config, S3Error, S3Sink};
use anon_export::{
    Backoff, Cancel, Counts, Error, ExportOptions, Exporter, IfThere, KeyPart, MemorySource,
    ObjectKey, Origin, Origins, Overwrite, PutOptions, Selection, Sink as _,
};

use crate::fake_s3::{FakeS3, RequestKind, ServiceFault};
use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, PART, SECRET_KEY, bytes, config, key};
use crate::shared::Test;

/// One original for each object, of this store and version.
#[derive(Debug)]
struct Store(u128, u64);

impl Origins for Store {
    fn of_patient(
        &self,
        _: &KeyPart,
        each: &mut dyn FnMut(ObjectKey, Origin) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for n in 1..=2_u32 {
            let _: ControlFlow<()> = each(key(n), Origin::new(self.0 + u128::from(n), self.1));
        }
        Ok(())
    }
}

/// An object that is sent in one request, and a multipart object.
fn source(seed: u8) -> MemorySource {
    let mut source = MemorySource::new();
    source.insert(key(1), bytes(900, seed));
    source.insert(key(2), bytes(PART + 9, seed));
    source
}

fn export(
    config: &S3Config,
    seed: u8,
    store: Option<Store>,
    overwrite: Overwrite,
) -> Test<(Counts, Vec<String>)> {
    let options = ExportOptions::default()
        .with_attempts(NonZeroU32::MIN.saturating_add(1))
        .with_backoff(Backoff::new(Duration::ZERO, Duration::ZERO))
        .with_overwrite(overwrite);
    let sink = S3Sink::open(config.clone())?;
    let mut exporter = Exporter::new(Arc::new(sink)).with_options(options);
    if let Some(store) = store {
        exporter = exporter.with_origins(Arc::new(store));
    }
    let events = crate::export::CollectedEvents::default();
    let report = exporter.export(&source(seed), &Selection::all(), &Cancel::new(), &events)?;
    let patients = events.patients.into_inner()?;
    let errors = patients
        .values()
        .filter_map(|it| Some(it.error.as_ref()?.text()));
    Ok((report.counts, errors.collect()))
}

fn sent_skipped_failed(counts: &Counts) -> [u64; 3] {
    [counts.sent, counts.skipped, counts.failed]
}

/// The store that exported A is gone; another one gave its pseudonyms to B.
#[track_caller]
fn another_original_is_never_overwritten(config: &S3Config, what: &str) -> Test {
    let (a, b) = (|version| Some(Store(0, version)), || Some(Store(100, 1)));
    let own = Overwrite::SameOriginal;
    let (counts, _) = export(config, 1, a(1), own)?;
    assert_eq!(sent_skipped_failed(&counts), [2, 0, 0], "{what}: sent");
    let sink = S3Sink::open(config.clone())?;
    assert_eq!(sink.origin_of(&key(1))?, Some(Origin::new(1, 1)), "{what}");
    assert_eq!(sink.origin_of(&key(2))?, Some(Origin::new(2, 1)), "{what}");
    // There is no journal: the metadata tells.
    let (counts, _) = export(config, 1, a(1), own)?;
    assert_eq!(sent_skipped_failed(&counts), [0, 2, 0], "{what}: again");
    for store in [b(), None] {
        let is_known = store.is_some();
        let (counts, errors) = export(config, 2, store, own)?;
        assert_eq!(
            sent_skipped_failed(&counts),
            [0, 0, 2],
            "{what}: {errors:?}"
        );
        let words = if is_known {
            "an object of another original"
        } else {
            "another object under this name"
        };
        let error = errors.first().ok_or("no error")?;
        assert!(error.contains(words), "{what}: {errors:?}");
        assert!(error.contains("--replace"), "{what}: {errors:?}");
        for (n, len) in [(1, 900), (2, PART + 9)] {
            let is_same = sink.is_tag_of(&tag(&sink, n)?, len as u64, &mut &*bytes(len, 1))?;
            assert_eq!(is_same, Some(true), "{what}: the bytes of A");
        }
    }
    // An account without lookups finds equal bytes.
    let (counts, _) = export(config, 1, None, own)?;
    assert_eq!(sent_skipped_failed(&counts), [0, 2, 0], "{what}: by bytes");
    // A, made by other rules.
    let (counts, _) = export(config, 3, a(2), own)?;
    assert_eq!(sent_skipped_failed(&counts), [2, 0, 0], "{what}: new rules");
    assert_eq!(sink.origin_of(&key(2))?, Some(Origin::new(2, 2)), "{what}");
    let (counts, _) = export(config, 2, b(), Overwrite::Any)?;
    assert_eq!(sent_skipped_failed(&counts), [2, 0, 0], "{what}: --replace");
    assert_eq!(
        sink.origin_of(&key(1))?,
        Some(Origin::new(101, 1)),
        "{what}"
    );
    Ok(())
}

fn tag(sink: &S3Sink, n: u32) -> Test<anon_export::EntityTag> {
    let listed = crate::setup::list(sink, "S-1")?;
    let found = listed.into_iter().find(|listed| listed.key == key(n));
    Ok(found.and_then(|listed| listed.tag).ok_or("no tag")?)
}

#[test]
fn another_original_is_never_overwritten_on_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    another_original_is_never_overwritten(&config(&server.endpoint()), "moto")?;
    assert_eq!(server.uploads()?, 0, "leftover uploads");
    Ok(())
}

#[test]
fn another_original_is_never_overwritten_on_rclone() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    another_original_is_never_overwritten(&config(&server.endpoint()), "rclone")
}

/// Also if the service knows conditional puts.
#[test]
fn another_original_is_never_overwritten_under_conditions() -> Test {
    let server = FakeS3::with_conditions(|_, _| None)?;
    another_original_is_never_overwritten(&config(&server.endpoint()), "conditions")
}

#[test]
fn origin_is_in_the_metadata_and_not_in_the_object() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    export(
        &config(&server.endpoint()),
        1,
        Some(Store(0, 1)),
        Overwrite::SameOriginal,
    )?;
    for (n, len) in [(1, 900), (2, PART + 9)] {
        let stored = server.object(&format!("TRIAL-7/{}", key(n)))?;
        assert!(stored == bytes(len, 1), "the bytes of the object alone");
    }
    Ok(())
}

/// Another program puts an object between the listing and the put.
#[test]
fn object_that_appeared_meanwhile_is_not_overwritten() -> Test {
    let server = FakeS3::with_conditions(|_, _| None)?;
    let sink = S3Sink::open(config(&server.endpoint()))?;
    let theirs = Some(Origin::new(9, 1));
    let ours = Some(Origin::new(1, 1));
    for (n, len) in [(1, 900), (2, PART + 9)] {
        let put = |seed, options: &PutOptions<'_>| {
            let object = bytes(len, seed);
            sink.put_with(&key(n), len as u64, &mut &*object, options)
        };
        put(1, &PutOptions::new(theirs, IfThere::Replace))?;
        let is_theirs = || server.objects().values().any(|it| *it == bytes(len, 1));
        for origin in [ours, None] {
            let refused = put(2, &PutOptions::new(origin, IfThere::Keep)).err();
            let is_expected = matches!(refused, Some(Error::S3(S3Error::Occupied)));
            assert!(is_expected, "{len}: {refused:?}");
            assert!(is_theirs(), "{len}: it stays");
        }
        // It was replaced since it was listed.
        let listed = tag(&sink, n)?;
        put(3, &PutOptions::new(theirs, IfThere::Replace))?;
        let refused = put(2, &PutOptions::new(ours, IfThere::ReplaceTagged(&listed))).err();
        assert!(refused.is_some(), "{len}");
        let listed = tag(&sink, n)?;
        put(2, &PutOptions::new(ours, IfThere::ReplaceTagged(&listed)))?;
        assert_eq!(sink.origin_of(&key(n))?, ours, "{len}");
    }
    assert_eq!(server.uploads(), 0, "leftover uploads");
    Ok(())
}

/// The response of the first attempt was lost: its object is there, and is ours.
#[test]
fn object_of_a_lost_attempt_is_stored_again() -> Test {
    for kind in [RequestKind::Put, RequestKind::Complete] {
        let server = FakeS3::with_conditions(move |head, before| {
            (head.kind() == kind && before == 0).then_some(ServiceFault::WrongChecksum)
        })?;
        let config = config(&server.endpoint());
        let (counts, errors) = export(&config, 1, Some(Store(0, 1)), Overwrite::SameOriginal)?;
        assert_eq!(
            sent_skipped_failed(&counts),
            [2, 0, 0],
            "{kind:?}: {errors:?}"
        );
        assert_eq!(server.uploads(), 0, "{kind:?}");
    }
    Ok(())
}

#[test]
fn service_without_conditions_stores_objects() -> Test {
    let server = FakeS3::start(|head, _| {
        let is_conditional = head.header("if-none-match").is_some();
        is_conditional.then_some(ServiceFault::Rejects(501, "NotImplemented", None))
    })?;
    let config = config(&server.endpoint());
    let (counts, errors) = export(&config, 1, Some(Store(0, 1)), Overwrite::SameOriginal)?;
    assert_eq!(sent_skipped_failed(&counts), [2, 0, 0], "{errors:?}");
    Ok(())
}

/// Credentials that may put and list, but not read.
#[test]
fn without_access_to_metadata_the_bytes_decide() -> Test {
    let server = FakeS3::start(|head, _| {
        let denies = ServiceFault::Rejects(403, "", None);
        (head.kind() == RequestKind::Head).then_some(denies)
    })?;
    let config = config(&server.endpoint());
    for (seed, expected) in [(1, [2, 0, 0]), (1, [0, 2, 0]), (2, [0, 0, 2])] {
        let (counts, errors) = export(&config, seed, Some(Store(0, 1)), Overwrite::SameOriginal)?;
        assert_eq!(sent_skipped_failed(&counts), expected, "{errors:?}");
    }
    Ok(())
}
