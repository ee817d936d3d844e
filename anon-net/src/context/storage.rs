//! The presentation contexts of a receiver that accepts every object: [`SupportedContexts::storage`].

use super::SupportedContexts;
use crate::Uid;
use crate::registry::{STORAGE_CLASSES, TRANSFER_SYNTAXES};

impl SupportedContexts {
    /// Returns what a receiver of any object supports: verification, and every storage SOP class of
    /// the standard (PS3.4 Table B.5-1, retired ones included) in every transfer syntax that an
    /// object can be stored in (PS3.6 Table A-1).
    ///
    /// Explicit VR little endian is preferred, because implicit VR loses the VRs of private
    /// elements. Of the others, a sender that offers several in one context gets the first of
    /// [`transfer_syntaxes`]. Nothing is decoded: the handler gets each data set in the accepted
    /// transfer syntax.
    ///
    /// # Examples
    /// A receiver that accepts everything, and one more class:
    ///
    /// ```
    /// use anon_net::context::{SupportedContexts, transfer_syntaxes};
    /// use anon_net::Uid;
    ///
    /// let private = Uid::new("1.3.12.2.1107.5.9.1")?;
    /// let supported = SupportedContexts::storage().with(private, transfer_syntaxes().collect());
    /// # Ok::<(), anon_net::TextError>(())
    /// ```
    pub fn storage() -> Self {
        let syntaxes: Vec<Uid> = transfer_syntaxes().collect();
        let plain = syntaxes.iter().take(2).cloned().collect();
        let verification = Self::new().with(Uid::registered(VERIFICATION), plain);
        storage_classes().fold(verification, |all, class| all.with(class, syntaxes.clone()))
    }
}

/// Returns every storage SOP class of the standard, retired ones included, in the order of their
/// UIDs (PS3.4 Table B.5-1, PS3.6 Table A-1).
pub fn storage_classes() -> impl Iterator<Item = Uid> {
    STORAGE_CLASSES.iter().copied().map(Uid::registered)
}

/// Returns every transfer syntax that an object can be stored in (PS3.6 Table A-1): explicit and
/// implicit VR little endian first, then the others in the order of their UIDs.
pub fn transfer_syntaxes() -> impl Iterator<Item = Uid> {
    TRANSFER_SYNTAXES.iter().copied().map(Uid::registered)
}

const VERIFICATION: &str = "1.2.840.10008.1.1";
