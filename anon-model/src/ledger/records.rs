//! What a store keeps, as both stores keep it: ids and rows.

use crate::identity::scheme::IdentityRecord;
use crate::{Counts, Fingerprint, PatientPhi, Phi, SeriesPhi, Space, StudyPhi, Totals};

/// How the pseudonym of a pair comes about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From its number.
    Numbered,
    /// Computed from the original by the scheme.
    Computed,
    /// Given from outside: stored as text.
    Given,
}

/// The id of a pair of original and pseudonym: two bits of space, two bits of kind, a number.
/// Ids of one space and kind are given in rising order and never again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PairId(pub(crate) u64);

impl PairId {
    const NUMBER: u64 = (1 << 60) - 1;

    /// The patient without an id. Never stored as a pair.
    pub(crate) const NO_PATIENT: Self = Self(0);

    pub(crate) const fn new(space: Space, kind: Kind, number: u64) -> Self {
        let space = match space {
            Space::Patient => 0,
            Space::Uid => 1,
            Space::Accession => 2,
        };
        let kind = match kind {
            Kind::Numbered => 0,
            Kind::Computed => 1,
            Kind::Given => 2,
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

    pub(crate) const fn kind(self) -> Kind {
        match self.0 >> 60 & 3 {
            0 => Kind::Numbered,
            1 => Kind::Computed,
            _ => Kind::Given,
        }
    }

    pub(crate) const fn number(self) -> u64 {
        self.0 & Self::NUMBER
    }
}

/// An original and, where it cannot be made again from the id or the original, its pseudonym.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) original: Phi<String>,
    pub(crate) given: Option<String>,
    /// The study that named it first, in another role than its own three: mostly the only one.
    pub(crate) referrer: Option<PairId>,
}

/// A patient in the index, under its [`PairId`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PatientRecord {
    pub(crate) phi: PatientPhi,
    pub(crate) studies: u64,
    pub(crate) series: u64,
    pub(crate) instances: u64,
}

/// A study in the index, under the [`PairId`] of its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StudyRecord {
    pub(crate) patient: PairId,
    /// Rises with the order of first sight, over all studies.
    pub(crate) sight: u64,
    pub(crate) phi: StudyPhi,
    pub(crate) accession: Option<PairId>,
    pub(crate) series: u64,
    pub(crate) instances: u64,
    /// Instances a retrieve expects; 0 if none was asked for.
    pub(crate) target: u64,
}

/// A series in the index, under the [`PairId`] of its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SeriesRecord {
    pub(crate) study: PairId,
    pub(crate) phi: SeriesPhi,
    pub(crate) instances: u64,
}

/// An instance in the index, under the [`PairId`] of its UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    pub(crate) series: PairId,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) bytes: u64,
}

/// An instance a group meant to publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) patient: PairId,
    pub(crate) study: PairId,
    pub(crate) series: PairId,
    pub(crate) instance: PairId,
    /// False if the index held the instance before the group came.
    pub(crate) added: bool,
}

/// A group not settled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IntentRecord {
    /// Files that the index counts on.
    Publish(Vec<Output>),
    /// Directories, `patient/study`, that the index no longer knows.
    Remove(Vec<[String; 2]>),
}

/// Everything of which there is one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Meta {
    pub(crate) identity: IdentityRecord,
    /// The highest number given out in each space, by kind. Never falls.
    pub(crate) numbered: [u64; 3],
    pub(crate) computed: [u64; 3],
    pub(crate) given: [u64; 3],
    pub(crate) group: u64,
    pub(crate) sight: u64,
    pub(crate) rules: u64,
    pub(crate) counts: Counts,
    pub(crate) totals: Totals,
}

impl Meta {
    /// The counter of a space and kind.
    pub(crate) fn counter(&mut self, space: Space, kind: Kind) -> &mut u64 {
        let [patient, uid, accession] = match kind {
            Kind::Numbered => &mut self.numbered,
            Kind::Computed => &mut self.computed,
            Kind::Given => &mut self.given,
        };
        match space {
            Space::Patient => patient,
            Space::Uid => uid,
            Space::Accession => accession,
        }
    }

    /// The pair count of a space.
    pub(crate) fn count(&mut self, space: Space) -> &mut u64 {
        match space {
            Space::Patient => &mut self.counts.patients,
            Space::Uid => &mut self.counts.uids,
            Space::Accession => &mut self.counts.accessions,
        }
    }

    /// True once a pseudonym has been given out.
    pub(crate) fn is_frozen(&self) -> bool {
        [self.numbered, self.computed, self.given]
            .iter()
            .flatten()
            .any(|count| *count > 0)
            || self.sight > 0
    }
}

/// A keyed hash of a text in its space, as a number so that it sorts fast.
pub(crate) type Key = u128;
