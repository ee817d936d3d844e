//! Both stores pass the conformance suite, and return the same results.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;

use anon_model::conformance::{self, Outcome};
use anon_model::{
    Adopting, Assigned, DigestVersion, DiskOptions, DiskStore, ExternalStudy, Fingerprint, Group,
    LookupStore, MemoryStore, Names, NewInstance, PatientPhi, Phi, RulesRecord, SeriesPhi, Space,
    StudyConflict, StudyPhi, StudyRow, Wanted,
};
use proptest::prelude::*;

#[test]
fn memory_store_conforms() -> Outcome {
    conformance::check(|identity| Ok(Box::new(MemoryStore::new(identity)?)))
}

#[test]
fn disk_store_conforms() -> Outcome {
    for lag in [0, 3, 1 << 17] {
        let directory = tempfile::tempdir()?;
        let mut number = 0;
        let options = DiskOptions::default().with_index_lag(lag);
        conformance::check(|identity| {
            number += 1;
            let path = directory.path().join(format!("{number}.redb"));
            Ok(Box::new(DiskStore::open(&path, identity, &options)?))
        })?;
    }
    Ok(())
}

/// A call to a store. Small numbers stand for originals, so that steps often use the same ones.
#[derive(Debug, Clone)]
enum Step {
    Assign {
        instance: u8,
        first: bool,
        uids: Vec<u8>,
        accession: Option<u8>,
        content: u8,
    },
    Abandon(u8),
    Commit,
    Settle {
        unpublished: u8,
    },
    Adopt {
        space: u8,
        original: u8,
        pseudonym: u8,
    },
    AdoptStudies {
        studies: Vec<(u8, u8, u8)>,
        adopting: Adopting,
    },
    DeleteStudy(u8),
    DeletePatient(u8),
    Expect {
        study: u8,
        target: u8,
    },
    Rules(u8),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => (0..60_u8, any::<bool>(), prop::collection::vec(0..40_u8, 0..3),
              prop::option::of(0..4_u8), 0..8_u8)
            .prop_map(|(instance, first, uids, accession, content)| {
                Step::Assign { instance, first, uids, accession, content: content / 7 }
            }),
        1 => (0..4_u8).prop_map(Step::Abandon),
        4 => Just(Step::Commit),
        3 => (0..8_u8).prop_map(|unpublished| Step::Settle { unpublished }),
        1 => (0..3_u8, 0..40_u8, 0..30_u8)
            .prop_map(|(space, original, pseudonym)| Step::Adopt { space, original, pseudonym }),
        2 => (prop::collection::vec((0..6_u8, 0..8_u8, 0..3_u8), 1..4), prop::sample::select(vec![
                Adopting::AllOrNothing, Adopting::WhatCanBe, Adopting::Nothing,
            ])).prop_map(|(studies, adopting)| Step::AdoptStudies { studies, adopting }),
        1 => (0..20_u8).prop_map(Step::DeleteStudy),
        1 => (0..5_u8).prop_map(Step::DeletePatient),
        1 => (0..5_u8, 0..4_u8).prop_map(|(study, target)| Step::Expect { study, target }),
        1 => (0..3_u8).prop_map(Step::Rules),
        2 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

fn phi(text: String) -> Phi<String> {
    Phi::new(text)
}

/// Instances 0 to 59 in five studies of three patients. Some contradict each other, and UIDs of every
/// role come from the same numbers.
fn wanted(instance: u8, first: bool, uids: &[u8], accession: Option<u8>, content: u8) -> Wanted {
    let (study, series) = (instance % 5, instance % 10);
    let patient = if instance > 50 { 2 } else { study % 3 };
    Wanted {
        patient: phi(if patient == 0 {
            String::new()
        } else {
            format!("P{patient}")
        }),
        study: phi(format!("1.{study}")),
        series: phi(format!("1.{}", 5 + series)),
        instance: phi(format!("1.{}", 10 + instance / 2)),
        uids: uids.iter().map(|uid| phi(format!("1.{uid}"))).collect(),
        accessions: accession
            .iter()
            .map(|number| phi(format!("A{number}")))
            .collect(),
        fingerprint: Fingerprint {
            length: u64::from(content),
            digest: [0; 16],
            version: DigestVersion::V2,
        },
        study_conflict: if first {
            StudyConflict::First
        } else {
            StudyConflict::Refuse
        },
        ..Wanted::default()
    }
}

fn new_instance(wanted: &Wanted, names: Names) -> NewInstance {
    let patient_key = names
        .filed_under
        .clone()
        .unwrap_or_else(|| wanted.patient.clone());
    NewInstance {
        patient_key,
        study_uid: wanted.study.clone(),
        series_uid: wanted.series.clone(),
        instance_uid: wanted.instance.clone(),
        names,
        fingerprint: wanted.fingerprint,
        patient: PatientPhi {
            id: wanted.patient.clone(),
            // Instances of a study and of a patient differ in their names and dates.
            name: phi("ROE^JO".repeat(wanted.uids.len())),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            date: Some(phi(format!("2024010{}", wanted.fingerprint.length))),
            accession: wanted.accessions.first().cloned(),
            ..StudyPhi::default()
        },
        accessions: wanted.accessions.clone(),
        series: SeriesPhi::default(),
        output_bytes: 7,
        ..NewInstance::default()
    }
}

/// A pair of the same numbers.
fn external_pair(space: u8, original: u8, pseudonym: u8) -> (Space, String, String) {
    match space {
        0 => (
            Space::Patient,
            format!("P{original}"),
            format!("99.99-{pseudonym:06}"),
        ),
        1 => (
            Space::Uid,
            format!("1.{original}"),
            format!("5.5.{pseudonym}"),
        ),
        _ => (
            Space::Accession,
            format!("A{original}"),
            format!("{pseudonym}"),
        ),
    }
}

/// A study of the same numbers, whose pseudonym is numbered or external.
fn given_study(patient: u8, study: u8, days: u8) -> ExternalStudy {
    let id = phi(if patient == 0 {
        String::new()
    } else {
        format!("P{patient}")
    });
    ExternalStudy {
        patient_key: id.clone(),
        patient_name: format!("99.99-{patient:06}"),
        study_uid: phi(format!("1.{study}")),
        study_name: if study.is_multiple_of(2) {
            format!("1.2.826.0.1.3680043.10.474.99.99.{}", study + 1)
        } else {
            format!("5.6.{study}")
        },
        accession_name: format!("J{days}"),
        patient: PatientPhi {
            id,
            ..PatientPhi::default()
        },
        study: StudyPhi {
            accession: Some(phi(format!("A{days}"))),
            date_offset: -i32::from(days / 2),
            ..StudyPhi::default()
        },
    }
}

/// A store, with the instances and groups that a program using it remembers.
struct Program {
    store: Box<dyn LookupStore>,
    uncommitted: Vec<(Wanted, NewInstance)>,
    unsettled: Vec<(Group, usize)>,
}

impl Program {
    /// Takes a step. The result must not depend on the store.
    fn step(&mut self, step: &Step) -> String {
        let store = &self.store;
        match step {
            Step::Assign {
                instance,
                first,
                uids,
                accession,
                content,
            } => {
                let wanted = wanted(*instance, *first, uids, *accession, *content);
                let result = store.assign(&wanted);
                if let Ok(Assigned::New(names)) = &result {
                    self.uncommitted
                        .push((wanted.clone(), new_instance(&wanted, names.clone())));
                }
                format!("{result:?}")
            }
            Step::Abandon(place) => {
                if usize::from(*place) < self.uncommitted.len() {
                    let (wanted, _) = self.uncommitted.remove((*place).into());
                    store.abandon(&wanted);
                }
                String::new()
            }
            Step::Commit => {
                let uncommitted = std::mem::take(&mut self.uncommitted);
                let group: Vec<_> = uncommitted.iter().map(|(_, new)| new.clone()).collect();
                let result = store.commit(&group);
                match &result {
                    Ok(done) => self.unsettled.push((*done, group.len())),
                    Err(_) => uncommitted
                        .iter()
                        .for_each(|(wanted, _)| store.abandon(wanted)),
                }
                format!("{result:?}")
            }
            Step::Settle { unpublished } => {
                let Some((group, length)) = self.unsettled.pop() else {
                    return String::new();
                };
                let missing: Vec<_> = (0..length)
                    .filter(|n| *n < 8 && unpublished >> *n & 1 == 1)
                    .collect();
                format!("{:?}", store.settle(group, &missing))
            }
            Step::Adopt {
                space,
                original,
                pseudonym,
            } => {
                let (space, original, name) = external_pair(*space, *original, *pseudonym);
                format!("{:?}", store.adopt(space, &phi(original), &name))
            }
            Step::AdoptStudies { studies, adopting } => {
                let studies: Vec<_> = studies
                    .iter()
                    .map(|(patient, study, days)| given_study(*patient, *study, *days))
                    .collect();
                let used = [(Space::Accession, "3".to_owned())];
                format!("{:?}", store.adopt_studies(&studies, &used, *adopting))
            }
            Step::DeleteStudy(number) => {
                let uid = format!("1.2.826.0.1.3680043.10.474.99.99.{number}");
                format!("{:?}", store.delete_study(&uid))
            }
            Step::DeletePatient(number) => {
                format!("{:?}", store.delete_patient(&format!("99.99-{number:06}")))
            }
            Step::Expect { study, target } => {
                let uid = phi(format!("1.{study}"));
                let result = store.expect_instances(&uid, (*target).into());
                format!("{result:?} {:?}", store.study_imported(&uid))
            }
            Step::Rules(digest) => {
                let record = RulesRecord {
                    digest: [*digest; 32],
                    ..RulesRecord::default()
                };
                format!("{:?}", store.accept_rules(&record))
            }
            Step::Reopen => {
                // A process that ends abandons its uncommitted instances.
                for (wanted, _) in self.uncommitted.drain(..) {
                    store.abandon(&wanted);
                }
                format!("{:?}", store.flush())
            }
        }
    }

    /// Reads everything that a store can return.
    fn read(&self) -> Result<String, Box<dyn Error>> {
        let store = &self.store;
        let mut studies: Vec<StudyRow> = Vec::new();
        store.studies(&mut |row| {
            // The numbers have other gaps after a restart; their order is that of the rows.
            studies.push(StudyRow {
                first_seen: 0,
                ..row
            });
            ControlFlow::Continue(())
        })?;
        let mut clashes = Vec::new();
        store.clashes(&mut |clash| {
            clashes.push(clash);
            ControlFlow::Continue(())
        })?;
        let mut patients = Vec::new();
        store.patients(&mut |row| {
            patients.push(row);
            ControlFlow::Continue(())
        })?;
        // Debug output hides originals, so they are compared exposed.
        let exposed: Vec<_> = studies
            .iter()
            .map(|row| {
                (
                    row.study_uid.expose(),
                    row.patient_phi.id.expose(),
                    &row.accession,
                )
            })
            .collect();
        let mut pairs = Vec::new();
        for number in 0..50 {
            let uid = phi(format!("1.{number}"));
            let stored = store.has_instance(&uid)?;
            pairs.push((
                store.pseudonym(Space::Uid, &uid)?,
                stored,
                store.stored_instances(&uid)?,
            ));
        }
        let totals = store.totals()?;
        assert_eq!(totals.patients, patients.len() as u64);
        assert_eq!(totals.studies, studies.len() as u64);
        assert_eq!(
            totals.instances,
            studies.iter().map(|row| row.instances).sum::<u64>()
        );
        Ok(format!(
            "{exposed:?} {studies:?} {patients:?} {pairs:?} {clashes:?} {:?} {:?} {:?} {:?} {:?}",
            store.totals()?,
            store.counts()?,
            store.unsettled()?,
            store.unsettled_removals()?,
            store.rules_history()?,
        ))
    }
}

fn disk(path: &Path) -> Outcome<Box<dyn LookupStore>> {
    let options = DiskOptions::default().with_index_lag(5);
    Ok(Box::new(DiskStore::open(
        path,
        conformance::identity()?,
        &options,
    )?))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn disk_store_returns_what_memory_store_returns(steps in steps()) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("lookup.redb");
        let identity = conformance::identity().expect("an identity");
        let new = |store| Program { store, uncommitted: Vec::new(), unsettled: Vec::new() };
        let mut memory = new(Box::new(MemoryStore::new(identity).expect("memory")));
        let mut on_disk = new(disk(&path).expect("disk"));
        for step in &steps {
            prop_assert_eq!(memory.step(step), on_disk.step(step), "{:?}", step);
            if matches!(step, Step::Reopen) {
                let closed = MemoryStore::new(conformance::identity().expect("an identity"));
                on_disk.store = Box::new(closed.expect("memory"));
                on_disk.store = disk(&path).expect("disk");
            }
            prop_assert_eq!(memory.read().expect("memory"), on_disk.read().expect("disk"));
        }
    }
}
