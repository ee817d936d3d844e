//! [`Origin`]: which original an object was made from; [`Origins`]: who knows that.

use std::fmt;
use std::ops::ControlFlow;

use crate::{Error, KeyPart, ObjectKey};

/// Which original an object was made from, and which of its outputs the object is.
///
/// Both are digests under a key of the caller, so that they identify nobody without it. Two objects
/// with one name and different originals are objects of different people until somebody has looked:
/// an export never replaces one by the other. With one original and different versions, the newer
/// object replaces the older one.
///
/// An export journal and a sink that [keeps origins](crate::Capabilities::origins) record the text,
/// `<32 hexadecimal digits>.<16 hexadecimal digits>`. It is never written into an object.
///
/// # Examples
/// ```
/// use anon_export::Origin;
///
/// let first = Origin::new(7, 1);
/// assert!(first.is_of_same_original(Origin::new(7, 2)));
/// assert_eq!(first.to_string(), "00000000000000000000000000000007.0000000000000001");
/// assert_eq!(Origin::parse(&first.to_string()), Some(first));
/// assert_eq!(Origin::parse("7.1"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin {
    original: u128,
    version: u64,
}

impl Origin {
    /// Creates an origin from a digest of the original and one of the output's version.
    pub const fn new(original: u128, version: u64) -> Self {
        Self { original, version }
    }

    /// Reads what `Display` writes. `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (original, version) = text.split_once('.')?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = original.len() == 32 && version.len() == 16;
        if !fits || !is_hex(original) || !is_hex(version) {
            return None;
        }
        Some(Self {
            original: u128::from_str_radix(original, 16).ok()?,
            version: u64::from_str_radix(version, 16).ok()?,
        })
    }

    /// Returns true if both objects were made from one original, in whichever version.
    pub const fn is_of_same_original(self, other: Self) -> bool {
        self.original == other.original
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}.{:016x}", self.original, self.version)
    }
}

/// Knows which original each object was made from, for example a lookup store.
///
/// # Contract
/// * Any number of threads may call.
/// * The version of an object changes before its bytes do, or together with them.
///
/// # Examples
/// ```
/// use std::ops::ControlFlow;
/// use anon_export::{Error, KeyPart, ObjectKey, Origin, Origins};
///
/// /// The origin of one object.
/// #[derive(Debug)]
/// struct OneOrigin(ObjectKey, Origin);
///
/// impl Origins for OneOrigin {
///     fn of_patient(
///         &self,
///         patient: &KeyPart,
///         each: &mut dyn FnMut(ObjectKey, Origin) -> ControlFlow<()>,
///     ) -> Result<(), Error> {
///         if self.0.patient() == patient {
///             let _ = each(self.0.clone(), self.1);
///         }
///         Ok(())
///     }
/// }
/// ```
pub trait Origins: fmt::Debug + Send + Sync {
    /// Calls `each` with the objects of a patient whose origin is known, in no particular order, until
    /// it breaks. If an object comes twice, the later origin counts.
    ///
    /// # Errors
    /// [`Error::Origins`]. Nothing of the patient is sent then.
    fn of_patient(
        &self,
        patient: &KeyPart,
        each: &mut dyn FnMut(ObjectKey, Origin) -> ControlFlow<()>,
    ) -> Result<(), Error>;
}

const _: () = {
    const fn shared<T: Send + Sync + ?Sized>() {}
    shared::<dyn Origins>();
};
