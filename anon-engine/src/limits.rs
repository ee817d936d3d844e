//! [`Limits`]: how much one object may ask for before it is refused.

/// Bounds on what one object may ask for. Every byte from outside is parsed under these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How deep sequences may nest. Default 64.
    pub max_depth: u16,
    /// How many data elements, items and fragments an object may have. Default 16,000,000.
    pub max_elements: u64,
    /// The longest value, in bytes, that is decoded because a rule replaces it or the index
    /// captures it. A longer one refuses the object; it is never kept. Default 1 MiB.
    pub max_value_bytes: u32,
    /// How many bytes of edits (replaced values, kept ranges, originals) one object may need in
    /// memory. Default 64 MiB.
    pub max_plan_bytes: u64,
    /// How many bytes of a deflated data set are inflated in memory; beyond that a scratch file
    /// is needed. Default 32 MiB.
    pub max_inflated_in_memory: u64,
    /// How many bytes a deflated data set may inflate to at all. Default 4 GiB.
    pub max_inflated: u64,
    /// How many times its own length a deflated data set may inflate to, once it passes 1 MiB.
    /// Default 1,000, near what the format can reach (1,032).
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
