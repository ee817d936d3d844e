//! Imports: order, counts, cancelling, and a project that fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use anon_engine::testing::files::Place;
use anon_engine::{
    BytesSource, Cancel, EndedEarly, Event, ImportSummary, NoObserver, ObjectSource, Observer,
    Received, SourceItem, import,
};
use anon_model::Phi;

use super::world::{EventLines, TestProject, bytes, nth, received, refused};

/// 60 objects: three of ten are copies, one of ten is refused.
fn mixed() -> Vec<Received> {
    (0..60)
        .map(|n| match n % 10 {
            3 | 6 | 7 => received(&nth(n / 10 * 10)),
            9 => received(&refused(Place::new(u64::from(n)))),
            _ => received(&nth(n)),
        })
        .collect()
}

fn run(world: &TestProject, workers: usize) -> ImportSummary {
    let engine = world
        .builder()
        .workers(workers)
        .start()
        .expect("an engine starts");
    import(
        &engine,
        &mut BytesSource::new(mixed()),
        &Cancel::new(),
        &NoObserver,
    )
}

#[test]
fn every_number_of_workers_gives_the_same_store() {
    let one = TestProject::new();
    let summary = run(&one, 1);
    assert_eq!(
        (summary.found, summary.stored, summary.duplicates),
        (60, 36, 18)
    );
    assert_eq!(summary.quarantined.values().sum::<u64>(), 6);
    assert_eq!(
        (summary.failed, summary.ignored, summary.done()),
        (0, 0, 60)
    );
    let totals = one.lookups.totals().expect("memory");
    assert_eq!((totals.instances, totals.bytes), (36, summary.bytes_out));
    let expected = one.store.take();
    for workers in [2, 3, 8] {
        for _ in 0..5 {
            let many = TestProject::new();
            let summary = run(&many, workers);
            assert_eq!(
                (summary.stored, summary.duplicates),
                (36, 18),
                "{workers} workers"
            );
            assert!(
                many.store.take() == expected,
                "{workers} workers give another store"
            );
        }
    }
}

#[test]
fn repeating_an_import_stores_nothing_more() {
    let world = TestProject::new();
    run(&world, 2);
    let expected = world.store.paths();
    let again = run(&world, 2);
    assert_eq!((again.stored, again.duplicates), (0, 54));
    assert_eq!(
        again.quarantined.values().sum::<u64>(),
        6,
        "each run counts what it saw"
    );
    assert_eq!(world.store.paths(), expected);
    assert_eq!(world.quarantined(), 6);
}

#[test]
fn each_item_has_one_event_with_its_number() {
    #[derive(Debug)]
    struct OneOfEach(u32);
    impl ObjectSource for OneOfEach {
        fn next(&mut self) -> Option<SourceItem> {
            self.0 += 1;
            let origin = Phi::new(format!("/in/{}", self.0));
            match self.0 {
                1 => Some(SourceItem::Object(received(&nth(0)).with_origin("/in/1"))),
                2 => Some(SourceItem::Ignored {
                    origin,
                    reason: "is an archive",
                }),
                3 => Some(SourceItem::Failed {
                    origin,
                    reason: "is missing",
                    error: None,
                }),
                4 => Some(SourceItem::Object(received(&refused(Place::new(3))))),
                _ => None,
            }
        }
    }
    let world = TestProject::new();
    let lines = EventLines::default();
    let summary = import(&world.engine(), &mut OneOfEach(0), &Cancel::new(), &lines);
    let mut lines = lines.take();
    lines.sort();
    assert_eq!(
        lines,
        ["1 stored", "2 ignored", "3 failed", "4 quarantined"]
    );
    assert_eq!(
        (
            summary.found,
            summary.done(),
            summary.failed,
            summary.ignored
        ),
        (4, 4, 1, 1)
    );
    assert!(summary.ended_early.is_none());
}

#[test]
fn a_cancelled_import_finishes_the_objects_it_has_taken() {
    #[derive(Debug)]
    struct CancelAfter(Cancel, AtomicU32);
    impl Observer for CancelAfter {
        fn on_event(&self, event: &Event<'_>) {
            if matches!(event, Event::Instance { .. })
                && self.1.fetch_add(1, Ordering::Relaxed) == 20
            {
                self.0.cancel();
            }
        }
    }
    let world = TestProject::new();
    let cancel = Cancel::new();
    let observer = CancelAfter(cancel.clone(), AtomicU32::new(0));
    let mut endless = BytesSource::new((0..).map(|n| received(&nth(n))));
    let summary = import(&world.engine(), &mut endless, &cancel, &observer);
    assert!(matches!(summary.ended_early, Some(EndedEarly::Cancelled)));
    assert_eq!(summary.stored, summary.found);
    assert_eq!(summary.stored, world.store.paths().len() as u64);
}

#[test]
fn an_import_reads_a_bounded_number_of_objects_ahead() {
    // An import reads ahead no further than the intake and the open groups hold.
    #[derive(Debug)]
    struct CountingSource(Arc<AtomicU32>, Arc<AtomicU32>);
    impl ObjectSource for CountingSource {
        fn next(&mut self) -> Option<SourceItem> {
            let shown = self.0.fetch_add(1, Ordering::SeqCst) + 1;
            let ahead = shown - self.1.load(Ordering::SeqCst).min(shown);
            assert!(ahead < 2500, "{ahead} objects are read ahead");
            (shown <= 6000).then(|| SourceItem::Object(Received::part10(bytes(&nth(shown % 7)))))
        }
    }
    #[derive(Debug)]
    struct DoneCounter(Arc<AtomicU32>, AtomicBool);
    impl Observer for DoneCounter {
        fn on_event(&self, event: &Event<'_>) {
            if matches!(event, Event::Instance { .. }) {
                self.0.fetch_add(1, Ordering::SeqCst);
                self.1.store(true, Ordering::SeqCst);
            }
        }
    }
    let world = TestProject::new();
    let engine = world
        .builder()
        .intake_bytes(1 << 20)
        .start()
        .expect("an engine starts");
    let done = Arc::new(AtomicU32::new(0));
    let mut source = CountingSource(Arc::default(), done.clone());
    let observer = DoneCounter(done, AtomicBool::new(false));
    let summary = import(&engine, &mut source, &Cancel::new(), &observer);
    assert_eq!(
        (summary.found, summary.stored, summary.duplicates),
        (6000, 7, 5993)
    );
}

/// Counts events, and panics at each.
#[derive(Debug, Default)]
struct PanickingObserver(AtomicU32);

impl Observer for PanickingObserver {
    fn on_event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("injected panic");
    }
}

#[test]
fn an_observer_that_panics_stops_neither_an_engine_nor_an_import() {
    let world = TestProject::new();
    let observer = Arc::new(PanickingObserver::default());
    let engine = world.builder().observer(observer.clone()).start();
    let engine = engine.expect("an engine starts");
    assert_eq!(observer.0.load(Ordering::SeqCst), 1, "the recovery");
    let mut source = BytesSource::new(mixed());
    let of_import = PanickingObserver::default();
    let summary = import(&engine, &mut source, &Cancel::new(), &of_import);
    assert_eq!((summary.found, summary.stored, summary.failed), (60, 36, 0));
    // Each item, and the progress after it.
    assert_eq!(of_import.0.load(Ordering::SeqCst), 120);
    assert!(observer.0.load(Ordering::SeqCst) > 1, "a commit");
}

/// Records the thread of each commit.
#[derive(Debug, Default)]
struct CommitThreads(std::sync::Mutex<Vec<std::thread::ThreadId>>);

impl Observer for CommitThreads {
    fn on_event(&self, event: &Event<'_>) {
        if let Event::Committed { .. } = event {
            let thread = std::thread::current().id();
            self.0.lock().expect("no panics").push(thread);
        }
    }
}

/// A source that waits for the sender of a channel.
#[derive(Debug)]
struct ChannelSource(std::sync::mpsc::Receiver<SourceItem>);

impl ObjectSource for ChannelSource {
    fn next(&mut self) -> Option<SourceItem> {
        self.0.recv().ok()
    }
}

/// `process` commits on its caller's thread. Beside an import it joins the import's groups, for a
/// short time only.
#[test]
fn process_commits_on_the_thread_of_its_caller() {
    let world = TestProject::new();
    let threads = Arc::new(CommitThreads::default());
    let observer: Arc<dyn Observer> = threads.clone();
    let engine = world.builder().observer(observer).start();
    let engine = engine.expect("an engine starts");
    let here = std::thread::current().id();
    let take = || std::mem::take(&mut *threads.0.lock().expect("no panics"));
    engine.process(received(&nth(0))).expect("stored");
    assert_eq!(take(), [here]);

    let (more, source) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let import = scope.spawn(|| {
            let cancel = Cancel::new();
            import(&engine, &mut ChannelSource(source), &cancel, &NoObserver)
        });
        // Each object gets its outcome, whether the import has begun or not.
        for n in 1..20 {
            engine.process(received(&nth(n))).expect("stored");
        }
        drop(more);
        assert_eq!(import.join().expect("no panic").found, 0);
    });
    let senders = 4;
    std::thread::scope(|scope| {
        for sender in 0..senders {
            let engine = &engine;
            scope.spawn(move || {
                for n in 0..50 {
                    let object = nth(100 + sender * 50 + n);
                    engine.process(received(&object)).expect("stored");
                }
            });
        }
    });
    let totals = anon_model::PhiIndex::totals(&*world.lookups).expect("memory");
    assert_eq!(totals.instances, 20 + u64::from(senders) * 50);
}
