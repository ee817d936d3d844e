//! The store on disk: a reader process, permissions, old formats, and regressions of V17's faults.

use std::error::Error;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use anon_model::{
    AdoptError, Adoption, Assigned, DiskOptions, DiskStore, Identity, LookupStore, NewInstance,
    OpenError, Phi, PhiIndex, Pseudonyms, RetrieveProgress, SiteId, Space, StudyPhi, Transactions,
    UidError, UidRoot, Wanted,
};

type Outcome = Result<(), Box<dyn Error>>;

fn identity() -> Result<Identity, UidError> {
    Identity::new(SiteId::new("99")?, UidRoot::new("1.2.3")?)
}

fn open(path: &Path) -> Result<DiskStore, Box<dyn Error>> {
    Ok(DiskStore::open(path, identity()?, &DiskOptions::default())?)
}

fn wanted(study: u32, instance: u32) -> Wanted {
    Wanted {
        patient: Phi::new("P".to_owned()),
        study: Phi::new(format!("1.{study}")),
        series: Phi::new(format!("2.{study}")),
        instance: Phi::new(format!("3.{study}.{instance}")),
        ..Wanted::default()
    }
}

fn import(
    store: &dyn LookupStore,
    wanted: Wanted,
    unpublished: &[usize],
) -> Result<String, Box<dyn Error>> {
    let Assigned::New(names) = store.assign(&wanted)? else {
        return Err("a new instance was reported as a duplicate".into());
    };
    let name = names.instance.clone();
    let group = store.commit(&[NewInstance {
        patient_key: wanted.patient,
        study_uid: wanted.study,
        series_uid: wanted.series,
        instance_uid: wanted.instance,
        names,
        study: StudyPhi::default(),
        ..NewInstance::default()
    }])?;
    store.settle(group, unpublished)?;
    Ok(name)
}

const READ: &str = "ANON_MODEL_TEST_READ";

/// The reader process of the test below. It answers each line on standard input with the totals.
#[test]
fn reader_process() -> Outcome {
    let Some(path) = std::env::var_os(READ) else {
        return Ok(());
    };
    let store = DiskStore::open_read_only(Path::new(&path), identity()?, &DiskOptions::default())?;
    for line in std::io::stdin().lines() {
        let mut rows = 0;
        store.studies(&mut |row| {
            rows += row.instances;
            ControlFlow::Continue(())
        })?;
        let stored = store.has_instance(&Phi::new(line?))?;
        let mut out = std::io::stdout();
        writeln!(out, "answer {} {rows} {stored}", store.totals()?.instances)?;
        out.flush()?;
    }
    assert!(
        store.assign(&wanted(9, 9)).is_err(),
        "a reader assigns no pseudonyms"
    );
    assert!(store.commit(&[]).is_err(), "a reader cannot commit");
    Ok(())
}

#[test]
fn another_process_reads_while_one_writes() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let store = open(&path)?;
    import(&store, wanted(1, 1), &[])?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "disk::reader_process", "--nocapture"])
        .env(READ, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut questions = child.stdin.take().ok_or("no stdin")?;
    let mut answers = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
    for number in 2..6 {
        import(&store, wanted(number, 1), &[])?;
        writeln!(questions, "3.{number}.1")?;
        let answer = loop {
            let line = answers.next().ok_or("the reader ended")??;
            if let Some((_, answer)) = line.split_once("answer ") {
                break answer.to_owned();
            }
        };
        assert_eq!(answer, format!("{number} {number} true"), "the last commit");
    }
    // A second writer is refused.
    let second = DiskStore::open(&path, identity()?, &DiskOptions::default());
    assert!(matches!(second, Err(OpenError::InUse)), "{second:?}");
    drop(questions);
    let rest: Vec<_> = answers.collect::<Result<_, _>>()?;
    assert!(child.wait()?.success(), "{rest:?}");
    Ok(())
}

const IDLE: &str = "ANON_MODEL_TEST_IDLE";

/// The reader process of the test below. It reads the outputs of a patient, and waits.
#[test]
fn idle_reader_process() -> Outcome {
    let Some(path) = std::env::var_os(IDLE) else {
        return Ok(());
    };
    let store = DiskStore::open_read_only(Path::new(&path), identity()?, &DiskOptions::default())?;
    for _ in std::io::stdin().lines() {
        let mut outputs = 0;
        store.outputs("99-000001", &mut |_| {
            outputs += 1;
            ControlFlow::Continue(())
        })?;
        let mut out = std::io::stdout();
        writeln!(out, "outputs {outputs}")?;
        out.flush()?;
    }
    Ok(())
}

/// Imports until a store has 300 instances. Returns the length of its file.
fn file_length_after_imports(path: &Path, store: &DiskStore) -> Result<u64, Box<dyn Error>> {
    for number in 2..=300 {
        import(store, wanted(number, 1), &[])?;
    }
    Ok(std::fs::metadata(path)?.len())
}

/// An export reads the outputs of a patient, and then sends them for hours.
#[test]
fn reader_between_two_patients_does_not_make_the_file_grow() -> Outcome {
    let directory = tempfile::tempdir()?;
    let alone = directory.path().join("alone.redb");
    let store = open(&alone)?;
    import(&store, wanted(1, 1), &[])?;
    let expected = file_length_after_imports(&alone, &store)?;
    let path = directory.path().join("lookup.redb");
    let store = open(&path)?;
    import(&store, wanted(1, 1), &[])?;
    let mut child = Command::new(std::env::current_exe()?)
        .args(["--exact", "disk::idle_reader_process", "--nocapture"])
        .env(IDLE, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut questions = child.stdin.take().ok_or("no stdin")?;
    let mut answers = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
    let mut ask = || -> Result<String, Box<dyn Error>> {
        writeln!(questions)?;
        loop {
            let line = answers.next().ok_or("the reader ended")??;
            if let Some((_, outputs)) = line.split_once("outputs ") {
                return Ok(outputs.to_owned());
            }
        }
    };
    assert_eq!(ask()?, "1");
    let grown = file_length_after_imports(&path, &store)?;
    assert!(
        grown <= expected * 3 / 2,
        "{grown} bytes instead of {expected}"
    );
    assert_eq!(ask()?, "300", "it follows the commits");
    drop(questions);
    assert!(child.wait()?.success());
    Ok(())
}

#[cfg(unix)]
#[test]
fn the_file_is_readable_for_its_owner_only() -> Outcome {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    drop(open(&path)?);
    assert_eq!(
        std::fs::metadata(&path)?.permissions().mode() & 0o777,
        0o600
    );
    std::fs::set_permissions(&path, Permissions::from_mode(0o640))?;
    for refused in [
        DiskStore::open(&path, identity()?, &DiskOptions::default()),
        DiskStore::open_read_only(&path, identity()?, &DiskOptions::default()),
    ] {
        assert!(
            matches!(refused, Err(OpenError::Mode { mode: 0o640 })),
            "{refused:?}"
        );
    }
    Ok(())
}

#[test]
fn a_file_of_another_kind_is_refused() -> Outcome {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&[b'x'; 10_000])?;
    let refused = DiskStore::open(file.path(), identity()?, &DiskOptions::default());
    assert!(refused.is_err(), "{refused:?}");
    let missing = file.path().with_extension("missing");
    let refused = DiskStore::open_read_only(&missing, identity()?, &DiskOptions::default());
    assert!(matches!(refused, Err(OpenError::Io(_))), "{refused:?}");
    Ok(())
}

/// spec/rsna-v17.md 10.2, 9: V17 reused UID numbers after failures.
#[test]
fn f09_a_number_is_not_reused_after_a_failure() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let store = open(&path)?;
    let failed = import(&store, wanted(1, 1), &[0])?;
    store.abandon(&wanted(1, 2));
    let next = import(&store, wanted(1, 3), &[])?;
    assert_ne!(failed, next);
    drop(store);
    let store = open(&path)?;
    let later = import(&store, wanted(1, 4), &[])?;
    assert!(![&failed, &next].contains(&&later));
    assert_eq!(
        import(&store, wanted(1, 1), &[])?,
        failed,
        "one original, one pseudonym"
    );
    Ok(())
}

/// spec/rsna-v17.md 10.2, 10: in V17 a study with the UID of its series, or a UID first seen as a frame
/// of reference, broke the mapping.
#[test]
fn f10_one_uid_in_every_role_keeps_one_pseudonym() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = open(&directory.path().join("lookup.redb"))?;
    let mut same = wanted(1, 1);
    same.series = same.study.clone();
    same.uids = vec![same.study.clone(), Phi::new("3.1.7".to_owned())];
    let Assigned::New(names) = store.assign(&same)? else {
        return Err("known".into());
    };
    assert_eq!(names.study, names.series);
    assert_eq!(names.study, names.uids[0]);
    store.abandon(&same);
    let mut later = wanted(1, 7);
    later.series = later.study.clone();
    assert_eq!(import(&store, later, &[])?, names.uids[1]);
    Ok(())
}

/// spec/rsna-v17.md 10.2, 14: V17 did not lower the totals after failures, so a study with missing
/// files counted as imported.
#[test]
fn f14_totals_fall_when_an_instance_is_not_published() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = open(&directory.path().join("lookup.redb"))?;
    import(&store, wanted(1, 1), &[])?;
    let study = wanted(1, 1).study;
    store.expect_instances(&study, 2)?;
    import(&store, wanted(1, 2), &[0])?;
    assert!(!store.study_imported(&study)?);
    assert_eq!(store.totals()?.instances, 1);
    assert!(!store.series_complete(&study, &wanted(1, 1).series, 2)?);
    import(&store, wanted(1, 2), &[])?;
    assert!(store.study_imported(&study)?);
    Ok(())
}

/// spec/rsna-v17.md 10.2, 15: in V17 a study without an accession number made the whole index fail.
#[test]
fn f15_a_study_without_an_accession_number_has_a_row() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = open(&directory.path().join("lookup.redb"))?;
    import(&store, wanted(1, 1), &[])?;
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    assert_eq!(rows.len(), 1);
    assert_eq!((&rows[0].accession, &rows[0].phi.accession), (&None, &None));
    Ok(())
}

#[test]
fn debug_output_and_errors_show_no_originals() -> Outcome {
    let directory = tempfile::tempdir()?;
    let store = open(&directory.path().join("lookup.redb"))?;
    let mut canary = wanted(1, 1);
    canary.patient = Phi::new("CANARY".to_owned());
    let mut seen = format!("{canary:?} {store:?}");
    import(&store, canary.clone(), &[])?;
    canary.patient = Phi::new("CANARY2".to_owned());
    canary.instance = Phi::new("CANARY3".to_owned());
    let refused = store.assign(&canary).err().ok_or("not refused")?;
    write!(seen, "{refused} {refused:?}")?;
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    write!(seen, "{rows:?}")?;
    let unknown = NewInstance {
        study_uid: canary.patient,
        ..NewInstance::default()
    };
    let refused = store.commit(&[unknown]).err().ok_or("not refused")?;
    write!(seen, "{refused} {refused:?}")?;
    assert!(!seen.contains("CANARY"), "{seen}");
    Ok(())
}

/// Pairs with consecutive numbers share a row of the file. Removing one must not change the others, and
/// nobody takes its place.
#[test]
fn nobody_takes_the_place_of_a_deleted_pair() -> Outcome {
    for lag in [0, 1 << 17] {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("lookup.redb");
        let options = DiskOptions::default().with_index_lag(lag);
        let store = DiskStore::open(&path, identity()?, &options)?;
        let others: Vec<_> = (0..40)
            .map(|number| Phi::new(format!("5.{number}")))
            .collect();
        // Study, series and instance get 1 to 3, the others 4 to 43.
        import(
            &store,
            Wanted {
                uids: others.clone(),
                ..wanted(1, 1)
            },
            &[],
        )?;
        let deleted = store.delete_study("1.2.3.99.1")?.ok_or("no study")?;
        store.settle(deleted.removal.group, &[])?;
        let adopted = Phi::new("9.9".to_owned());
        let space = anon_model::Space::Uid;
        for name in ["1.2.3.99.1", "1.2.3.99.2", "1.2.3.99.3"] {
            let refused = store.adopt(space, &adopted, name);
            assert!(
                matches!(refused, Err(AdoptError::PseudonymDeleted { .. })),
                "{name}: {refused:?}"
            );
        }
        let mut store = store;
        for round in 0..2 {
            let names = ["1.2.3.99.1", "1.2.3.99.2", "1.2.3.99.3"];
            let originals = names.map(|name| store.originals(name));
            let originals: Vec<_> = originals.into_iter().collect::<Result<_, _>>()?;
            assert_eq!(
                originals,
                [vec![], vec![], vec![]],
                "lag {lag}, round {round}"
            );
            for (other, number) in others.iter().zip(4..) {
                let name = format!("1.2.3.99.{number}");
                assert_eq!(store.originals(&name)?, [(space, other.clone())]);
                assert_eq!(store.pseudonym(space, other)?, Some(name));
            }
            assert_eq!(store.pseudonym(space, &adopted)?, None);
            assert_eq!(store.pseudonym(space, &wanted(1, 1).series)?, None);
            drop(store);
            store = DiskStore::open(&path, identity()?, &options)?;
        }
        assert_eq!(import(&store, wanted(2, 1), &[])?, "1.2.3.99.46");
    }
    Ok(())
}

/// tests/data/README.md describes the file.
#[test]
fn format_1_opens() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lookup-1.redb");
    std::fs::copy(fixture, &path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    let identity = Identity::new(SiteId::new("123456789")?, UidRoot::default())?;
    let store = DiskStore::open(&path, identity, &DiskOptions::default())?;
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    let brief: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.patient.as_str(),
                row.accession.as_deref(),
                row.series,
                row.instances,
            )
        })
        .collect();
    let expected = [
        ("123456789-000001", Some("1"), 2, 200),
        ("123456789-000001", Some("2"), 1, 100),
    ];
    assert_eq!(brief, expected);
    assert_eq!(rows[0].patient_phi.name, Phi::new("DOE^JANE".to_owned()));
    assert_eq!(
        (store.counts()?.uids, store.totals()?.instances),
        (308, 300)
    );
    let study = store.pseudonym(anon_model::Space::Uid, &rows[0].study_uid)?;
    assert_eq!(
        study.as_deref(),
        Some("1.2.826.0.1.3680043.10.474.2.123456789.1")
    );
    assert!(store.unsettled()?.is_empty());
    // The file is migrated, so it can hold adopted studies.
    let studies = [anon_model::ExternalStudy {
        patient_key: Phi::new("J".to_owned()),
        patient_name: "123456789-000017".to_owned(),
        study_uid: Phi::new("9.9".to_owned()),
        study_name: "9.8.7".to_owned(),
        ..anon_model::ExternalStudy::default()
    }];
    let adopting = anon_model::Adopting::AllOrNothing;
    assert!(store.adopt_studies(&studies, &[], adopting)?[0].is_ok());
    drop(store);
    let identity = Identity::new(SiteId::new("123456789")?, UidRoot::default())?;
    let store = DiskStore::open_read_only(&path, identity, &DiskOptions::default())?;
    assert!(store.study("9.8.7")?.is_some());
    assert_eq!(store.totals()?.instances, 300);
    Ok(())
}

/// A reader cannot migrate a file, and says that a writer must open it.
#[test]
fn format_1_is_not_readable_before_a_writer_migrates_it() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lookup-1.redb");
    std::fs::copy(fixture, &path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    let identity = Identity::new(SiteId::new("123456789")?, UidRoot::default())?;
    let options = DiskOptions::default();
    let read = || DiskStore::open_read_only(&path, identity.clone(), &options);
    assert!(matches!(read(), Err(OpenError::NotClosed)));
    drop(DiskStore::open(&path, identity.clone(), &options)?);
    assert_eq!(read()?.totals()?.instances, 300);
    Ok(())
}

/// tests/data/README.md describes the file. Format 2 kept the name of a patient only once, so the
/// studies without a Patient ID stood under the name that came first.
#[test]
fn a_migrated_store_has_no_study_under_the_name_of_another() -> Outcome {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("lookup.redb");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lookup-2-values.redb");
    std::fs::copy(fixture, &path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    }
    let store = open(&path)?;
    let mut rows = Vec::new();
    store.studies(&mut |row| {
        rows.push(row);
        ControlFlow::Continue(())
    })?;
    let brief: Vec<_> = rows
        .iter()
        .map(|row| {
            (
                row.study_uid.expose().as_str(),
                row.patient_phi.name.expose().as_str(),
                row.accession.as_deref(),
                row.instances,
            )
        })
        .collect();
    let expected = [
        ("1.1", "", Some("1"), 1),
        ("2.1", "", None, 1),
        ("3.1", "GAMMA^CARL", Some("1"), 1),
        ("4.1", "GAMMA^CARL", Some("2"), 2),
        // Format 2 did not find the pseudonyms of an accession number of two values.
        ("5.1", "DELTA^DORA", None, 1),
    ];
    assert_eq!(brief, expected);
    assert_eq!(
        rows[2].patient_phi.birth_date,
        Some(Phi::new("19500102".to_owned()))
    );
    assert_eq!(rows[4].phi.accession, Some(Phi::new("A3\\A4".to_owned())));
    let totals = store.totals()?;
    assert_eq!(
        [totals.patients, totals.studies, totals.instances],
        [3, 5, 6]
    );
    let mut studies = Vec::new();
    store.studies_with(Space::Accession, "1", &mut |row| {
        studies.push(row.study_uid.into_exposed());
        ControlFlow::Continue(())
    })?;
    assert_eq!(studies, ["1.1", "3.1"]);
    // What comes later stands behind, and changes nothing that was captured.
    let mut later = wanted(3, 9);
    (later.study, later.series) = (rows[2].study_uid.clone(), Phi::new("3.2".to_owned()));
    import(&store, later, &[])?;
    import(&store, wanted(9, 1), &[])?;
    let row = store.study(&rows[2].study)?.ok_or("no study")?;
    assert_eq!(
        (row.instances, row.patient_phi),
        (2, rows[2].patient_phi.clone())
    );
    drop(store);
    let store = DiskStore::open_read_only(&path, identity()?, &DiskOptions::default())?;
    assert_eq!(store.totals()?.studies, 6);
    Ok(())
}
