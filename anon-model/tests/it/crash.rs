//! Power cuts and kills after every step of the storage: the store opens again, holds everything that
//! was acknowledged, and uses no number twice.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anon_model::conformance::{self, Outcome};
use anon_model::settings::Durability;
use anon_model::{
    Adopting, Adoption, Assigned, DigestVersion, DiskOptions, DiskStore, Fingerprint, NewInstance,
    PatientPhi, Phi, PhiIndex, Pseudonyms, RetrieveProgress, SeriesPhi, Space, StudyPhi,
    Transactions, Wanted,
};
use redb::StorageBackend;

use crate::adopting::external_study;

/// What ends a simulated run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// A power cut after this sync: later writes are lost.
    Sync(usize),
    /// The process is killed after this write.
    Write(usize),
    Never,
}

#[derive(Debug, Default)]
struct Disk {
    written: Vec<u8>,
    /// The content at the end of the run, once that is reached.
    at_end: Option<Vec<u8>>,
    synced: Vec<u8>,
    writes: usize,
    syncs: usize,
}

#[derive(Debug, Clone)]
struct SimulatedDisk {
    disk: Arc<Mutex<Disk>>,
    end: End,
}

impl SimulatedDisk {
    fn new(bytes: Vec<u8>, end: End) -> Self {
        let disk = Disk {
            synced: bytes.clone(),
            written: bytes,
            ..Disk::default()
        };
        Self {
            disk: Arc::new(Mutex::new(disk)),
            end,
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Disk) -> R) -> R {
        act(&mut self.disk.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ended(&self) -> bool {
        self.with(|disk| disk.at_end.is_some())
    }

    /// Returns what a process that opens the file afterwards finds.
    fn content(&self) -> Vec<u8> {
        self.with(|disk| disk.at_end.clone().unwrap_or_else(|| disk.written.clone()))
    }
}

impl StorageBackend for SimulatedDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.with(|disk| disk.written.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|disk| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = disk
                .written
                .get(from..)
                .and_then(|bytes| bytes.get(..out.len()));
            out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|disk| {
            disk.written
                .resize(usize::try_from(len).unwrap_or(usize::MAX), 0);
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|disk| {
            disk.syncs += 1;
            disk.synced.clone_from(&disk.written);
            if self.end == End::Sync(disk.syncs) {
                disk.at_end = Some(disk.synced.clone());
            }
        });
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|disk| {
            let from = usize::try_from(offset).unwrap_or(usize::MAX);
            let place = disk
                .written
                .get_mut(from..)
                .and_then(|rest| rest.get_mut(..data.len()));
            place
                .ok_or(io::ErrorKind::UnexpectedEof)?
                .copy_from_slice(data);
            disk.writes += 1;
            if self.end == End::Write(disk.writes) {
                disk.at_end = Some(disk.written.clone());
            }
            Ok(())
        })
    }
}

fn wanted(number: usize) -> Wanted {
    let phi = |text: String| Phi::new(text);
    Wanted {
        patient: phi(format!("P{}", number / 4)),
        study: phi(format!("1.{}", number / 4)),
        series: phi(format!("2.{}", number / 2)),
        instance: phi(format!("3.{number}")),
        uids: vec![phi(format!("4.{}", number / 2))],
        fingerprint: Fingerprint {
            length: 1,
            digest: [0; 16],
            version: DigestVersion::V2,
        },
        ..Wanted::default()
    }
}

/// The first study's pseudonym.
const STUDY: &str = "1.2.826.0.1.3680043.10.474.99.99.1";

type Acknowledged = BTreeMap<usize, String>;

/// Imports instances two by two. Returns those that were acknowledged before the end of the run.
fn import(
    store: &DiskStore,
    disk: &SimulatedDisk,
    numbers: std::ops::Range<usize>,
    deleted: Option<&str>,
) -> Outcome<Acknowledged> {
    let mut acknowledged = Acknowledged::new();
    for pair in numbers.collect::<Vec<_>>().chunks(2) {
        let mut group = Vec::new();
        for number in pair {
            let wanted = wanted(*number);
            let names = match store.assign(&wanted)? {
                Assigned::New(names) => names,
                Assigned::Duplicate(_) => continue,
            };
            group.push(NewInstance {
                patient_key: wanted.patient,
                study_uid: wanted.study,
                series_uid: wanted.series,
                instance_uid: wanted.instance,
                names,
                fingerprint: wanted.fingerprint,
                patient: PatientPhi::default(),
                study: StudyPhi::default(),
                accessions: Vec::new(),
                series: SeriesPhi::default(),
                output_bytes: 1,
                ..NewInstance::default()
            });
        }
        let done = store.commit(&group)?;
        // A commit is acknowledged if it returned before the end of the run.
        if !disk.ended() {
            let names = group.into_iter().map(|new| new.names.instance);
            acknowledged.extend(pair.iter().copied().zip(names));
        }
        store.settle(done, &[])?;
        // Deletes the first study in between.
        if let Some(study) = deleted.filter(|_| pair[0] == 4)
            && let Some(deleted) = store.delete_study(study)?
        {
            acknowledged.retain(|number, _| *number >= 4);
            store.settle(deleted.removal.group, &[])?;
        }
    }
    Ok(acknowledged)
}

fn open(disk: &SimulatedDisk, options: &DiskOptions) -> Outcome<DiskStore> {
    Ok(DiskStore::open_with_backend(
        disk.clone(),
        conformance::identity()?,
        options,
    )?)
}

/// Runs an import to its end, and a second one on what that left. Returns false if the import was
/// complete before the end.
fn survive(end: End, options: &DiskOptions) -> Outcome<bool> {
    // The store is created before the run: creating it is not crash-safe with this storage.
    let empty = SimulatedDisk::new(Vec::new(), End::Never);
    drop(open(&empty, options)?);
    let disk = SimulatedDisk::new(empty.content(), end);
    let store = open(&disk, options)?;
    let acknowledged = import(&store, &disk, 0..12, Some(STUDY))?;
    drop(store);
    let ended = disk.ended();
    let disk = SimulatedDisk::new(disk.content(), End::Never);
    let store = open(&disk, options)?;
    let mut assigned: BTreeMap<String, usize> = BTreeMap::new();
    for (number, name) in &acknowledged {
        let uid = wanted(*number).instance;
        assert!(
            store.has_instance(&uid)?,
            "{end:?}: instance {number} is lost"
        );
        assert_eq!(
            store.pseudonym(Space::Uid, &uid)?.as_ref(),
            Some(name),
            "{end:?}"
        );
        assigned.insert(name.clone(), *number);
    }
    for intent in store.unsettled()? {
        let all: Vec<usize> = (0..intent.outputs.len()).collect();
        assert_eq!(
            intent
                .outputs
                .iter()
                .filter(|path| path[3].is_empty())
                .count(),
            0
        );
        if !intent
            .outputs
            .iter()
            .any(|path| assigned.contains_key(&path[3]))
        {
            store.settle(intent.group, &all)?;
        }
    }
    // After a second import every original has one number, and every number one original.
    import(&store, &disk, 0..14, None)?;
    let mut seen = BTreeMap::new();
    for number in 0..14 {
        let uid = wanted(number).instance;
        let name = store.pseudonym(Space::Uid, &uid)?.ok_or("no pseudonym")?;
        assert_eq!(store.originals(&name)?, [(Space::Uid, uid)], "{end:?}");
        assert_eq!(
            seen.insert(name.clone(), number),
            None,
            "{end:?}: {name} was assigned twice"
        );
        if let Some(before) = acknowledged.get(&number) {
            // The first study may have been deleted and imported again.
            assert!(
                before == &name || number < 4,
                "{end:?}: instance {number} changed its pseudonym"
            );
        }
    }
    let mut instances = 0;
    store.studies(&mut |row| {
        instances += row.instances;
        std::ops::ControlFlow::Continue(())
    })?;
    assert_eq!(store.totals()?.instances, instances, "{end:?}");
    Ok(ended)
}

#[test]
fn a_power_cut_after_any_sync_loses_nothing_acknowledged() -> Outcome {
    for lag in [0, 7, 1000] {
        let options = DiskOptions::default().with_index_lag(lag);
        let mut ends = 0;
        while survive(End::Sync(ends + 1), &options)? {
            ends += 1;
        }
        assert!(ends > 15, "only {ends} syncs");
    }
    Ok(())
}

#[test]
fn a_kill_after_any_write_loses_nothing_acknowledged() -> Outcome {
    for durability in [Durability::Full, Durability::Relaxed] {
        let options = DiskOptions::default()
            .with_durability(durability)
            .with_index_lag(7);
        let mut ends = 0;
        while survive(End::Write(ends + 1), &options)? {
            ends += 1;
        }
        assert!(ends > 100, "only {ends} writes");
    }
    Ok(())
}

#[test]
fn studies_are_adopted_all_or_not_at_all() -> Outcome {
    let studies: Vec<_> = (1..40)
        .map(|number| external_study(number, number * 7, number))
        .collect();
    let options = DiskOptions::default().with_index_lag(7);
    let empty = SimulatedDisk::new(Vec::new(), End::Never);
    drop(open(&empty, &options)?);
    for end in [End::Sync as fn(usize) -> End, End::Write] {
        let (mut ends, mut seen) = (0, BTreeMap::new());
        loop {
            let disk = SimulatedDisk::new(empty.content(), end(ends + 1));
            let store = open(&disk, &options)?;
            store.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
            let acknowledged = !disk.ended();
            drop(store);
            if !disk.ended() {
                break;
            }
            let store = open(&SimulatedDisk::new(disk.content(), End::Never), &options)?;
            let (mut rows, mut moved) = (0, 0);
            store.studies(&mut |row| {
                rows += 1;
                moved += usize::from(row.phi.date_offset == -70);
                std::ops::ControlFlow::Continue(())
            })?;
            let uids = usize::try_from(store.counts()?.uids)?;
            assert!(
                [rows, moved, uids] == [0; 3] || [rows, moved, uids] == [39; 3],
                "{ends}: {rows}"
            );
            assert!(rows == 39 || !acknowledged, "{ends}: acknowledged and lost");
            *seen.entry(rows).or_insert(0) += 1;
            store.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
            assert_eq!(store.counts()?.uids, 39);
            ends += 1;
        }
        assert!(seen.get(&0).is_some_and(|ends| *ends > 0), "{seen:?}");
    }
    Ok(())
}
