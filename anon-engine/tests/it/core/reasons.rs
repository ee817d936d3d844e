//! Reasons for a refusal hold no part of a value of the object.

use anon_engine::Category;
use anon_engine::policy::StorageClasses;
use dicom_core::Tag;

use super::build::{EXPLICIT, Enc, Object, Outcome, rsna_v17, run};

const MANUFACTURER: Tag = Tag(0x0008, 0x0070);
const PATIENT_NAME: Tag = Tag(0x0010, 0x0010);

/// With a name that is longer than its length says, letters of the name stand where a tag should.
#[test]
fn reason_names_no_tag_that_is_made_of_letters_of_a_value() -> Outcome {
    let policy = rsna_v17()?;
    let object = Object::new(Enc::Explicit).text(PATIENT_NAME, "PN", "SMITH^ANNA^MARIA");
    let bytes = object.part10(EXPLICIT);
    let field = Enc::Explicit.text(PATIENT_NAME, "PN", "SMITH^ANNA^MARIA");
    let at = bytes.windows(field.len()).position(|part| part == field);
    let length = at.ok_or("a name")? + 6;
    for shorter in 0..16 {
        let mut bytes = bytes.clone();
        bytes[length] = shorter;
        let Err(refusal) = run(&policy, &bytes) else {
            continue;
        };
        assert_eq!(refusal.tag, None, "{shorter}: {refusal}");
        let says_so = refusal.reason.contains("(an unknown element at byte ");
        assert!(says_so, "{shorter}: {refusal}");
        let digits = refusal.reason.matches(|c: char| c.is_ascii_hexdigit());
        assert!(digits.count() < 40, "{shorter}: {refusal}");
    }
    Ok(())
}

/// An element that PS3.6 lists is named, so that people find it.
#[test]
fn reason_names_a_listed_element() -> Outcome {
    let mut bytes = Object::new(Enc::Explicit)
        .text(MANUFACTURER, "LO", "MAKER ")
        .part10(EXPLICIT);
    bytes.truncate(bytes.len() - 3);
    let refusal = run(&rsna_v17()?, &bytes).err().ok_or("taken")?;
    assert!(refusal.tag.is_some(), "{refusal}");
    Ok(())
}

/// In a damaged object, the UID of somebody's instance may stand as the SOP class.
#[test]
fn reason_names_only_sop_classes_of_the_standard() -> Outcome {
    let class = Tag(0x0008, 0x0016);
    let mut policy = rsna_v17()?;
    policy.storage_classes = StorageClasses::Only(["1.2.3".to_owned()].into());
    let object = |uid: &str| Object::new(Enc::Explicit).text(class, "UI", uid);
    for (uid, is_named) in [
        ("1.2.840.10008.5.1.4.1.1.77.1.5.4\0", true),
        ("1.2.840.113619.2.55.3.604688119.971", false),
    ] {
        let refusal = run(&policy, &object(uid).part10(EXPLICIT));
        let refusal = refusal.err().ok_or("taken")?;
        assert_eq!(refusal.category, Category::InvalidStorageClass, "{refusal}");
        let uid = uid.trim_end_matches('\0');
        assert_eq!(refusal.reason.contains(uid), is_named, "{refusal}");
        let class = refusal.sop_class.as_deref();
        assert_eq!(class, is_named.then_some(uid));
    }
    Ok(())
}
