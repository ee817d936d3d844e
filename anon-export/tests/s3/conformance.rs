//! The conformance suite on real servers, and objects read back byte for byte.

use std::fs;
use std::io::{self, Cursor, Read};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU32, Ordering};

use anon_export::s3::{ChecksumMode, S3Config, S3Error, S3Sink};
use anon_export::{
    Capabilities, EntityTag, Error, KeyPart, ListedObject, ObjectKey, Origin, PutOptions, Sink,
    Stored, conformance,
};

use crate::servers::S3Server;
use crate::setup::{ACCESS_KEY, PART, SECRET_KEY, bytes, config, key, list, put};
use crate::shared::Test;

/// Returns a sink with an unused prefix.
fn fresh(config: &S3Config) -> RetryingSink {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let prefix = format!("empty {}/ü+%", NEXT.fetch_add(1, Ordering::Relaxed));
    RetryingSink(S3Sink::open(config.clone().with_prefix(prefix)).expect("a sink"))
}

#[test]
fn s3_sink_passes_the_conformance_suite_on_rclone() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    let config = config(&server.endpoint());
    conformance::check(|| fresh(&config));
    Ok(())
}

#[test]
fn s3_sink_passes_the_conformance_suite_on_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    let config = config(&server.endpoint());
    conformance::check(|| fresh(&config));
    assert_eq!(server.uploads()?, 0, "leftover uploads");
    Ok(())
}

/// Retries server errors, as an exporter does: rclone sometimes fails when concurrent puts need the
/// same new directory.
#[derive(Debug)]
struct RetryingSink(S3Sink);

/// The recorded result of reading a body.
struct ReplayedBody {
    bytes: Cursor<Vec<u8>>,
    failed: Option<io::ErrorKind>,
}

impl Read for ReplayedBody {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.bytes.read(buffer)?, self.failed) {
            (0, Some(kind)) => Err(kind.into()),
            (n, _) => Ok(n),
        }
    }
}

impl Sink for RetryingSink {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        self.put_with(key, len, body, &PutOptions::default())
    }

    fn put_with(
        &self,
        key: &ObjectKey,
        len: u64,
        body: &mut dyn Read,
        options: &PutOptions<'_>,
    ) -> Result<Stored, Error> {
        if len > self.capabilities().max_object_bytes {
            return self.0.put_with(key, len, body, options);
        }
        let mut bytes = Vec::new();
        let failed = body.read_to_end(&mut bytes).err().map(|it| it.kind());
        let mut tries = 0..5;
        loop {
            let bytes = Cursor::new(bytes.clone());
            let mut body = ReplayedBody { bytes, failed };
            match self.0.put_with(key, len, &mut body, options) {
                Err(Error::S3(S3Error::Server { .. })) if tries.next().is_some() => {}
                result => return result,
            }
        }
    }

    fn origin_of(&self, key: &ObjectKey) -> Result<Option<Origin>, Error> {
        self.0.origin_of(key)
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.0.list(patient, each)
    }

    fn tag_of(&self, len: u64, body: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        self.0.tag_of(len, body)
    }

    fn is_tag_of(
        &self,
        tag: &EntityTag,
        len: u64,
        body: &mut dyn Read,
    ) -> Result<Option<bool>, Error> {
        self.0.is_tag_of(tag, len, body)
    }

    fn check(&self) -> Result<(), Error> {
        self.0.check()
    }
}

/// With each checksum mode, whole and in parts: stored byte for byte, and listed with the right
/// lengths.
#[test]
fn objects_are_stored_byte_for_byte() -> Test {
    let Some(server) = S3Server::rclone(ACCESS_KEY, SECRET_KEY)? else {
        return Ok(());
    };
    let modes = [
        ChecksumMode::Crc32c,
        ChecksumMode::Sha256,
        ChecksumMode::None,
    ];
    for (n, mode) in modes.into_iter().enumerate() {
        let prefix = format!("mode {n}");
        let config = config(&server.endpoint()).with_checksum(mode);
        let sink = S3Sink::open(config.with_prefix(&prefix))?;
        let lengths = [0, 1, PART, PART + 1, 2 * PART, 2 * PART + 77];
        let objects = lengths.map(|len| bytes(len, 3));
        for (n, object) in (1..).zip(&objects) {
            let stored = put(&sink, &key(n), object)?;
            let tag = sink.tag_of(object.len() as u64, &mut &**object)?;
            assert_eq!(
                stored.tag,
                tag,
                "{mode:?}: the tag of {} bytes",
                object.len()
            );
            assert!(stored.tag.is_some(), "{mode:?}: has a tag");
            let path = server
                .files()
                .join(&prefix)
                .join("TRIAL-7")
                .join(key(n).to_string());
            let stored_bytes = fs::read(path)?;
            assert!(
                stored_bytes == *object,
                "{mode:?}: {} bytes read back",
                object.len()
            );
        }
        let listed = list(&sink, "S-1")?;
        let found: Vec<_> = listed.iter().map(|it| it.len).collect();
        assert_eq!(
            found,
            lengths.map(|len| Some(len as u64)),
            "{mode:?}: listed"
        );
    }
    Ok(())
}

#[test]
fn multipart_tags_are_listed_by_moto() -> Test {
    let Some(server) = S3Server::moto()? else {
        return Ok(());
    };
    server.make_bucket()?;
    let sink = S3Sink::open(config(&server.endpoint()))?;
    let object = bytes(2 * PART + 9, 1);
    let stored = put(&sink, &key(1), &object)?;
    let listed = list(&sink, "S-1")?;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].tag, stored.tag);
    assert_eq!(
        listed[0].tag,
        sink.tag_of(object.len() as u64, &mut &*object)?
    );
    let stored_bytes = server.object("TRIAL-7/S-1/1.2.1/1.2.2/1.2.3.1.dcm")?;
    assert!(stored_bytes == object, "read back");
    Ok(())
}
