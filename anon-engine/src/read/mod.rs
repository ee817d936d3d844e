//! Reads DICOM objects: bytes, element headers, file meta information, text.

pub(crate) mod archive;
pub(crate) mod dictionary;
pub mod file_meta;
pub(crate) mod inflate;
pub(crate) mod input;
pub(crate) mod mended;
pub(crate) mod multiplicity;
pub(crate) mod scan;
pub(crate) mod scratch;
pub(crate) mod sop_instance;
pub(crate) mod source;
pub(crate) mod text;
pub mod uid;
pub(crate) mod words;
