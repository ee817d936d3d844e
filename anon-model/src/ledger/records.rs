//! The ids and rows that both stores keep.

use std::slice;

use crate::identity::scheme::IdentityRecord;
use crate::{Counts, Fingerprint, PatientPhi, Phi, Remarks, SeriesPhi, Space, StudyPhi, Totals};

/// How the pseudonym of a pair is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PairKind {
    /// From the number in its id.
    Numbered,
    /// Computed from the original by the scheme.
    Computed,
    /// Adopted from another program, and stored as text.
    External,
}

/// The id of a pair of original and pseudonym: two bits of space, two bits of kind, and a number.
/// Assigned numbers rise within a space and kind, and none is assigned twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId(pub(crate) u64);

impl PairId {
    const NUMBER: u64 = (1 << 60) - 1;

    /// The patient without an id. Never stored as a pair.
    pub(crate) const NO_PATIENT: Self = Self(0);

    pub(crate) const fn new(space: Space, kind: PairKind, number: u64) -> Self {
        let space = match space {
            Space::Patient => 0,
            Space::Uid => 1,
            Space::Accession => 2,
        };
        let kind = match kind {
            PairKind::Numbered => 0,
            PairKind::Computed => 1,
            PairKind::External => 2,
        };
        Self(space << 62 | kind << 60 | number & Self::NUMBER)
    }

    pub(crate) const fn space(self) -> Space {
        match self.0 >> 62 {
            0 => Space::Patient,
            1 => Space::Uid,
            _ => Space::Accession,
        }
    }

    pub(crate) const fn kind(self) -> PairKind {
        match self.0 >> 60 & 3 {
            0 => PairKind::Numbered,
            1 => PairKind::Computed,
            _ => PairKind::External,
        }
    }

    pub(crate) const fn number(self) -> u64 {
        self.0 & Self::NUMBER
    }
}

impl From<PairId> for u64 {
    fn from(id: PairId) -> Self {
        id.0
    }
}

/// An original, with its pseudonym unless that follows from the id or the original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) original: Phi<String>,
    /// The pseudonym of a pair of kind [`PairKind::External`].
    pub(crate) external: Option<String>,
    /// The study that first named this UID other than as its own study, series or instance UID, or
    /// that first had this accession number. Most UIDs have none.
    pub(crate) referrer: Option<PairId>,
}

/// A patient in the index, under its [`PairId`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PatientRecord {
    /// Empty for the patient without an id, which stands for many people.
    pub(crate) phi: PatientPhi,
    /// The arrival of the instance that `phi` is of.
    pub(crate) arrival: u64,
    /// A name and a birth date of another instance, if `phi` has none. A third value is compared
    /// with them.
    pub(crate) compared: [Option<Phi<String>>; 2],
    pub(crate) studies: u64,
    pub(crate) series: u64,
    pub(crate) instances: u64,
}

/// A study in the index, under the [`PairId`] of its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StudyRecord {
    pub(crate) patient: PairId,
    /// The arrival number of its first instance. `phi`, `person` and `accessions` come from that
    /// instance.
    pub(crate) first_seen: u64,
    pub(crate) phi: StudyPhi,
    /// The patient's values as this study has them. The id stands with the patient.
    pub(crate) person: PatientPhi,
    pub(crate) accessions: Vec<AccessionValue>,
    pub(crate) series: u64,
    pub(crate) instances: u64,
    /// Instances that a retrieve expects; 0 if no retrieve asked for the study.
    pub(crate) target: u64,
}

/// An accession number of a study.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AccessionValue {
    pub(crate) text: Phi<String>,
    /// `None` if the rules do not replace it.
    pub(crate) pair: Option<PairId>,
}

/// The values of one instance, or of one adopted study.
pub(crate) struct CapturedValues<'v> {
    /// Its place in the order of assignment.
    pub(crate) arrival: u64,
    pub(crate) patient: &'v PatientPhi,
    pub(crate) study: &'v StudyPhi,
    /// True if it is filed under a patient that it does not name.
    pub(crate) is_of_other_patient: bool,
}

/// A series in the index, under the [`PairId`] of its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeriesRecord {
    pub(crate) study: PairId,
    pub(crate) phi: SeriesPhi,
    /// The arrival of the instance that `phi` is of.
    pub(crate) arrival: u64,
    pub(crate) instances: u64,
}

/// A value in which the instances of a study may differ. The number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Field {
    PatientName = 0,
    BirthDate = 1,
    Accession = 2,
    StudyDate = 3,
}

impl Field {
    pub(crate) const ALL: [Self; 4] = [
        Self::PatientName,
        Self::BirthDate,
        Self::Accession,
        Self::StudyDate,
    ];
}

/// One of several values that the instances of a study have for a [`Field`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VariantRecord {
    pub(crate) text: Phi<String>,
    /// The pair of an accession number.
    pub(crate) pair: Option<PairId>,
    /// The lowest arrival of an instance with this value.
    pub(crate) arrival: u64,
}

/// Finds a variant: its study, field, and the keyed hash of its text.
pub(crate) type VariantKey = (PairId, u8, Key);

/// An instance in the index, under the [`PairId`] of its UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InstanceRecord {
    pub(crate) series: PairId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) bytes: u64,
}

/// The remarks on an instance: number of the reason, tag, cases. Holds reasons of later versions too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemarksRecord(pub(crate) Vec<(RemarkKey, u64)>);

impl RemarksRecord {
    /// Returns the row for remarks. `None` if there are none.
    pub(crate) fn of(remarks: &Remarks) -> Option<Self> {
        let entries = remarks.iter();
        let entries = entries.map(|remark| ((remark.reason.code(), remark.tag), remark.count));
        (!remarks.is_empty()).then(|| Self(entries.collect()))
    }
}

/// The number of a reason, and a tag.
pub(crate) type RemarkKey = (u16, u32);

/// An instance whose file a group is going to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OutputRecord {
    pub(crate) patient: PairId,
    pub(crate) study: PairId,
    pub(crate) series: PairId,
    pub(crate) instance: PairId,
    /// False if the index held the instance before this group.
    pub(crate) added: bool,
}

/// A group that is not settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntentRecord {
    /// Files to publish. The index already holds their instances.
    Publish(Vec<OutputRecord>),
    /// Directories to remove, as `patient/study`. The index no longer holds their studies.
    Remove(Vec<[String; 2]>),
    /// A file to replace. The index already holds the new instance.
    Replace(ReplacementRecord),
}

impl IntentRecord {
    /// Returns the instances whose files the group publishes or replaces.
    pub(crate) fn outputs(&self) -> &[OutputRecord] {
        match self {
            Self::Publish(outputs) => outputs,
            Self::Remove(_) => &[],
            Self::Replace(replacement) => slice::from_ref(&replacement.output),
        }
    }
}

/// An instance whose file a group is going to replace, and what to restore if it does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReplacementRecord {
    pub(crate) output: OutputRecord,
    /// The digest of the new file.
    pub(crate) digest: [u8; 16],
    /// What the index held of the instance before.
    pub(crate) before: InstanceRecord,
    pub(crate) remarks: Option<RemarksRecord>,
}

/// The values that a store holds once: identity, counters and totals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Meta {
    pub(crate) identity: IdentityRecord,
    /// The highest number used in each space, by kind. Never falls.
    pub(crate) numbered: [u64; 3],
    pub(crate) computed: [u64; 3],
    pub(crate) external: [u64; 3],
    pub(crate) group: u64,
    /// The last arrival: how many instances have been assigned, and studies adopted. Never falls.
    pub(crate) first_seen: u64,
    pub(crate) rules: u64,
    pub(crate) counts: Counts,
    pub(crate) totals: Totals,
}

impl Meta {
    /// Returns the counter of a space and kind.
    pub(crate) fn counter(&mut self, space: Space, kind: PairKind) -> &mut u64 {
        let [patient, uid, accession] = match kind {
            PairKind::Numbered => &mut self.numbered,
            PairKind::Computed => &mut self.computed,
            PairKind::External => &mut self.external,
        };
        match space {
            Space::Patient => patient,
            Space::Uid => uid,
            Space::Accession => accession,
        }
    }

    /// Returns the number of pairs in a space.
    pub(crate) fn count(&mut self, space: Space) -> &mut u64 {
        match space {
            Space::Patient => &mut self.counts.patients,
            Space::Uid => &mut self.counts.uids,
            Space::Accession => &mut self.counts.accessions,
        }
    }

    /// Returns true once a pseudonym has been assigned or adopted.
    pub(crate) fn is_frozen(&self) -> bool {
        [self.numbered, self.computed, self.external]
            .iter()
            .flatten()
            .any(|count| *count > 0)
            || self.first_seen > 0
    }
}

/// A keyed hash of a text and its space, as a number so that sorting is fast.
pub(crate) type Key = u128;
