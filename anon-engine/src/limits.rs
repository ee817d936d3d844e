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

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 64,
            max_elements: 16_000_000,
            max_value_bytes: 1 << 20,
            max_plan_bytes: 64 << 20,
            max_inflated_in_memory: 32 << 20,
            max_inflated: 4 << 30,
            max_inflate_ratio: 1_000,
        }
    }
}
