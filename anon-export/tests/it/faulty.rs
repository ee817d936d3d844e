//! The suite finds sinks that break a promise.

use std::io::Read;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use anon_export::{
    Error, Listed, MemorySink, Needs, ObjectKey, Part, Put, Sink, Stored, Tag, conformance,
};

#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// Takes what comes, whatever length was said.
    AnyLength,
    /// Stops reading at the length that was said.
    Cuts,
    /// Keeps what came before the reader failed.
    KeepsParts,
    /// What has the key has the bytes.
    TrustsNames,
    /// As if nothing were there.
    AlwaysCreated,
    ListsEveryone,
    ListsNothing,
    NeverStopsListing,
    ReadsWhatIsTooLarge,
    /// Gives tags that are not those it tells beforehand.
    TagsDiffer,
    CannotBeUsed,
}

#[derive(Debug)]
struct Faulty(MemorySink, Fault);

impl Sink for Faulty {
    fn needs(&self) -> Needs {
        Needs::new().with_max_object_bytes(1 << 41)
    }

    fn put(&self, key: &ObjectKey, len: u64, body: &mut dyn Read) -> Result<Stored, Error> {
        let whole = |body: &mut dyn Read| {
            let mut bytes = Vec::new();
            let read = body.read_to_end(&mut bytes);
            (bytes, read)
        };
        match self.1 {
            Fault::AnyLength => {
                let (bytes, read) = whole(body);
                read.map_err(|error| Error::Read { kind: error.kind() })?;
                self.0.put(key, bytes.len() as u64, &mut &*bytes)
            }
            Fault::Cuts => self.0.put(key, len, &mut body.take(len)),
            Fault::KeepsParts => {
                let (bytes, read) = whole(body);
                if let Err(error) = read {
                    self.0.put(key, bytes.len() as u64, &mut &*bytes)?;
                    return Err(Error::Read { kind: error.kind() });
                }
                self.0.put(key, len, &mut &*bytes)
            }
            Fault::TrustsNames if self.0.get(key).is_some() => Ok(Stored::new(Put::AlreadyThere)),
            Fault::AlwaysCreated => self
                .0
                .put(key, len, body)
                .map(|_| Stored::new(Put::Created)),
            Fault::ReadsWhatIsTooLarge => {
                let (bytes, _) = whole(body);
                self.0.put(key, len, &mut &*bytes)
            }
            Fault::TagsDiffer => {
                let stored = self.0.put(key, len, body)?;
                Ok(stored.with_tag(Tag::new("after")))
            }
            _ => self.0.put(key, len, body),
        }
    }

    fn tag_of(&self, _: u64, _: &mut dyn Read) -> Result<Option<Tag>, Error> {
        let differs = matches!(self.1, Fault::TagsDiffer);
        Ok(differs.then(|| Tag::new("before")).flatten())
    }

    fn check(&self) -> Result<(), Error> {
        match self.1 {
            Fault::CannotBeUsed => Err(Error::Busy),
            _ => Ok(()),
        }
    }

    fn list(
        &self,
        patient: &Part,
        each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        match self.1 {
            Fault::ListsNothing => Ok(()),
            Fault::ListsEveryone => {
                for name in ["S-1", "S-2"] {
                    let name = Part::new(name).expect("a name");
                    self.0.list(&name, each)?;
                }
                Ok(())
            }
            Fault::NeverStopsListing => self.0.list(patient, &mut |listed| {
                let _: ControlFlow<()> = each(listed);
                ControlFlow::Continue(())
            }),
            _ => self.0.list(patient, each),
        }
    }
}

#[test]
fn the_suite_finds_each_fault() {
    let needs = Needs::new().with_max_object_bytes(1 << 41);
    let passes = |fault| {
        let make = || Faulty(MemorySink::with_needs(needs), fault);
        catch_unwind(AssertUnwindSafe(|| conformance::check(make))).is_ok()
    };
    assert!(passes(Fault::None), "a sink without a fault");
    for fault in [
        Fault::AnyLength,
        Fault::Cuts,
        Fault::KeepsParts,
        Fault::TrustsNames,
        Fault::AlwaysCreated,
        Fault::ListsEveryone,
        Fault::ListsNothing,
        Fault::NeverStopsListing,
        Fault::ReadsWhatIsTooLarge,
        Fault::TagsDiffer,
        Fault::CannotBeUsed,
    ] {
        assert!(!passes(fault), "the suite passes a sink that {fault:?}");
    }
}
