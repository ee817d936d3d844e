//! Rules that decide by what an object holds ([`ObjectRules`]).

use std::sync::Arc;

use anon_engine::{Policy, Refusal, Source, plan};
use anon_model::{Remark, RemarkReason};
use anon_script::object::{
    Insert, InsertValue, Look, ObjectHeader, ObjectRules, Place, Refused, SeenValue,
};
use anon_script::rules::{Action, Element, ItemElement, ItemValue, Method, Rules, State};
use dicom_core::{Tag, VR};

use super::build::{BIG, EXPLICIT, Enc, Lengths, Object, Outcome, holds, names, read, run, value};

const CHARSET: Tag = Tag(0x0008, 0x0005);
const INSTANCE: Tag = Tag(0x0008, 0x0018);
const SEQUENCE: Tag = Tag(0x0008, 0x1140);
const DESCRIPTION: Tag = Tag(0x0008, 0x1030);
const COMMENT: Tag = Tag(0x0020, 0x4000);
const ROWS: Tag = Tag(0x0028, 0x0010);

/// What a test decides, of the header and the place.
type Decide = fn(&ObjectHeader, &Place<'_>) -> Result<Action, Refused>;

/// Asks `decide` about every element.
#[derive(Debug)]
struct Asking {
    decide: Decide,
    look: Look,
    inserts: Vec<Insert>,
    decides_identity: bool,
    method: Method,
}

impl Asking {
    fn new(decide: Decide) -> Self {
        Self {
            decide,
            look: Look::All,
            inserts: Vec::new(),
            decides_identity: false,
            method: Method::new("ASKING"),
        }
    }

    fn policy(self) -> Policy {
        Policy::new(Arc::new(self), "123456789", "PROJECT")
    }
}

impl Rules for Asking {
    fn action(&self, _: Element) -> &Action {
        &Action::Decide
    }
    fn items(&self, sequence: Element) -> State {
        State(sequence.state.0 + u32::from(sequence.tag.1))
    }
    fn look(&self) -> Look {
        self.look
    }
    fn begin<'r>(
        &'r self,
        header: &'r ObjectHeader,
    ) -> Result<Option<Box<dyn ObjectRules + 'r>>, Refused> {
        Ok(Some(Box::new(OneObject(header, self.decide))))
    }
    fn inserts(&self) -> &[Insert] {
        &self.inserts
    }
    fn decides_identity(&self) -> bool {
        self.decides_identity
    }
    fn method(&self) -> &Method {
        &self.method
    }
    fn name(&self) -> &'static str {
        "asking"
    }
    fn text(&self) -> &'static str {
        ""
    }
    fn digest(&self) -> [u8; 32] {
        [0; 32]
    }
}

#[derive(Debug)]
struct OneObject<'r>(&'r ObjectHeader, Decide);

impl ObjectRules for OneObject<'_> {
    fn root(&self) -> State {
        State(1)
    }
    fn decide(&self, place: &Place<'_>) -> Result<Action, Refused> {
        (self.1)(self.0, place)
    }
}

fn computed(text: impl Into<Arc<str>>) -> Action {
    Action::Computed(text.into())
}

#[test]
fn an_earlier_element_can_depend_on_a_later_and_nested_one() -> Outcome {
    let decide: Decide = |header, place| {
        if place.element.tag != DESCRIPTION {
            return Ok(Action::Keep);
        }
        let nested = header.elements().iter().find(|seen| seen.tag == COMMENT);
        let text = nested.and_then(|seen| header.text(seen)).unwrap_or("none");
        Ok(computed(format!(
            "{text}, {}",
            header.root_text(Tag(0x0010, 0x0020))
        )))
    };
    for (enc, syntax) in Enc::ALL {
        for lengths in [Lengths::Defined, Lengths::Undefined] {
            let item = enc.text(COMMENT, "LT", "nested");
            let input = Object::new(enc)
                .text(DESCRIPTION, "LO", "first")
                .raw(SEQUENCE, enc.sequence(SEQUENCE, &[item], lengths))
                .part10(syntax);
            let output = run(&Asking::new(decide).policy(), &input)?;
            assert_eq!(value(&output, DESCRIPTION)?, "nested, 12345", "{enc:?}");
        }
    }
    Ok(())
}

#[test]
fn values_are_shown_in_the_character_set_of_their_item() -> Outcome {
    let enc = Enc::Explicit;
    let decide: Decide = |header, place| {
        let seen = header
            .elements()
            .iter()
            .find(|seen| seen.offset == place.offset);
        match (place.element.tag, seen.and_then(|seen| header.text(seen))) {
            (COMMENT, Some("Ülo" | "Юлия")) => Ok(computed("decoded")),
            (COMMENT, _) => Ok(computed("wrong")),
            _ => Ok(Action::Keep),
        }
    };
    let item = |charset: &str, text: &[u8]| {
        let mut item = enc.text(CHARSET, "CS", charset);
        item.extend(enc.element(COMMENT, "LT", text));
        item
    };
    let items = [
        item("ISO_IR 100", b"\xDClo "),
        item("ISO_IR 144", b"\xCE\xDB\xD8\xEF"),
        enc.element(COMMENT, "LT", "Ülo"),
    ];
    let input = Object::new(enc)
        .text(CHARSET, "CS", "ISO_IR 192")
        .raw(SEQUENCE, enc.sequence(SEQUENCE, &items, Lengths::Defined))
        .part10(EXPLICIT);
    let output = run(&Asking::new(decide).policy(), &input)?;
    let object = read(&output)?;
    for item in object.element(SEQUENCE)?.items().ok_or("no items")? {
        assert_eq!(item.element(COMMENT)?.to_str()?.trim(), "decoded");
    }
    Ok(())
}

#[test]
fn a_private_element_is_shown_with_the_creator_of_its_own_block() -> Outcome {
    let enc = Enc::Explicit;
    let decide: Decide = |_, place| match (place.element.tag.0, place.creator) {
        (0x0029, Some("GOOD")) => Ok(Action::Keep),
        (0x0029, _) => Ok(Action::Remove),
        _ => Ok(Action::Keep),
    };
    let private = |tag, text| enc.text(tag, "LO", text);
    let item = [
        private(Tag(0x0029, 0x0010), "BAD"),
        private(Tag(0x0029, 0x1001), "CANARY in an item"),
    ]
    .concat();
    let input = Object::new(enc)
        .raw(SEQUENCE, enc.sequence(SEQUENCE, &[item], Lengths::Defined))
        .text(Tag(0x0029, 0x0010), "LO", "GOOD")
        .text(Tag(0x0029, 0x0011), "LO", "BAD")
        .text(Tag(0x0029, 0x1001), "LO", "useful")
        .text(Tag(0x0029, 0x1101), "LO", "CANARY of another block")
        .text(Tag(0x0029, 0x1201), "LO", "CANARY without a creator")
        .part10(EXPLICIT);
    let output = run(&Asking::new(decide).policy(), &input)?;
    assert!(!holds(&output, b"CANARY") && !holds(&output, b"BAD"));
    assert_eq!(value(&output, Tag(0x0029, 0x1001))?, "useful");
    assert_eq!(value(&output, Tag(0x0029, 0x0010))?, "GOOD");
    Ok(())
}

#[test]
fn items_have_the_state_of_their_sequence_and_what_follows_that_of_the_root() -> Outcome {
    let enc = Enc::Explicit;
    let decide: Decide = |_, place| match place.element.tag {
        COMMENT => Ok(computed(place.element.state.0.to_string())),
        _ => Ok(Action::Keep),
    };
    let other = Tag(0x0008, 0x1111);
    let nested = enc.sequence(other, &[enc.text(COMMENT, "LT", "x")], Lengths::Undefined);
    let items = [
        [nested, enc.text(COMMENT, "LT", "x")].concat(),
        enc.text(COMMENT, "LT", "x"),
    ];
    let input = Object::new(enc)
        .raw(SEQUENCE, enc.sequence(SEQUENCE, &items, Lengths::Defined))
        .text(COMMENT, "LT", "x")
        .part10(EXPLICIT);
    let output = run(&Asking::new(decide).policy(), &input)?;
    let object = read(&output)?;
    let items = object.element(SEQUENCE)?.items().ok_or("no items")?;
    let text = |set: &dicom_object::InMemDicomObject| -> Outcome<String> {
        Ok(set.element(COMMENT)?.to_str()?.trim().to_owned())
    };
    let in_item = 1 + 0x1140;
    let inner = &items[0].element(other)?.items().ok_or("no items")?[0];
    assert_eq!(text(inner)?, (in_item + 0x1111).to_string());
    assert_eq!(text(&items[0])?, in_item.to_string());
    assert_eq!(text(&items[1])?, in_item.to_string());
    assert_eq!(value(&output, COMMENT)?, "1");
    Ok(())
}

#[test]
fn only_what_the_rules_insert_is_inserted() -> Outcome {
    let keep: Decide = |_, _| Ok(Action::Keep);
    let input = Object::new(Enc::Explicit)
        .text(Tag(0x0012, 0x0063), "LO", "CANARY of an earlier method")
        .part10(EXPLICIT);
    let mut rules = Asking::new(keep);
    rules.inserts = vec![
        Insert::new(
            Tag(0x0008, 0x1030),
            VR::LO,
            InsertValue::Computed("inserted".into()),
        ),
        Insert::new(Tag(0x0012, 0x0063), VR::LO, InsertValue::MethodText),
        Insert::new(ROWS, VR::US, InsertValue::Computed("no number".into())),
        Insert::new(
            Tag(0x0040, 0x0275),
            VR::LO,
            InsertValue::Computed("last".into()),
        ),
    ];
    let output = run(&rules.policy(), &input)?;
    assert_eq!(value(&output, DESCRIPTION)?, "inserted");
    assert_eq!(value(&output, Tag(0x0012, 0x0063))?, "ASKING");
    assert_eq!(value(&output, Tag(0x0040, 0x0275))?, "last");
    let object = read(&output)?;
    assert!(object.element(ROWS).is_err(), "a text is no number");
    assert!(
        object.element(Tag(0x0013, 0x0010)).is_err(),
        "no block was asked for"
    );
    assert_eq!(
        value(&output, Tag(0x0010, 0x0020))?,
        "12345",
        "the rules keep it"
    );
    assert!(!holds(&output, b"CANARY"));
    Ok(())
}

#[test]
fn uids_that_the_rules_keep_agree_with_the_file_meta_and_name_no_file() -> Outcome {
    let rules = |decide: Decide| {
        let mut rules = Asking::new(decide);
        rules.decides_identity = true;
        rules.policy()
    };
    let input = Object::new(Enc::Explicit).part10(EXPLICIT);
    let cases: [(Decide, Option<&str>, &str); 4] = [
        (|_, _| Ok(Action::Keep), Some("1.2.3.4.5"), "1.2.3.4.5"),
        (
            |_, place| {
                Ok(if place.vr == VR::UI {
                    Action::Uid
                } else {
                    Action::Keep
                })
            },
            Some("9.3"),
            "9.3",
        ),
        (
            |_, place| {
                Ok(if place.element.tag == INSTANCE {
                    computed("7.7")
                } else {
                    Action::Keep
                })
            },
            Some("7.7"),
            "7.7",
        ),
        (
            |_, place| {
                Ok(if place.element.tag == INSTANCE {
                    Action::Remove
                } else {
                    Action::Keep
                })
            },
            None,
            "9.3",
        ),
    ];
    for (decide, in_data_set, in_meta) in cases {
        let policy = rules(decide);
        let output = run(&policy, &input)?;
        let object = read(&output)?;
        let found = object
            .element(INSTANCE)
            .ok()
            .map(dicom_core::DataElement::to_str);
        let found = found
            .transpose()?
            .map(|uid| uid.trim_end_matches('\0').to_owned());
        assert_eq!(found.as_deref(), in_data_set);
        let meta = object.meta().media_storage_sop_instance_uid();
        assert_eq!(meta.trim_end_matches('\0'), in_meta);
        let plan = plan(&policy, Source::part10(&input))?;
        let clean = plan.apply(&names(plan.wanted()))?;
        assert_eq!(
            clean.path().parts(),
            ["123456789-000001", "9.1", "9.2", "9.3"]
        );
    }
    Ok(())
}

#[test]
fn a_computed_value_that_does_not_fit_is_emptied_and_counted() -> Outcome {
    let decide: Decide = |_, place| match place.element.tag {
        ROWS => Ok(computed("many")),
        DESCRIPTION => Ok(computed("x".repeat(65))),
        _ => Ok(Action::Keep),
    };
    let input = Object::new(Enc::Explicit)
        .text(DESCRIPTION, "LO", "CANARY")
        .element(ROWS, "US", [1, 0])
        .part10(EXPLICIT);
    let policy = Asking::new(decide).policy();
    let output = run(&policy, &input)?;
    assert_eq!(value(&output, DESCRIPTION)?, "");
    assert_eq!(value(&output, ROWS)?, "");
    let plan = plan(&policy, Source::part10(&input))?;
    assert_eq!(plan.remarks().iter().count(), 2);
    Ok(())
}

#[test]
fn a_cleaned_text_is_counted() -> Outcome {
    let decide: Decide = |_, place| match place.element.tag {
        DESCRIPTION => Ok(Action::Cleaned("CT of".into())),
        _ => Ok(Action::Keep),
    };
    let input = Object::new(Enc::Explicit)
        .text(DESCRIPTION, "LO", "CT of CANARY")
        .part10(EXPLICIT);
    let policy = Asking::new(decide).policy();
    assert_eq!(value(&run(&policy, &input)?, DESCRIPTION)?, "CT of");
    let plan = plan(&policy, Source::part10(&input))?;
    let found: Vec<_> = plan.remarks().iter().collect();
    let reason = RemarkReason::WordsRemoved;
    let tag = 0x0008_1030;
    assert_eq!(
        found,
        [Remark {
            reason,
            tag,
            count: 1
        }]
    );
    Ok(())
}

#[test]
fn a_sequence_can_be_replaced_by_one_item() -> Outcome {
    let decide: Decide = |_, place| match place.element.tag {
        SEQUENCE => {
            let text = |tag, vr, text: &str| ItemElement {
                tag,
                vr,
                value: ItemValue::Text(text.into()),
            };
            let inner: Arc<[ItemElement]> = [text(Tag(0x0008, 0x0100), VR::SH, "121106")].into();
            let outer = [
                text(ROWS, VR::US, "7"),
                ItemElement {
                    tag: Tag(0x0040, 0xA043),
                    vr: VR::SQ,
                    value: ItemValue::Item(inner),
                },
            ];
            Ok(Action::Item(outer.into()))
        }
        _ => Ok(Action::Keep),
    };
    for (enc, syntax) in Enc::ALL {
        let item = enc.text(COMMENT, "LT", "CANARY");
        let sequence = enc.sequence(SEQUENCE, &[item.clone(), item], Lengths::Undefined);
        let input = Object::new(enc).raw(SEQUENCE, sequence).part10(syntax);
        let output = run(&Asking::new(decide).policy(), &input)?;
        assert!(!holds(&output, b"CANARY"), "{syntax} {BIG}");
        let object = read(&output)?;
        let items = object.element(SEQUENCE)?.items().ok_or("no items")?;
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].element(ROWS)?.to_int::<u16>()?, 7);
        let code = items[0]
            .element(Tag(0x0040, 0xA043))?
            .items()
            .ok_or("no code")?;
        assert_eq!(
            code[0].element(Tag(0x0008, 0x0100))?.to_str()?.trim(),
            "121106"
        );
    }
    Ok(())
}

#[test]
fn rules_that_refuse_an_object_quarantine_it() {
    let decide: Decide = |_, place| match place.element.tag {
        DESCRIPTION => Err(Refused {
            reason: "the rules do not store it",
        }),
        _ => Ok(Action::Keep),
    };
    let input = Object::new(Enc::Explicit)
        .text(DESCRIPTION, "LO", "CANARY")
        .part10(EXPLICIT);
    let refusal: Refusal = run(&Asking::new(decide).policy(), &input).expect_err("refused");
    assert!(
        refusal
            .reason
            .starts_with("the rules do not store it (element (0008,1030)")
    );
}

#[test]
fn rules_that_did_not_ask_to_see_an_object_cannot_decide_by_it() {
    let mut rules = Asking::new(|_, _| Ok(Action::Keep));
    rules.look = Look::Nothing;
    let refusal = run(
        &rules.policy(),
        &Object::new(Enc::Explicit).part10(EXPLICIT),
    );
    assert!(
        refusal
            .expect_err("refused")
            .reason
            .contains("did not ask to see it")
    );
}

#[test]
fn a_look_at_the_root_ends_at_its_tag_and_enters_no_sequence() -> Outcome {
    let decide: Decide = |header, _| {
        let seen: Vec<Tag> = header.elements().iter().map(|seen| seen.tag).collect();
        let is_right = seen.last() == Some(&SEQUENCE) && !seen.contains(&COMMENT);
        let value = header.root(SEQUENCE).map(|seen| &seen.value);
        if is_right && value == Some(&SeenValue::Sequence) {
            return Ok(Action::Keep);
        }
        Err(Refused {
            reason: "seen too much or too little",
        })
    };
    let enc = Enc::Explicit;
    let sequence = enc.sequence(
        SEQUENCE,
        &[enc.text(COMMENT, "LT", "x")],
        Lengths::Undefined,
    );
    let input = Object::new(enc).raw(SEQUENCE, sequence).part10(EXPLICIT);
    let mut rules = Asking::new(decide);
    rules.look = Look::RootUpTo(SEQUENCE);
    run(&rules.policy(), &input)?;
    Ok(())
}

#[test]
fn headers_that_do_not_fit_in_memory_refuse_the_object() {
    let mut input = Object::new(Enc::Explicit);
    for element in 0x1000..0x2000 {
        input = input.text(Tag(0x0029, element), "LO", "private");
    }
    let mut policy = Asking::new(|_, _| Ok(Action::Remove)).policy();
    policy.limits.max_plan_bytes = 64 << 10;
    let refusal = run(&policy, &input.part10(EXPLICIT)).expect_err("refused");
    assert!(refusal.reason.contains("more headers than fit in memory"));
}
