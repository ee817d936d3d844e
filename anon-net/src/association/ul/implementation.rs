//! [`Implementation`]: the identification of a DICOM implementation.

use crate::{TextError, Uid};

/// The implementation class UID and version name that each side tells the other (PS3.7 section
/// D.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Implementation {
    class_uid: Uid,
    version_name: String,
}

impl Implementation {
    /// The longest version name in bytes.
    pub const MAX_VERSION_NAME_LEN: usize = 16;

    /// Checks and creates an implementation identification.
    ///
    /// # Errors
    /// [`TextError`] if the name does not have 1 to 16 printable ISO 646 characters.
    pub fn new(class_uid: Uid, version_name: &str) -> Result<Self, TextError> {
        let problem = if version_name.is_empty() {
            "it is empty"
        } else if version_name.len() > Self::MAX_VERSION_NAME_LEN {
            "it is longer than 16 characters"
        } else if !version_name.bytes().all(|b| matches!(b, b' '..=b'~')) {
            "it has a character that a version name cannot have"
        } else {
            return Ok(Self {
                class_uid,
                version_name: version_name.to_owned(),
            });
        };
        Err(TextError::new(
            "implementation version name",
            version_name,
            problem,
        ))
    }

    /// Returns the implementation class UID.
    pub fn class_uid(&self) -> &Uid {
        &self.class_uid
    }

    /// Returns the implementation version name.
    pub fn version_name(&self) -> &str {
        &self.version_name
    }
}

impl Default for Implementation {
    /// Returns the identification of this crate.
    fn default() -> Self {
        const NAME: &str = concat!(
            "ANON_NET_",
            env!("CARGO_PKG_VERSION_MAJOR"),
            "_",
            env!("CARGO_PKG_VERSION_MINOR")
        );
        const _: () = assert!(NAME.len() <= Implementation::MAX_VERSION_NAME_LEN);
        Self {
            class_uid: Uid::new("1.2.826.0.1.3680043.10.474.3")
                .expect("constant: a test checks that it is a UID"),
            version_name: NAME.to_owned(),
        }
    }
}
