//! The encoding of values: a version byte, then bincode (standard configuration) of a struct that is
//! private to that version.
//!
//! ```text
//! value = version: u8 | bincode of the struct of that version
//! ```
//!
//! Lengths are checked before anything is allocated. A value with bytes left over is damaged. bincode
//! cannot add fields to a struct, so a new version is a new struct in [`rows`] and a step in
//! [`migrate`](super::migrate).

mod rows;
pub(crate) mod rows_2;

use serde::{Deserialize, Serialize};

pub(crate) use self::rows::{
    GroupMembers, InstanceBytes, PairRun, encode_run, instance_bytes, instance_of,
};
use crate::{BackendError, Remedy};

/// The longest value in bytes.
const LIMIT: usize = 16 << 20;

/// A value that cannot be read or written. The message names the kind of value, never its content.
/// The errors of bincode can print parts of the input, so they are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("a {0} row of the lookup store is damaged")]
    Damaged(&'static str),
    #[error(
        "a {kind} row of the lookup store has version {version}, which is newer than this program"
    )]
    Newer { kind: &'static str, version: u8 },
    #[error("a {0} row is too long for the lookup store")]
    TooLong(&'static str),
}

impl From<CodecError> for BackendError {
    fn from(error: CodecError) -> Self {
        let remedy = match error {
            CodecError::TooLong(_) => Remedy::Quarantine,
            CodecError::Damaged(_) | CodecError::Newer { .. } => Remedy::Stop,
        };
        Self::new(remedy, error)
    }
}

/// A value that is stored in the file.
pub(crate) trait Row: Sized {
    const KIND: &'static str;
    /// The version of the values that this program writes.
    const VERSION: u8 = 1;
    /// The struct that is written. It borrows where it can.
    type Wire<'w>: Serialize + Deserialize<'w>;

    fn wire(&self) -> Self::Wire<'_>;
    fn from_wire(wire: Self::Wire<'_>) -> Self;
}

/// Writes a value to a buffer, which is cleared first.
pub(crate) fn encode<R: Row>(row: &R, buffer: &mut Vec<u8>) -> Result<(), CodecError> {
    encode_wire((R::KIND, R::VERSION), &row.wire(), buffer)
}

fn encode_wire(
    (kind, version): (&'static str, u8),
    wire: &impl Serialize,
    buffer: &mut Vec<u8>,
) -> Result<(), CodecError> {
    buffer.clear();
    buffer.push(version);
    let config = bincode::config::standard();
    bincode::serde::encode_into_std_write(wire, buffer, config)
        .map_err(|_| CodecError::TooLong(kind))?;
    if buffer.len() > LIMIT {
        return Err(CodecError::TooLong(kind));
    }
    Ok(())
}

/// Reads a value from all of `bytes`.
pub(crate) fn decode<R: Row>(bytes: &[u8]) -> Result<R, CodecError> {
    Ok(R::from_wire(decode_wire((R::KIND, R::VERSION), bytes)?))
}

/// Reads a struct of this version from all of `bytes`.
fn decode_wire<'w, W: Deserialize<'w>>(
    (kind, known): (&'static str, u8),
    bytes: &'w [u8],
) -> Result<W, CodecError> {
    let damaged = CodecError::Damaged(kind);
    let (version, body) = bytes.split_first().ok_or(damaged)?;
    match *version {
        version if version == known => {}
        version if version < known => return Err(damaged),
        version => return Err(CodecError::Newer { kind, version }),
    }
    let config = bincode::config::standard().with_limit::<LIMIT>();
    let (wire, consumed) =
        bincode::serde::borrow_decode_from_slice(body, config).map_err(|_| damaged)?;
    if consumed != body.len() {
        return Err(damaged);
    }
    Ok(wire)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::records::{
        InstanceRecord, IntentRecord, OutputRecord, Pair, PairId, PairKind, RemarksRecord,
        ReplacementRecord, SeriesRecord,
    };
    use crate::{DigestVersion, Fingerprint, Phi, SeriesPhi, Space};

    fn pair() -> Pair {
        Pair {
            original: Phi::new("1.2".to_owned()),
            external: Some("x".to_owned()),
            referrer: Some(PairId::new(Space::Uid, PairKind::Numbered, 3)),
        }
    }

    fn run() -> PairRun {
        PairRun(vec![Some(pair()), None])
    }

    #[test]
    fn golden_bytes_of_version_1() {
        let mut buffer = Vec::new();
        encode(&run(), &mut buffer).unwrap();
        let golden = [1, 2, 1, 3, b'1', b'.', b'2', 1, 1, b'x', 1, 52, 0];
        assert_eq!(buffer, golden);
        assert_eq!(decode::<PairRun>(&buffer).unwrap().0, run().0);
        encode_run([pair()].iter(), &mut buffer).unwrap();
        assert_eq!(decode::<PairRun>(&buffer).unwrap().0, [Some(pair())]);
        let instance = InstanceRecord {
            series: PairId(0x0102),
            fingerprint: Fingerprint {
                length: 300,
                digest: [7; 16],
                version: DigestVersion::V1,
            },
            bytes: 5,
        };
        let mut golden = vec![2, 1, 0, 0, 0, 0, 0, 0, 44, 1, 0, 0, 0, 0, 0, 0];
        golden.extend([7; 16]);
        golden.extend([5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(instance_bytes(&instance).as_slice(), golden);
        assert_eq!(instance_of(&instance_bytes(&instance)), instance);
        let mut newer = instance;
        newer.fingerprint.version = DigestVersion::V2;
        golden[15] = 1;
        assert_eq!(instance_bytes(&newer).as_slice(), golden);
        assert_eq!(instance_of(&instance_bytes(&newer)), newer);
        let uid = |number| PairId::new(Space::Uid, PairKind::Numbered, number);
        let members = GroupMembers(vec![uid(3), uid(4), uid(9)]);
        encode(&members, &mut buffer).unwrap();
        assert_eq!(buffer, [1, 3, 52, 16, 80]);
        assert_eq!(decode::<GroupMembers>(&buffer), Ok(members));
        let falling = GroupMembers(vec![uid(9), uid(4)]);
        encode(&falling, &mut buffer).unwrap();
        assert_eq!(decode::<GroupMembers>(&buffer), Ok(falling));
        let remarks = RemarksRecord(vec![((1, 0x0008_0023), 2)]);
        encode(&remarks, &mut buffer).unwrap();
        assert_eq!(buffer, [1, 1, 1, 252, 0x23, 0, 8, 0, 2]);
        assert_eq!(decode::<RemarksRecord>(&buffer), Ok(remarks));
        let series = SeriesRecord {
            study: PairId(9),
            phi: SeriesPhi {
                description: None,
                modality: Some(Phi::new("CT".to_owned())),
            },
            arrival: 7,
            instances: 2,
        };
        encode(&series, &mut buffer).unwrap();
        assert_eq!(buffer, [2, 9, 0, 1, 2, b'C', b'T', 7, 2]);
        assert_eq!(decode::<SeriesRecord>(&buffer), Ok(series));
    }

    #[test]
    fn replacement_is_read_as_it_was_written() {
        let mut buffer = Vec::new();
        for remarks in [None, Some(RemarksRecord(vec![((1, 2), 3)]))] {
            let intent = IntentRecord::Replace(ReplacementRecord {
                output: OutputRecord {
                    patient: PairId(1),
                    study: PairId(2),
                    series: PairId(u64::MAX),
                    instance: PairId(4),
                    added: false,
                },
                digest: [9; 16],
                before: InstanceRecord {
                    series: PairId(u64::MAX),
                    fingerprint: Fingerprint {
                        length: (1 << 56) - 1,
                        digest: [200; 16],
                        version: DigestVersion::V2,
                    },
                    bytes: 300,
                },
                remarks,
            });
            encode(&intent, &mut buffer).unwrap();
            assert_eq!(decode::<IntentRecord>(&buffer), Ok(intent));
        }
    }

    #[test]
    fn damaged_values_are_refused() {
        let mut buffer = Vec::new();
        let read = |bytes: &[u8]| decode::<PairRun>(bytes).map(|run| run.0);
        encode(&run(), &mut buffer).unwrap();
        for length in 0..buffer.len() {
            let cut = read(&buffer[..length]);
            assert_eq!(cut, Err(CodecError::Damaged("pair")), "cut at {length}");
        }
        buffer.push(0);
        assert_eq!(read(&buffer), Err(CodecError::Damaged("pair")), "longer");
        buffer[0] = 2;
        let newer = CodecError::Newer {
            kind: "pair",
            version: 2,
        };
        assert_eq!(read(&buffer), Err(newer));
        // A text that claims 2^60 bytes allocates nothing.
        let hostile = [1, 1, 1, 253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert_eq!(read(&hostile), Err(CodecError::Damaged("pair")), "hostile");
    }
}
