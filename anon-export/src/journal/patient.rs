//! [`PatientJournal`]: the journal file of one patient.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::patient_end::PatientEnd;
use super::{line, seconds};
use crate::platform::{self, Dir};
use crate::report::Counts;
use crate::{EntityTag, KeyPart, ObjectKey, Origin, SourceObject};

/// The record of an object that is at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JournalEntry {
    len: u64,
    modified: Option<SystemTime>,
    tag: Option<EntityTag>,
    /// Which original it was made from, if known.
    origin: Option<Origin>,
    /// When it was sent or found, in seconds since 1970.
    when: u64,
}

impl JournalEntry {
    #[cfg(test)]
    pub(crate) fn new(len: u64, modified: Option<SystemTime>, tag: Option<EntityTag>) -> Self {
        Self {
            len,
            modified,
            tag,
            origin: None,
            when: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn with_origin(self, origin: Option<Origin>) -> Self {
        Self { origin, ..self }
    }

    /// Returns true if it records this object in its current state. An object without a
    /// modification time may have changed unnoticed.
    pub(crate) fn matches(&self, object: &SourceObject) -> bool {
        self.len == object.len && self.modified.is_some() && self.modified == object.modified
    }

    pub(crate) fn tag(&self) -> Option<&EntityTag> {
        self.tag.as_ref()
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        self.origin
    }
}

/// The change of the totals by one export of a patient.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TotalsChange {
    pub(super) patients: u64,
    pub(super) objects: u64,
    pub(super) bytes: i64,
    pub(super) last: Option<u64>,
}

/// How much of a patient an export covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Every object.
    Whole,
    /// Only a selected study, or what came before the export was cancelled.
    Part,
}

/// The journal file of one patient and its entries.
#[derive(Debug)]
pub(crate) struct PatientJournal {
    directory: Arc<Dir>,
    /// The name of the file.
    patient: KeyPart,
    now: fn() -> SystemTime,
    entries: HashMap<ObjectKey, JournalEntry>,
    last_end: Option<PatientEnd>,
    /// Opened when the first line is written.
    file: Option<File>,
    /// The length of the valid lines, in bytes.
    whole: u64,
    change: TotalsChange,
}

impl PatientJournal {
    pub(super) fn open(
        directory: &Arc<Dir>,
        patient: &KeyPart,
        now: fn() -> SystemTime,
    ) -> io::Result<Self> {
        let bytes = platform::read(directory, patient.as_str())?.unwrap_or_default();
        let mut entries = HashMap::new();
        let mut last_end = None;
        let whole = line::each(&bytes, |fields| {
            // Lines of an unknown kind are ignored.
            if let Some((key, entry)) = read(patient, fields) {
                entries.insert(key, entry);
            } else if let Some(end) = PatientEnd::read(fields) {
                last_end = Some(end);
            }
        });
        Ok(Self {
            directory: Arc::clone(directory),
            patient: patient.clone(),
            now,
            entries,
            last_end,
            file: None,
            whole: whole as u64,
            change: TotalsChange::default(),
        })
    }

    pub(crate) fn get(&self, key: &ObjectKey) -> Option<&JournalEntry> {
        self.entries.get(key)
    }

    /// Records that an object is at the destination, with its origin and tag. An unchanged record is
    /// not written again, unless the object was sent again. If the origin of an object that was found
    /// is not known, the recorded one stays, unless the tag says that the object is another one.
    pub(crate) fn record(
        &mut self,
        object: &SourceObject,
        origin: Option<Origin>,
        tag: Option<EntityTag>,
        is_sent: bool,
    ) -> Result<(), crate::Error> {
        let now = seconds((self.now)());
        let known = self.entries.get(&object.key);
        let known_origin = known
            .filter(|known| !is_sent && known.tag == tag)
            .and_then(JournalEntry::origin);
        let entry = JournalEntry {
            len: object.len,
            modified: object.modified,
            tag,
            origin: origin.or(known_origin),
            when: now.parse().unwrap_or_default(),
        };
        let is_known = known.is_some_and(|known| {
            known.matches(object) && known.tag == entry.tag && known.origin == entry.origin
        });
        if is_known && !is_sent {
            return Ok(());
        }
        let text = write(&object.key, &entry, &now);
        self.append(text.as_bytes())
            .map_err(super::journal_error("write a file"))?;
        self.add(object.key.clone(), entry);
        Ok(())
    }

    /// Records the result of an export of the patient. One that found everything at the destination
    /// is written only after one that did not, so that a repeated export writes nothing. An export
    /// of a part does not end an earlier error, because the rest may still have it.
    pub(crate) fn end(
        &mut self,
        counts: &Counts,
        error: Option<&crate::Error>,
        extent: Extent,
    ) -> Result<(), crate::Error> {
        let end = PatientEnd::new((self.now)(), counts, error);
        let was_complete = self.last_end.as_ref().is_none_or(PatientEnd::is_complete);
        if extent == Extent::Part && error.is_none() && (end.is_complete() || !was_complete) {
            return Ok(());
        }
        if end.is_complete() && end.counts.sent == 0 && was_complete {
            return Ok(());
        }
        self.append(end.write().as_bytes())
            .map_err(super::journal_error("write a file"))?;
        self.last_end = Some(end);
        Ok(())
    }

    fn add(&mut self, key: ObjectKey, entry: JournalEntry) {
        let TotalsChange {
            patients,
            objects,
            bytes,
            last,
        } = &mut self.change;
        *last = (*last).max(Some(entry.when));
        *patients += u64::from(self.entries.is_empty());
        *bytes = bytes.saturating_add_unsigned(entry.len);
        match self.entries.insert(key, entry) {
            Some(before) => *bytes = bytes.saturating_sub_unsigned(before.len),
            None => *objects += 1,
        }
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let file = if let Some(file) = &mut self.file {
            file
        } else {
            let name = self.patient.as_str();
            self.file
                .insert(open_and_truncate(&self.directory, name, self.whole)?)
        };
        // One write, so that a killed process leaves at most one incomplete line.
        file.write_all(line)
    }

    /// Makes the file durable and returns the change of the totals.
    pub(super) fn close(self) -> io::Result<TotalsChange> {
        if let Some(file) = self.file {
            file.sync_all()?;
            if self.whole == 0 {
                self.directory.sync()?;
            }
        }
        Ok(self.change)
    }

    /// Takes the last recorded result.
    pub(super) fn take_last_end(&mut self) -> Option<PatientEnd> {
        self.last_end.take()
    }

    /// Returns the number of objects, their bytes, and the time of the last entry.
    pub(super) fn sums(&self) -> (u64, u64, Option<u64>) {
        let bytes = self.entries.values().map(|entry| entry.len).sum();
        let last = self.entries.values().map(|entry| entry.when).max();
        (self.entries.len() as u64, bytes, last)
    }
}

/// Opens a file for appending after its valid lines and cuts off the rest.
pub(super) fn open_and_truncate(directory: &Dir, name: &str, whole: u64) -> io::Result<File> {
    let file = directory.open_or_create(name)?;
    if file.metadata()?.len() > whole {
        file.set_len(whole)?;
    }
    Ok(file)
}

fn write(key: &ObjectKey, entry: &JournalEntry, when: &str) -> String {
    let [_, study, series, instance] = key.parts();
    let modified = entry.modified.and_then(|time| {
        let since = time.duration_since(UNIX_EPOCH).ok()?;
        Some(since.as_nanos().to_string())
    });
    let origin = entry.origin.map(|origin| origin.to_string());
    line::write(&[
        "put",
        study.as_str(),
        series.as_str(),
        instance.as_str(),
        &entry.len.to_string(),
        modified.as_deref().unwrap_or("-"),
        entry.tag.as_ref().map_or("-", EntityTag::as_str),
        when,
        origin.as_deref().unwrap_or("-"),
    ])
}

fn read(patient: &KeyPart, fields: &[&str]) -> Option<(ObjectKey, JournalEntry)> {
    let [
        "put",
        study,
        series,
        instance,
        len,
        modified,
        tag,
        when,
        rest @ ..,
    ] = fields
    else {
        return None;
    };
    let origin = match rest {
        // Versions 1 and 2 have no origin.
        [] | ["-"] => None,
        [origin] => Some(Origin::parse(origin)?),
        _ => return None,
    };
    let of = |part: &str| KeyPart::new(part).ok();
    let key = ObjectKey::of([patient.clone(), of(study)?, of(series)?, of(instance)?]);
    let modified = match *modified {
        "-" => None,
        nanos => Some(UNIX_EPOCH + nanoseconds(nanos.parse().ok()?)),
    };
    let tag = match *tag {
        "-" => None,
        tag => Some(EntityTag::new(tag)?),
    };
    let entry = JournalEntry {
        len: len.parse().ok()?,
        modified,
        tag,
        origin,
        when: when.parse().ok()?,
    };
    Some((key, entry))
}

/// Reaches to the year 2554.
fn nanoseconds(count: u64) -> Duration {
    Duration::from_nanos(count)
}
