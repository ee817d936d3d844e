//! The conformance suite detects sinks that break a promise.

use std::io::Read;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anon_export::{
    Capabilities, EntityTag, Error, KeyPart, ListedObject, MemorySink, ObjectKey, Put, Sink,
    Stored, conformance,
};

#[derive(Debug, Clone, Copy)]
enum SinkFault {
    None,
    /// Accepts any body, whatever its declared length.
    IgnoresLength,
    /// Stops reading at the declared length.
    Truncates,
    /// Stores the bytes that were read before the reader failed.
    StoresPartialBody,
    /// Reports an existing key as already there, without comparing bytes.
    TrustsNames,
    /// Always reports a new object.
    AlwaysCreated,
    ListsEveryone,
    ListsNothing,
    NeverStopsListing,
    ReadsWhatIsTooLarge,
    /// Returns other tags than it computes in advance.
    TagsDiffer,
    CannotBeUsed,
    /// Replaces what it should keep.
    Overwrites,
    ForgetsOrigins,
}

#[derive(Debug)]
struct BrokenSink(MemorySink, SinkFault);

impl Sink for BrokenSink {
    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::new().with_max_object_bytes(1 << 41);
        match self.1 {
            SinkFault::Overwrites => capabilities.keeping(),
            SinkFault::ForgetsOrigins => capabilities.with_origins(),
            _ => capabilities,
        }
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let whole = |body: &mut dyn Read| {
            let mut bytes = Vec::new();
            let read = body.read_to_end(&mut bytes);
            (bytes, read)
        };
        match self.1 {
            SinkFault::IgnoresLength => {
                let (bytes, read) = whole(body);
                read.map_err(|error| Error::Read { kind: error.kind() })?;
                self.0.put(key, bytes.len() as u64, &mut &*bytes)
            }
            SinkFault::Truncates => self.0.put(key, len, &mut body.take(len)),
            SinkFault::StoresPartialBody => {
                let (bytes, read) = whole(body);
                if let Err(error) = read {
                    self.0.put(key, bytes.len() as u64, &mut &*bytes)?;
                    return Err(Error::Read { kind: error.kind() });
                }
                self.0.put(key, len, &mut &*bytes)
            }
            SinkFault::TrustsNames if self.0.get(key).is_some() => {
                Ok(Stored::new(Put::AlreadyThere))
            }
            SinkFault::AlwaysCreated => self
                .0
                .put(key, len, body)
                .map(|_| Stored::new(Put::Created)),
            SinkFault::ReadsWhatIsTooLarge => {
                let (bytes, _) = whole(body);
                self.0.put(key, len, &mut &*bytes)
            }
            SinkFault::TagsDiffer => {
                let stored = self.0.put(key, len, body)?;
                Ok(stored.with_tag(EntityTag::new("after")))
            }
            _ => self.0.put(key, len, body),
        }
    }

    fn tag_of(&self, _: u64, _: &mut dyn Read) -> Result<Option<EntityTag>, Error> {
        let differs = matches!(self.1, SinkFault::TagsDiffer);
        Ok(differs.then(|| EntityTag::new("before")).flatten())
    }

    fn check(&self) -> Result<(), Error> {
        match self.1 {
            SinkFault::CannotBeUsed => Err(Error::Busy),
            _ => Ok(()),
        }
    }

    fn list(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ListedObject) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match self.1 {
            SinkFault::ListsNothing => Ok(()),
            SinkFault::ListsEveryone => {
                for name in ["S-1", "S-2"] {
                    let name = KeyPart::new(name).expect("a name");
                    self.0.list(&name, each)?;
                }
                Ok(())
            }
            SinkFault::NeverStopsListing => self.0.list(patient, &mut |listed| {
                let _: ControlFlow<()> = each(listed);
                ControlFlow::Continue(())
            }),
            _ => self.0.list(patient, each),
        }
    }
}

#[test]
fn suite_detects_each_fault() {
    let capabilities = Capabilities::new().with_max_object_bytes(1 << 41);
    let passes = |fault| {
        let make = || BrokenSink(MemorySink::with_capabilities(capabilities), fault);
        catch_unwind(AssertUnwindSafe(|| conformance::check(make))).is_ok()
    };
    assert!(passes(SinkFault::None), "a sink without a fault");
    for fault in [
        SinkFault::IgnoresLength,
        SinkFault::Truncates,
        SinkFault::StoresPartialBody,
        SinkFault::TrustsNames,
        SinkFault::AlwaysCreated,
        SinkFault::ListsEveryone,
        SinkFault::ListsNothing,
        SinkFault::NeverStopsListing,
        SinkFault::ReadsWhatIsTooLarge,
        SinkFault::TagsDiffer,
        SinkFault::CannotBeUsed,
        SinkFault::Overwrites,
        SinkFault::ForgetsOrigins,
    ] {
        assert!(!passes(fault), "the suite passes a sink that {fault:?}");
    }
}
