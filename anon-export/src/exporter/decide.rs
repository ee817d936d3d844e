//! Whether a destination has an object.

use crate::journal::Entry;
use crate::{Listed, Needs, SourceObject, Tag};

/// What is to be done with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is there.
    Skip,
    /// It is not there, or something else is.
    Send,
    /// It is there if its bytes have this tag. If that cannot be told, it is sent: equal lengths are no
    /// equal bytes.
    Compare(Tag),
}

/// What a destination has, as far as it tells.
#[derive(Debug, Clone, Copy)]
pub(super) enum There<'l> {
    /// It tells nothing at all: the journal alone knows.
    Untold,
    /// It has nothing of this key.
    Nothing,
    /// It has this.
    Listed(&'l Listed),
}

pub(super) fn verdict(
    object: &SourceObject,
    there: There<'_>,
    sent: Option<&Entry>,
    needs: Needs,
) -> Verdict {
    let is_as_sent = sent.is_some_and(|entry| entry.is_of(object));
    let listed = match there {
        There::Untold if is_as_sent => return Verdict::Skip,
        There::Untold | There::Nothing => return Verdict::Send,
        There::Listed(listed) => listed,
    };
    if listed.len.is_some_and(|len| len != object.len) {
        return Verdict::Send;
    }
    // A sink that compares decides best. One that does not is believed where names are all it tells,
    // unless the journal knows of another object that was sent.
    let is_believed = sent.is_none() && !needs.compares && listed.len.is_none();
    match &listed.tag {
        Some(tag) if is_as_sent && sent.and_then(Entry::tag) == Some(tag) => Verdict::Skip,
        Some(tag) => Verdict::Compare(tag.clone()),
        None if is_as_sent || is_believed => Verdict::Skip,
        None => Verdict::Send,
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

    fn listed(len: Option<u64>, tag: Option<&str>) -> Listed {
        Listed::new(object(None).key, len).with_tag(tag.and_then(Tag::new))
    }

    fn sent(len: u64, seconds: u64, tag: Option<&str>) -> Entry {
        Entry::new(len, Some(time(seconds)), tag.and_then(Tag::new))
    }

    fn compare(tag: &str) -> Verdict {
        Verdict::Compare(Tag::new(tag).unwrap())
    }

    #[test]
    fn each_case_has_its_verdict() {
        use Verdict::{Send, Skip};
        let compares = Needs::new();
        let trusts = Needs::new().without_comparing();
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
        for (case, there, sent, needs, expected) in table {
            let there = there.as_ref().map_or(There::Nothing, There::Listed);
            let got = verdict(&object(Some(time(1))), there, sent.as_ref(), needs);
            assert_eq!(got, expected, "{case}");
        }
    }

    #[test]
    fn without_a_listing_the_journal_decides() {
        let of = |object: &SourceObject, entry: &Entry| {
            verdict(object, There::Untold, Some(entry), Needs::new())
        };
        assert_eq!(
            of(&object(Some(time(1))), &sent(10, 1, None)),
            Verdict::Skip
        );
        assert_eq!(
            of(&object(Some(time(2))), &sent(10, 1, None)),
            Verdict::Send
        );
        // Without a time nothing says that the bytes are the same.
        assert_eq!(
            of(&object(None), &Entry::new(10, None, None)),
            Verdict::Send
        );
    }
}
