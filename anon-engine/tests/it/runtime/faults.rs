//! Regression tests for faults of V17 (spec/rsna-v17.md section 10), and failures of the stores.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anon_engine::testing::disk::SimDisk;
use anon_engine::testing::files::Place;
use anon_engine::testing::rules::PlainRules;
use anon_engine::{
    BytesSource, Cancel, DirectoryStore, EndedEarly, Engine, Error, NoObserver, Outcome, Policy,
    Quarantine, Remedy, Stopped, Store, import,
};
use anon_model::{
    AdoptError, Adopted, Adopting, Adoption, AssignError, Assigned, BackendError, Clash, ClashKind,
    Counts, Deleted, DigestVersion, ExternalStudy, Group, Intent, LookupStore, NewInstance,
    NotAdopted, PatientRow, Phi, PhiIndex, Pseudonyms, Remarks, Removal, RetrieveProgress,
    RulesHistory, RulesRecord, SeriesRow, Space, StoredInstance, StudyRow, Totals, Transactions,
    Wanted,
};
use anon_script::rules::{Action, Element, Method, Rules};
use dicom_core::{Tag, VR};

use super::world::{self, Results, STUDY_DATE, TestProject, ct, nth, outcome, received};

const TIMEOUT: Duration = Duration::from_mins(1);

/// A lookup store with injected failures.
#[derive(Debug)]
pub(super) struct FailingLookups {
    inner: Arc<dyn LookupStore>,
    pub(super) ready: AtomicU32,
    commit: AtomicU32,
    settle: AtomicU32,
    pub(super) pseudonym: AtomicU32,
    /// Deletes the study of an instance before the instance is looked up.
    pub(super) deletes: AtomicBool,
    /// Makes records of version 1 of those that are committed. Their digests are no real ones.
    pub(super) is_earlier: AtomicBool,
    remedy: Remedy,
}

pub(super) const SUCCEED: u32 = 0;
pub(super) const FAIL: u32 = 1;
const PANIC: u32 = 2;
/// Blocks until another value is stored.
const HOLD: u32 = 3;
const FAIL_ONCE: u32 = 4;

impl FailingLookups {
    pub(super) fn new(remedy: Remedy) -> Arc<Self> {
        Arc::new(Self {
            inner: world::lookups(),
            ready: AtomicU32::new(SUCCEED),
            commit: AtomicU32::new(SUCCEED),
            settle: AtomicU32::new(SUCCEED),
            pseudonym: AtomicU32::new(SUCCEED),
            deletes: AtomicBool::new(false),
            is_earlier: AtomicBool::new(false),
            remedy,
        })
    }

    fn fail(&self, how: &AtomicU32) -> Result<(), BackendError> {
        while how.load(Ordering::SeqCst) == HOLD {
            std::thread::yield_now();
        }
        let once = how.compare_exchange(FAIL_ONCE, SUCCEED, Ordering::SeqCst, Ordering::SeqCst);
        match once.unwrap_or_else(|other| other) {
            SUCCEED => Ok(()),
            FAIL | FAIL_ONCE => Err(BackendError::new(self.remedy, "injected failure")),
            _ => panic!("injected panic"),
        }
    }
}

impl Pseudonyms for FailingLookups {
    fn assign(&self, wanted: &Wanted) -> Result<Assigned, AssignError> {
        self.inner.assign(wanted)
    }
    fn abandon(&self, wanted: &Wanted) {
        self.inner.abandon(wanted);
    }
    fn adopt(&self, space: Space, original: &Phi<String>, name: &str) -> Result<(), AdoptError> {
        self.inner.adopt(space, original, name)
    }
    fn pseudonym(
        &self,
        space: Space,
        original: &Phi<String>,
    ) -> Result<Option<String>, BackendError> {
        self.fail(&self.pseudonym)?;
        self.inner.pseudonym(space, original)
    }
    fn stored_instance(&self, uid: &Phi<String>) -> Result<Option<StoredInstance>, BackendError> {
        let stored = self.inner.stored_instance(uid)?;
        if let Some(stored) = stored.as_ref()
            && self.deletes.load(Ordering::SeqCst)
        {
            let [_, study, ..] = &stored.names;
            let deleted = self.inner.delete_study(study)?.expect("a study");
            self.inner.settle(deleted.removal.group, &[])?;
            return self.inner.stored_instance(uid);
        }
        Ok(stored)
    }
    fn originals(&self, pseudonym: &str) -> Result<Vec<(Space, Phi<String>)>, BackendError> {
        self.inner.originals(pseudonym)
    }
    fn counts(&self) -> Result<Counts, BackendError> {
        self.inner.counts()
    }
}

impl Transactions for FailingLookups {
    fn commit(&self, group: &[NewInstance]) -> Result<Group, BackendError> {
        self.fail(&self.commit)?;
        let mut group = group.to_vec();
        if self.is_earlier.load(Ordering::SeqCst) {
            for new in &mut group {
                new.fingerprint.version = DigestVersion::V1;
            }
        }
        self.inner.commit(&group)
    }
    fn ready(&self, bytes: u64) -> Result<(), BackendError> {
        assert!(bytes > 0, "an output has bytes");
        self.fail(&self.ready)?;
        self.inner.ready(bytes)
    }
    fn settle(&self, group: Group, unpublished: &[usize]) -> Result<(), BackendError> {
        self.fail(&self.settle)?;
        self.inner.settle(group, unpublished)
    }
    fn unsettled(&self) -> Result<Vec<Intent>, BackendError> {
        self.inner.unsettled()
    }
    fn unsettled_removals(&self) -> Result<Vec<Removal>, BackendError> {
        self.inner.unsettled_removals()
    }
    fn flush(&self) -> Result<(), BackendError> {
        self.inner.flush()
    }
    fn delete_study(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError> {
        self.inner.delete_study(pseudonym)
    }
    fn delete_patient(&self, pseudonym: &str) -> Result<Option<Deleted>, BackendError> {
        self.inner.delete_patient(pseudonym)
    }
}

impl PhiIndex for FailingLookups {
    fn totals(&self) -> Result<Totals, BackendError> {
        self.inner.totals()
    }
    fn remarks(&self) -> Result<Remarks, BackendError> {
        self.inner.remarks()
    }
    fn patients(
        &self,
        visit: &mut dyn FnMut(PatientRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        self.inner.patients(visit)
    }
    fn patient(&self, pseudonym: &str) -> Result<Option<PatientRow>, BackendError> {
        self.inner.patient(pseudonym)
    }
    fn studies(
        &self,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        self.inner.studies(visit)
    }
    fn study(&self, pseudonym: &str) -> Result<Option<StudyRow>, BackendError> {
        self.inner.study(pseudonym)
    }
    fn series(
        &self,
        study: &str,
        visit: &mut dyn FnMut(SeriesRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        self.inner.series(study, visit)
    }
    fn studies_with(
        &self,
        space: Space,
        pseudonym: &str,
        visit: &mut dyn FnMut(StudyRow) -> ControlFlow<()>,
    ) -> Result<(), BackendError> {
        self.inner.studies_with(space, pseudonym, visit)
    }
    fn clash_count(&self, kind: ClashKind) -> Result<u64, BackendError> {
        self.inner.clash_count(kind)
    }
    fn clashes(&self, visit: &mut dyn FnMut(Clash) -> ControlFlow<()>) -> Result<(), BackendError> {
        self.inner.clashes(visit)
    }
}

impl RetrieveProgress for FailingLookups {
    fn has_instance(&self, uid: &Phi<String>) -> Result<bool, BackendError> {
        self.inner.has_instance(uid)
    }
    fn stored_instances(&self, study: &Phi<String>) -> Result<u64, BackendError> {
        self.inner.stored_instances(study)
    }
    fn series_complete(
        &self,
        study: &Phi<String>,
        series: &Phi<String>,
        target: u64,
    ) -> Result<bool, BackendError> {
        self.inner.series_complete(study, series, target)
    }
    fn expect_instances(&self, study: &Phi<String>, target: u64) -> Result<i64, BackendError> {
        self.inner.expect_instances(study, target)
    }
    fn study_imported(&self, study: &Phi<String>) -> Result<bool, BackendError> {
        self.inner.study_imported(study)
    }
}

impl RulesHistory for FailingLookups {
    fn rules(&self) -> Result<Option<RulesRecord>, BackendError> {
        self.inner.rules()
    }
    fn rules_history(&self) -> Result<Vec<RulesRecord>, BackendError> {
        self.inner.rules_history()
    }
    fn accept_rules(&self, rules: &RulesRecord) -> Result<(), BackendError> {
        self.inner.accept_rules(rules)
    }
    fn is_frozen(&self) -> Result<bool, BackendError> {
        self.inner.is_frozen()
    }
}

impl Adoption for FailingLookups {
    fn adopt_studies(
        &self,
        studies: &[ExternalStudy],
        used: &[(Space, String)],
        adopting: Adopting,
    ) -> Result<Vec<Result<Adopted, NotAdopted>>, BackendError> {
        self.inner.adopt_studies(studies, used, adopting)
    }
}

fn engine_over(lookups: Arc<FailingLookups>, world: &TestProject) -> Engine {
    let store: Arc<dyn Store> = world.store.clone();
    let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
    let engine = Engine::builder(world::policy(), lookups, store, quarantine);
    engine.workers(2).start().expect("an engine starts")
}

#[test]
fn a_failed_commit_fails_its_group_and_the_next_one_works() {
    let world = TestProject::new();
    let lookups = FailingLookups::new(Remedy::Retry);
    let engine = engine_over(lookups.clone(), &world);
    lookups.commit.store(FAIL, Ordering::SeqCst);
    let results = Results::default();
    for n in 0..20 {
        engine.submit(received(&nth(n)), results.callback(n));
    }
    let error = engine.process(received(&nth(30))).expect_err("no commit");
    assert!(matches!(error, Error::Commit(_)), "{error:?}");
    assert_eq!(error.remedy(), Remedy::Retry);
    lookups.commit.store(SUCCEED, Ordering::SeqCst);
    let after = engine.process(received(&nth(30))).expect("stored now");
    assert_eq!(after.outcome.name(), "stored");
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    let stored = results
        .take()
        .iter()
        .filter(|(_, r)| outcome(r) == "stored")
        .count() as u64;
    assert_eq!(lookups.totals().expect("memory").instances, stored + 1);
    assert_eq!(world.store.paths().len() as u64, stored + 1);
}

/// A file written first would only use more of the scarce space.
#[test]
fn nothing_is_written_while_the_lookups_have_no_room() {
    let lookups = FailingLookups::new(Remedy::Retry);
    let disk = SimDisk::new();
    let options =
        anon_engine::store::DirectoryStoreOptions::default().with_disk(Arc::new(disk.clone()));
    let store = Arc::new(DirectoryStore::open("/public", "/tmp", options).expect("it opens"));
    let quarantine = TestProject::new().quarantine;
    let engine = Engine::builder(world::policy(), lookups.clone(), store, quarantine);
    let engine = engine.workers(0).start().expect("an engine starts");
    lookups.ready.store(FAIL, Ordering::SeqCst);
    let steps = disk.steps();
    for _ in 0..2 {
        let error = engine.process(received(&nth(0))).expect_err("no room");
        assert!(matches!(error, Error::Lookup(_)), "{error:?}");
        assert_eq!(error.remedy(), Remedy::Retry);
    }
    assert_eq!(disk.steps(), steps);
    lookups.ready.store(SUCCEED, Ordering::SeqCst);
    let after = engine.process(received(&nth(0))).expect("there is room");
    assert_eq!(after.outcome.name(), "stored");
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
}

/// A copy waits for the commit of the first object, and is stored itself if that fails.
#[test]
fn a_parked_copy_is_stored_if_the_first_commit_fails() {
    for (release, first) in [(FAIL_ONCE, "failed"), (SUCCEED, "stored")] {
        let world = TestProject::new();
        let lookups = FailingLookups::new(Remedy::Retry);
        let store: Arc<dyn Store> = world.store.clone();
        let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
        let engine = Engine::builder(world::policy(), lookups.clone(), store, quarantine);
        let engine = engine.workers(1).start().expect("an engine starts");
        lookups.commit.store(HOLD, Ordering::SeqCst);
        let results = Results::default();
        engine.submit(received(&nth(0)), results.callback(0));
        engine.submit(received(&nth(0)), results.callback(1));
        // When the only worker reaches this object, which needs no commit, it has parked the copy.
        engine.submit(
            received(&world::refused(Place::new(9))),
            results.callback(2),
        );
        let mut heard = Vec::new();
        let begun = Instant::now();
        while heard.is_empty() {
            assert!(begun.elapsed() < TIMEOUT, "timeout: no result");
            std::thread::yield_now();
            heard = results.take();
        }
        lookups.commit.store(release, Ordering::SeqCst);
        assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
        heard.extend(results.take());
        let mut outcomes: Vec<_> = heard.iter().map(|(n, r)| (*n, outcome(r))).collect();
        assert_eq!(outcomes[0], (2, "quarantined"));
        outcomes.sort_unstable();
        let second = if first == "failed" {
            "stored"
        } else {
            "duplicate"
        };
        assert_eq!(outcomes[..2], [(0, first), (1, second)]);
        assert_eq!(world.store.paths().len(), 1);
        assert_eq!(lookups.totals().expect("memory").instances, 1);
    }
}

#[test]
fn a_lookup_failure_without_remedy_poisons_the_engine() {
    for how in [FAIL, PANIC] {
        let world = TestProject::new();
        let lookups = FailingLookups::new(Remedy::Stop);
        let engine = engine_over(lookups.clone(), &world);
        lookups.commit.store(how, Ordering::SeqCst);
        assert!(engine.process(received(&nth(0))).is_err());
        lookups.commit.store(SUCCEED, Ordering::SeqCst);
        let error = engine.process(received(&nth(1))).expect_err("poisoned");
        assert!(matches!(error, Error::Poisoned(_)), "{error:?}");
        assert_eq!(error.remedy(), Remedy::Stop);
        assert!(world.store.paths().is_empty());
        let mut source = BytesSource::new((0..5000).map(|n| received(&nth(n))));
        let summary = import(&engine, &mut source, &Cancel::new(), &NoObserver);
        assert!(matches!(
            summary.ended_early,
            Some(EndedEarly::Failed(Error::Poisoned(_)))
        ));
        assert_eq!(summary.failed, summary.found);
        assert!(
            summary.found < 5000,
            "an import goes on after a permanent failure"
        );
    }
}

/// A disk may be full for some objects only, while temporary files come and go.
#[test]
fn an_import_names_a_failure_of_the_project_also_if_later_objects_were_stored() {
    let world = TestProject::new();
    let lookups = FailingLookups::new(Remedy::Retry);
    let engine = engine_over(lookups.clone(), &world);
    lookups.ready.store(FAIL_ONCE, Ordering::SeqCst);
    let all = || BytesSource::new((0..3).map(|n| received(&nth(n))));
    let summary = import(&engine, &mut all(), &Cancel::new(), &NoObserver);
    assert_eq!((summary.stored, summary.failed), (2, 1));
    assert!(summary.ended_early.is_none());
    let failure = summary.project_failure;
    assert!(matches!(failure, Some(Error::Lookup(_))), "{failure:?}");
    let summary = import(&engine, &mut all(), &Cancel::new(), &NoObserver);
    assert_eq!((summary.stored, summary.duplicates), (1, 2));
    assert!(summary.project_failure.is_none());
}

#[test]
fn a_settlement_that_fails_for_an_unpublished_object_poisons_the_engine() {
    let lookups = FailingLookups::new(Remedy::Retry);
    let disk = SimDisk::new();
    let options =
        anon_engine::store::DirectoryStoreOptions::default().with_disk(Arc::new(disk.clone()));
    let store = Arc::new(DirectoryStore::open("/public", "/tmp", options).expect("it opens"));
    let world = TestProject::new();
    let engine = Engine::builder(
        world::policy(),
        lookups.clone(),
        store.clone(),
        world.quarantine.clone(),
    );
    let engine = engine.workers(0).start().expect("an engine starts");
    lookups.settle.store(FAIL, Ordering::SeqCst);
    // After create, write, sync and share, the directories of the target cannot be made.
    disk.fail_at(disk.steps() + 6, std::io::ErrorKind::PermissionDenied);
    let error = engine
        .process(received(&nth(0)))
        .expect_err("not published");
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let error = engine
        .process(received(&nth(0)))
        .expect_err("not reported as a duplicate");
    assert!(matches!(error, Error::Poisoned(_)), "{error:?}");
    drop(engine);
    // The next start repairs it.
    lookups.settle.store(SUCCEED, Ordering::SeqCst);
    disk.repair();
    let engine = Engine::builder(
        world::policy(),
        lookups.clone(),
        store,
        world.quarantine.clone(),
    );
    let engine = engine.workers(0).start().expect("an engine starts");
    assert_eq!(lookups.totals().expect("memory").instances, 0);
    assert_eq!(
        engine
            .process(received(&nth(0)))
            .expect("stored")
            .outcome
            .name(),
        "stored"
    );
}

/// Rules that panic at Patient's Weight.
#[derive(Debug)]
struct Panicking(PlainRules, AtomicU64);

impl Rules for Panicking {
    fn action(&self, element: Element) -> &Action {
        if element.tag == Tag(0x0010, 0x1030) {
            self.1.fetch_add(1, Ordering::SeqCst);
            panic!("injected panic in the rules");
        }
        self.0.action(element)
    }
    fn method(&self) -> &Method {
        self.0.method()
    }
    fn name(&self) -> &str {
        self.0.name()
    }
    fn text(&self) -> &str {
        self.0.text()
    }
    fn digest(&self) -> [u8; 32] {
        self.0.digest()
    }
}

#[test]
fn an_object_that_makes_the_engine_panic_is_quarantined_and_the_rest_is_stored() {
    let world = TestProject::new();
    let rules = Arc::new(Panicking(PlainRules::default(), AtomicU64::new(0)));
    let quarantine: Arc<dyn Quarantine> = world.quarantine.clone();
    let store: Arc<dyn Store> = world.store.clone();
    let policy = Policy::new(rules.clone(), "99", "runtime");
    let engine = Engine::builder(policy, world.lookups.clone(), store, quarantine);
    let engine = engine.workers(3).start().expect("an engine starts");
    let results = Results::default();
    for n in 0..60 {
        let weight = Tag(0x0010, 0x1030);
        let object = if n % 3 == 1 {
            nth(n).put(weight, VR::DS, "70")
        } else {
            nth(n).without(weight)
        };
        engine.submit(received(&object), results.callback(n));
    }
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    assert_eq!(rules.1.load(Ordering::SeqCst), 20);
    let mut results = results.take();
    results.sort_by_key(|(n, _)| *n);
    for (n, result) in &results {
        let expected = if n % 3 == 1 { "quarantined" } else { "stored" };
        assert_eq!(outcome(result), expected, "{n}");
    }
    let categories: Vec<_> = world
        .quarantine
        .counts()
        .expect("memory")
        .into_iter()
        .collect();
    assert_eq!(categories, [(anon_engine::Category::StorageError, 20)]);
}

/// 10.1 #2: if the first object of a study had no accession number, V17 kept that of later ones.
#[test]
fn f02_an_accession_number_that_comes_later_is_replaced() {
    const ACCESSION: Tag = Tag(0x0008, 0x0050);
    let world = TestProject::new();
    let engine = world.engine();
    let first = ct(Place::new(1)).without(ACCESSION);
    let later = ct(Place::new(1).instance(2)).without(ACCESSION);
    let later = later.put(ACCESSION, VR::SH, "CANARY0001");
    let outputs = [first, later].map(|object| {
        let receipt = engine.process(received(&object)).expect("it is taken");
        let Outcome::Stored { path, .. } = receipt.outcome else {
            panic!("not stored");
        };
        world.store.get(&path).expect("it is stored")
    });
    let [first, later] = outputs.map(|bytes| {
        assert!(!bytes.windows(6).any(|part| part == b"CANARY"));
        let object = dicom_object::from_reader(&*bytes).expect("it can be read");
        let number = object.element(ACCESSION).ok().cloned();
        number.map(|number| number.to_str().expect("text").trim_end().to_owned())
    });
    assert_eq!((first, later.as_deref()), (None, Some("1")));
}

/// 10.1 #3: V17's quarantine paths named patient, study, series and instance. Ours name a digest;
/// the original bytes are in a private directory.
#[test]
fn f03_a_quarantine_entry_is_named_by_a_digest() {
    let world = TestProject::new();
    let engine = world.engine();
    let place = Place::new(1);
    let receipt = engine
        .process(received(&world::refused(place)))
        .expect("it is taken");
    let Outcome::Quarantined { entry, reason, .. } = receipt.outcome else {
        panic!("not quarantined");
    };
    let (name, digest) = (entry.to_string(), entry.digest_text());
    assert_eq!(name, format!("Missing_Attributes/{digest}"));
    assert!(digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit()));
    for value in [place.patient_id(), place.study_uid(), place.instance_uid()] {
        assert!(!name.contains(&value) && !reason.contains(&value));
    }
}

/// 10.2 #9: a failure or a rapid duplicate made V17 assign one number twice and overwrite files.
#[test]
fn f09_no_number_is_assigned_twice_after_failures_or_duplicates() {
    let world = TestProject::new();
    let lookups = FailingLookups::new(Remedy::Retry);
    let engine = engine_over(lookups.clone(), &world);
    let results = Results::default();
    for n in 0..200 {
        // Some commits fail while copies and new objects are submitted.
        lookups
            .commit
            .store(if n % 7 < 2 { FAIL } else { SUCCEED }, Ordering::SeqCst);
        engine.submit(received(&nth(n % 60)), results.callback(n));
    }
    lookups.commit.store(SUCCEED, Ordering::SeqCst);
    for n in 0..60 {
        engine.submit(received(&nth(n)), results.callback(1000 + n));
    }
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    let results = results.take();
    assert_eq!(results.len(), 260);
    assert_eq!(
        results
            .iter()
            .filter(|(_, r)| outcome(r) == "stored")
            .count(),
        60
    );
    assert_eq!(world.store.paths().len(), 60);
    assert_eq!(lookups.totals().expect("memory").instances, 60);
    let mut names = std::collections::BTreeSet::new();
    for n in 0..60 {
        let place = Place::nth(1, n, 4);
        let name = lookups
            .pseudonym(Space::Uid, &Phi::new(place.instance_uid()))
            .expect("memory");
        assert!(
            names.insert(name.expect("it has one")),
            "{n}: a number is assigned twice"
        );
    }
}

/// 10.2 #12: a multi-valued or overflowing StudyDate ended V17's worker permanently.
#[test]
fn f12_a_worker_survives_every_study_date() {
    let world = TestProject::new();
    let engine = world
        .builder()
        .workers(1)
        .start()
        .expect("an engine starts");
    let results = Results::default();
    let dates = [
        "20200101\\20200102",
        "99991231",
        "00000000",
        "2020-01-01",
        "\\",
        "20201399",
        "",
    ];
    for (n, date) in (0..).zip(dates) {
        let object = nth(n).without(STUDY_DATE).put(STUDY_DATE, VR::DA, date);
        engine.submit(received(&object), results.callback(n));
    }
    engine.submit(received(&nth(50)), results.callback(50));
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    let results = results.take();
    assert_eq!(results.len(), dates.len() + 1);
    assert!(
        results.iter().all(|(_, r)| outcome(r) != "failed"),
        "{results:?}"
    );
    let last = results
        .iter()
        .find(|(n, _)| *n == 50)
        .map(|(_, r)| outcome(r));
    assert_eq!(last, Some("stored"), "the worker is gone");
}

/// 10.2 #13: V17 saved its lookups only from time to time, and at exit before the queue was empty.
#[test]
fn f13_lookups_are_committed_before_a_receipt_and_the_queue_is_drained_at_the_end() {
    let world = TestProject::new();
    let engine = world.engine();
    let results = Results::default();
    for n in 0..40 {
        let lookups = world.lookups.clone();
        let done = results.callback(n);
        let uid = Phi::new(Place::nth(1, n, 4).instance_uid());
        engine.submit(received(&nth(n)), move |result| {
            assert!(
                lookups.has_instance(&uid).expect("memory"),
                "a receipt before its commit"
            );
            done(result);
        });
    }
    assert_eq!(engine.stop(TIMEOUT), Stopped::Drained);
    assert_eq!(results.take().len(), 40);
    assert_eq!(world.lookups.totals().expect("memory").instances, 40);
}

/// 10.2 #14: V17 counted an instance whose file could not be written.
#[test]
fn f14_an_instance_that_is_not_stored_is_not_counted() {
    let disk = SimDisk::new();
    let options =
        anon_engine::store::DirectoryStoreOptions::default().with_disk(Arc::new(disk.clone()));
    let store = Arc::new(DirectoryStore::open("/public", "/tmp", options).expect("it opens"));
    let world = TestProject::new();
    let engine = Engine::builder(
        world::policy(),
        world.lookups.clone(),
        store,
        world.quarantine.clone(),
    );
    let engine = engine.workers(0).start().expect("an engine starts");
    engine.process(received(&nth(0))).expect("stored");
    let before = world.lookups.totals().expect("memory");
    disk.fill_up_at(disk.steps() + 1);
    let error = engine
        .process(received(&nth(9)))
        .expect_err("the disk is full");
    assert_eq!(error.remedy(), Remedy::Retry, "{error:?}");
    assert_eq!(world.lookups.totals().expect("memory"), before);
    disk.repair();
    assert_eq!(
        engine
            .process(received(&nth(9)))
            .expect("stored")
            .outcome
            .name(),
        "stored"
    );
    assert_eq!(world.lookups.totals().expect("memory").instances, 2);
}

/// 10.2 #20: files with equal names overwrote each other in V17's quarantine.
#[test]
fn f20_equal_names_do_not_overwrite_each_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let world = TestProject::new();
    let engine = world.engine();
    for n in 0..3 {
        let sub = dir.path().join(n.to_string());
        std::fs::create_dir(&sub).expect("a directory");
        let path = sub.join("IM0001");
        let object = world::bytes(&world::refused(Place::new(n)));
        std::io::Write::write_all(&mut std::fs::File::create(&path).expect("a file"), &object)
            .expect("a file");
        let receipt = engine
            .process(anon_engine::Received::file(path))
            .expect("quarantined");
        assert!(matches!(receipt.outcome, Outcome::Quarantined { .. }));
    }
    assert_eq!(world.quarantined(), 3);
}
