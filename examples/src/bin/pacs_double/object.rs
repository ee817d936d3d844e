//! [`Object`]: an instance in memory, and [`Query`], which selects instances.

use std::collections::BTreeSet;

use anon_net::identifier::{Encoding, Identifier, Tag, tag};
use anon_net::{InstanceUid, Uid};
use anyhow::Context as _;
use dicom_object::{FileMetaTableBuilder, OpenFileOptions, Tag as Key};

/// The supported keys.
const KEYS: [Tag; 13] = [
    tag::SOP_CLASS,
    tag::SOP_INSTANCE,
    tag::STUDY_DATE,
    tag::ACCESSION,
    tag::MODALITY,
    tag::STUDY_DESCRIPTION,
    tag::SERIES_DESCRIPTION,
    tag::PATIENT_NAME,
    tag::PATIENT_ID,
    tag::STUDY_UID,
    tag::SERIES_UID,
    tag::SERIES_NUMBER,
    tag::INSTANCE_NUMBER,
];

/// An instance in memory, and its values of the supported keys.
#[derive(Clone)]
pub(crate) struct Object {
    keys: Identifier,
    pub(crate) class: Uid,
    pub(crate) instance: InstanceUid,
    pub(crate) syntax: Uid,
    pub(crate) data_set: Vec<u8>,
}

impl Object {
    /// Reads a file (PS3.10 section 7).
    pub(crate) fn from_file(bytes: &[u8]) -> anyhow::Result<Self> {
        let until_pixels = OpenFileOptions::new().read_until(Key(0x7FE0, 0x0010));
        let object = until_pixels.from_reader(bytes)?;
        let mut keys = Identifier::new();
        keys.set(tag::CHARSET, b"ISO_IR 192");
        for key in KEYS {
            if let Some(element) = object.get(Key(key.group, key.element)) {
                keys.set(key, element.to_str()?.as_bytes());
            }
        }
        // The preamble (128), the prefix (4) and the group length element (12) are not counted in it.
        let data_set_at = 144 + usize::try_from(object.meta().information_group_length)?;
        let data_set = bytes.get(data_set_at..).context("no data set")?;
        Ok(Self {
            class: keys.class(tag::SOP_CLASS).context("no SOP class")?,
            instance: keys.uid(tag::SOP_INSTANCE).context("no SOP Instance UID")?,
            syntax: Uid::new(object.meta().transfer_syntax().trim_end_matches('\0'))?,
            data_set: data_set.to_vec(),
            keys,
        })
    }

    /// Reads the data set of a C-STORE.
    pub(crate) fn from_data_set(bytes: &[u8], class: &Uid, syntax: &Uid) -> anyhow::Result<Self> {
        let meta = FileMetaTableBuilder::new()
            .media_storage_sop_class_uid(class.as_str())
            .media_storage_sop_instance_uid("1.2.3")
            .transfer_syntax(syntax.as_str())
            .build()?;
        let mut file = [0; 128].to_vec();
        file.extend_from_slice(b"DICM");
        meta.write(&mut file)?;
        file.extend_from_slice(bytes);
        Self::from_file(&file)
    }
}

/// The identifier of a C-FIND, C-MOVE or C-GET request.
pub(crate) struct Query(Identifier);

impl Query {
    pub(crate) fn decode(bytes: &[u8], encoding: Encoding) -> anyhow::Result<Self> {
        Ok(Self(Identifier::decode(bytes, encoding)?))
    }

    /// Returns true if an object matches all keys: single values, lists of UIDs, and texts with a `*` at the
    /// end (PS3.4 section C.2.2.2).
    pub(crate) fn selects(&self, object: &Object) -> bool {
        KEYS.into_iter().all(|key| {
            let values = self.0.texts(key);
            let actual = object.keys.text(key).unwrap_or_default();
            values.is_empty()
                || values.iter().any(|it| match it.strip_suffix('*') {
                    Some(prefix) => actual.starts_with(prefix),
                    None => actual == *it,
                })
        })
    }

    /// Returns the identifiers of the C-FIND responses: one for each matching study, series or instance.
    pub(crate) fn matches(&self, objects: &[Object]) -> Vec<Identifier> {
        let level = self.0.text(tag::LEVEL).unwrap_or_default();
        let unique = match level.as_str() {
            "STUDY" => tag::STUDY_UID,
            "SERIES" => tag::SERIES_UID,
            _ => tag::SOP_INSTANCE,
        };
        let mut seen = BTreeSet::new();
        let found = objects.iter().filter(|object| self.selects(object));
        let first = found.filter(|object| seen.insert(object.keys.text(unique)));
        first
            .map(|object| {
                let mut response = Identifier::new();
                response.set(tag::CHARSET, b"ISO_IR 192");
                response.set(tag::LEVEL, level.as_bytes());
                let requested = KEYS.into_iter().filter(|key| self.0.value(*key).is_some());
                for key in requested {
                    response.set(key, object.keys.value(key).unwrap_or_default());
                }
                response
            })
            .collect()
    }
}
