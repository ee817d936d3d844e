//! Decides whether an object has to be sent, and whether it may replace one that is there.
//!
//! | origins | object at the destination | decision |
//! |---|---|---|
//! | | none | sent |
//! | of one original | same version and length | skipped |
//! | | another version or length, or changed there | replaced |
//! | of different originals | | refused |
//! | unknown on either side | equal bytes, as the journal, a tag or the sink says | skipped |
//! | | other bytes, or unknown ones | refused |
//!
//! What is refused is replaced instead under [`Overwrite::Any`]. What is skipped is sent again under
//! [`Existing::SendAgain`].

use super::options::{Existing, Overwrite};
use crate::journal::JournalEntry;
use crate::{Capabilities, EntityTag, Error, IfThere, ListedObject, Origin, SourceObject};

/// What to do with an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// The destination has it.
    Skip,
    /// It is put.
    Send(OnConflict),
    /// The destination has it if its bytes have this tag. Otherwise the second decision holds.
    Compare(EntityTag, Box<Self>),
    /// The destination may know the origin of the object that it has. If it does not, the second
    /// decision holds.
    Ask(Inquiry, Box<Self>),
    /// The object at the destination must not be replaced.
    Refuse(Refusal),
}

/// What happens to an object that a put finds at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OnConflict {
    /// It stays, unless it has the same bytes.
    Keep,
    /// It is replaced; if it was listed with this tag, only if it still has it.
    Replace(Option<EntityTag>),
}

impl OnConflict {
    pub(super) fn if_there(&self) -> IfThere<'_> {
        match self {
            Self::Keep => IfThere::Keep,
            Self::Replace(None) => IfThere::Replace,
            Self::Replace(Some(tag)) => IfThere::ReplaceTagged(tag),
        }
    }
}

/// Why an object must not be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another original made it.
    OtherOriginal,
    /// It may be of another original.
    OtherObject,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OtherOriginal => Self::OtherOriginal,
            Refusal::OtherObject => Self::OtherObject,
        }
    }
}

/// What a destination lists of an object.
#[derive(Debug, Clone, Copy)]
pub(super) enum DestinationState<'l> {
    /// It was not listed: only the journal knows.
    Unknown,
    /// It lists no such object.
    Missing,
    /// It lists this object.
    Present(&'l ListedObject),
}

/// What decides besides the object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    pub(super) capabilities: Capabilities,
    pub(super) existing: Existing,
    pub(super) overwrite: Overwrite,
}

impl Policy {
    /// Puts an object of which it is not known that it may replace another one.
    fn send(self) -> Decision {
        Decision::Send(match self.overwrite {
            Overwrite::SameOriginal => OnConflict::Keep,
            Overwrite::Any => OnConflict::Replace(None),
        })
    }

    fn refuse(self, refusal: Refusal) -> Decision {
        match self.overwrite {
            Overwrite::SameOriginal => Decision::Refuse(refusal),
            Overwrite::Any => Decision::Send(OnConflict::Replace(None)),
        }
    }
}

/// The comparison of an object with one that is at the destination, by their origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inquiry {
    own: Origin,
    /// True if the destination lists it with another length.
    has_other_length: bool,
    /// True if the destination lists it with another tag than was recorded when it was sent.
    is_changed: bool,
    tag: Option<EntityTag>,
}

impl Inquiry {
    /// Returns the tag in the destination's listing.
    pub(super) fn into_tag(self) -> Option<EntityTag> {
        self.tag
    }

    /// Decides for an object at the destination with this origin.
    pub(super) fn decide(&self, theirs: Origin, policy: Policy) -> Decision {
        if !self.own.is_of_same_original(theirs) {
            return policy.refuse(Refusal::OtherOriginal);
        }
        let replace = Decision::Send(OnConflict::Replace(self.tag.clone()));
        let is_there = self.own == theirs && !self.has_other_length;
        match &self.tag {
            _ if !is_there || policy.existing == Existing::SendAgain => replace,
            Some(tag) if self.is_changed => Decision::Compare(tag.clone(), Box::new(replace)),
            _ => Decision::Skip,
        }
    }
}

/// `own` is the origin of the object, `sent` its record in the journal.
pub(super) fn decide(
    object: &SourceObject,
    own: Option<Origin>,
    at_destination: DestinationState<'_>,
    sent: Option<&JournalEntry>,
    policy: Policy,
) -> Decision {
    let listed = match at_destination {
        DestinationState::Missing => return policy.send(),
        DestinationState::Unknown => None,
        DestinationState::Present(listed) => Some(listed),
    };
    let tag = listed.and_then(|listed| listed.tag.as_ref());
    // The record is of the object that is there, as far as can be told without asking.
    let recorded = sent.filter(|entry| tag.is_none_or(|tag| entry.tag() == Some(tag)));
    let by_bytes = || decide_by_bytes(object, listed, sent, recorded, policy);
    let Some(own) = own else {
        return by_bytes();
    };
    let inquiry = Inquiry {
        own,
        has_other_length: has_other_length(object, listed),
        is_changed: sent.is_some() && recorded.is_none(),
        tag: tag.cloned(),
    };
    match recorded.and_then(JournalEntry::origin) {
        Some(theirs) => inquiry.decide(theirs, policy),
        None if policy.capabilities.origins && listed.is_some() => {
            Decision::Ask(inquiry, Box::new(by_bytes()))
        }
        None => by_bytes(),
    }
}

/// Decides where an origin is not known.
fn decide_by_bytes(
    object: &SourceObject,
    listed: Option<&ListedObject>,
    sent: Option<&JournalEntry>,
    recorded: Option<&JournalEntry>,
    policy: Policy,
) -> Decision {
    let is_again = policy.existing == Existing::SendAgain;
    let is_unchanged = recorded.is_some_and(|entry| entry.matches(object));
    let Some(listed) = listed else {
        return match sent {
            Some(_) if is_unchanged && !is_again => Decision::Skip,
            Some(_) if !is_again && !policy.capabilities.keeps => {
                policy.refuse(Refusal::OtherObject)
            }
            // The sink compares by itself, has never been sent the object, or has lost it.
            _ => policy.send(),
        };
    };
    if has_other_length(object, Some(listed)) {
        return policy.refuse(Refusal::OtherObject);
    }
    // If a sink does not compare and lists only names, the name is enough, unless the journal records
    // other bytes.
    let name_is_enough = sent.is_none() && !policy.capabilities.compares && listed.len.is_none();
    match &listed.tag {
        _ if is_unchanged && !is_again => Decision::Skip,
        Some(tag) => {
            let otherwise = policy.refuse(Refusal::OtherObject);
            Decision::Compare(tag.clone(), Box::new(otherwise))
        }
        None if name_is_enough => Decision::Skip,
        None if policy.capabilities.keeps => policy.send(),
        None => policy.refuse(Refusal::OtherObject),
    }
}

fn has_other_length(object: &SourceObject, listed: Option<&ListedObject>) -> bool {
    let len = listed.and_then(|listed| listed.len);
    len.is_some_and(|len| len != object.len)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::ObjectKey;

    const A1: Origin = Origin::new(1, 1);
    const A2: Origin = Origin::new(1, 2);
    const B1: Origin = Origin::new(2, 1);

    fn time(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// An object of 10 bytes, last changed in second 1.
    fn object() -> SourceObject {
        let key = ObjectKey::new(["S-1", "1.1", "1.2", "1.3"]).unwrap();
        SourceObject::new(key, 10, Some(time(1)))
    }

    fn tag(text: &str) -> EntityTag {
        EntityTag::new(text).unwrap()
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "a row of the table has one or none"
    )]
    fn listed(len: Option<u64>, with: Option<&str>) -> Option<ListedObject> {
        Some(ListedObject::new(object().key, len).with_tag(with.map(tag)))
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "a row of the table has one or none"
    )]
    fn sent(seconds: u64, with: Option<&str>, origin: Option<Origin>) -> Option<JournalEntry> {
        let entry = JournalEntry::new(10, Some(time(seconds)), with.map(tag));
        Some(entry.with_origin(origin))
    }

    /// A directory.
    const KEEPS: Capabilities = Capabilities::new().keeping();
    /// A DICOM node.
    const NAMES: Capabilities = Capabilities::new().without_comparing();
    /// S3.
    const TAGS: Capabilities = NAMES.with_origins();

    fn policy(capabilities: Capabilities) -> Policy {
        Policy {
            capabilities,
            existing: Existing::Skip,
            overwrite: Overwrite::SameOriginal,
        }
    }

    /// Decides for a destination that lists.
    fn decided(
        own: Option<Origin>,
        listed: Option<&ListedObject>,
        sent: Option<&JournalEntry>,
        policy: Policy,
    ) -> Decision {
        let state = listed.map_or(DestinationState::Missing, DestinationState::Present);
        decide(&object(), own, state, sent, policy)
    }

    const KEEP: Decision = Decision::Send(OnConflict::Keep);
    const REPLACE: Decision = Decision::Send(OnConflict::Replace(None));
    const OTHER_ORIGINAL: Decision = Decision::Refuse(Refusal::OtherOriginal);
    const OTHER_OBJECT: Decision = Decision::Refuse(Refusal::OtherObject);

    fn compare(with: &str) -> Decision {
        Decision::Compare(tag(with), Box::new(OTHER_OBJECT))
    }

    #[test]
    fn origins_decide_where_both_are_known() {
        let at = |len| listed(len, None);
        let table = [
            ("nothing there", A1, None, None, KEEP),
            (
                "nothing there, though sent",
                A1,
                None,
                sent(1, None, Some(B1)),
                KEEP,
            ),
            (
                "the same",
                A1,
                at(Some(10)),
                sent(1, None, Some(A1)),
                Decision::Skip,
            ),
            (
                "touched",
                A1,
                at(Some(10)),
                sent(9, None, Some(A1)),
                Decision::Skip,
            ),
            (
                "only a name",
                A1,
                at(None),
                sent(9, None, Some(A1)),
                Decision::Skip,
            ),
            (
                "another length there",
                A1,
                at(Some(9)),
                sent(1, None, Some(A1)),
                REPLACE,
            ),
            (
                "another version",
                A2,
                at(Some(10)),
                sent(1, None, Some(A1)),
                REPLACE,
            ),
            (
                "another original",
                A1,
                at(Some(10)),
                sent(1, None, Some(B1)),
                OTHER_ORIGINAL,
            ),
            (
                "another original and length",
                A1,
                at(Some(9)),
                sent(1, None, Some(B1)),
                OTHER_ORIGINAL,
            ),
        ];
        for (case, own, listed, sent, expected) in table {
            for capabilities in [KEEPS, NAMES] {
                let policy = policy(capabilities);
                let got = decided(Some(own), listed.as_ref(), sent.as_ref(), policy);
                assert_eq!(got, expected, "{case}");
            }
            // A destination that does not list: the journal decides.
            if let (Some(listed), Some(sent)) = (&listed, &sent)
                && listed.len != Some(9)
            {
                let unknown = DestinationState::Unknown;
                let got = decide(&object(), Some(own), unknown, Some(sent), policy(NAMES));
                assert_eq!(got, expected, "{case}, not listed");
            }
        }
    }

    #[test]
    fn bytes_decide_where_an_origin_is_unknown() {
        use Decision::Skip;
        let length = listed(Some(10), None);
        let name = listed(None, None);
        let tagged = listed(Some(10), Some("a"));
        let table = [
            ("nothing there", None, None, NAMES, KEEP),
            (
                "unchanged since",
                length.clone(),
                sent(1, None, None),
                KEEPS,
                Skip,
            ),
            (
                "changed since, compares",
                length.clone(),
                sent(2, None, None),
                KEEPS,
                KEEP,
            ),
            (
                "changed since",
                length.clone(),
                sent(2, None, None),
                NAMES,
                OTHER_OBJECT,
            ),
            (
                "a length alone, compares",
                length.clone(),
                None,
                KEEPS,
                KEEP,
            ),
            ("a length alone", length, None, NAMES, OTHER_OBJECT),
            (
                "another length",
                listed(Some(9), None),
                sent(1, None, None),
                KEEPS,
                OTHER_OBJECT,
            ),
            ("only a name", name.clone(), None, NAMES, Skip),
            (
                "only a name, changed since",
                name,
                sent(2, None, None),
                NAMES,
                OTHER_OBJECT,
            ),
            (
                "its tag",
                tagged.clone(),
                sent(1, Some("a"), None),
                NAMES,
                Skip,
            ),
            (
                "its tag, changed since",
                tagged.clone(),
                sent(2, Some("a"), None),
                NAMES,
                compare("a"),
            ),
            (
                "another tag",
                tagged.clone(),
                sent(1, Some("b"), None),
                NAMES,
                compare("a"),
            ),
            ("a tag alone", tagged, None, NAMES, compare("a")),
        ];
        for (case, listed, sent, capabilities, expected) in table {
            let (listed, sent) = (listed.as_ref(), sent.as_ref());
            for own in [None, Some(A1)] {
                let got = decided(own, listed, sent, policy(capabilities));
                assert_eq!(got, expected, "{case}, {own:?}");
            }
            // This account does not know the origins, the one before did.
            let sent = sent.map(|entry| entry.clone().with_origin(Some(A1)));
            let got = decided(None, listed, sent.as_ref(), policy(capabilities));
            assert_eq!(got, expected, "{case}, only the journal knows");
        }
    }

    #[test]
    fn journal_decides_without_a_listing() {
        let of = |sent: Option<JournalEntry>, capabilities| {
            let unknown = DestinationState::Unknown;
            decide(
                &object(),
                None,
                unknown,
                sent.as_ref(),
                policy(capabilities),
            )
        };
        assert_eq!(of(None, NAMES), KEEP);
        assert_eq!(of(sent(1, None, None), NAMES), Decision::Skip);
        assert_eq!(of(sent(2, None, None), NAMES), OTHER_OBJECT);
        assert_eq!(of(sent(2, None, None), KEEPS), KEEP);
    }

    #[test]
    fn destination_that_keeps_origins_is_asked_unless_the_journal_knows() {
        let tagged = listed(Some(10), Some("a"));
        let ask = |sent: Option<JournalEntry>| {
            decided(Some(A1), tagged.as_ref(), sent.as_ref(), policy(TAGS))
        };
        assert_eq!(ask(sent(9, Some("a"), Some(A1))), Decision::Skip);
        assert_eq!(ask(sent(1, Some("a"), Some(B1))), OTHER_ORIGINAL);
        for sent in [None, sent(1, Some("b"), Some(A1)), sent(9, Some("a"), None)] {
            let is_changed = sent.as_ref().is_some_and(|it| it.tag() != Some(&tag("a")));
            let Decision::Ask(inquiry, otherwise) = ask(sent) else {
                panic!("the destination is not asked");
            };
            assert_eq!(*otherwise, compare("a"));
            let replace = Decision::Send(OnConflict::Replace(Some(tag("a"))));
            let same = if is_changed {
                Decision::Compare(tag("a"), Box::new(replace.clone()))
            } else {
                Decision::Skip
            };
            assert_eq!(inquiry.decide(A1, policy(TAGS)), same);
            assert_eq!(inquiry.decide(A2, policy(TAGS)), replace);
            assert_eq!(inquiry.decide(B1, policy(TAGS)), OTHER_ORIGINAL);
        }
        let unknown = decided(None, tagged.as_ref(), None, policy(TAGS));
        assert_eq!(unknown, compare("a"), "an origin alone decides nothing");
    }

    #[test]
    fn sending_again_replaces_only_the_same_original() {
        let again = |capabilities| Policy {
            existing: Existing::SendAgain,
            ..policy(capabilities)
        };
        let state = DestinationState::Unknown;
        for (own, sent, expected) in [
            (Some(A1), sent(1, None, Some(A1)), REPLACE),
            (Some(A1), sent(1, None, Some(B1)), OTHER_ORIGINAL),
            (Some(A1), sent(2, None, None), KEEP),
            (None, sent(2, None, Some(B1)), KEEP),
            (Some(A1), None, KEEP),
        ] {
            let got = decide(&object(), own, state, sent.as_ref(), again(NAMES));
            assert_eq!(got, expected, "{own:?} {sent:?}");
        }
        let there = listed(Some(10), None);
        let got = decided(
            None,
            there.as_ref(),
            sent(1, None, None).as_ref(),
            again(KEEPS),
        );
        assert_eq!(got, KEEP, "a directory compares");
    }

    #[test]
    fn overwriting_replaces_what_is_refused_otherwise() {
        let any = |capabilities| Policy {
            overwrite: Overwrite::Any,
            ..policy(capabilities)
        };
        let there = listed(Some(10), None);
        let sent_b = sent(1, None, Some(B1));
        let got = decided(Some(A1), there.as_ref(), sent_b.as_ref(), any(KEEPS));
        assert_eq!(got, REPLACE);
        let got = decided(
            None,
            there.as_ref(),
            sent(2, None, None).as_ref(),
            any(NAMES),
        );
        assert_eq!(got, REPLACE);
        let tagged = listed(Some(10), Some("a"));
        let got = decided(None, tagged.as_ref(), None, any(NAMES));
        assert_eq!(got, Decision::Compare(tag("a"), Box::new(REPLACE)));
        // Nothing else changes.
        let same = sent(9, None, Some(A1));
        let got = decided(Some(A1), there.as_ref(), same.as_ref(), any(KEEPS));
        assert_eq!(got, Decision::Skip);
    }
}
