//! Power cuts and kills at every step of the storage: what was acknowledged is there, no number
//! is used twice, and the store opens again.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use anon_model::conformance::{self, Outcome};
use anon_model::settings::Durability;
use anon_model::{
    Adopting, Adoption, Assigned, DiskOptions, DiskStore, Fingerprint, NewInstance, PatientPhi,
    Phi, PhiIndex, Pseudonyms, RetrieveProgress, SeriesPhi, Space, StudyPhi, Transactions, Wanted,
};
use redb::StorageBackend;

use crate::adopting::given;

/// What ends the life of the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Power goes right after this sync: what was written later, and not synced, is lost.
    Sync(usize),
    /// The process is killed right after this write: later writes do not happen.
    Write(usize),
    Never,
}

#[derive(Debug, Default)]
struct Disk {
    written: Vec<u8>,
    /// What is found afterwards.
    left: Option<Vec<u8>>,
    synced: Vec<u8>,
    writes: usize,
    syncs: usize,
}

#[derive(Debug, Clone)]
struct Simulated {
    disk: Arc<Mutex<Disk>>,
    end: End,
}

impl Simulated {
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
        self.with(|disk| disk.left.is_some())
    }

    /// What a process that opens the file afterwards finds.
    fn left(&self) -> Vec<u8> {
        self.with(|disk| disk.left.clone().unwrap_or_else(|| disk.written.clone()))
    }
}

impl StorageBackend for Simulated {
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
                disk.left = Some(disk.synced.clone());
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
                disk.left = Some(disk.written.clone());
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
        },
        ..Wanted::default()
    }
}

/// The first study's pseudonym.
const STUDY: &str = "1.2.826.0.1.3680043.10.474.99.99.1";

type Acknowledged = BTreeMap<usize, String>;

/// Imports instances two by two until the disk ends, and says which were acknowledged before.
fn import(
    store: &DiskStore,
    disk: &Simulated,
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
                series: SeriesPhi::default(),
                output_bytes: 1,
            });
        }
        let done = store.commit(&group)?;
        // Acknowledged is what was durable before the disk ended.
        if !disk.ended() {
            let names = group.into_iter().map(|new| new.names.instance);
            acknowledged.extend(pair.iter().copied().zip(names));
        }
        store.settle(done, &[])?;
        // A deletion among them, of what came first.
        if let Some(study) = deleted.filter(|_| pair[0] == 4)
            && let Some(deleted) = store.delete_study(study)?
        {
            acknowledged.retain(|number, _| *number >= 4);
            store.settle(deleted.removal.group, &[])?;
        }
    }
    Ok(acknowledged)
}

fn open(disk: &Simulated, options: &DiskOptions) -> Outcome<DiskStore> {
    Ok(DiskStore::open_with_backend(
        disk.clone(),
        conformance::identity()?,
        options,
    )?)
}

/// One life with an end, one after it. True if the end came.
fn survive(end: End, options: &DiskOptions) -> Outcome<bool> {
    // The store is made before: making one is not a matter of its storage.
    let empty = Simulated::new(Vec::new(), End::Never);
    drop(open(&empty, options)?);
    let disk = Simulated::new(empty.left(), end);
    let store = open(&disk, options)?;
    let acknowledged = import(&store, &disk, 0..12, Some(STUDY))?;
    drop(store);
    let ended = disk.ended();
    let disk = Simulated::new(disk.left(), End::Never);
    let store = open(&disk, options)?;
    let mut given: BTreeMap<String, usize> = BTreeMap::new();
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
        given.insert(name.clone(), *number);
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
            .any(|path| given.contains_key(&path[3]))
        {
            store.settle(intent.group, &all)?;
        }
    }
    // The import finishes the job; every original has one number, every number one original.
    import(&store, &disk, 0..14, None)?;
    let mut seen = BTreeMap::new();
    for number in 0..14 {
        let uid = wanted(number).instance;
        let name = store.pseudonym(Space::Uid, &uid)?.ok_or("no pseudonym")?;
        assert_eq!(store.originals(&name)?, [(Space::Uid, uid)], "{end:?}");
        assert_eq!(
            seen.insert(name.clone(), number),
            None,
            "{end:?}: {name} given twice"
        );
        if let Some(before) = acknowledged.get(&number) {
            // The deletion that ran again may have taken it.
            assert!(
                before == &name || number < 4,
                "{end:?}: instance {number} changed its name"
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
fn power_cut_after_every_sync() -> Outcome {
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
fn kill_after_every_write() -> Outcome {
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

/// Studies taken over are there all or not at all, whenever the disk ends.
#[test]
fn taking_over_is_one_step() -> Outcome {
    let studies: Vec<_> = (1..40)
        .map(|number| given(number, number * 7, number))
        .collect();
    let options = DiskOptions::default().with_index_lag(7);
    let empty = Simulated::new(Vec::new(), End::Never);
    drop(open(&empty, &options)?);
    for end in [End::Sync as fn(usize) -> End, End::Write] {
        let (mut ends, mut seen) = (0, BTreeMap::new());
        loop {
            let disk = Simulated::new(empty.left(), end(ends + 1));
            let store = open(&disk, &options)?;
            store.adopt_studies(&studies, &[], Adopting::AllOrNothing)?;
            let acknowledged = !disk.ended();
            drop(store);
            if !disk.ended() {
                break;
            }
            let store = open(&Simulated::new(disk.left(), End::Never), &options)?;
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
