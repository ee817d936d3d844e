//! [`Limits`]: how much one object may need before it is refused.

/// How much one object may need before it is refused. All input is read under these limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deeply sequences may nest (PS3.5 section 7.5). Default 64.
    pub max_depth: u16,
    /// Most data elements, items and fragments. Default 16,000,000.
    pub max_elements: u64,
    /// The longest value, in bytes, that a rule may replace or the PHI index may keep. An object with
    /// a longer one is refused. Default 1 MiB.
    pub max_value_bytes: u32,
    /// Most values of one element (PS3.5 section 6.4) whose values a rule replaces one by one, such as
    /// UIDs. An object with more is refused. Default 10,000.
    pub max_values: u32,
    /// Most different UIDs and accession numbers of one object that get pseudonyms. An object with more
    /// is refused. Default 50,000.
    pub max_originals: u32,
    /// Bytes of an object for each of these beyond the first 100. An object with more of them is
    /// refused: each takes up memory, and space in the lookup store for good. A reference to an
    /// instance takes about 100 bytes (PS3.3 section C.17.2.1), a UID in a list about 50. Default 24.
    pub bytes_per_original: u32,
    /// Memory for the plan of an object (new values, kept ranges, originals), in bytes. Default
    /// 64 MiB.
    pub max_plan_bytes: u64,
    /// How many bytes of a deflated data set (PS3.5 section A.5) are inflated in memory. A larger one
    /// needs a scratch file. Default 32 MiB.
    pub max_inflated_in_memory: u64,
    /// The largest inflated length of a deflated data set, in bytes. Default 4 GiB.
    pub max_inflated: u64,
    /// The largest inflated length of a deflated data set, in multiples of its deflated length. Not
    /// checked up to 1 MiB. Default 1,000, near the most that the format allows (1,032).
    pub max_inflate_ratio: u32,
}

/// How many originals an object of any length may have.
const FREE_ORIGINALS: u64 = 100;

impl Limits {
    /// Returns the most originals of an object of this length.
    pub(crate) fn originals_of(&self, length: u64) -> u64 {
        let by_length = length / u64::from(self.bytes_per_original.max(1));
        (FREE_ORIGINALS + by_length).min(self.max_originals.into())
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_elements: 16_000_000,
            max_value_bytes: 1 << 20,
            max_values: 10_000,
            max_originals: 50_000,
            bytes_per_original: 24,
            max_plan_bytes: 64 << 20,
            max_inflated_in_memory: 32 << 20,
            max_inflated: 4 << 30,
            max_inflate_ratio: 1_000,
        }
    }
}
