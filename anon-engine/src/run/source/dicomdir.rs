//! [`Dicomdir`]: the files that a DICOMDIR references, one record at a time (PS3.3 annex F).
//!
//! ```text
//! meta (0002,0002) Media Storage Directory
//! (0004,1220) Directory Record Sequence
//!    item: (0004,1410) in use · (0004,1500) Referenced File ID "DIR\FILE" ──► an Entry each
//! ```
//!
//! Records of every type are followed (PS3.3 section F.5), in the order of the file; the links
//! between records are not used. The file is read as a stream under limits, one record in memory.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anon_model::RemarkReason;

use super::entry::Entry;

/// Media Storage Directory Storage (PS3.4 section I.4).
const MEDIA_STORAGE_DIRECTORY: &str = "1.2.840.10008.1.3.10";
const IMPLICIT_LITTLE: &str = "1.2.840.10008.1.2";
const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";

const TRANSFER_SYNTAX: u32 = 0x0002_0010;
const SOP_CLASS: u32 = 0x0002_0002;
const RECORDS: u32 = 0x0004_1220;
const IN_USE: u32 = 0x0004_1410;
const FILE_ID: u32 = 0x0004_1500;
const ITEM: u32 = 0xFFFE_E000;
const ITEM_END: u32 = 0xFFFE_E00D;
const SEQUENCE_END: u32 = 0xFFFE_E0DD;
const UNDEFINED: u32 = 0xFFFF_FFFF;

/// The longest value that is read. A File ID has up to 8 components of 8 characters (PS3.10 section
/// 8.2); some writers exceed that.
const MAX_VALUE_BYTES: u32 = 1024;
/// How deeply sequences may nest inside a record.
const MAX_DEPTH: u32 = 64;

/// Why a DICOMDIR cannot be followed. Holds no value of the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DicomdirError {
    /// The file is not a DICOMDIR.
    #[error("not a DICOMDIR")]
    NotADicomdir,
    /// The file is damaged, or not encoded as PS3.10 section 8.6 requires.
    #[error("{problem}, at byte {offset} of the DICOMDIR")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
        /// The offset in the file, in bytes.
        offset: u64,
    },
    /// The system could not read the file.
    #[error("cannot read the DICOMDIR")]
    Read(#[from] io::Error),
}

impl DicomdirError {
    pub(super) fn into_entry(self, path: PathBuf) -> Entry {
        match self {
            Self::NotADicomdir => Entry::failed(path, "not a DICOMDIR", None),
            Self::Malformed { problem, .. } => Entry::failed(path, problem, None),
            Self::Read(error) => Entry::failed(path, "cannot read the DICOMDIR", error),
        }
    }
}

/// Iterates over the files that a DICOMDIR references.
#[derive(Debug)]
pub struct Dicomdir {
    path: PathBuf,
    medium: PathBuf,
    bytes: DicomdirReader,
    sequence_end: Option<u64>,
    ended: bool,
    /// The last directory that was listed at each depth below the medium.
    listings: HashMap<usize, Listing>,
    #[cfg(test)]
    listed: usize,
}

impl Dicomdir {
    /// Returns true if the file meta information says that the file is a DICOMDIR.
    pub fn recognises(path: &Path) -> bool {
        File::open(path).is_ok_and(|file| DicomdirReader::with_meta(file).is_ok())
    }

    /// Opens a DICOMDIR. The files it references are below its directory (PS3.10 section 8.2).
    ///
    /// # Errors
    /// [`DicomdirError`] if the file is not a DICOMDIR, is damaged, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, DicomdirError> {
        let mut bytes = DicomdirReader::open(File::open(path)?)?;
        let mut sequence_end = None;
        let mut ended = true;
        while let Some(header) = bytes.header_or_end()? {
            if header.tag == RECORDS {
                ended = false;
                if header.length != UNDEFINED {
                    sequence_end = Some(bytes.offset + u64::from(header.length));
                }
                break;
            }
            bytes.skip_value(&header)?;
        }
        let medium = path.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
        Ok(Self {
            path: path.to_path_buf(),
            medium,
            bytes,
            sequence_end,
            ended,
            listings: HashMap::new(),
            #[cfg(test)]
            listed: 0,
        })
    }

    /// Returns the Referenced File ID (0004,1500) of the next record that has one.
    fn next_file_id(&mut self) -> Result<Option<String>, DicomdirError> {
        loop {
            if self
                .sequence_end
                .is_some_and(|end| self.bytes.offset >= end)
            {
                return Ok(None);
            }
            let Some(item) = self.bytes.header_or_end()? else {
                return Err(self
                    .bytes
                    .malformed("the DICOMDIR ends before its last record"));
            };
            match item.tag {
                SEQUENCE_END => return Ok(None),
                ITEM => {}
                _ => return Err(self.bytes.malformed("a directory record is not an item")),
            }
            if let Some(id) = self.record(&item)? {
                return Ok(Some(id));
            }
        }
    }

    /// Reads a directory record. Returns its Referenced File ID, unless Record In-use Flag (0004,1410)
    /// says that it is inactive (PS3.3 section F.3.2.2).
    fn record(&mut self, item: &ElementHeader) -> Result<Option<String>, DicomdirError> {
        let end = (item.length != UNDEFINED).then(|| self.bytes.offset + u64::from(item.length));
        let mut id = None;
        let mut in_use = true;
        while end.is_none_or(|end| self.bytes.offset < end) {
            // A record that is cut short may still name its file; the next call reports the end.
            let Some(header) = self.bytes.header_or_end()? else {
                break;
            };
            match header.tag {
                ITEM_END => break,
                IN_USE => in_use = self.bytes.value(&header)?.iter().any(|&byte| byte != 0),
                FILE_ID => {
                    let value = self.bytes.value(&header)?;
                    id = Some(String::from_utf8_lossy(&value).into_owned());
                }
                _ => self.bytes.skip_value(&header)?,
            }
        }
        Ok(id.filter(|id| in_use && !id.trim_matches([' ', '\0']).is_empty()))
    }

    /// Finds a component of a File ID in a directory, which is this deep below the medium. Some systems
    /// show the names of a medium in lower case, with the version number of ISO 9660, or with an
    /// extension that PS3.10 section 8.2 does not allow, so a missing name is compared with the existing
    /// ones.
    fn find(&mut self, directory: &Path, depth: usize, component: &str) -> FoundName {
        let as_it_is = FoundName {
            name: component.into(),
            remark: None,
        };
        if directory.join(component).symlink_metadata().is_ok() {
            return as_it_is;
        }
        let known = self.listings.get(&depth);
        if known.is_none_or(|listing| listing.directory != directory) {
            self.listings.insert(depth, Listing::of(directory));
            #[cfg(test)]
            {
                self.listed += 1;
            }
        }
        let listing = self.listings.get(&depth);
        let found = listing.and_then(|listing| listing.find(component));
        found.unwrap_or(as_it_is)
    }

    /// Returns the file with this File ID, whose components are separated by backslashes (PS3.10
    /// section 8.2).
    fn resolve(&mut self, id: &str) -> Entry {
        let mut path = self.medium.clone();
        let mut remark = None;
        for (depth, component) in id.split('\\').enumerate() {
            let component = component.trim_matches([' ', '\0']);
            let plain = !component.is_empty()
                && component != "."
                && component != ".."
                && !component.contains(['/', '\0', ':']);
            if !plain {
                // The name is not followed, so the failure is reported for the DICOMDIR itself.
                let reason = "the DICOMDIR references a file outside its directory";
                return Entry::failed(self.path.clone(), reason, None);
            }
            let found = self.find(&path, depth, component);
            remark = remark.or(found.remark);
            path.push(found.name);
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Entry {
                remark,
                ..Entry::file(path)
            },
            Ok(_) => {
                let reason = "referenced by the DICOMDIR, but not a regular file";
                Entry::failed(path, reason, None)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Entry::failed(path, "referenced by the DICOMDIR, but missing", None)
            }
            Err(error) => Entry::failed(path, "referenced by the DICOMDIR, but unreadable", error),
        }
    }
}

impl Iterator for Dicomdir {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        if self.ended {
            return None;
        }
        match self.next_file_id() {
            Ok(Some(id)) => Some(self.resolve(&id)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                Some(error.into_entry(self.path.clone()))
            }
        }
    }
}

/// The name that a component of a File ID has on disk.
struct FoundName {
    name: OsString,
    remark: Option<RemarkReason>,
}

/// The names in a directory.
#[derive(Debug, Default)]
struct Listing {
    directory: PathBuf,
    /// By name in lower case, without version number and trailing points.
    names: HashMap<String, OsString>,
    /// With their extensions in lower case, by name without extension in lower case.
    stems: HashMap<String, Vec<(String, OsString)>>,
}

impl Listing {
    fn of(directory: &Path) -> Self {
        let mut listing = Self {
            directory: directory.to_path_buf(),
            ..Self::default()
        };
        let listed = fs::read_dir(if directory.as_os_str().is_empty() {
            Path::new(".")
        } else {
            directory
        });
        let names = listed.into_iter().flatten().filter_map(Result::ok);
        for name in names.map(|entry| entry.file_name()) {
            let Some(text) = name.to_str() else { continue };
            let text = text.split_once(';').map_or(text, |(text, _)| text);
            let text = text.trim_end_matches('.').to_ascii_lowercase();
            if let Some((stem, extension)) = text.rsplit_once('.') {
                let stem = listing.stems.entry(stem.to_owned()).or_default();
                stem.push((extension.to_owned(), name.clone()));
            }
            listing.names.entry(text).or_insert(name);
        }
        listing
    }

    /// Returns the name that is meant by a component of a File ID, if there is one.
    fn find(&self, component: &str) -> Option<FoundName> {
        let component = component.to_ascii_lowercase();
        if let Some(name) = self.names.get(&component) {
            return Some(FoundName {
                name: name.clone(),
                remark: None,
            });
        }
        Some(FoundName {
            name: with_extension(self.stems.get(&component)?)?,
            remark: Some(RemarkReason::OtherName),
        })
    }
}

/// Returns the file that is meant by a name without its extension: the only one, or the only one whose
/// extension is one of DICOM.
fn with_extension(files: &[(String, OsString)]) -> Option<OsString> {
    if let [(_, name)] = files {
        return Some(name.clone());
    }
    let mut of_dicom = files
        .iter()
        .filter(|(extension, _)| matches!(extension.as_str(), "dcm" | "dic" | "dicom"));
    match (of_dicom.next(), of_dicom.next()) {
        (Some((_, name)), None) => Some(name.clone()),
        _ => None,
    }
}

#[derive(Debug)]
struct ElementHeader {
    tag: u32,
    length: u32,
}

/// Reads the elements of a DICOMDIR from front to back.
#[derive(Debug)]
struct DicomdirReader {
    file: BufReader<File>,
    offset: u64,
    explicit: bool,
    big_endian: bool,
}

impl DicomdirReader {
    /// Reads the file meta information, up to the data set.
    fn open(file: File) -> Result<Self, DicomdirError> {
        let (mut bytes, syntax) = Self::with_meta(file)?;
        // PS3.10 section 8.6 requires explicit little endian; some writers use the others.
        (bytes.explicit, bytes.big_endian) = match uid(&syntax) {
            uid if uid == EXPLICIT_LITTLE.as_bytes() => (true, false),
            uid if uid == IMPLICIT_LITTLE.as_bytes() => (false, false),
            uid if uid == EXPLICIT_BIG.as_bytes() => (true, true),
            _ => return Err(bytes.malformed("the DICOMDIR is compressed or has no encoding")),
        };
        Ok(bytes)
    }

    /// Reads preamble and file meta information. Returns the value of Transfer Syntax UID, too.
    fn with_meta(file: File) -> Result<(Self, Vec<u8>), DicomdirError> {
        let mut bytes = Self {
            file: BufReader::new(file),
            offset: 0,
            explicit: true,
            big_endian: false,
        };
        let mut head = [0; 132];
        match bytes.fill(&mut head) {
            Ok(()) if head.ends_with(b"DICM") => {}
            Err(DicomdirError::Read(error)) => return Err(DicomdirError::Read(error)),
            _ => return Err(DicomdirError::NotADicomdir),
        }
        let mut class = None;
        let mut syntax = None;
        while bytes.peek_group()? == Some(2) {
            let header = bytes.header().map_err(not_a_dicomdir)?;
            match header.tag {
                SOP_CLASS => class = Some(bytes.value(&header).map_err(not_a_dicomdir)?),
                TRANSFER_SYNTAX => syntax = Some(bytes.value(&header).map_err(not_a_dicomdir)?),
                _ => bytes.skip_value(&header).map_err(not_a_dicomdir)?,
            }
        }
        if class.as_deref().map(uid) != Some(MEDIA_STORAGE_DIRECTORY.as_bytes()) {
            return Err(DicomdirError::NotADicomdir);
        }
        Ok((bytes, syntax.unwrap_or_default()))
    }

    fn malformed(&self, problem: &'static str) -> DicomdirError {
        DicomdirError::Malformed {
            problem,
            offset: self.offset,
        }
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), DicomdirError> {
        match self.file.read_exact(into) {
            Ok(()) => {
                self.offset += into.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.malformed("the DICOMDIR ends in the middle of a record"))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DicomdirError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn at_end(&mut self) -> Result<bool, DicomdirError> {
        use std::io::BufRead;
        Ok(self.file.fill_buf()?.is_empty())
    }

    fn peek_group(&mut self) -> Result<Option<u16>, DicomdirError> {
        if self.at_end()? {
            return Ok(None);
        }
        let [low, high] = self.array::<2>()?;
        self.file.seek_relative(-2)?;
        self.offset -= 2;
        Ok(Some(u16::from_le_bytes([low, high])))
    }

    fn header_or_end(&mut self) -> Result<Option<ElementHeader>, DicomdirError> {
        if self.at_end()? {
            return Ok(None);
        }
        self.header().map(Some)
    }

    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    /// Reads a length field of 32 bits.
    fn length(&mut self) -> Result<u32, DicomdirError> {
        let bytes = self.array()?;
        Ok(if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        })
    }

    fn header(&mut self) -> Result<ElementHeader, DicomdirError> {
        let [group @ .., low, high] = self.array::<4>()?;
        let tag = u32::from(self.u16(group)) << 16 | u32::from(self.u16([low, high]));
        // Items and delimiters have no VR (PS3.5 section 7.5).
        if !self.explicit || tag >> 16 == 0xFFFE {
            let length = self.length()?;
            return Ok(ElementHeader { tag, length });
        }
        let [vr @ .., low, high] = self.array::<4>()?;
        // The 16-bit and 32-bit length fields of PS3.5 section 7.1.2.
        let length = match &vr {
            b"OB" | b"OD" | b"OF" | b"OL" | b"OV" | b"OW" | b"SQ" | b"SV" | b"UC" | b"UN"
            | b"UR" | b"UT" | b"UV" => self.length()?,
            vr if vr.iter().all(u8::is_ascii_uppercase) => u32::from(self.u16([low, high])),
            _ => return Err(self.malformed("an element has no value representation")),
        };
        Ok(ElementHeader { tag, length })
    }

    fn value(&mut self, header: &ElementHeader) -> Result<Vec<u8>, DicomdirError> {
        if header.length > MAX_VALUE_BYTES {
            return Err(self.malformed("a value is longer than its element allows"));
        }
        let mut value = vec![0; header.length as usize];
        self.fill(&mut value)?;
        Ok(value)
    }

    /// Skips a value. If its length is undefined, skips everything nested in it.
    fn skip_value(&mut self, header: &ElementHeader) -> Result<(), DicomdirError> {
        if header.length != UNDEFINED {
            return self.skip(header.length);
        }
        let mut open = 1_u32;
        while open > 0 {
            let inner = self.header()?;
            match inner.tag {
                ITEM_END | SEQUENCE_END => open -= 1,
                _ if inner.length == UNDEFINED => open += 1,
                _ => self.skip(inner.length)?,
            }
            if open > MAX_DEPTH {
                return Err(self.malformed("sequences nest too deeply"));
            }
        }
        Ok(())
    }

    fn skip(&mut self, length: u32) -> Result<(), DicomdirError> {
        self.file.seek_relative(i64::from(length))?;
        self.offset += u64::from(length);
        // A seek beyond the end succeeds, so the end is checked here.
        if length > 0 && self.at_end()? && self.file.seek(SeekFrom::End(0))? < self.offset {
            return Err(self.malformed("the DICOMDIR ends in the middle of a value"));
        }
        Ok(())
    }
}

fn not_a_dicomdir(error: DicomdirError) -> DicomdirError {
    match error {
        DicomdirError::Malformed { .. } => DicomdirError::NotADicomdir,
        other => other,
    }
}

/// Returns a UID without its padding: NUL (PS3.5 section 9.1), or spaces from some writers.
fn uid(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|byte| !matches!(byte, 0 | b' '));
    value.get(..end.map_or(0, |last| last + 1)).unwrap_or(value)
}
