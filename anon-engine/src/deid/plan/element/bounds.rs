//! Refuses values with too many members, and objects that ask for too many pseudonyms.

use super::Planner;
use crate::read::input::Input;
use crate::read::scan::{Header, ScanError};

impl<I: Input> Planner<'_, I> {
    /// Refuses an element with more values than any element has use for. A backslash that is half a
    /// character counts too.
    #[inline]
    pub(super) fn check_values(&mut self, header: &Header) -> Result<(), ScanError> {
        // Each value but the last takes a byte or more.
        if header.len < self.policy.limits.max_values {
            return Ok(());
        }
        self.count_values(header)
    }

    #[cold]
    fn count_values(&mut self, header: &Header) -> Result<(), ScanError> {
        let most = self.policy.limits.max_values as usize;
        let value = self.walk.value(header)?;
        if value.split(|byte| *byte == b'\\').count() <= most {
            return Ok(());
        }
        let problem = "the element has more values than this program accepts";
        Err(ScanError::rule(problem, header.tag(), header.at))
    }

    /// Refuses an object with more originals than an object of its length has use for.
    #[inline]
    pub(super) fn check_originals(&self, header: &Header) -> Result<(), ScanError> {
        let originals = self.template.uids.texts.len() + self.template.accessions.texts.len();
        if originals as u64 <= self.policy.limits.originals_of(self.walk.len()) {
            return Ok(());
        }
        let problem = "the object has more different UIDs and accession numbers than an object of its \
                       length needs";
        Err(ScanError::rule(problem, header.tag(), header.at))
    }
}
