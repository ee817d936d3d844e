//! Checks for every [`Quarantine`].

use std::io::Read;
use std::sync::Arc;

use anon_model::Phi;
use dicom_core::Tag;

use crate::keep::quarantine::{
    Entry, EntryId, Kept, Original, Quarantine, QuarantineError, RefusedObject,
};
use crate::refusal::{Category, Refusal};

use super::{Breach, OrBreach, ensure};

/// Checks the promises of [`Quarantine`]. `make` returns a new empty quarantine each time; its
/// argument is the most bytes of originals that it may keep.
///
/// # Errors
/// [`Breach`] says which promise is broken.
pub fn check_quarantine(make: &dyn Fn(u64) -> Arc<dyn Quarantine>) -> Result<(), Breach> {
    an_entry_describes_the_filed_object(&*make(u64::MAX))?;
    equal_bytes_are_one_entry(&*make(u64::MAX))?;
    a_new_category_moves_the_entry(&*make(u64::MAX))?;
    foreign_bytes_are_recorded_and_not_copied(&*make(u64::MAX))?;
    a_cleared_entry_is_removed(&*make(u64::MAX))?;
    a_file_is_kept_like_bytes_in_memory(&*make(u64::MAX))?;
    the_bound_on_bytes_holds(&*make(10))
}

fn refusal(category: Category, reason: &str) -> Refusal {
    let mut refusal = Refusal::new(category, reason);
    refusal.tag = Some(Tag(0x0008, 0x0020));
    refusal.offset = Some(77);
    refusal
}

fn file(
    quarantine: &dyn Quarantine,
    original: Original<'_>,
    refusal: &Refusal,
) -> Result<EntryId, QuarantineError> {
    let filed = quarantine.file(&RefusedObject {
        original,
        transfer_syntax: Some("1.2.840.10008.1.2"),
        refusal,
        origin: Some(&Phi::new("/in/IM1".to_owned())),
        path: None,
    });
    filed.map(|filed| filed.entry)
}

fn filed(quarantine: &dyn Quarantine, bytes: &[u8], refusal: &Refusal) -> Result<EntryId, Breach> {
    file(quarantine, Original::Bytes(bytes), refusal).or_breach("an object is not filed")
}

fn all(quarantine: &dyn Quarantine) -> Result<Vec<Entry>, Breach> {
    let entries = quarantine.entries().or_breach("entries cannot be listed")?;
    entries
        .collect::<Result<_, _>>()
        .or_breach("an entry cannot be read")
}

fn bytes_of(quarantine: &dyn Quarantine, id: &EntryId) -> Result<Option<Vec<u8>>, Breach> {
    let original = quarantine
        .open_original(id)
        .or_breach("an original cannot be opened")?;
    let Some(mut original) = original else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    original
        .read_to_end(&mut bytes)
        .or_breach("an original cannot be read")?;
    Ok(Some(bytes))
}

fn an_entry_describes_the_filed_object(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    ensure(
        all(quarantine)?.is_empty(),
        "an empty quarantine has entries",
    )?;
    let why = refusal(Category::MissingAttributes, "has no StudyDate");
    let id = filed(quarantine, b"bytes", &why)?;
    ensure(
        id.category() == Category::MissingAttributes,
        "an entry has another category",
    )?;
    let digest = Original::Bytes(b"bytes")
        .digest()
        .or_breach("a digest fails")?;
    ensure(
        *id.digest() == digest,
        "an entry's digest is not that of the bytes",
    )?;
    let entry = quarantine.entry(&id).or_breach("an entry cannot be read")?;
    ensure(
        entry.as_ref().map(std::slice::from_ref) == Some(&all(quarantine)?),
        "entries and entry differ",
    )?;
    let Some(entry) = entry else {
        return ensure(false, "a filed object has no entry");
    };
    let found = (
        entry.reason.as_str(),
        entry.tag,
        entry.offset,
        entry.length,
        entry.kept,
    );
    let expected = ("has no StudyDate", why.tag, why.offset, 5, Kept::Copied);
    ensure(found == expected, "an entry describes another object")?;
    let syntax = entry.transfer_syntax.as_deref();
    ensure(
        syntax == Some("1.2.840.10008.1.2"),
        "the transfer syntax is lost",
    )?;
    let source = entry.source.map(Phi::into_exposed);
    ensure(source.as_deref() == Some("/in/IM1"), "the source is lost")?;
    let kept = bytes_of(quarantine, &id)?;
    ensure(
        kept.as_deref() == Some(b"bytes".as_slice()),
        "the bytes are not as they were",
    )?;
    let again = quarantine.received(&id).or_breach("received fails")?;
    ensure(again.is_some(), "received returns no kept original")
}

fn equal_bytes_are_one_entry(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    let why = refusal(Category::BurnedIn, "says YES");
    let first = filed(quarantine, b"bytes", &why)?;
    let second = filed(quarantine, b"bytes", &why)?;
    ensure(first == second, "equal bytes have two entries")?;
    let other = filed(quarantine, b"other", &why)?;
    ensure(first != other, "other bytes have the same entry")?;
    let counts = quarantine.counts().or_breach("entries cannot be counted")?;
    ensure(
        counts.get(&Category::BurnedIn) == Some(&2),
        "the count is wrong",
    )?;
    filed(
        quarantine,
        b"bytes",
        &refusal(Category::BurnedIn, "is a screen save"),
    )?;
    let entry = quarantine
        .entry(&first)
        .or_breach("an entry cannot be read")?;
    let reason = entry.map(|entry| entry.reason);
    ensure(
        reason.as_deref() == Some("is a screen save"),
        "the last reason does not replace the first",
    )?;
    ensure(
        bytes_of(quarantine, &first)?.is_some(),
        "a new reason lost the bytes",
    )
}

fn a_new_category_moves_the_entry(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    let old = filed(quarantine, b"bytes", &refusal(Category::BurnedIn, "one"))?;
    let new = filed(
        quarantine,
        b"bytes",
        &refusal(Category::StorageError, "two"),
    )?;
    ensure(all(quarantine)?.len() == 1, "equal bytes have two entries")?;
    ensure(
        bytes_of(quarantine, &old)?.is_none(),
        "the old entry is still there",
    )?;
    ensure(
        bytes_of(quarantine, &new)?.is_some(),
        "the new entry has no bytes",
    )
}

fn foreign_bytes_are_recorded_and_not_copied(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    let mut why = refusal(Category::InvalidDicom, "is no DICOM object");
    why.foreign = true;
    let id = filed(quarantine, b"a letter", &why)?;
    ensure(
        bytes_of(quarantine, &id)?.is_none(),
        "foreign bytes are copied",
    )?;
    let again = quarantine
        .received(&id)
        .or_breach("an entry cannot be read")?;
    ensure(again.is_none(), "received returns foreign bytes")?;
    let kept = all(quarantine)?
        .first()
        .map(|entry| (entry.kept, entry.length));
    ensure(
        kept == Some((Kept::Recorded, 8)),
        "a foreign object is not recorded",
    )
}

fn a_cleared_entry_is_removed(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    let why = refusal(Category::CapturePhiError, "differs");
    let one = filed(quarantine, b"bytes", &why)?;
    let two = filed(quarantine, b"other", &why)?;
    let find = |bytes: &[u8]| {
        quarantine
            .find(&Original::Bytes(bytes))
            .or_breach("find fails")
    };
    ensure(
        find(b"bytes")? == [one],
        "an entry is not found by its bytes",
    )?;
    ensure(
        find(b"third")?.is_empty(),
        "an entry is found by other bytes of its length",
    )?;
    ensure(find(b"no")?.is_empty(), "an entry is found by other bytes")?;
    let cleared = quarantine
        .clear(&one)
        .or_breach("an entry cannot be cleared")?;
    ensure(cleared, "an entry is not found when it is cleared")?;
    let cleared = quarantine.clear(&one).or_breach("clearing twice fails")?;
    ensure(!cleared, "a cleared entry is cleared again")?;
    ensure(find(b"bytes")?.is_empty(), "a cleared entry is found")?;
    let left: Vec<EntryId> = all(quarantine)?.iter().map(|entry| entry.id).collect();
    ensure(left == [two], "clearing took another entry")
}

fn a_file_is_kept_like_bytes_in_memory(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    let path = std::env::temp_dir().join(format!("anon-conformance-{}", std::process::id()));
    let bytes = b"0123456789".repeat(20_000);
    let made = std::fs::File::create(&path).or_breach("no temporary file")?;
    std::io::Write::write_all(&mut &made, &bytes).or_breach("no temporary file")?;
    drop(made);
    let opened = std::fs::File::open(&path).or_breach("no temporary file")?;
    let original = Original::File {
        file: &opened,
        len: bytes.len() as u64,
    };
    let id = file(
        quarantine,
        original,
        &refusal(Category::DicomReadError, "is cut"),
    );
    std::fs::remove_file(&path).or_breach("no temporary file")?;
    let id = id.or_breach("a file is not filed")?;
    ensure(
        bytes_of(quarantine, &id)? == Some(bytes),
        "a file's bytes are not as they were",
    )
}

fn the_bound_on_bytes_holds(quarantine: &dyn Quarantine) -> Result<(), Breach> {
    let why = refusal(Category::StorageError, "no");
    let first = filed(quarantine, b"123456", &why)?;
    let full = file(quarantine, Original::Bytes(b"12345"), &why);
    ensure(
        matches!(full, Err(QuarantineError::Full)),
        "more bytes are kept than the bound allows",
    )?;
    filed(
        quarantine,
        b"123456",
        &refusal(Category::BurnedIn, "the same again fits"),
    )?;
    filed(quarantine, b"1234", &why)?;
    let moved = EntryId::new(Category::BurnedIn, *first.digest());
    quarantine
        .clear(&moved)
        .or_breach("an entry cannot be cleared")?;
    filed(quarantine, b"12345", &why)?;
    ensure(all(quarantine)?.len() == 2, "entries are lost at the bound")
}
