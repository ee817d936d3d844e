//! Adopting studies of another program: on disk, and with every kind of number.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use anon_model::conformance::{Outcome, identity};
use anon_model::{
    AdoptError, Adopted, Adopting, Adoption, Assigned, DiskOptions, DiskStore, ExternalStudy,
    LookupStore, MemoryStore, NewInstance, PatientPhi, Phi, PhiIndex, Pseudonyms, RemarkReason,
    Remarks, Space, StudyPhi, StudyRow, Transactions, Wanted,
};
use proptest::prelude::*;

const PREFIX: &str = "1.2.826.0.1.3680043.10.474.99.99";

fn phi(text: impl Into<String>) -> Phi<String> {
    Phi::new(text.into())
}

pub(crate) fn external_study(patient: u64, study: u64, accession: u64) -> ExternalStudy {
    let id = phi(format!("J{patient}"));
    ExternalStudy {
        patient_key: id.clone(),
        patient_name: format!("99.99-{patient:06}"),
        study_uid: phi(format!("9.{study}")),
        study_name: format!("{PREFIX}.{study}"),
        accession_name: accession.to_string(),
        patient: PatientPhi {
            id,
            name: phi("ROE^JO"),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            source: phi("elsewhere"),
            date: Some(phi("20040119")),
            date_offset: -70,
            accession: Some(phi(format!("A{accession}"))),
            description: None,
        },
    }
}

fn rows(store: &dyn LookupStore) -> Outcome<Vec<StudyRow>> {
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    Ok(rows)
}

fn wanted(number: u64) -> Wanted {
    Wanted {
        patient: phi(format!("P{number}")),
        study: phi(format!("1.{number}.1")),
        series: phi(format!("1.{number}.2")),
        instance: phi(format!("1.{number}.3")),
        accessions: vec![phi(format!("N{number}"))],
        ..Wanted::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The other program's numbers have any order and gaps, and its series and instances have numbers
    /// that it does not list.
    #[test]
    fn no_number_of_the_other_program_is_assigned_again(
        numbers in prop::collection::vec((1..2000_u64, 1..9_000_000_u64, 0..5000_u64), 1..30),
        unlisted in 0..1_000_000_u64,
        skips in prop::collection::vec(any::<bool>(), 30),
    ) {
        let store = MemoryStore::new(identity().unwrap()).unwrap();
        let studies: Vec<ExternalStudy> = numbers
            .iter()
            .zip(skips)
            .map(|((patient, study, accession), broken)| {
                let mut study = external_study(*patient, *study, *accession);
                if broken {
                    study.study_uid = Phi::default();
                }
                study
            })
            .collect();
        store.adopt_studies(&studies, &[], Adopting::WhatCanBe).unwrap();
        let last = numbers.iter().map(|(_, study, _)| *study).max().unwrap_or(0);
        let mut used: BTreeSet<String> = studies
            .iter()
            .flat_map(|study| [&study.patient_name, &study.study_name, &study.accession_name])
            .cloned()
            .collect();
        used.insert(format!("{PREFIX}.{}", last + unlisted));
        for number in 0..5 {
            let Assigned::New(names) = store.assign(&wanted(number)).unwrap() else {
                panic!("a new instance was reported as a duplicate");
            };
            let assigned = [names.patient, names.study, names.series, names.instance];
            for name in assigned.into_iter().chain(names.accessions) {
                prop_assert!(used.insert(name.clone()), "{} was assigned again", name);
            }
        }
    }
}

#[test]
fn adopted_studies_are_durable() -> Outcome {
    for lag in [0, 2, 1 << 17] {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("lookup.redb");
        let options = DiskOptions::default().with_index_lag(lag);
        let open = || {
            DiskStore::open(&path, identity()?, &options)
                .map_err(Box::<dyn std::error::Error>::from)
        };
        let studies = [
            external_study(17, 40, 8),
            external_study(17, 6786, 9),
            external_study(3, 12, 8),
        ];
        let store = open()?;
        // A pseudonym that was assigned before becomes durable with the adopted studies.
        let Assigned::New(own) = store.assign(&wanted(1))? else {
            return Err("a new instance was reported as a duplicate".into());
        };
        store.abandon(&wanted(1));
        let first = store.adopt_studies(&studies[..2], &[], Adopting::AllOrNothing)?;
        assert!(first.iter().all(Result::is_ok));
        let content = std::fs::read(&path)?;
        drop(store);
        let copy = directory.path().join("copy.redb");
        write_private(&copy, &content)?;
        for path in [&path, &copy] {
            let store = DiskStore::open(path, identity()?, &options)?;
            assert_eq!(rows(&store)?.len(), 2, "lag {lag}");
            let again = store.adopt_studies(&studies[..2], &[], Adopting::AllOrNothing)?;
            let again: Vec<Adopted> = again.into_iter().collect::<Result<_, _>>()?;
            assert_eq!(again, [Adopted::Known; 2]);
            let known = store.pseudonym(Space::Patient, &wanted(1).patient)?;
            assert_eq!(known, Some(own.patient.clone()));
            let mut new = wanted(2);
            new.patient = phi("J17");
            let Assigned::New(names) = store.assign(&new)? else {
                return Err("a new instance was reported as a duplicate".into());
            };
            assert_eq!(names.date_offset, Some(-70), "after reopening");
            store.abandon(&new);
            store.adopt_studies(&studies[2..], &[], Adopting::AllOrNothing)?;
            assert_eq!(rows(&store)?.len(), 3);
        }
    }
    Ok(())
}

fn write_private(path: &Path, bytes: &[u8]) -> Outcome {
    use std::io::Write as _;
    let mut options = std::fs::File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)?;
    Ok(())
}

/// Checking a study must not take longer the more studies there are.
#[test]
fn twenty_thousand_studies_are_adopted_at_once() -> Outcome {
    let store = MemoryStore::new(identity()?)?;
    let studies: Vec<ExternalStudy> = (1..=20_000)
        .map(|number| {
            let mut study = external_study(number, number * 3, number);
            // An external pseudonym.
            study.accession_name = format!("J-{}", number / 2);
            study.study.accession = Some(phi(format!("A{}", number / 2)));
            study
        })
        .collect();
    let results = store.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(rows(&store)?.len(), 20_000);
    assert_eq!(store.counts()?.accessions, 10_001);
    Ok(())
}

/// Adopts three studies and imports two instances.
fn fill(store: &dyn LookupStore) -> Outcome {
    let studies = [
        external_study(17, 40, 8),
        external_study(17, 6786, 9),
        external_study(3, 12, 8),
    ];
    let taken = store.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
    assert!(taken.iter().all(Result::is_ok));
    for (number, patient) in [(1, "J17"), (2, "P2")] {
        let mut wanted = wanted(number);
        wanted.patient = phi(patient);
        let Assigned::New(names) = store.assign(&wanted)? else {
            return Err("a new instance was reported as a duplicate".into());
        };
        let group = store.commit(&[NewInstance {
            patient_key: wanted.patient,
            study_uid: wanted.study,
            series_uid: wanted.series,
            instance_uid: wanted.instance,
            names,
            ..NewInstance::default()
        }])?;
        store.settle(group, &[])?;
    }
    Ok(())
}

/// A copy of a fixture that its owner alone can read, as a store must be.
fn copy_of(fixture: &str, directory: &Path) -> Outcome<std::path::PathBuf> {
    let path = directory.join(fixture);
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    write_private(&path, &std::fs::read(data.join(fixture))?)?;
    Ok(path)
}

/// Returns true if a pseudonym is refused because it was deleted.
fn is_deleted(store: &dyn LookupStore, space: Space, pseudonym: &str) -> bool {
    let refused = store.adopt(space, &phi("7.7"), pseudonym);
    matches!(refused, Err(AdoptError::PseudonymDeleted { .. }))
}

#[test]
fn deleted_numbers_stay_known_after_a_restart() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let open = || {
        DiskStore::open(&path, identity()?, &DiskOptions::default())
            .map_err(Box::<dyn std::error::Error>::from)
    };
    let mut last = external_study(5, 50, 10);
    last.patient_name = "JAVA-5".to_owned();
    let studies = [3, 4, 7].map(|number| external_study(number, number * 10, number));
    let studies = [&studies[..], &[last]].concat();
    let adopted = open()?.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
    assert!(adopted.iter().all(Result::is_ok));
    // One at a time and out of order: the numbers join the runs of others.
    for patient in ["99.99-000004", "JAVA-5", "99.99-000003", "99.99-000007"] {
        let store = open()?;
        let deleted = store.delete_patient(patient)?.ok_or(patient)?;
        store.settle(deleted.removal.group, &[])?;
    }
    let store = open()?;
    for patient in ["99.99-000003", "99.99-000004", "99.99-000007", "JAVA-5"] {
        assert!(is_deleted(&store, Space::Patient, patient), "{patient}");
    }
    for study in [30, 40, 70, 50] {
        let name = format!("{PREFIX}.{study}");
        assert!(is_deleted(&store, Space::Uid, &name), "{name}");
    }
    for (patient, original) in [("99.99-000002", "7.2"), ("99.99-000005", "7.5")] {
        store.adopt(Space::Patient, &phi(original), patient)?;
    }
    Ok(())
}

/// The file was filled by `fill` without the instances, and patient 3 was deleted. Format 2 did not
/// record that, so every number without a pair may be a deleted one.
#[test]
fn numbers_deleted_before_format_3_are_not_given_again() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = copy_of("lookup-2-deleted.redb", directory.path())?;
    let store = DiskStore::open(&path, identity()?, &DiskOptions::default())?;
    for patient in ["99.99-000001", "99.99-000003", "99.99-000016"] {
        assert!(is_deleted(&store, Space::Patient, patient), "{patient}");
    }
    assert!(is_deleted(&store, Space::Uid, &format!("{PREFIX}.12")));
    assert_eq!(rows(&store)?.len(), 2);
    let known = [external_study(17, 40, 8), external_study(17, 6786, 9)];
    let again = store.adopt_studies(&known, &[], Adopting::AllOrNothing)?;
    let again: Vec<Adopted> = again.into_iter().collect::<Result<_, _>>()?;
    assert_eq!(again, [Adopted::Known; 2]);
    store.adopt(Space::Patient, &phi("7.8"), "99.99-000018")?;
    // A number of the run is deleted once more, and the run stays whole.
    let deleted = store.delete_patient("99.99-000017")?.ok_or("not deleted")?;
    store.settle(deleted.removal.group, &[])?;
    for patient in ["99.99-000003", "99.99-000017"] {
        assert!(is_deleted(&store, Space::Patient, patient), "{patient}");
    }
    Ok(())
}

/// Nothing was ever deleted from this file of format 2, so its gaps may still be adopted.
#[test]
fn gaps_of_a_format_2_without_deletions_can_be_adopted() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = copy_of("lookup-2.redb", directory.path())?;
    let store = DiskStore::open(&path, identity()?, &DiskOptions::default())?;
    store.adopt(Space::Patient, &phi("7.7"), "99.99-000004")?;
    Ok(())
}

/// The file was filled by `fill`.
#[test]
fn format_2_opens() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = copy_of("lookup-2.redb", directory.path())?;
    let old = DiskStore::open(&path, identity()?, &DiskOptions::default())?;
    let new = MemoryStore::new(identity()?)?;
    fill(&new)?;
    assert_eq!(rows(&old)?, rows(&new)?);
    assert_eq!(rows(&old)?.len(), 5);
    assert_eq!(old.totals()?, new.totals()?);
    assert_eq!(old.counts()?, new.counts()?);
    for store in [&old as &dyn LookupStore, &new] {
        for (patient, days) in [("J17", Some(-70)), ("J3", Some(-70)), ("P2", None)] {
            let mut next = wanted(9);
            next.patient = phi(patient);
            let Assigned::New(names) = store.assign(&next)? else {
                return Err("a new instance was reported as a duplicate".into());
            };
            assert_eq!(names.date_offset, days, "{patient}");
            assert_eq!(names.study, format!("{PREFIX}.2000007"));
            store.abandon(&next);
        }
    }
    // The file is migrated, so it can hold remarks.
    assert!(old.remarks()?.is_empty());
    let next = wanted(9);
    let Assigned::New(names) = old.assign(&next)? else {
        return Err("a new instance was reported as a duplicate".into());
    };
    let mut remarks = Remarks::default();
    remarks.add(RemarkReason::NotADate, 0x0008_0023);
    let group = old.commit(&[NewInstance {
        patient_key: next.patient,
        study_uid: next.study,
        series_uid: next.series,
        instance_uid: next.instance,
        names,
        remarks: remarks.clone(),
        ..NewInstance::default()
    }])?;
    old.settle(group, &[])?;
    drop(old);
    let old = DiskStore::open_read_only(&path, identity()?, &DiskOptions::default())?;
    assert_eq!(old.remarks()?, remarks);
    Ok(())
}
