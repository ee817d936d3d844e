//! Measures the store on disk: new and known UIDs per second, time to open, memory, file size.
//!
//! `cargo run --release -p anon-model --example measure_store -- FILE ROWS [GROUP] [full|relaxed] [OTHERS]`
//!
//! Every instance has one new UID and OTHERS more (0 by default). A series has 100 instances and a
//! frame of reference, a study two series, a patient two studies. GROUP is the number of UIDs in a
//! commit. The file must not exist, and is not deleted at the end.
//!
//! `… measure_store FILE open` only opens an existing file, for instance after a killed run.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anon_model::settings::Durability;
use anon_model::{
    Assigned, DigestVersion, DiskOptions, DiskStore, Fingerprint, Identity, NewInstance,
    PatientPhi, Phi, Pseudonyms, SeriesPhi, SiteId, StudyPhi, Transactions, UidRoot, Wanted,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |place: usize| arguments.get(place).map(String::as_str);
    let path = Path::new(argument(0).ok_or("no file given")?);
    if argument(1) == Some("open") {
        return reopen(path);
    }
    let rows: u64 = argument(1).ok_or("no number of rows given")?.parse()?;
    let group: u64 = argument(2).unwrap_or("1000").parse()?;
    let options = DiskOptions::default().with_durability(match argument(3) {
        Some("relaxed") => Durability::Relaxed,
        _ => Durability::Full,
    });
    if path.exists() {
        return Err("the file exists".into());
    }
    let others: u64 = argument(4).unwrap_or("0").parse()?;
    let identity = Identity::new(SiteId::new("123456789")?, UidRoot::default())?;
    let store = DiskStore::open(path, identity.clone(), &options)?;
    fill(&store, rows, group, others)?;
    report("CPU clock ticks after filling, user and system", ticks()?)?;
    known(&store, rows, others)?;
    let counts = store.counts()?;
    // A copy of the open file is what a killed process leaves.
    let copy = path.with_extension("unclean");
    let mut create = std::fs::OpenOptions::new();
    create.write(true).create_new(true);
    let mut target = std::os::unix::fs::OpenOptionsExt::mode(&mut create, 0o600).open(&copy)?;
    io::copy(&mut std::fs::File::open(path)?, &mut target)?;
    // Otherwise opening would wait until the copy is on the disk.
    target.sync_all()?;
    drop(target);
    let bytes = std::fs::metadata(path)?.len();
    let close = Instant::now();
    drop(store);
    report("close ms", millis(close.elapsed()))?;
    let open = Instant::now();
    let store = DiskStore::open(path, identity.clone(), &options)?;
    report("open ms", millis(open.elapsed()))?;
    drop(store);
    let open = Instant::now();
    let store = DiskStore::open(&copy, identity, &options)?;
    report("open after unclean end ms", millis(open.elapsed()))?;
    if store.counts()? != counts {
        return Err("opening after an unclean end lost UIDs".into());
    }
    let uids = counts.uids;
    drop(store);
    std::fs::remove_file(&copy)?;
    report("UIDs", uids.to_string())?;
    report("file MB", (bytes >> 20).to_string())?;
    report("CPU clock ticks, user and system", ticks()?)?;
    report("peak memory", memory()?)
}

/// Measures how long an existing file takes to open.
fn reopen(path: &Path) -> Outcome<()> {
    let identity = Identity::new(SiteId::new("123456789")?, UidRoot::default())?;
    let open = Instant::now();
    let store = DiskStore::open(path, identity, &DiskOptions::default())?;
    report("open ms", millis(open.elapsed()))?;
    report("UIDs", store.counts()?.uids.to_string())?;
    report(
        "file MB",
        (std::fs::metadata(path)?.len() >> 20).to_string(),
    )?;
    report("peak memory", memory()?)
}

/// Imports instances until the store holds `rows` UIDs. Measures the calls to the store only: the
/// instances of each group are made before.
fn fill(store: &DiskStore, rows: u64, group: u64, others: u64) -> Outcome<()> {
    let (mut committed, mut number) = (0, 0);
    let mut commits = Vec::new();
    let (mut assigning, mut writing) = (Spent::default(), Spent::default());
    let mut reported = 0;
    while committed < rows {
        let end = number + (group / (1 + others)).max(1);
        let wanted: Vec<Wanted> = (number..end)
            .map(|number| instance(number, others))
            .collect();
        number = end;
        let mut names = Vec::with_capacity(wanted.len());
        let start = Start::now()?;
        for wanted in &wanted {
            let Assigned::New(assigned) = store.assign(wanted)? else {
                return Err("a new instance was reported as a duplicate".into());
            };
            names.push(assigned);
        }
        assigning.add(&start)?;
        let batch: Vec<NewInstance> = wanted
            .into_iter()
            .zip(names)
            .map(|(wanted, names)| new(wanted, names))
            .collect();
        let start = Start::now()?;
        let done = store.commit(&batch)?;
        store.settle(done, &[])?;
        commits.push(start.wall.elapsed());
        writing.add(&start)?;
        committed = store.counts()?.uids;
        if committed - reported >= rows / 5 || committed >= rows {
            let uids = committed - reported;
            let wall = assigning.wall + writing.wall;
            let rate = per_second(uids, wall);
            report(&format!("new UIDs/s up to {committed}"), rate.to_string())?;
            let cpu = [assigning.cpu, writing.cpu].map(|cpu| micros(cpu, uids));
            let [assign, commit] = cpu;
            report(
                "CPU us/UID, assign and commit",
                format!("{assign:.2} {commit:.2}"),
            )?;
            commits.sort_unstable();
            let at = |percent: usize| commits.get(commits.len() * percent / 100).copied();
            let (median, high) = (at(50).unwrap_or_default(), at(99).unwrap_or_default());
            report(
                "commit ms, median and 99%",
                format!("{} {}", millis(median), millis(high)),
            )?;
            reported = committed;
            commits.clear();
            (assigning, writing) = (Spent::default(), Spent::default());
        }
    }
    report("instances", number.to_string())
}

/// The time at the start of a measurement, on the clock and of the processor.
struct Start {
    wall: Instant,
    cpu: Duration,
}

impl Start {
    fn now() -> Outcome<Self> {
        Ok(Self {
            cpu: cpu()?,
            wall: Instant::now(),
        })
    }
}

#[derive(Default)]
struct Spent {
    wall: Duration,
    cpu: Duration,
}

impl Spent {
    fn add(&mut self, start: &Start) -> Outcome<()> {
        self.wall += start.wall.elapsed();
        self.cpu += cpu()?.saturating_sub(start.cpu);
        Ok(())
    }
}

/// Returns the processor time of this thread, user and system. Zero on systems other than Linux.
fn cpu() -> Outcome<Duration> {
    let Ok(text) = std::fs::read_to_string("/proc/thread-self/schedstat") else {
        return Ok(Duration::ZERO);
    };
    let nanos = text.split_whitespace().next().ok_or("no time")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}

fn micros(spent: Duration, count: u64) -> f64 {
    let count = u32::try_from(count).unwrap_or(u32::MAX).max(1);
    (spent / count).as_secs_f64() * 1e6
}

/// Measures known UIDs, at random and close to each other.
fn known(store: &DiskStore, rows: u64, others: u64) -> Outcome<()> {
    let instances = (rows / (1 + others)) * 9 / 10;
    let asked = 100_000_u64.min(instances);
    let each = 4 + others;
    let many = |near: bool| -> Outcome<()> {
        let mut spent = Spent::default();
        let mut done = 0;
        while done < asked {
            let numbers = (done..done + 1000).map(|round| {
                if near {
                    instances / 2 + round % (instances / 4).clamp(1, 1000)
                } else {
                    mix(round) % instances
                }
            });
            let wanted: Vec<Wanted> = numbers.map(|number| instance(number, others)).collect();
            done += 1000;
            let start = Start::now()?;
            for wanted in &wanted {
                if !matches!(store.assign(wanted)?, Assigned::Duplicate(_)) {
                    return Err("a known instance was assigned as new".into());
                }
            }
            spent.add(&start)?;
        }
        let label = if near {
            "known UIDs/s of near instances"
        } else {
            "known UIDs/s at random, whole instances"
        };
        rate(label, done * each, &spent)
    };
    many(false)?;
    many(true)?;
    let uids: Vec<_> = (0..asked)
        .map(|round| instance(mix(round + asked) % instances, others).instance)
        .collect();
    let (mut spent, start) = (Spent::default(), Start::now()?);
    for uid in &uids {
        if store.pseudonym(anon_model::Space::Uid, uid)?.is_none() {
            return Err("a known UID was new".into());
        }
    }
    spent.add(&start)?;
    rate("known UIDs/s at random, one by one", asked, &spent)
}

fn rate(label: &str, count: u64, spent: &Spent) -> Outcome<()> {
    let (rate, cpu) = (per_second(count, spent.wall), micros(spent.cpu, count));
    report(label, format!("{rate} (CPU us {cpu:.2})"))
}

fn instance(number: u64, others: u64) -> Wanted {
    let series = number / 100;
    let study = series / 2;
    Wanted {
        patient: Phi::new(format!("PAT{}", study / 2)),
        study: uid(1, study),
        series: uid(2, series),
        instance: uid(3, number),
        uids: std::iter::once(uid(4, series))
            .chain((0..others).map(|other| uid(5, number * others + other)))
            .collect(),
        accessions: vec![Phi::new(format!("ACC{study}"))],
        fingerprint: Fingerprint {
            length: 524_288,
            digest: u128::from(number).to_le_bytes(),
            version: DigestVersion::V2,
        },
        ..Wanted::default()
    }
}

fn uid(role: u64, number: u64) -> Phi<String> {
    let mut text = String::with_capacity(60);
    let (head, tail) = (mix(number * 8 + role), mix(number * 8 + role + 7919));
    write!(
        text,
        "1.2.840.113619.2.{role}.{}.{head}.{number}",
        tail % 1_000_000_000
    )
    .expect("writing to a String cannot fail");
    Phi::new(text)
}

/// A permutation of all numbers (splitmix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ z >> 31
}

fn new(wanted: Wanted, names: anon_model::Names) -> NewInstance {
    NewInstance {
        patient: PatientPhi {
            id: wanted.patient.clone(),
            name: Phi::new("DOE^JANE".to_owned()),
            ..PatientPhi::default()
        },
        study: StudyPhi {
            source: Phi::new("/data/incoming".to_owned()),
            date: Some(Phi::new("20240229".to_owned())),
            accession: wanted.accessions.first().cloned(),
            ..StudyPhi::default()
        },
        accessions: wanted.accessions.clone(),
        series: SeriesPhi {
            modality: Some(Phi::new("CT".to_owned())),
            ..SeriesPhi::default()
        },
        patient_key: wanted.patient,
        study_uid: wanted.study,
        series_uid: wanted.series,
        instance_uid: wanted.instance,
        names,
        fingerprint: wanted.fingerprint,
        output_bytes: 524_288,
        ..NewInstance::default()
    }
}

fn per_second(count: u64, spent: Duration) -> u128 {
    u128::from(count) * 1_000_000 / spent.as_micros().max(1)
}

fn millis(spent: Duration) -> String {
    format!("{}.{:03}", spent.as_millis(), spent.as_micros() % 1000)
}

/// Returns processor time in hundredths of a second. Other programs affect it less than the clock.
fn ticks() -> io::Result<String> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.split_whitespace().skip(13).take(2).collect();
    Ok(fields.join(" "))
}

fn memory() -> io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(line.unwrap_or("unknown").to_owned())
}

fn report(what: &str, value: impl std::fmt::Display) -> Outcome<()> {
    writeln!(io::stdout(), "{what:<45} {value}")?;
    Ok(())
}
