//! Pseudonym schemes: V18's vectors, the keyed scheme, identities.

use std::error::Error;

use anon_model::{
    AssignError, Assigned, Conflict, Dates, DiskOptions, DiskStore, Identity, MemoryStore,
    OpenError, Phi, Pseudonyms, RulesHistory, Scheme, Secret, SiteId, Space, Transactions, Uid,
    UidError, UidRoot, Wanted,
};

type Outcome = Result<(), Box<dyn Error>>;

fn identity(site: &str, root: &str, scheme: Scheme) -> Result<Identity, UidError> {
    Identity::with_schemes(SiteId::new(site)?, UidRoot::new(root)?, scheme, Dates::V17)
}

fn wanted(patient: &str, uid: &str, accession: &str) -> Wanted {
    Wanted {
        patient: Phi::new(patient.to_owned()),
        study: Phi::new(uid.to_owned()),
        series: Phi::new(format!("{uid}.1")),
        instance: Phi::new(format!("{uid}.2")),
        accessions: vec![Phi::new(accession.to_owned())],
        ..Wanted::default()
    }
}

fn new(store: &dyn Pseudonyms, wanted: &Wanted) -> Result<anon_model::Names, Box<dyn Error>> {
    match store.assign(wanted)? {
        Assigned::New(names) => Ok(names),
        Assigned::Duplicate(_) => Err("a new instance was known".into()),
    }
}

const RSNA: &str = "1.2.826.0.1.3680043.10.474";

#[test]
fn hashed_uids_are_those_of_v18() -> Outcome {
    let site = format!("{RSNA}.99.99.2.");
    for (original, tail) in [
        (
            "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.1",
            "9731451180799172874182059247",
        ),
        (
            "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.10",
            "1846002009586697489540184747",
        ),
        (
            "1.3.6.1.4.1.5962.1.1.0.0.0.1196527414.5534.0.11",
            "59126730574505290677259995400",
        ),
        (
            "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322",
            "6717804446222440140472768993",
        ),
        (
            "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322",
            "16606532314764800133004562388",
        ),
        (
            "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322",
            "62260353221523252971326212871",
        ),
        ("1.2.3.4.5", "75336036203084014467748397925"),
        ("", "89412648962353822266799178366"),
        (
            "1.2.840.113619.1.2.3.4.5.6.7.8.9.10",
            "92029402605153324799880175664",
        ),
    ] {
        let store = MemoryStore::new(identity("99.99", RSNA, Scheme::HashedV18)?)?;
        let names = new(&store, &wanted("P", original, "A1"))?;
        assert_eq!(names.study, format!("{site}{tail}"), "{original}");
        assert_eq!(names.patient, "99.99-000001");
        let back = store.originals(&names.study)?;
        assert_eq!(back, [(Space::Uid, Phi::new(original.to_owned()))]);
    }
    let root = format!("{RSNA}.2");
    let store = MemoryStore::new(identity("900123", &root, Scheme::HashedV18)?)?;
    let names = new(&store, &wanted("P", "1.2.3.4.5", "A1"))?;
    assert_eq!(
        names.study,
        format!("{root}.900123.2.36036203084014467748397925")
    );
    assert_eq!(names.accessions, ["aad84755-9ccc-6f67"]);
    Ok(())
}

#[test]
fn hashed_accession_numbers_are_those_of_v18() -> Outcome {
    for (original, expected) in [
        ("A1", "19bfd6b1-010d-2156"),
        ("12345", "77db517d-c27a-76fe"),
        ("ACC123456", "444015a8-ff83-3bed"),
        ("2", "f7f69c29-67d4-4fd3"),
    ] {
        let store = MemoryStore::new(identity("99.99", RSNA, Scheme::HashedV18)?)?;
        let names = new(&store, &wanted("P", "1.2.3", original))?;
        assert_eq!(names.accessions, [expected], "{original}");
    }
    Ok(())
}

#[test]
fn keyed_pseudonyms_depend_only_on_the_secret_and_the_original() -> Outcome {
    let make = |byte: u8| -> Result<MemoryStore, Box<dyn Error>> {
        let scheme = Scheme::Keyed(Secret::new([byte; 32]));
        Ok(MemoryStore::new(identity(
            "123456789",
            UidRoot::DEFAULT,
            scheme,
        )?)?)
    };
    let (first, second, other) = (make(1)?, make(1)?, make(2)?);
    new(&second, &wanted("somebody else", "9.9", "Z"))?;
    let wanted = wanted("4711", "1.2.3", "A-17");
    let names = new(&first, &wanted)?;
    assert_eq!(
        new(&second, &wanted)?,
        names,
        "order and machine do not matter"
    );
    let different = new(&other, &wanted)?;
    for (one, two) in [
        (&names.patient, &different.patient),
        (&names.study, &different.study),
        (&names.accessions[0], &different.accessions[0]),
    ] {
        assert_ne!(one, two);
    }
    assert!(
        names
            .study
            .starts_with(&format!("{}.123456789.3.", UidRoot::DEFAULT))
    );
    assert!(Uid::new(names.study.as_str()).is_ok());
    assert_eq!(names.accessions[0].len(), 16);
    assert_eq!(names.patient.len(), "123456789-".len() + 16);
    first.commit(&[])?;
    for (space, name, original) in [
        (Space::Patient, &names.patient, "4711"),
        (Space::Uid, &names.study, "1.2.3"),
        (Space::Accession, &names.accessions[0], "A-17"),
    ] {
        assert_eq!(
            first.originals(name)?,
            [(space, Phi::new(original.to_owned()))]
        );
    }
    Ok(())
}

#[test]
fn two_originals_with_one_computed_pseudonym_are_a_collision() -> Outcome {
    let make = || {
        MemoryStore::new(identity("99.99", RSNA, Scheme::HashedV18)?)
            .map_err(Box::<dyn Error>::from)
    };
    let name = new(&make()?, &wanted("P", "1.2.3", "A"))?.series;
    let store = make()?;
    store.adopt(Space::Uid, &Phi::new("7.7".to_owned()), &name)?;
    let counts = store.counts()?;
    let refused = store.assign(&wanted("P", "1.2.3", "A"));
    let collision = Conflict::Collision { space: Space::Uid };
    assert!(matches!(refused, Err(AssignError::Conflict(conflict)) if conflict == collision));
    assert_eq!(store.counts()?, counts, "nothing was given");
    Ok(())
}

#[test]
fn an_identity_is_frozen_once_a_pseudonym_is_assigned() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let open = |site: &str, scheme: Scheme| {
        let identity = identity(site, RSNA, scheme).expect("a valid identity");
        DiskStore::open(&path, identity, &DiskOptions::default())
    };
    drop(open("1", Scheme::Sequential)?);
    let store = open("2", Scheme::Sequential)?;
    assert!(!store.is_frozen()?);
    new(&store, &wanted("P", "1.2.3", "A"))?;
    drop(store);
    let refused = open("3", Scheme::Sequential);
    let Err(OpenError::Identity(mismatch)) = refused else {
        return Err("not refused".into());
    };
    assert_eq!(
        (mismatch.setting, &*mismatch.stored, &*mismatch.configured),
        ("site_id", "2", "3")
    );
    let keyed = open("2", Scheme::Keyed(Secret::new([9; 32])));
    let Err(OpenError::Identity(mismatch)) = keyed else {
        return Err("not refused".into());
    };
    assert_eq!(
        (mismatch.setting, &*mismatch.stored),
        ("pseudonyms", "sequential")
    );
    assert!(mismatch.configured.starts_with("keyed "));
    assert!(open("2", Scheme::Sequential)?.is_frozen()?);
    Ok(())
}

#[test]
fn only_uids_of_the_standard_form_are_accepted() {
    for (text, expected) in [
        ("1.2.840", None),
        ("0.0", None),
        ("", Some(UidError::Empty)),
        ("1..2", Some(UidError::EmptyComponent)),
        ("1.2.", Some(UidError::EmptyComponent)),
        ("1.02", Some(UidError::LeadingZero)),
        ("1.2/../3", Some(UidError::Character)),
        ("1.2\u{0663}", Some(UidError::Character)),
    ] {
        assert_eq!(Uid::new(text).err(), expected, "{text}");
    }
    let long = format!("1.{}", "2".repeat(63));
    let expected = UidError::TooLong {
        length: 65,
        limit: 64,
    };
    assert_eq!(Uid::new(long), Err(expected));
    assert_eq!(UidRoot::new("3.1"), Err(UidError::FirstArc));
    let root = UidRoot::new("1.2.826.0.1.3680043.10.474.2.3.4.5.6.7.8").expect("a root");
    assert!(
        root.check_site(&SiteId::new("123456789").expect("a site"))
            .is_err()
    );
    for _ in 0..100 {
        let site = SiteId::random().expect("random numbers");
        assert_eq!(site.as_str().len(), 9);
    }
}
