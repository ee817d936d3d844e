//! Names of objects, and listings of more than one page.

use std::fs;
use std::sync::Arc;
use std::thread;

use anon_export::s3::{Encryption, S3Sink};
use anon_export::{
    Cancel, ExportOptions, Exporter, MemorySource, ObjectKey, Overwrite, Quiet, Selection,
    Sink as _,
};

use crate::fake_s3::{FakeS3, RequestKind};
use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, SECRET_KEY, bytes, config, list, put};
use crate::shared::Test;

const PREFIXES: [&str; 7] = [
    "",
    "plain",
    "a space",
    "a+plus",
    "100%25",
    "%",
    "Prüfung/日本 ~!*'()&=;@",
];

fn check_names(server: &S3Server, check: impl Fn(&str, &str, &[u8]) -> Test) -> Test {
    for prefix in PREFIXES {
        for project in ["P", "a b+c%20ü"] {
            let mut config = anon_export::s3::S3Config::new(crate::servers::BUCKET, project)
                .with_endpoint(server.endpoint())
                .with_credentials(crate::setup::keys(ACCESS_KEY, SECRET_KEY));
            config = config.with_prefix(prefix);
            let sink = S3Sink::open(config)?;
            let key = ObjectKey::new(["S 1", "1.1", "1.2", "1.3"])?;
            let longer = ObjectKey::new(["S 10", "1.1", "1.2", "1.3"])?;
            let object = bytes(99, 0);
            put(&sink, &key, &object)?;
            put(&sink, &longer, &object)?;
            let listed = list(&sink, "S 1")?;
            let keys: Vec<_> = listed.iter().map(|it| &it.key).collect();
            assert_eq!(keys, [&key], "listed under {prefix:?} and {project:?}");
            check(prefix, project, &object)?;
        }
    }
    Ok(())
}

#[test]
fn special_characters_in_names_work_with_rclone() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    check_names(&server, |prefix, project, object| {
        let directory = server.files().join(prefix).join(project);
        let stored = fs::read(directory.join("S 1/1.1/1.2/1.3.dcm"))?;
        assert!(stored == object, "{prefix:?} {project:?}");
        Ok(())
    })
}

#[test]
fn special_characters_in_names_work_with_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    check_names(&server, |prefix, project, object| {
        let name = [prefix, project, "S 1/1.1/1.2/1.3.dcm"];
        let name = name.into_iter().filter(|it| !it.is_empty());
        let stored = server.object(&escaped(&name.collect::<Vec<_>>().join("/")))?;
        assert!(stored == object, "{prefix:?} {project:?}");
        Ok(())
    })
}

/// Escapes a name for the path of a URL.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let escape = |byte: u8| match byte {
        byte if plain(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(escape).collect()
}

/// Lists 2,001 objects, which are three pages.
fn pages(server: &S3Server) -> Test {
    const OBJECTS: u32 = 2001;
    let sink = S3Sink::open(config(&server.endpoint()))?;
    let of = |n: u32| ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")]);
    // First, alone: rclone sometimes fails when concurrent puts need the same new directory.
    put(&sink, &of(0)?, &0_u32.to_le_bytes())?;
    thread::scope(|scope| -> Test {
        let threads = (1..=8).map(|first| {
            let (sink, of) = (&sink, &of);
            scope.spawn(move || {
                for n in (first..OBJECTS).step_by(8) {
                    let put = put(sink, &of(n).expect("a key"), &n.to_le_bytes());
                    put.expect("it is put");
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")?;
        }
        Ok(())
    })?;
    let mut expected = (0..OBJECTS).map(of).collect::<Result<Vec<_>, _>>()?;
    expected.sort();
    let listed = list(&sink, "S-1")?;
    let keys: Vec<_> = listed.into_iter().map(|it| it.key).collect();
    assert!(
        keys == expected,
        "{} keys of {OBJECTS} are listed",
        keys.len()
    );
    let mut calls = 0;
    sink.list(&"S-1".parse()?, &mut |_| {
        calls += 1;
        if calls < 1500 {
            std::ops::ControlFlow::Continue(())
        } else {
            std::ops::ControlFlow::Break(())
        }
    })?;
    assert_eq!(calls, 1500, "stopped on the second page");
    Ok(())
}

#[test]
fn listings_of_several_pages_work_with_rclone() -> Test {
    match S3Server::rclone(ACCESS_KEY, SECRET_KEY)? {
        Some(server) => pages(&server),
        None => Ok(()),
    }
}

#[test]
fn listings_of_several_pages_work_with_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    pages(&server)
}

/// A page has a thousand objects, and an export that finds everything makes no other request.
#[test]
fn listing_a_patient_takes_one_request_per_thousand_objects() -> Test {
    const OBJECTS: u32 = 2001;
    let server = FakeS3::start(|_, _| None)?;
    let mut source = MemorySource::new();
    for n in 0..OBJECTS {
        let key = ObjectKey::new(["S-1", "1.1", "1.2", &format!("1.3.{n}")])?;
        server.insert(&format!("trials/TRIAL-7/{key}"), n.to_le_bytes().to_vec());
        source.insert(key, n.to_le_bytes());
    }
    let sink = S3Sink::open(config(&server.endpoint()))?;
    let all = Selection::all();
    let report = Exporter::new(Arc::new(sink)).export(&source, &all, &Cancel::new(), &Quiet)?;
    assert_eq!(report.counts.skipped, u64::from(OBJECTS));
    let pages = server.seen(RequestKind::List);
    let of_patient = pages.iter().filter(|head| {
        let most = head.query.get("max-keys").map(String::as_str);
        most == Some("1000")
            && head
                .query
                .get("prefix")
                .is_some_and(|it| it.ends_with("S-1%2F"))
    });
    assert_eq!(of_patient.count(), 3);
    assert_eq!(pages.len(), 4, "and one that checks the bucket");
    assert!(server.seen(RequestKind::Put).is_empty());
    Ok(())
}

/// If the service lists ETags that are not MD5s of the bytes, equal lengths do not prove equal
/// bytes: an object without a journal record is put only if it may replace the one that is there.
#[test]
fn equal_length_alone_does_not_skip_an_object() -> Test {
    let server = FakeS3::start(|_, _| None)?;
    let key = ObjectKey::new(["S-1", "1.1", "1.2", "1.3"])?;
    let path = format!("trials/TRIAL-7/{key}");
    let mut source = MemorySource::new();
    source.insert(key, *b"an object");
    let export = |encryption, overwrite| -> Test<(u64, u64)> {
        let sink = S3Sink::open(config(&server.endpoint()).with_encryption(encryption))?;
        let all = Selection::all();
        let report = Exporter::new(Arc::new(sink))
            .with_options(ExportOptions::default().with_overwrite(overwrite))
            .export(&source, &all, &Cancel::new(), &Quiet)?;
        Ok((report.counts.sent, report.counts.skipped))
    };
    for tag in [
        "\"0123456789abcdef0123456789abcdef\"",
        "\"0123456789abcdef0123456789abcdef-7\"",
        "\"opaque\"",
    ] {
        for encryption in [Encryption::Bucket, Encryption::Kms { key_id: None }] {
            server.insert(&path, b"AN OBJECT".to_vec());
            server.set_tag(&path, tag);
            let own = Overwrite::SameOriginal;
            assert_eq!(export(encryption.clone(), own)?, (0, 0), "{tag}");
            assert_eq!(server.objects()[&path], b"AN OBJECT", "{tag}");
            assert_eq!(export(encryption, Overwrite::Any)?, (1, 0), "{tag}");
            assert_eq!(server.objects()[&path], b"an object", "{tag}");
            // Now its ETag matches its bytes.
            assert_eq!(export(Encryption::Bucket, own)?, (0, 1), "{tag}");
        }
    }
    Ok(())
}
