//! The profile of PS3.15, against its table and by SOP class.

use anon_script::profile::{Profile, ProfileError, ProfileOption};
use anon_script::{
    Action, Element, InsertValue, ItemValue, ObjectHeader, Place, Rules as _, SeenElement,
    SeenValue, State, Tag, VR,
};

const DEFAULT: &str = "basic+clean-descriptors+modified-dates+patient-characteristics";

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const PET: &str = "1.2.840.10008.5.1.4.1.1.128";
const SEGMENTATION: &str = "1.2.840.10008.5.1.4.1.1.66.4";
const STRUCTURE_SET: &str = "1.2.840.10008.5.1.4.1.1.481.3";
const PLAN: &str = "1.2.840.10008.5.1.4.1.1.481.5";
const PRESENTATION_STATE: &str = "1.2.840.10008.5.1.4.1.1.11.1";
const REPORT: &str = "1.2.840.10008.5.1.4.1.1.88.33";
const ENHANCED_MR: &str = "1.2.840.10008.5.1.4.1.1.4.1";
const UNKNOWN: &str = "1.2.3.4";

const SOP_CLASS: u32 = 0x0008_0016;

fn profile(name: &str) -> Profile {
    Profile::named(name).expect("a profile")
}

fn tag(number: u32) -> Tag {
    let [a, b, c, d] = number.to_be_bytes();
    Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))
}

/// An object of this class, with elements in the root.
fn object(sop_class: &str, elements: &[(u32, VR, &str)]) -> ObjectHeader {
    let class = [(SOP_CLASS, VR::UI, sop_class)];
    super::clean::header(&[&class, elements].concat())
}

/// What becomes of an element in the items of these sequences, if the object has it as its last one.
fn decided(profile: &Profile, header: &ObjectHeader, path: &[u32], number: u32, vr: VR) -> Action {
    let rules = profile
        .begin(header)
        .expect("accepted")
        .expect("rules of its own");
    let mut state = rules.root();
    for (depth, sequence) in (0..).zip(path) {
        let sequence = Element::nested(tag(*sequence), depth).in_state(state);
        state = profile.items(sequence);
    }
    let depth = u16::try_from(path.len()).expect("a short path");
    let element = Element::nested(tag(number), depth).in_state(state);
    match profile.action(element) {
        Action::Decide => {
            let offset = header.elements().last().map_or(0, |seen| seen.offset);
            rules
                .decide(&Place::new(element, vr, offset))
                .expect("decided")
        }
        action => action.clone(),
    }
}

/// What becomes of an element with this text in an object of this class.
fn of(profile: &Profile, class: &str, path: &[u32], (number, vr, text): (u32, VR, &str)) -> Action {
    decided(
        profile,
        &object(class, &[(number, vr, text)]),
        path,
        number,
        vr,
    )
}

/// A text that is valid and identifies nobody.
fn harmless(vr: VR) -> &'static str {
    match vr {
        VR::DA => "20240131",
        VR::DT => "20240131120000",
        VR::TM => "120000",
        VR::AS => "045Y",
        VR::CS => "M",
        VR::IS | VR::DS | VR::US => "1",
        VR::UI => "1.2.3",
        _ => "CHEST",
    }
}

/// A row of Table E.1-1: tag, VR, and the cells of basic, UIDs, device, institution, patient characteristics,
/// full dates, modified dates, descriptors.
fn rows() -> Vec<(u32, VR, Vec<&'static str>)> {
    let lines = include_str!("ps3_15_e1_1.tsv").lines();
    let rows = lines.filter(|line| !line.starts_with('#')).map(|line| {
        let mut cells = line.split('\t');
        let tag = cells.next().expect("a tag");
        let vr = cells.next().expect("a VR").get(..2).expect("two letters");
        let vr = vr.parse().unwrap_or(VR::OB);
        (
            u32::from_str_radix(tag, 16).expect("hexadecimal"),
            vr,
            cells.collect(),
        )
    });
    rows.collect()
}

fn is_dummy(action: &Action) -> bool {
    matches!(
        action,
        Action::Replace(_) | Action::Item(_) | Action::Uid | Action::Patient
    )
}

fn is_gone(action: &Action) -> bool {
    matches!(action, Action::Remove | Action::Empty)
}

#[test]
fn every_row_of_the_table_is_followed() {
    let basic = profile("basic");
    let mut seen = 0;
    for (number, vr, cells) in rows() {
        // Commands, file meta information and directories are no part of a data set.
        if number >> 16 <= 4 {
            continue;
        }
        seen += 1;
        let action = of(&basic, CT, &[], (number, vr, harmless(vr)));
        let is_name = matches!(number, 0x0010_0010 | 0x0010_0020 | 0x0008_0050);
        let is_right = match cells[0] {
            _ if is_name => matches!(action, Action::Patient | Action::Accession),
            "X" => action == Action::Remove || action == Action::Empty,
            "Z" => action == Action::Empty,
            "D" if vr == VR::OB || vr == VR::UN => action == Action::Empty,
            "D" => is_dummy(&action),
            "U" if vr == VR::SQ => action == Action::Keep,
            "U" => action == Action::Uid,
            _ => is_gone(&action) || is_dummy(&action),
        };
        assert!(is_right, "{number:08X} {vr:?} {}: {action:?}", cells[0]);
    }
    assert_eq!(seen, 649);
}

#[test]
fn every_option_is_followed_where_its_column_says() {
    let options = [
        ("uids", 1),
        ("device", 2),
        ("institution", 3),
        ("patient-characteristics", 4),
        ("full-dates", 5),
        ("modified-dates", 6),
        ("clean-descriptors", 7),
    ];
    let basic = profile("basic");
    for (option, column) in options {
        let with = profile(&format!("basic+{option}"));
        let mut changed = 0;
        for (number, vr, cells) in rows() {
            if number >> 16 <= 4 || number == 0x0010_0020 || number == 0x0008_0050 {
                continue;
            }
            let text = match number {
                0x0010_21A0 => "NO",
                0x0010_2203 => "ALTERED",
                _ => harmless(vr),
            };
            let element = (number, vr, text);
            let (before, action) = (of(&basic, CT, &[], element), of(&with, CT, &[], element));
            let is_right = match cells[column] {
                "" => action == before,
                "C" if column == 6 && matches!(vr, VR::DA | VR::DT) => action == Action::ShiftDate,
                // The profile has no cleaner for bytes.
                "C" if vr == VR::OB => action == Action::Remove,
                _ => action == Action::Keep || !is_gone(&action) && vr == VR::CS,
            };
            changed += usize::from(action != before);
            assert!(
                is_right,
                "{option} {number:08X} {vr:?} {}: {action:?}",
                cells[column]
            );
        }
        assert!(changed > 5, "{option}");
    }
}

/// PS3.3 requires some attributes, by SOP class and sequence; then they stay, empty or with a dummy.
#[test]
fn the_type_of_an_attribute_chooses_among_several_actions() {
    use Action::{Empty, Keep, Remove};
    let dummy = |text: &str| Action::Replace(text.into());
    let functional_groups = 0x5200_9229;
    let basic = profile("basic");
    for (class, path, element, expect) in [
        (CT, &[][..], (0x0008_0022, VR::DA), Remove),
        (PET, &[], (0x0008_0022, VR::DA), Empty),
        (CT, &[], (0x0008_0021, VR::DA), Remove),
        (PET, &[], (0x0008_0021, VR::DA), dummy("19000101")),
        (CT, &[], (0x0008_0023, VR::DA), Empty),
        (SEGMENTATION, &[], (0x0008_0023, VR::DA), dummy("19000101")),
        (CT, &[], (0x0018_1000, VR::LO), Remove),
        (ENHANCED_MR, &[], (0x0018_1000, VR::LO), dummy("REMOVED")),
        (CT, &[], (0x0018_0010, VR::LO), Empty),
        (PLAN, &[], (0x300A_0006, VR::DA), Empty),
        (STRUCTURE_SET, &[], (0x300E_0008, VR::PN), Empty),
        (
            PRESENTATION_STATE,
            &[],
            (0x0070_0082, VR::DA),
            dummy("19000101"),
        ),
        (CT, &[], (0x0070_0082, VR::DA), Remove),
        (REPORT, &[], (0x0040_A032, VR::DT), dummy("19000101000000")),
        (CT, &[], (0x0008_1140, VR::SQ), Remove),
        (
            SEGMENTATION,
            &[functional_groups, 0x0008_9124],
            (0x0008_2112, VR::SQ),
            Keep,
        ),
        (
            STRUCTURE_SET,
            &[0x3006_004C],
            (0x0008_103E, VR::LO),
            dummy("REMOVED"),
        ),
        (CT, &[], (0x0008_103E, VR::LO), Remove),
        (CT, &[0x0012_0023], (0x0012_0022, VR::LO), dummy("REMOVED")),
        (CT, &[0x0040_0275], (0x0040_1001, VR::SH), Remove),
        (REPORT, &[0x0040_A370], (0x0040_1001, VR::SH), Empty),
        (UNKNOWN, &[], (0x0008_0021, VR::DA), dummy("19000101")),
    ] {
        let (number, vr) = element;
        let action = of(&basic, class, path, (number, vr, harmless(vr)));
        assert_eq!(action, expect, "{number:08X} in {class} {path:08X?}");
    }
    assert!(basic.knows_class(CT) && !basic.knows_class(UNKNOWN));
}

#[test]
fn names_of_people_never_stay() {
    for options in [
        "",
        "+device+institution+patient-characteristics+full-dates+clean-descriptors",
    ] {
        let profile = profile(&format!("basic{options}"));
        for (group, element) in (0..=0xFF).flat_map(|g| (0..=0xFFFF).map(move |e| (g * 2, e))) {
            let number = group << 16 | element;
            let action = profile.action(Element::root(tag(number)));
            let vr = dicom_vr(tag(number));
            assert!(
                vr != Some(VR::PN)
                    || !matches!(action, Action::Keep | Action::Decide)
                    || is_gone(&of(&profile, CT, &[], (number, VR::PN, "Doe^Jane")))
                    || is_dummy(&of(&profile, CT, &[], (number, VR::PN, "Doe^Jane"))),
                "{number:08X}: {action:?}"
            );
        }
    }
}

fn dicom_vr(tag: Tag) -> Option<VR> {
    use dicom_core::dictionary::{DataDictionary as _, DataDictionaryEntry as _};
    let entry = dicom_dictionary_std::StandardDataDictionary.by_tag(tag)?;
    Some(entry.vr().relaxed())
}

#[test]
fn what_the_table_does_not_list_goes_by_its_vr() {
    use Action::{Empty, Keep, Remove, ShiftDate, Uid};
    let basic = profile("basic");
    let shifting = profile("basic+modified-dates");
    for (number, vr, expect, shifted) in [
        (0x0009_0010, VR::LO, Remove, Remove),
        (0x0009_1010, VR::LO, Remove, Remove),
        (0x5000_0010, VR::US, Remove, Remove),
        (0x6000_3000, VR::OW, Remove, Remove),
        (0x6002_0022, VR::LO, Remove, Remove),
        (0x0010_FFFF, VR::LO, Remove, Remove),
        (0x0018_991E, VR::UI, Uid, Uid),
        (0x0020_0242, VR::UI, Uid, Uid),
        (0x0008_1150, VR::UI, Keep, Keep),
        (0x0008_1190, VR::UR, Remove, Remove),
        (0x0014_1020, VR::DA, Empty, ShiftDate),
        (0x0028_0010, VR::US, Keep, Keep),
        (0x0018_0050, VR::DS, Keep, Keep),
        (0x7FE0_0010, VR::OW, Keep, Keep),
    ] {
        let element = (number, vr, harmless(vr));
        assert_eq!(of(&basic, CT, &[], element), expect, "{number:08X}");
        assert_eq!(of(&shifting, CT, &[], element), shifted, "{number:08X}");
    }
}

#[test]
fn texts_that_stay_lose_the_identifiers_of_their_object() {
    let name = (0x0010_0010, VR::PN, "Zaphodius^Beeblebrox");
    let cleaned = |options: &str, (number, vr, text): (u32, VR, &str)| {
        let header = object(CT, &[name, (number, vr, text)]);
        decided(&profile(options), &header, &[], number, vr)
    };
    let manufacturer = 0x0008_0070;
    let text = (manufacturer, VR::LO, "Beeblebrox Scanners");
    assert_eq!(cleaned("basic", text), Action::Cleaned("Scanners".into()));
    assert_eq!(
        cleaned("basic", (manufacturer, VR::LO, "Beeblebrox")),
        Action::Replace("REMOVED".into()),
        "an attribute that may be required does not become empty"
    );
    let description = 0x0008_1030;
    let text = (
        description,
        VR::LO,
        "CT CHEST of ZAPHODIUS 31.01.2024 with contrast",
    );
    assert_eq!(cleaned("basic", text), Action::Remove);
    assert_eq!(
        cleaned(DEFAULT, text),
        Action::Cleaned("CT CHEST of with contrast".into())
    );
    assert_eq!(
        cleaned(DEFAULT, (description, VR::LO, "Qwrtzlpf")),
        Action::Remove
    );
}

#[test]
fn a_text_that_was_not_read_does_not_stay() {
    let number = 0x0010_4000;
    let mut header = ObjectHeader::new();
    header.push(SeenElement {
        tag: tag(number),
        vr: VR::LT,
        parent: None,
        item: 0,
        offset: 0,
        value: SeenValue::Long(100_000),
    });
    assert_eq!(
        decided(&profile(DEFAULT), &header, &[], number, VR::LT),
        Action::Remove
    );
}

#[test]
fn patient_characteristics_are_ages_below_ninety_and_codes_of_the_standard() {
    let profile = profile(DEFAULT);
    let oldest = Action::Computed("090Y".into());
    for (number, vr, text, expect) in [
        (0x0010_1010, VR::AS, "045Y", Action::Keep),
        (0x0010_1010, VR::AS, "089Y", Action::Keep),
        (0x0010_1010, VR::AS, "090Y", oldest.clone()),
        (0x0010_1010, VR::AS, "103Y", oldest),
        (0x0010_1010, VR::AS, "006M", Action::Keep),
        (0x0010_1010, VR::AS, "095Y\\096Y", Action::Empty),
        (0x0010_1010, VR::AS, "95", Action::Empty),
        (0x0010_1010, VR::AS, "DOE^J", Action::Empty),
        (0x0010_0040, VR::CS, "F", Action::Keep),
        (0x0010_0040, VR::CS, "SMITH", Action::Empty),
        (0x0010_21A0, VR::CS, "NO", Action::Keep),
        (0x0010_21A0, VR::CS, "DOE", Action::Empty),
        (0x0010_0030, VR::DA, "19700101", Action::Empty),
        (0x0010_1030, VR::DS, "70", Action::Keep),
    ] {
        assert_eq!(
            of(&profile, CT, &[], (number, vr, text)),
            expect,
            "{number:08X} {text}"
        );
    }
}

#[test]
fn outputs_say_what_was_done() {
    let profile = profile(DEFAULT);
    let codes: Vec<&str> = profile
        .method()
        .codes
        .iter()
        .map(|(code, _)| &**code)
        .collect();
    assert_eq!(codes, ["113100", "113105", "113107", "113108"]);
    assert!(profile.method().text.len() <= 64);
    let temporal = |name: &str| match Profile::named(name).map(|p| p.inserts().to_vec()) {
        Ok(inserts) => inserts
            .last()
            .map(|insert| (insert.tag, insert.value.clone())),
        Err(_) => None,
    };
    let said = |text| Some((Tag(0x0028, 0x0303), InsertValue::Text(text)));
    assert_eq!(temporal("basic"), said("REMOVED"));
    assert_eq!(temporal("basic+full-dates"), said("UNMODIFIED"));
    assert_eq!(temporal("basic+modified-dates"), said("MODIFIED"));
    assert!(
        profile
            .inserts()
            .iter()
            .all(|insert| insert.tag.0 != 0x0013)
    );

    let without = self::profile(DEFAULT).without_claim_of_dates();
    let claims = |code: &str| {
        without
            .method()
            .codes
            .iter()
            .any(|(known, _)| &**known == code)
    };
    assert!(claims("113100") && !claims("113107"));
    assert_ne!(without.digest(), profile.digest());
}

/// De-identification Method has a value for each step (PS3.3 section C.7.1.1).
#[test]
fn an_earlier_de_identification_stays_named() {
    let profile = profile(DEFAULT);
    let header = object(CT, &[(0x0012_0063, VR::LO, "first step\\second step")]);
    let rules = profile.begin(&header).expect("accepted").expect("rules");
    let inserts = rules.inserts().expect("its own");
    let method = inserts
        .iter()
        .find(|insert| insert.tag == Tag(0x0012, 0x0063));
    let text = format!("first step\\second step\\{}", profile.method().text);
    assert_eq!(
        method.map(|method| &method.value),
        Some(&InsertValue::Computed(text.as_str().into()))
    );
}

#[test]
fn names_of_profiles_are_read_in_any_order_and_explained() {
    let same =
        profile("basic+patient-characteristics+modified-dates+modified-dates+clean-descriptors");
    assert_eq!(same.name(), DEFAULT);
    assert_eq!(same.digest(), profile(DEFAULT).digest());
    assert_ne!(same.digest(), profile("basic").digest());
    assert_eq!(profile(same.text()).digest(), same.digest());
    for (name, expect) in [
        ("", "there is no profile"),
        ("rsna-v17", "there is no profile"),
        ("basic+", "the profile has no option"),
        ("basic+modified-date", "did you mean modified-dates?"),
        ("basic+nothing", "options are clean-descriptors"),
        ("basic+full-dates+modified-dates", "exclude each other"),
        (
            "basic+safe-private",
            "does not have the option safe-private",
        ),
        (
            "basic+clean-pixel-data",
            "does not have the option clean-pixel-data",
        ),
    ] {
        let error = Profile::named(name).expect_err(name);
        assert!(error.to_string().contains(expect), "{name}: {error}");
    }
    assert_eq!(
        Profile::named("basic+full-dates+modified-dates").expect_err("excluded"),
        ProfileError::Dates
    );
    assert!(ProfileOption::ALL.is_sorted_by_key(|option| option.name()));
}

#[test]
fn dummies_fit_their_vr_and_sequences_are_sorted() {
    let basic = profile("basic");
    for (number, vr, _) in rows() {
        let sorted = |elements: &[anon_script::ItemElement]| {
            elements.is_sorted_by_key(|element| element.tag)
                && elements.iter().all(|element| match &element.value {
                    ItemValue::Text(text) => text.is_ascii() && element.vr != VR::SQ,
                    ItemValue::Item(_) => element.vr == VR::SQ,
                })
        };
        if let Action::Item(elements) = of(&basic, UNKNOWN, &[], (number, vr, "x")) {
            assert!(sorted(&elements), "{number:08X}");
        }
    }
    assert_eq!(State::default(), State(0));
}
