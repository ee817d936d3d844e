//! How far a store has come: copies are told apart, and raised counters give no number again.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use anon_model::disk::{NumberGuard, Numbers, StoreMark, StoreMismatch};
use anon_model::settings::Durability;
use anon_model::{
    AdoptError, Assigned, BackendError, DiskOptions, DiskStore, Identity, Phi, Pseudonyms, Remedy,
    SiteId, Space, Transactions, UidRoot, Wanted,
};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn identity() -> Outcome<Identity> {
    Ok(Identity::new(SiteId::new("99")?, UidRoot::new("1.2.3")?)?)
}

fn open(path: &Path, durability: Durability) -> Outcome<DiskStore> {
    let options = DiskOptions::default().with_durability(durability);
    Ok(DiskStore::open(path, identity()?, &options)?)
}

fn assign(store: &DiskStore, number: u32) -> Outcome<[String; 2]> {
    let wanted = Wanted {
        patient: Phi::new(format!("P{number}")),
        study: Phi::new(format!("1.{number}")),
        series: Phi::new(format!("2.{number}")),
        instance: Phi::new(format!("3.{number}")),
        accessions: vec![Phi::new(format!("A{number}"))],
        ..Wanted::default()
    };
    let Assigned::New(names) = store.assign(&wanted)? else {
        return Err("a new instance was reported as a duplicate".into());
    };
    Ok([names.patient, names.study])
}

fn mark_of(store: &DiskStore) -> Outcome<StoreMark> {
    let position = store.checkpoint()?;
    Ok(StoreMark {
        store: position.store,
        group: position.group,
        ceilings: position.numbers,
    })
}

#[test]
fn a_copy_is_older_once_its_original_went_on() -> Outcome {
    let directory = tempfile::tempdir()?;
    for durability in [Durability::Full, Durability::Relaxed] {
        let path = directory.path().join(format!("{durability:?}"));
        let copy = directory.path().join(format!("{durability:?} copy"));
        let store = open(&path, durability)?;
        assign(&store, 1)?;
        let mark = mark_of(&store)?;
        drop(store);
        std::fs::copy(&path, &copy)?;
        let copied = DiskStore::open_read_only(&copy, identity()?, &DiskOptions::default())?;
        mark.check(&copied.position()?)?;

        let store = open(&path, durability)?;
        mark.check(&store.position()?)?;
        // Nothing was given, but the copy was made before.
        let mark = mark_of(&store)?;
        let older = mark.check(&copied.position()?);
        assert!(
            matches!(older, Err(StoreMismatch::Older { .. })),
            "{older:?}"
        );
        let other = open(
            &directory.path().join(format!("{durability:?} other")),
            durability,
        )?;
        let foreign = mark.check(&other.checkpoint()?);
        assert_eq!(foreign, Err(StoreMismatch::Foreign));
    }
    Ok(())
}

#[test]
fn raised_numbers_are_neither_given_nor_adopted() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let store = open(&path, Durability::Full)?;
    assert_eq!(assign(&store, 1)?, ["99-000001", "1.2.3.99.1"]);
    let before = store.checkpoint()?;
    let numbers = Numbers {
        patients: 7,
        uids: 2,
        accessions: 40,
    };
    let raised = store.raise_counters(numbers, 1000)?;
    assert!(raised.group > 1000 && raised.group > before.group);
    // The UIDs were above already.
    let expected = numbers.max(before.numbers);
    assert_eq!(raised.numbers, expected);
    assert_eq!(assign(&store, 2)?, ["99-000008", "1.2.3.99.4"]);
    store.flush()?;
    drop(store);

    let store = open(&path, Durability::Full)?;
    assert_eq!(assign(&store, 3)?[0], "99-000009");
    let original = Phi::new("new".to_owned());
    for (space, pseudonym) in [(Space::Patient, "99-000005"), (Space::Accession, "33")] {
        let adopted = store.adopt(space, &original, pseudonym);
        assert!(
            matches!(adopted, Err(AdoptError::PseudonymDeleted { .. })),
            "{adopted:?}"
        );
    }
    assert_eq!(store.originals("99-000005")?, []);
    assert_eq!(store.originals("99-000001")?.len(), 1);
    Ok(())
}

/// The copy is made by a reader, as another process would be one, while the writer goes on.
#[test]
fn a_copy_of_a_store_in_use_has_every_row_of_one_commit() -> Outcome {
    let directory = tempfile::tempdir()?;
    for durability in [Durability::Full, Durability::Relaxed] {
        let path = directory.path().join(format!("{durability:?}"));
        let copy = directory.path().join(format!("{durability:?} copy"));
        let store = open(&path, durability)?;
        // With a lag of 131,072, all of these wait in memory to be indexed.
        for number in 1..=50 {
            assign(&store, number)?;
        }
        store.raise_counters(Numbers::default(), 0)?;
        let (position, counts) = (store.position()?, store.counts()?);
        let reader = DiskStore::open_read_only(&path, identity()?, &DiskOptions::default())?;
        assign(&store, 51)?;
        reader.copy_to(&copy)?;
        store.flush()?;
        assert!(reader.copy_to(&copy).is_err(), "nothing is overwritten");

        let copied = DiskStore::open(&copy, identity()?, &DiskOptions::default())?;
        assert_eq!(copied.position()?, position);
        assert_eq!(copied.counts()?, counts);
        for number in 1..=50 {
            let original = Phi::new(format!("P{number}"));
            let name = store.pseudonym(Space::Patient, &original)?;
            assert!(name.is_some());
            assert_eq!(copied.pseudonym(Space::Patient, &original)?, name);
        }
        assert_eq!(assign(&copied, 52)?[0], "99-000051", "it goes on");
    }
    Ok(())
}

/// Admits no patient above the second.
#[derive(Debug)]
struct TwoPatients;

impl NumberGuard for TwoPatients {
    fn admit(&self, numbers: Numbers) -> Result<(), BackendError> {
        if numbers.patients > 2 {
            return Err(BackendError::new(Remedy::Retry, "no more patients"));
        }
        Ok(())
    }
}

#[test]
fn what_the_guard_does_not_admit_is_not_committed() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = open(&directory.path().join("lookup.redb"), Durability::Full)?;
    store.set_guard(Arc::new(TwoPatients));
    for number in 1..=2 {
        assign(&store, number)?;
    }
    store.flush()?;
    let before = store.position()?;
    assign(&store, 3)?;
    let refused = store.flush();
    assert!(
        refused.is_err_and(|error| error.remedy == Remedy::Retry),
        "the third"
    );
    assert_eq!(store.position()?, before);
    Ok(())
}
