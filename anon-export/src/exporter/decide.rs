//! Decides whether an object has to be sent.

use crate::journal::JournalEntry;
use crate::{Capabilities, EntityTag, ListedObject, SourceObject};

/// What to do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// The destination has it.
    Skip,
    /// The destination does not have it, or has other bytes.
    Send,
    /// The destination has it if its bytes have this tag. If the tag cannot be computed, the object
    /// is sent: equal lengths do not prove equal bytes.
    Compare(EntityTag),
}

/// What a destination lists of an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum DestinationState<'l> {
    /// It cannot list: only the journal knows.
    Unknown,
    /// It lists no such object.
    Missing,
    /// It lists this object.
    Present(&'l ListedObject),
}

pub(super) fn decide(
    object: &SourceObject,
    at_destination: DestinationState<'_>,
    sent: Option<&JournalEntry>,
    capabilities: Capabilities,
) -> Decision {
    let is_unchanged = sent.is_some_and(|entry| entry.matches(object));
    let listed = match at_destination {
        DestinationState::Unknown if is_unchanged => return Decision::Skip,
        DestinationState::Unknown | DestinationState::Missing => return Decision::Send,
        DestinationState::Present(listed) => listed,
    };
    if listed.len.is_some_and(|len| len != object.len) {
        return Decision::Send;
    }
    // A sink that compares decides by itself. If a sink does not compare and lists only names, the
    // name is enough, unless the journal records other bytes.
    let name_is_enough = sent.is_none() && !capabilities.compares && listed.len.is_none();
    match &listed.tag {
        Some(tag) if is_unchanged && sent.and_then(JournalEntry::tag) == Some(tag) => {
            Decision::Skip
        }
        Some(tag) => Decision::Compare(tag.clone()),
        None if is_unchanged || name_is_enough => Decision::Skip,
        None => Decision::Send,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::ObjectKey;

    fn time(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn object(modified: Option<SystemTime>) -> SourceObject {
        let key = ObjectKey::new(["S-1", "1.1", "1.2", "1.3"]).unwrap();
        SourceObject::new(key, 10, modified)
    }

    fn listed(len: Option<u64>, tag: Option<&str>) -> ListedObject {
        ListedObject::new(object(None).key, len).with_tag(tag.and_then(EntityTag::new))
    }

    fn sent(len: u64, seconds: u64, tag: Option<&str>) -> JournalEntry {
        JournalEntry::new(len, Some(time(seconds)), tag.and_then(EntityTag::new))
    }

    fn compare(tag: &str) -> Decision {
        Decision::Compare(EntityTag::new(tag).unwrap())
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn decision_for_each_combination_of_listing_and_journal() {
        use Decision::{Send, Skip};
        let compares = Capabilities::new();
        let does_not_compare = Capabilities::new().without_comparing();
        let table = [
            ("nothing there", None, None, compares, Send),
            (
                "nothing there, though sent",
                None,
                Some(sent(10, 1, None)),
                compares,
                Send,
            ),
            (
                "another length",
                Some(listed(Some(9), None)),
                Some(sent(10, 1, None)),
                does_not_compare,
                Send,
            ),
            (
                "as the journal says",
                Some(listed(Some(10), None)),
                Some(sent(10, 1, None)),
                compares,
                Skip,
            ),
            (
                "changed since",
                Some(listed(Some(10), None)),
                Some(sent(10, 2, None)),
                does_not_compare,
                Send,
            ),
            (
                "unknown, compares",
                Some(listed(Some(10), None)),
                None,
                compares,
                Send,
            ),
            (
                "a length alone",
                Some(listed(Some(10), None)),
                None,
                does_not_compare,
                Send,
            ),
            (
                "only listed",
                Some(listed(None, None)),
                None,
                does_not_compare,
                Skip,
            ),
            (
                "only listed, changed since",
                Some(listed(None, None)),
                Some(sent(8, 1, None)),
                does_not_compare,
                Send,
            ),
            (
                "its tag",
                Some(listed(Some(10), Some("a"))),
                Some(sent(10, 1, Some("a"))),
                does_not_compare,
                Skip,
            ),
            (
                "another tag than was sent",
                Some(listed(Some(10), Some("b"))),
                Some(sent(10, 1, Some("a"))),
                does_not_compare,
                compare("b"),
            ),
            (
                "a tag, changed since",
                Some(listed(Some(10), Some("a"))),
                Some(sent(10, 2, Some("a"))),
                does_not_compare,
                compare("a"),
            ),
            (
                "a tag alone",
                Some(listed(Some(10), Some("a"))),
                None,
                does_not_compare,
                compare("a"),
            ),
            (
                "a tag alone, compares",
                Some(listed(Some(10), Some("a"))),
                None,
                compares,
                compare("a"),
            ),
        ];
        for (case, listed, sent, capabilities, expected) in table {
            let at_destination = listed
                .as_ref()
                .map_or(DestinationState::Missing, DestinationState::Present);
            let got = decide(
                &object(Some(time(1))),
                at_destination,
                sent.as_ref(),
                capabilities,
            );
            assert_eq!(got, expected, "{case}");
        }
    }

    #[test]
    fn journal_decides_without_a_listing() {
        let of = |object: &SourceObject, entry: &JournalEntry| {
            decide(
                object,
                DestinationState::Unknown,
                Some(entry),
                Capabilities::new(),
            )
        };
        assert_eq!(
            of(&object(Some(time(1))), &sent(10, 1, None)),
            Decision::Skip
        );
        assert_eq!(
            of(&object(Some(time(2))), &sent(10, 1, None)),
            Decision::Send
        );
        // Without a modification time equal bytes cannot be assumed.
        assert_eq!(
            of(&object(None), &JournalEntry::new(10, None, None)),
            Decision::Send
        );
    }
}
