//! The structs of each version, one for each kind of row.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{CodecError, Row, encode_wire};
use crate::identity::scheme::IdentityRecord;
use crate::ledger::records::{
    AccessionValue, InstanceRecord, IntentRecord, Meta, OutputRecord, Pair, PairId, PatientRecord,
    RemarkKey, RemarksRecord, ReplacementRecord, SeriesRecord, StudyRecord, VariantRecord,
};
use crate::{
    Counts, DigestVersion, Fingerprint, PatientPhi, Phi, RulesRecord, SeriesPhi, StudyPhi, Totals,
};

fn text(text: Option<&Phi<String>>) -> Option<&str> {
    text.map(|text| text.expose().as_str())
}

pub(super) fn phi(text: Option<&str>) -> Option<Phi<String>> {
    text.map(text_of)
}

pub(super) fn text_of(text: &str) -> Phi<String> {
    Phi::new(text.to_owned())
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PairV1<'w> {
    original: &'w str,
    external: Option<&'w str>,
    referrer: Option<u64>,
}

impl<'w> PairV1<'w> {
    fn of(pair: &'w Pair) -> Self {
        Self {
            original: pair.original.expose(),
            external: pair.external.as_deref(),
            referrer: pair.referrer.map(rotated),
        }
    }

    fn pair(self) -> Pair {
        Pair {
            original: Phi::new(self.original.to_owned()),
            external: self.external.map(str::to_owned),
            referrer: self.referrer.map(unrotated),
        }
    }
}

/// Moves space and kind of an id to the lowest bits, because bincode writes small numbers short.
fn rotated(id: PairId) -> u64 {
    id.0.rotate_left(4)
}

fn unrotated(rotated: u64) -> PairId {
    PairId(rotated.rotate_right(4))
}

/// Pairs with consecutive ids. `None` where a pair was removed.
pub(crate) struct PairRun(pub(crate) Vec<Option<Pair>>);

#[derive(Serialize, Deserialize)]
pub(crate) struct PairRunV1<'w>(#[serde(borrow)] Vec<Option<PairV1<'w>>>);

impl Row for PairRun {
    const KIND: &'static str = "pair";
    type Wire<'w> = PairRunV1<'w>;

    fn wire(&self) -> PairRunV1<'_> {
        PairRunV1(
            self.0
                .iter()
                .map(|pair| pair.as_ref().map(PairV1::of))
                .collect(),
        )
    }

    fn from_wire(wire: PairRunV1<'_>) -> Self {
        Self(
            wire.0
                .into_iter()
                .map(|pair| pair.map(PairV1::pair))
                .collect(),
        )
    }
}

/// Writes a [`PairRun`] of these pairs to a buffer, without cloning them.
pub(crate) fn encode_run<'p>(
    pairs: impl Iterator<Item = &'p Pair>,
    buffer: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let wire = PairRunV1(pairs.map(|pair| Some(PairV1::of(pair))).collect());
    encode_wire((PairRun::KIND, PairRun::VERSION), &wire, buffer)
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PatientV2<'w> {
    id: &'w str,
    name: &'w str,
    sex: Option<&'w str>,
    birth_date: Option<&'w str>,
    ethnic_group: Option<&'w str>,
    arrival: u64,
    compared: [Option<&'w str>; 2],
    studies: u64,
    series: u64,
    instances: u64,
}

impl Row for PatientRecord {
    const KIND: &'static str = "patient";
    const VERSION: u8 = 2;
    type Wire<'w> = PatientV2<'w>;

    fn wire(&self) -> PatientV2<'_> {
        PatientV2 {
            id: self.phi.id.expose(),
            name: self.phi.name.expose(),
            sex: text(self.phi.sex.as_ref()),
            birth_date: text(self.phi.birth_date.as_ref()),
            ethnic_group: text(self.phi.ethnic_group.as_ref()),
            arrival: self.arrival,
            compared: self.compared.each_ref().map(|value| text(value.as_ref())),
            studies: self.studies,
            series: self.series,
            instances: self.instances,
        }
    }

    fn from_wire(wire: PatientV2<'_>) -> Self {
        Self {
            phi: PatientPhi {
                id: Phi::new(wire.id.to_owned()),
                name: Phi::new(wire.name.to_owned()),
                sex: phi(wire.sex),
                birth_date: phi(wire.birth_date),
                ethnic_group: phi(wire.ethnic_group),
            },
            arrival: wire.arrival,
            compared: wire.compared.map(phi),
            studies: wire.studies,
            series: wire.series,
            instances: wire.instances,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct StudyV2<'w> {
    patient: u64,
    first_seen: u64,
    source: &'w str,
    date: Option<&'w str>,
    date_offset: i32,
    phi_accession: Option<&'w str>,
    description: Option<&'w str>,
    name: &'w str,
    sex: Option<&'w str>,
    birth_date: Option<&'w str>,
    ethnic_group: Option<&'w str>,
    #[serde(borrow)]
    accessions: Vec<(&'w str, Option<u64>)>,
    series: u64,
    instances: u64,
    target: u64,
}

impl Row for StudyRecord {
    const KIND: &'static str = "study";
    const VERSION: u8 = 2;
    type Wire<'w> = StudyV2<'w>;

    fn wire(&self) -> StudyV2<'_> {
        let accessions = self.accessions.iter();
        StudyV2 {
            patient: self.patient.0,
            first_seen: self.first_seen,
            source: self.phi.source.expose(),
            date: text(self.phi.date.as_ref()),
            date_offset: self.phi.date_offset,
            phi_accession: text(self.phi.accession.as_ref()),
            description: text(self.phi.description.as_ref()),
            name: self.person.name.expose(),
            sex: text(self.person.sex.as_ref()),
            birth_date: text(self.person.birth_date.as_ref()),
            ethnic_group: text(self.person.ethnic_group.as_ref()),
            accessions: accessions
                .map(|value| (value.text.expose().as_str(), value.pair.map(|id| id.0)))
                .collect(),
            series: self.series,
            instances: self.instances,
            target: self.target,
        }
    }

    fn from_wire(wire: StudyV2<'_>) -> Self {
        let value = |(text, pair): (&str, Option<u64>)| AccessionValue {
            text: Phi::new(text.to_owned()),
            pair: pair.map(PairId),
        };
        Self {
            patient: PairId(wire.patient),
            first_seen: wire.first_seen,
            phi: StudyPhi {
                source: Phi::new(wire.source.to_owned()),
                date: phi(wire.date),
                date_offset: wire.date_offset,
                accession: phi(wire.phi_accession),
                description: phi(wire.description),
            },
            person: PatientPhi {
                id: Phi::default(),
                name: Phi::new(wire.name.to_owned()),
                sex: phi(wire.sex),
                birth_date: phi(wire.birth_date),
                ethnic_group: phi(wire.ethnic_group),
            },
            accessions: wire.accessions.into_iter().map(value).collect(),
            series: wire.series,
            instances: wire.instances,
            target: wire.target,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct SeriesV2<'w> {
    study: u64,
    description: Option<&'w str>,
    modality: Option<&'w str>,
    arrival: u64,
    instances: u64,
}

impl Row for SeriesRecord {
    const KIND: &'static str = "series";
    const VERSION: u8 = 2;
    type Wire<'w> = SeriesV2<'w>;

    fn wire(&self) -> SeriesV2<'_> {
        SeriesV2 {
            study: self.study.0,
            description: text(self.phi.description.as_ref()),
            modality: text(self.phi.modality.as_ref()),
            arrival: self.arrival,
            instances: self.instances,
        }
    }

    fn from_wire(wire: SeriesV2<'_>) -> Self {
        Self {
            study: PairId(wire.study),
            phi: SeriesPhi {
                description: phi(wire.description),
                modality: phi(wire.modality),
            },
            arrival: wire.arrival,
            instances: wire.instances,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct VariantV1<'w> {
    text: &'w str,
    pair: Option<u64>,
    arrival: u64,
}

impl Row for VariantRecord {
    const KIND: &'static str = "variant";
    type Wire<'w> = VariantV1<'w>;

    fn wire(&self) -> VariantV1<'_> {
        VariantV1 {
            text: self.text.expose(),
            pair: self.pair.map(|id| id.0),
            arrival: self.arrival,
        }
    }

    fn from_wire(wire: VariantV1<'_>) -> Self {
        Self {
            text: Phi::new(wire.text.to_owned()),
            pair: wire.pair.map(PairId),
            arrival: wire.arrival,
        }
    }
}

/// An encoded instance: series, length, digest and bytes, little-endian. It has a fixed length, because
/// no other row is as frequent. The highest byte of the length is the version of the digest: 0 for
/// [`DigestVersion::V1`], which all rows before format 3 have, 1 for [`DigestVersion::V2`].
pub(crate) type InstanceBytes = [u8; 40];

/// The lowest bit of the version of a digest, in the field of the length.
const DIGEST_VERSION: u32 = 56;

pub(crate) fn instance_bytes(record: &InstanceRecord) -> InstanceBytes {
    let mut bytes = [0; 40];
    let version = match record.fingerprint.version {
        DigestVersion::V1 => 0,
        DigestVersion::V2 => 1,
    };
    let length = record.fingerprint.length | version << DIGEST_VERSION;
    let fields = record.series.0.to_le_bytes().into_iter();
    let fields = fields
        .chain(length.to_le_bytes())
        .chain(record.fingerprint.digest)
        .chain(record.bytes.to_le_bytes());
    for (byte, field) in bytes.iter_mut().zip(fields) {
        *byte = field;
    }
    bytes
}

pub(crate) fn instance_of(bytes: &InstanceBytes) -> InstanceRecord {
    let number = |offset: usize| {
        let field = bytes.iter().skip(offset).take(8).rev();
        field.fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    let mut digest = [0; 16];
    for (byte, field) in digest.iter_mut().zip(bytes.iter().skip(16)) {
        *byte = *field;
    }
    InstanceRecord {
        series: PairId(number(0)),
        fingerprint: Fingerprint {
            length: number(8) & ((1 << DIGEST_VERSION) - 1),
            digest,
            version: match number(8) >> DIGEST_VERSION {
                0 => DigestVersion::V1,
                _ => DigestVersion::V2,
            },
        },
        bytes: number(32),
    }
}

/// The instances that a group added to a series.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GroupMembers(pub(crate) Vec<PairId>);

#[derive(Serialize, Deserialize)]
pub(crate) struct GroupMembersV1(Vec<u64>);

impl Row for GroupMembers {
    const KIND: &'static str = "instance";
    type Wire<'w> = GroupMembersV1;

    /// Writes the distance of each id to the one before, which is mostly one byte.
    fn wire(&self) -> GroupMembersV1 {
        let mut last = 0;
        let distance = |id: &PairId| {
            let rotated = rotated(*id);
            let before = std::mem::replace(&mut last, rotated);
            rotated.wrapping_sub(before)
        };
        GroupMembersV1(self.0.iter().map(distance).collect())
    }

    fn from_wire(wire: GroupMembersV1) -> Self {
        let mut last = 0_u64;
        let id = |distance: u64| {
            last = last.wrapping_add(distance);
            unrotated(last)
        };
        Self(wire.0.into_iter().map(id).collect())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RemarksV1(Vec<(RemarkKey, u64)>);

impl Row for RemarksRecord {
    const KIND: &'static str = "remark";
    type Wire<'w> = RemarksV1;

    fn wire(&self) -> RemarksV1 {
        RemarksV1(self.0.clone())
    }

    fn from_wire(wire: RemarksV1) -> Self {
        Self(wire.0)
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) enum IntentV1 {
    Publish(Vec<([u64; 4], bool)>),
    Remove(Vec<[String; 2]>),
    Replace(ReplacementV1),
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ReplacementV1 {
    ids: [u64; 4],
    digest: [u8; 16],
    /// The bytes of the instance's row, as five numbers.
    before: [u64; 5],
    remarks: Option<Vec<(RemarkKey, u64)>>,
}

impl ReplacementV1 {
    fn of(record: &ReplacementRecord) -> Self {
        let output = record.output;
        let ids = [output.patient, output.study, output.series, output.instance];
        let mut before = [0; 5];
        let bytes = instance_bytes(&record.before);
        for (number, bytes) in before.iter_mut().zip(bytes.chunks_exact(8)) {
            let digits = bytes.iter().rev();
            *number = digits.fold(0, |number: u64, byte| number << 8 | u64::from(*byte));
        }
        Self {
            ids: ids.map(|id| id.0),
            digest: record.digest,
            before,
            remarks: record.remarks.as_ref().map(|remarks| remarks.0.clone()),
        }
    }

    fn record(self) -> ReplacementRecord {
        let [patient, study, series, instance] = self.ids.map(PairId);
        let mut before = [0; 40];
        for (bytes, number) in before.chunks_exact_mut(8).zip(self.before) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        ReplacementRecord {
            output: OutputRecord {
                patient,
                study,
                series,
                instance,
                added: false,
            },
            digest: self.digest,
            before: instance_of(&before),
            remarks: self.remarks.map(RemarksRecord),
        }
    }
}

impl Row for IntentRecord {
    const KIND: &'static str = "intent";
    type Wire<'w> = IntentV1;

    fn wire(&self) -> IntentV1 {
        match self {
            Self::Publish(outputs) => IntentV1::Publish(
                outputs
                    .iter()
                    .map(|output| {
                        let ids = [output.patient, output.study, output.series, output.instance];
                        (ids.map(|id| id.0), output.added)
                    })
                    .collect(),
            ),
            Self::Remove(directories) => IntentV1::Remove(directories.clone()),
            Self::Replace(record) => IntentV1::Replace(ReplacementV1::of(record)),
        }
    }

    fn from_wire(wire: IntentV1) -> Self {
        match wire {
            IntentV1::Publish(outputs) => Self::Publish(
                outputs
                    .into_iter()
                    .map(|(ids, added)| {
                        let [patient, study, series, instance] = ids.map(PairId);
                        OutputRecord {
                            patient,
                            study,
                            series,
                            instance,
                            added,
                        }
                    })
                    .collect(),
            ),
            IntentV1::Remove(directories) => Self::Remove(directories),
            IntentV1::Replace(record) => Self::Replace(record.record()),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct RulesV1<'w> {
    digest: [u8; 32],
    name: &'w str,
    text: &'w str,
    accepted: &'w str,
}

impl Row for RulesRecord {
    const KIND: &'static str = "rules";
    type Wire<'w> = RulesV1<'w>;

    fn wire(&self) -> RulesV1<'_> {
        RulesV1 {
            digest: self.digest,
            name: &self.name,
            text: &self.text,
            accepted: &self.accepted,
        }
    }

    fn from_wire(wire: RulesV1<'_>) -> Self {
        Self {
            digest: wire.digest,
            name: wire.name.to_owned(),
            text: wire.text.to_owned(),
            accepted: wire.accepted.to_owned(),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct MetaV1 {
    identity: IdentityRecord,
    numbered: [u64; 3],
    computed: [u64; 3],
    external: [u64; 3],
    group: u64,
    first_seen: u64,
    rules: u64,
    counts: [u64; 3],
    totals: [u64; 5],
}

impl Row for Meta {
    const KIND: &'static str = "state";
    type Wire<'w> = MetaV1;

    fn wire(&self) -> MetaV1 {
        let (counts, totals) = (&self.counts, &self.totals);
        MetaV1 {
            identity: self.identity.clone(),
            numbered: self.numbered,
            computed: self.computed,
            external: self.external,
            group: self.group,
            first_seen: self.first_seen,
            rules: self.rules,
            counts: [counts.patients, counts.uids, counts.accessions],
            totals: [
                totals.patients,
                totals.studies,
                totals.series,
                totals.instances,
                totals.bytes,
            ],
        }
    }

    fn from_wire(wire: MetaV1) -> Self {
        let [patients, uids, accessions] = wire.counts;
        let counts = Counts {
            patients,
            uids,
            accessions,
        };
        let [patients, studies, series, instances, bytes] = wire.totals;
        Self {
            identity: wire.identity,
            numbered: wire.numbered,
            computed: wire.computed,
            external: wire.external,
            group: wire.group,
            first_seen: wire.first_seen,
            rules: wire.rules,
            counts,
            totals: Totals {
                patients,
                studies,
                series,
                instances,
                bytes,
            },
        }
    }
}

impl fmt::Debug for PairV1<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairV1(..)")
    }
}
