//! [`SendItem`]: an instance to send.

use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::part10::{self, FileMeta, StorageContext};
use crate::service::ServiceError;
use crate::{InstanceUid, Uid};

/// An instance to send. `Debug` shows neither its path nor its UID.
pub struct SendItem {
    source: ItemSource,
}

enum ItemSource {
    File(PathBuf),
    DataSet(Box<InstanceIdentity>, Vec<u8>),
}

struct InstanceIdentity {
    kind: StorageContext,
    sop_instance: InstanceUid,
}

impl SendItem {
    /// Creates an item from a DICOM file (PS3.10 section 7). The names come from its file meta
    /// information. The data set is sent as it is in the file, without parsing it or holding it in
    /// memory.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self {
            source: ItemSource::File(path.into()),
        }
    }

    /// Creates an item from a data set in memory, in this transfer syntax, without preamble and
    /// file meta information.
    pub fn data_set(
        sop_class: Uid,
        sop_instance: InstanceUid,
        transfer_syntax: Uid,
        data_set: Vec<u8>,
    ) -> Self {
        let kind = StorageContext {
            sop_class,
            transfer_syntax,
        };
        let identity = Box::new(InstanceIdentity { kind, sop_instance });
        Self {
            source: ItemSource::DataSet(identity, data_set),
        }
    }
}

impl fmt::Debug for SendItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            ItemSource::File(_) => f.write_str("SendItem::File(..)"),
            ItemSource::DataSet(identity, bytes) => f
                .debug_struct("SendItem::DataSet")
                .field("kind", &identity.kind)
                .field("bytes", &bytes.len())
                .finish_non_exhaustive(),
        }
    }
}

/// An item with everything its request needs.
#[derive(Debug)]
pub(super) struct PreparedItem {
    pub(super) number: u64,
    pub(super) context: StorageContext,
    pub(super) sop_instance: InstanceUid,
    /// How often it was sent without a response.
    pub(super) tries: u32,
    body: ItemBody,
}

enum ItemBody {
    /// The path of a file, and the offset of its data set.
    File(PathBuf, u64),
    Bytes(Vec<u8>),
}

impl fmt::Debug for ItemBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(_, at) => write!(f, "File(.., {at})"),
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
        }
    }
}

impl PreparedItem {
    /// Reads the names of an item.
    pub(super) fn new(number: u64, item: SendItem) -> Result<Self, ServiceError> {
        let (context, sop_instance, body) = match item.source {
            ItemSource::DataSet(identity, bytes) => {
                (identity.kind, identity.sop_instance, ItemBody::Bytes(bytes))
            }
            ItemSource::File(path) => {
                let file = open_file(&path).map_err(|error| unreadable(&error))?;
                let meta = part10::read(&mut BufReader::with_capacity(1024, file))?;
                let FileMeta {
                    context,
                    sop_instance,
                    data_set_at,
                } = meta;
                (context, sop_instance, ItemBody::File(path, data_set_at))
            }
        };
        Ok(Self {
            number,
            context,
            sop_instance,
            tries: 0,
            body,
        })
    }

    /// Returns the number of bytes of its data set that are held in memory.
    pub(super) fn held_bytes(&self) -> usize {
        match &self.body {
            ItemBody::File(..) => 0,
            ItemBody::Bytes(bytes) => bytes.len(),
        }
    }

    /// Opens its data set, and returns it with its length.
    pub(super) fn open(&self) -> Result<(Box<dyn Read + '_>, u64), ServiceError> {
        match &self.body {
            ItemBody::Bytes(bytes) => Ok((Box::new(&**bytes), bytes.len() as u64)),
            ItemBody::File(path, at) => {
                let (file, length) = open_at(path, *at).map_err(|error| unreadable(&error))?;
                Ok((Box::new(file), length))
            }
        }
    }
}

/// Opens a regular file only. Opening a pipe would block until something writes to it.
fn open_file(path: &Path) -> io::Result<File> {
    if std::fs::metadata(path)?.is_file() {
        File::open(path)
    } else {
        Err(io::ErrorKind::InvalidInput.into())
    }
}

fn open_at(path: &Path, at: u64) -> io::Result<(File, u64)> {
    let mut file = open_file(path)?;
    let length = file.metadata()?.len().saturating_sub(at);
    file.seek(SeekFrom::Start(at))?;
    Ok((file, length))
}

fn unreadable(error: &io::Error) -> ServiceError {
    let kind = error.kind();
    ServiceError::Unreadable { kind }
}
