//! Whether a destination has an object.

use crate::journal::JournalEntry;
use crate::{Capabilities, EntityTag, ListedObject, SourceObject};

/// What is to be done with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// It is there.
    Skip,
    /// It is not there, or something else is.
    Send,
    /// It is there if its bytes have this tag. If that cannot be told, it is sent: equal lengths are no
    /// equal bytes.
    Compare(EntityTag),
}

/// What a destination has, as far as it tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum DestinationState<'l> {
    /// It tells nothing at all: the journal alone knows.
    Unknown,
    /// It has nothing of this key.
    Missing,
    /// It has this.
    Present(&'l ListedObject),
}

pub(super) fn decide(
    object: &SourceObject,
    there: DestinationState<'_>,
    sent: Option<&JournalEntry>,
    capabilities: Capabilities,
) -> Decision {
    let is_as_sent = sent.is_some_and(|entry| entry.is_of(object));
    let listed = match there {
        DestinationState::Unknown if is_as_sent => return Decision::Skip,
        DestinationState::Unknown | DestinationState::Missing => return Decision::Send,
        DestinationState::Present(listed) => listed,
    };
    if listed.len.is_some_and(|len| len != object.len) {
        return Decision::Send;
    }
    // A sink that compares decides best. One that does not is believed where names are all it tells,
    // unless the journal knows of another object that was sent.
    let is_believed = sent.is_none() && !capabilities.compares && listed.len.is_none();
    match &listed.tag {
        Some(tag) if is_as_sent && sent.and_then(JournalEntry::tag) == Some(tag) => Decision::Skip,
        Some(tag) => Decision::Compare(tag.clone()),
        None if is_as_sent || is_believed => Decision::Skip,
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
    fn each_case_has_its_verdict() {
        use Decision::{Send, Skip};
        let compares = Capabilities::new();
        let trusts = Capabilities::new().without_comparing();
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
                trusts,
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
                trusts,
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
                trusts,
                Send,
            ),
            ("only listed", Some(listed(None, None)), None, trusts, Skip),
            (
                "only listed, changed since",
                Some(listed(None, None)),
                Some(sent(8, 1, None)),
                trusts,
                Send,
            ),
            (
                "its tag",
                Some(listed(Some(10), Some("a"))),
                Some(sent(10, 1, Some("a"))),
                trusts,
                Skip,
            ),
            (
                "another tag than was sent",
                Some(listed(Some(10), Some("b"))),
                Some(sent(10, 1, Some("a"))),
                trusts,
                compare("b"),
            ),
            (
                "a tag, changed since",
                Some(listed(Some(10), Some("a"))),
                Some(sent(10, 2, Some("a"))),
                trusts,
                compare("a"),
            ),
            (
                "a tag alone",
                Some(listed(Some(10), Some("a"))),
                None,
                trusts,
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
        for (case, there, sent, capabilities, expected) in table {
            let there = there
                .as_ref()
                .map_or(DestinationState::Missing, DestinationState::Present);
            let got = decide(&object(Some(time(1))), there, sent.as_ref(), capabilities);
            assert_eq!(got, expected, "{case}");
        }
    }

    #[test]
    fn without_a_listing_the_journal_decides() {
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
        // Without a time nothing says that the bytes are the same.
        assert_eq!(
            of(&object(None), &JournalEntry::new(10, None, None)),
            Decision::Send
        );
    }
}
