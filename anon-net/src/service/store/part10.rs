//! Reads the file meta information of a DICOM file (PS3.10 section 7.1): the UIDs for a C-STORE
//! request, and the offset of the data set.
//!
//! ```text
//! 128 bytes preamble │ "DICM" │ group 0002, explicit VR little endian │ data set
//! ```

use std::io::{self, Read};

use crate::service::ServiceError;
use crate::{InstanceUid, Uid};

/// The abstract and transfer syntax of a presentation context for C-STORE (PS3.4 section B.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StorageContext {
    /// The SOP class of the instances.
    pub sop_class: Uid,
    /// The transfer syntax of their data sets.
    pub transfer_syntax: Uid,
}

/// The longest file meta information that is read, in bytes, including the preamble. The standard
/// elements take less than 2 KiB, but private ones may be longer.
const MAX_BYTES: u64 = 1024 * 1024;
/// The longest UID value that is read, including padding.
const MAX_UID_BYTES: u32 = 128;

/// The UIDs in the file meta information of a DICOM file (PS3.10 section 7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileMeta {
    /// Media Storage SOP Class UID (0002,0002) and Transfer Syntax UID (0002,0010).
    pub context: StorageContext,
    /// Media Storage SOP Instance UID (0002,0003).
    pub sop_instance: InstanceUid,
    /// The offset of the data set from the start of the file, in bytes.
    pub data_set_at: u64,
}

impl FileMeta {
    /// Reads a file from its start to the end of group 0002, and at most two bytes of what follows.
    /// Ignores the group length, because some files have a wrong one or none.
    ///
    /// # Errors
    /// [`ServiceError::NotDicom`]; [`ServiceError::Unreadable`].
    pub fn read(from: &mut dyn Read) -> Result<Self, ServiceError> {
        read(from)
    }
}

const SOP_CLASS: u16 = 0x0002;
const SOP_INSTANCE: u16 = 0x0003;
const TRANSFER_SYNTAX: u16 = 0x0010;

pub(super) fn read(from: &mut dyn Read) -> Result<FileMeta, ServiceError> {
    let mut from = MetaReader {
        from: from.take(MAX_BYTES),
        read: 0,
    };
    let [.., b'D', b'I', b'C', b'M'] = from.array::<132>()? else {
        return Err(not_dicom("it has no DICM after 128 bytes"));
    };
    let [mut sop_class, mut sop_instance, mut transfer_syntax] = [None, None, None];
    while let Some(element) = from.element()? {
        let length = from.length()?;
        let value = match element {
            SOP_CLASS => &mut sop_class,
            SOP_INSTANCE => &mut sop_instance,
            TRANSFER_SYNTAX => &mut transfer_syntax,
            _ => {
                from.skip(length)?;
                continue;
            }
        };
        *value = Some(from.text(length)?);
    }
    let data_set_at = from.read;
    let broken = "its file meta information lacks a UID or has an invalid one";
    let parsed = |text: Option<String>| {
        let uid = text.and_then(|text| Uid::new(&text).ok());
        uid.ok_or_else(|| not_dicom(broken))
    };
    let sop_instance = sop_instance.and_then(|text| InstanceUid::new(&text).ok());
    let context = StorageContext {
        sop_class: parsed(sop_class)?,
        transfer_syntax: parsed(transfer_syntax)?,
    };
    Ok(FileMeta {
        context,
        sop_instance: sop_instance.ok_or_else(|| not_dicom(broken))?,
        data_set_at,
    })
}

fn not_dicom(problem: &'static str) -> ServiceError {
    ServiceError::NotDicom { problem }
}

struct MetaReader<'a> {
    from: io::Take<&'a mut dyn Read>,
    /// The number of bytes read, up to the end of the last complete element.
    read: u64,
}

impl MetaReader<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], ServiceError> {
        let mut bytes = [0; N];
        self.from.read_exact(&mut bytes).map_err(|e| cut(&e))?;
        self.read += N as u64;
        Ok(bytes)
    }

    /// Returns the next element number of group 0002. `None` at the start of the data set.
    fn element(&mut self) -> Result<Option<u16>, ServiceError> {
        if self.from.limit() == 0 {
            return Err(not_dicom("its file meta information is too long"));
        }
        // A file may end here, with an empty data set.
        let mut group = [0; 2];
        let mut filled = 0;
        while let Some(rest) = group.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) => return Ok(None),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut(&error)),
            }
        }
        if group != [2, 0] {
            return Ok(None);
        }
        self.read += 2;
        self.array().map(u16::from_le_bytes).map(Some)
    }

    /// Reads the VR and length of an element (PS3.5 section 7.1.2).
    fn length(&mut self) -> Result<u32, ServiceError> {
        let vr = self.array::<2>()?;
        match &vr {
            b"OB" | b"OW" | b"OF" | b"OD" | b"OL" | b"OV" | b"SQ" | b"UC" | b"UN" | b"UR"
            | b"UT" | b"SV" | b"UV" => {
                let [_, _, length @ ..] = self.array::<6>()?;
                Ok(u32::from_le_bytes(length))
            }
            [b'A'..=b'Z', b'A'..=b'Z'] => self.array().map(u16::from_le_bytes).map(u32::from),
            _ => Err(not_dicom(
                "its file meta information has an element without a VR",
            )),
        }
    }

    fn text(&mut self, length: u32) -> Result<String, ServiceError> {
        if length > MAX_UID_BYTES {
            return Err(not_dicom(
                "its file meta information has a UID that is too long",
            ));
        }
        let mut text = String::new();
        let value = (&mut self.from)
            .take(length.into())
            .read_to_string(&mut text);
        match value {
            Ok(n) if n as u64 == u64::from(length) => self.read += u64::from(length),
            Ok(_) => return Err(not_dicom(CUT)),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(not_dicom("its file meta information has an invalid UID"));
            }
            Err(error) => return Err(cut(&error)),
        }
        Ok(text)
    }

    fn skip(&mut self, length: u32) -> Result<(), ServiceError> {
        let length = u64::from(length);
        let skipped = io::copy(&mut (&mut self.from).take(length), &mut io::sink());
        if skipped.map_err(|e| cut(&e))? != length {
            return Err(not_dicom(CUT));
        }
        self.read += length;
        Ok(())
    }
}

const CUT: &str = "its file meta information is cut short or too long";

fn cut(error: &io::Error) -> ServiceError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => not_dicom(CUT),
        kind => ServiceError::Unreadable { kind },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(number: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap();
        [
            &[2, 0][..],
            &number.to_le_bytes(),
            b"UI",
            &length.to_le_bytes(),
            value,
        ]
        .concat()
    }

    fn file() -> Vec<u8> {
        let preamble = [&[0; 128][..], b"DICM"].concat();
        let elements = [
            element(SOP_CLASS, b"1.2\0"),
            element(SOP_INSTANCE, b"1.2.3\0"),
            element(0x0100, b"1.9\0"),
            element(TRANSFER_SYNTAX, b"1.2.4 "),
        ];
        [preamble, elements.concat()].concat()
    }

    #[test]
    fn the_data_set_begins_after_group_0002() {
        let header = file();
        for data_set in [&[][..], &[8], &[8, 0], &[8, 0, 5, 0], &[0; 40]] {
            let bytes = [&header, data_set].concat();
            let meta = read(&mut &*bytes).unwrap();
            assert_eq!(meta.data_set_at, header.len() as u64, "{data_set:?}");
            assert_eq!(meta.context.sop_class, Uid::new("1.2").unwrap());
            assert_eq!(meta.context.transfer_syntax, Uid::new("1.2.4").unwrap());
        }
    }

    #[test]
    fn a_truncated_header_is_not_a_dicom_file() {
        let whole = file();
        for length in 0..whole.len() {
            let cut = read(&mut whole.get(..length).unwrap_or_default());
            assert!(
                matches!(cut, Err(ServiceError::NotDicom { .. })),
                "{length}: {cut:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&mut &*[&[0; 128][..], b"DICM", &bytes].concat());
            let _ = read(&mut &*[file(), bytes].concat());
        }

        #[test]
        fn a_changed_byte_never_moves_the_data_set_past_the_end(at in 132..400_usize, byte in any::<u8>()) {
            let mut bytes = file();
            let at = at % bytes.len();
            if let Some(there) = bytes.get_mut(at) {
                *there = byte;
            }
            if let Ok(meta) = read(&mut &*bytes) {
                prop_assert!(meta.data_set_at <= bytes.len() as u64);
            }
        }
    }
}
