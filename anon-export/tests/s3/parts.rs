//! The headers of requests, encryption and memory.

use std::time::Duration;

use anon_export::s3::{ChecksumMode, Encryption, S3Error, S3Sink};
use anon_export::{Error, Remedy, Sink as _};

use crate::fake_s3::{FakeS3, RequestHead, RequestKind};
use crate::setup::{PART, bytes, config, key, put};
use crate::shared::Test;

fn header_of(server: &FakeS3, kind: RequestKind, header: &str) -> Option<String> {
    let seen = server.seen(kind);
    let values: Vec<_> = seen
        .iter()
        .map(|head: &RequestHead| head.header(header))
        .collect();
    let same = values.iter().all(|it| values.first() == Some(it));
    assert!(same || header.contains("checksum"), "{header}: {values:?}");
    values.first().copied().flatten().map(str::to_owned)
}

#[test]
fn options_are_sent_as_headers() -> Test {
    let kms = Encryption::Kms {
        key_id: Some("alias/trial".to_owned()),
    };
    for (mode, encryption, class) in [
        (ChecksumMode::Crc32c, Encryption::Bucket, None),
        (
            ChecksumMode::Sha256,
            Encryption::Aes256,
            Some("STANDARD_IA"),
        ),
        (ChecksumMode::None, kms, Some("GLACIER_IR")),
    ] {
        let server = FakeS3::start(|_, _| None)?;
        let mut config = config(&server.endpoint())
            .with_checksum(mode)
            .with_encryption(encryption.clone());
        if let Some(class) = class {
            config = config.with_storage_class(class);
        }
        let sink = S3Sink::open(config)?;
        put(&sink, &key(1), b"object")?;
        put(&sink, &key(2), &bytes(PART + 1, 0))?;
        let (algorithm, name) = match encryption {
            Encryption::Bucket => (None, None),
            Encryption::Aes256 => (Some("AES256"), None),
            Encryption::Kms { .. } => (Some("aws:kms"), Some("alias/trial")),
        };
        for kind in [RequestKind::Put, RequestKind::Create] {
            let header = |name| header_of(&server, kind, name);
            assert_eq!(header("content-type").as_deref(), Some("application/dicom"));
            assert_eq!(header("x-amz-storage-class").as_deref(), class);
            assert_eq!(header("x-amz-server-side-encryption").as_deref(), algorithm);
            let key_id = header("x-amz-server-side-encryption-aws-kms-key-id");
            assert_eq!(key_id.as_deref(), name);
        }
        for kind in [RequestKind::Put, RequestKind::KeyPart] {
            let header = |name| header_of(&server, kind, name);
            let crc = header("x-amz-checksum-crc32c");
            let sha = header("x-amz-checksum-sha256");
            assert_eq!(crc.is_some(), mode == ChecksumMode::Crc32c, "{kind:?}");
            assert_eq!(sha.is_some(), mode == ChecksumMode::Sha256, "{kind:?}");
            for trailers in ["x-amz-trailer", "content-encoding", "transfer-encoding"] {
                assert_eq!(header(trailers), None, "{kind:?} {mode:?}");
            }
        }
        let tag = sink.tag_of(6, &mut b"object".as_slice())?;
        let opaque = matches!(encryption, Encryption::Kms { .. });
        assert_eq!(
            tag.is_none(),
            opaque,
            "tags can be computed under {encryption:?}"
        );
    }
    Ok(())
}

/// A missing encryption is an error. With a multipart upload nothing is sent.
#[test]
fn service_that_does_not_encrypt_is_an_error() -> Test {
    for encryption in [Encryption::Aes256, Encryption::Kms { key_id: None }] {
        // The service returns none of these headers.
        let server = FakeS3::without_encryption()?;
        let config = config(&server.endpoint()).with_encryption(encryption.clone());
        let sink = S3Sink::open(config)?;
        for len in [6, PART + 1] {
            match put(&sink, &key(1), &bytes(len, 0)) {
                Err(Error::S3(error @ S3Error::NotEncrypted)) => {
                    assert_eq!(error.remedy(), Remedy::Stop);
                }
                other => panic!("{encryption:?}, {len} bytes: {other:?}"),
            }
        }
        assert!(
            server.seen(RequestKind::KeyPart).is_empty(),
            "{encryption:?}"
        );
        assert_eq!(server.uploads(), 0, "{encryption:?}");
    }
    Ok(())
}

/// Sixteen puts share memory for two parts.
#[test]
fn puts_that_share_little_memory_all_succeed() -> Test {
    let server = FakeS3::start(|_, _| None)?;
    let config = config(&server.endpoint())
        .with_memory_bytes(2 * PART as u64)
        .with_stall_timeout(Duration::from_mins(1));
    let sink = S3Sink::open(config)?;
    let object = bytes(2 * PART + 17, 5);
    std::thread::scope(|scope| {
        for n in 0..16 {
            let (sink, object) = (&sink, &object);
            scope.spawn(move || put(sink, &key(n), object).expect("it is put"));
        }
    });
    let objects = server.objects();
    assert_eq!(objects.len(), 16);
    assert!(objects.values().all(|it| *it == object), "read back");
    assert_eq!(server.uploads(), 0);
    Ok(())
}
