//! [`RemarkRecord`]: remarks on stored objects, as standard output and the control socket have them.

use anon_model::{Remark, RemarkReason, Remarks};
use anon_script::Tag;
use serde::{Deserialize, Serialize};

/// A remark on stored objects, with the number of its cases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RemarkRecord {
    /// `emptied`, `mended` or `pixels`.
    pub(crate) kind: String,
    /// The tag of the element, 8 hexadecimal digits. `None` if it is about the whole object.
    pub(crate) tag: Option<String>,
    /// The keyword of the element, if PS3.6 lists it.
    pub(crate) keyword: Option<String>,
    /// The name of the reason.
    pub(crate) reason: String,
    /// The number of cases.
    pub(crate) count: u64,
}

impl RemarkRecord {
    /// Returns a record for each remark.
    pub(crate) fn all_of(remarks: &Remarks) -> Vec<Self> {
        remarks.iter().map(Self::from).collect()
    }

    /// Returns a sentence, such as `ContentDate: 12 values were no dates and are empty`.
    pub(crate) fn sentence(&self) -> String {
        let what = RemarkReason::named(&self.reason).map_or_else(
            || format!("{} {}", self.count, self.reason),
            |reason| reason.sentence(self.count),
        );
        match self.keyword.as_ref().or(self.tag.as_ref()) {
            Some(element) => format!("{element}: {what}"),
            None => what,
        }
    }
}

impl From<Remark> for RemarkRecord {
    fn from(remark: Remark) -> Self {
        let [g1, g2, e1, e2] = remark.tag.to_be_bytes();
        let tag = Tag(u16::from_be_bytes([g1, g2]), u16::from_be_bytes([e1, e2]));
        let is_about_element = remark.tag != 0;
        Self {
            kind: remark.reason.kind().name().into(),
            tag: is_about_element.then(|| format!("{:08X}", remark.tag)),
            keyword: anon_script::keyword(tag)
                .filter(|_| is_about_element)
                .map(str::to_owned),
            reason: remark.reason.name().into(),
            count: remark.count,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_name_their_element_if_they_have_one() {
        let reason = RemarkReason::NotADate;
        for (tag, expected) in [
            (0x0008_0023, "ContentDate: 1 value was no date and is empty"),
            (0x0009_1001, "00091001: 1 value was no date and is empty"),
            (0, "1 value was no date and is empty"),
        ] {
            let count = 1;
            let record = RemarkRecord::from(Remark { reason, tag, count });
            assert_eq!(record.sentence(), expected);
        }
    }
}
