//! How pseudonyms are made: [`Scheme`], the date scheme [`Dates`], and the [`Identity`], which is
//! frozen once a pseudonym is assigned.

use std::fmt::{self, Write as _};

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha2::{Digest, Sha256};

use crate::identity::uid::{MAX_UID, RandomError, UidError};
use crate::{SiteId, Space, UidRoot};

/// A secret of 32 bytes. It is never printed: `Debug` shows `Secret(..)`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Makes a secret of bytes, which must be random.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Makes a random secret.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// Returns the bytes. A file that holds them must be as private as the store.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the HMAC-SHA-256 of a label and a text. Each use of a secret has its own label.
    fn mac(&self, label: &str, text: &str) -> [u8; 32] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.0)
            .expect("scheme: HMAC takes keys of every length");
        mac.update(label.as_bytes());
        mac.update(&[0]);
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().into()
    }

    /// Returns sixteen hexadecimal digits that identify the secret and do not reveal it.
    fn fingerprint(&self) -> String {
        hex(&self.mac("anon.fingerprint", "")[..8])
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How pseudonyms are made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scheme {
    /// Consecutive numbers, as in V17: patient `<site>-000001`, UID `<root>.<site>.1`, accession
    /// number `1`.
    #[default]
    Sequential,
    /// V18's formulas: MD5 for UIDs, SHA-256 for accession numbers, numbers for patients. The
    /// accession numbers have V18's 18 characters, although PS3.5 section 6.2 allows an SH only 16.
    HashedV18,
    /// HMAC-SHA-256 under a secret. Every machine with the secret makes the same pseudonyms.
    Keyed(Secret),
}

/// How many days dates are shifted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Dates {
    /// V17's public formula over the Patient ID.
    #[default]
    V17,
    /// HMAC-SHA-256 of the patient key under a secret.
    Keyed(Secret),
}

/// Everything that the pseudonyms of a project are made from. It is frozen once a pseudonym is
/// assigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    site: SiteId,
    root: UidRoot,
    scheme: Scheme,
    dates: Dates,
}

impl Identity {
    /// Returns the identity of a project with V17's schemes.
    ///
    /// # Errors
    /// [`UidError::TooLong`] if root and site leave no room for a counter.
    pub fn new(site: SiteId, root: UidRoot) -> Result<Self, UidError> {
        Self::with_schemes(site, root, Scheme::Sequential, Dates::V17)
    }

    /// Returns the identity of a project with these schemes.
    ///
    /// # Errors
    /// [`UidError::TooLong`] if root and site leave no room for the UIDs of the scheme.
    pub fn with_schemes(
        site: SiteId,
        root: UidRoot,
        scheme: Scheme,
        dates: Dates,
    ) -> Result<Self, UidError> {
        root.check_site(&site)?;
        let length = root.as_str().len() + 1 + site.as_str().len();
        // `.2.` or `.3.` and at least 20 digits. With fewer digits, some of 100 million UIDs
        // collide.
        let limit = MAX_UID - 23;
        if scheme != Scheme::Sequential && length > limit {
            return Err(UidError::TooLong { length, limit });
        }
        Ok(Self {
            site,
            root,
            scheme,
            dates,
        })
    }

    /// Returns the site id.
    pub fn site(&self) -> &SiteId {
        &self.site
    }

    /// Returns the UID root.
    pub fn root(&self) -> &UidRoot {
        &self.root
    }

    /// Returns the pseudonym scheme.
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// Returns the date scheme.
    pub fn dates(&self) -> &Dates {
        &self.dates
    }

    /// Returns the pseudonym of the patient without an id: `<site>-000000`.
    pub fn default_patient(&self) -> String {
        self.numbered(Space::Patient, 0)
    }

    /// Returns the pseudonym with a number. The number of a patient has at least six digits.
    pub(crate) fn numbered(&self, space: Space, number: u64) -> String {
        match space {
            Space::Patient => {
                let mut text = String::with_capacity(self.site.as_str().len() + 18);
                text.push_str(self.site.as_str());
                text.push('-');
                for threshold in [99_999, 9_999, 999, 99, 9] {
                    if number <= threshold {
                        text.push('0');
                    }
                }
                push_number(&mut text, number);
                text
            }
            Space::Uid => {
                let (root, site) = (self.root.as_str(), self.site.as_str());
                let mut text = String::with_capacity(root.len() + site.len() + 18);
                text.push_str(root);
                text.push('.');
                text.push_str(site);
                text.push('.');
                push_number(&mut text, number);
                text
            }
            Space::Accession => number.to_string(),
        }
    }

    /// Returns the number that a pseudonym was made of. `None` if it was not made of a number.
    pub fn number(&self, space: Space, pseudonym: &str) -> Option<u64> {
        let digits = match space {
            Space::Patient => pseudonym
                .strip_prefix(self.site.as_str())?
                .strip_prefix('-')?,
            Space::Uid => pseudonym
                .strip_prefix(self.root.as_str())?
                .strip_prefix('.')?
                .strip_prefix(self.site.as_str())?
                .strip_prefix('.')?,
            Space::Accession => pseudonym,
        };
        let number = digits.parse::<u64>().ok()?;
        // `+7`, `007` and the like parse as numbers and are no pseudonyms.
        (self.numbered(space, number) == pseudonym).then_some(number)
    }

    /// Returns the pseudonym that the scheme computes. `None` if it numbers this space.
    pub(crate) fn computed(&self, space: Space, original: &str) -> Option<String> {
        match (&self.scheme, space) {
            (Scheme::Sequential, _) | (Scheme::HashedV18, Space::Patient) => None,
            (Scheme::HashedV18, Space::Uid) => {
                Some(self.uid_of(2, Md5::digest(original.as_bytes()).into()))
            }
            (Scheme::HashedV18, Space::Accession) => Some(self.accession_v18(original)),
            (Scheme::Keyed(secret), Space::Uid) => {
                let mac = secret.mac("anon.uid", original);
                let (head, _) = mac.split_first_chunk::<16>()?;
                Some(self.uid_of(3, *head))
            }
            (Scheme::Keyed(secret), Space::Patient) => {
                let code = base32(&secret.mac("anon.patient", original)[..10]);
                Some(format!("{}-{code}", self.site))
            }
            // An SH has at most sixteen characters (PS3.5 section 6.2).
            (Scheme::Keyed(secret), Space::Accession) => {
                Some(base32(&secret.mac("anon.accession", original)[..10]))
            }
        }
    }

    /// Returns `<root>.<site>.<arc>.` and as many decimal digits of a hash as fit in 64 characters.
    fn uid_of(&self, arc: u8, hash: [u8; 16]) -> String {
        let mut uid = format!("{}.{}.{arc}.", self.root, self.site);
        let digits = u32::try_from(MAX_UID.saturating_sub(uid.len())).unwrap_or(0);
        let number = u128::from_be_bytes(hash);
        let number = match 10_u128.checked_pow(digits) {
            Some(modulus) => number % modulus,
            None => number,
        };
        write!(uid, "{number}").expect("scheme: a String takes every text");
        uid
    }

    fn accession_v18(&self, original: &str) -> String {
        let (site, root) = (&self.site, &self.root);
        let mut hash = Sha256::new();
        hash.update(format!("anonymizer::{site}::{root}.{site}").as_bytes());
        hash.update(original.as_bytes());
        let digits = hex(hash.finalize().as_slice().split_at(8).0);
        let (first, rest) = digits.split_at(8);
        let (second, third) = rest.split_at(4);
        format!("{first}-{second}-{third}")
    }

    /// Returns the form in which a store keeps the identity. Secrets become fingerprints.
    pub(crate) fn record(&self) -> IdentityRecord {
        IdentityRecord {
            site_id: self.site.to_string(),
            uid_root: self.root.to_string(),
            scheme: match &self.scheme {
                Scheme::Sequential => "sequential".to_owned(),
                Scheme::HashedV18 => "hashed-v18".to_owned(),
                Scheme::Keyed(secret) => format!("keyed {}", secret.fingerprint()),
            },
            dates: match &self.dates {
                Dates::V17 => "v17".to_owned(),
                Dates::Keyed(secret) => format!("keyed {}", secret.fingerprint()),
            },
        }
    }
}

/// An [`Identity`] as a store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct IdentityRecord {
    pub(crate) site_id: String,
    pub(crate) uid_root: String,
    pub(crate) scheme: String,
    pub(crate) dates: String,
}

impl IdentityRecord {
    /// Returns the first difference from the identity that a project's settings have.
    pub(crate) fn difference(&self, settings: &Self) -> Option<IdentityMismatch> {
        let fields = [
            ("site_id", &self.site_id, &settings.site_id),
            ("uid_root", &self.uid_root, &settings.uid_root),
            ("pseudonyms", &self.scheme, &settings.scheme),
            ("dates", &self.dates, &settings.dates),
        ];
        let (setting, stored, configured) = fields.into_iter().find(|(_, a, b)| a != b)?;
        Some(IdentityMismatch {
            setting,
            stored: stored.clone(),
            configured: configured.clone(),
        })
    }
}

/// A frozen setting was changed after the store's pseudonyms were made with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store's pseudonyms were made with {setting} = {stored:?}, and the project has \
     {configured:?}: set it back, because {setting} is frozen once a pseudonym is assigned"
)]
pub struct IdentityMismatch {
    /// The key in `project.toml`.
    pub setting: &'static str,
    /// The value that the store was made with. For a secret, its fingerprint.
    pub stored: String,
    /// The value in the settings.
    pub configured: String,
}

fn push_number(text: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut length = 0;
    for place in digits.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
        length += 1;
        if number == 0 {
            break;
        }
    }
    for digit in digits.iter().skip(20 - length) {
        text.push(char::from(*digit));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("scheme: a String takes every text");
        text
    })
}

/// Returns RFC 4648 base 32 without padding. The length of `bytes` is a multiple of five.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: [char; 32] = [
        'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O', 'P', 'Q', 'R',
        'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', '2', '3', '4', '5', '6', '7',
    ];
    let mut text = String::new();
    for block in bytes.chunks(5) {
        let bits = block
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let index = usize::try_from(bits >> (place * 5) & 31).unwrap_or(0);
            text.extend(ALPHABET.get(index));
        }
    }
    text
}
