//! No identifying value is in a log, an error, an event or the `Debug` form of a public type.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anon_engine::testing::files::{Canaries, DataSet, Place};
use anon_engine::{
    BytesSource, Cancel, Event, ObjectSource, Observer, Received, SourceItem, Stopped, import,
};
use anon_model::Phi;
use dicom_core::{Tag, VR};
use tracing::field::{Field, Visit};
use tracing::span;

use super::world::{TestProject, bytes, changed, ct, refused};

/// Records all logs and events, at the finest level.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<String>>);

impl Recorder {
    fn record_debug(&self, what: &dyn fmt::Debug) {
        let mut recorded = self.0.lock().expect("no panics");
        writeln!(recorded, "{what:?}").expect("memory");
    }
}

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{field}={value:?} ").expect("memory");
    }
}

impl tracing::Subscriber for Recorder {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &span::Attributes<'_>) -> span::Id {
        let mut fields = Fields(String::new());
        span.record(&mut fields);
        self.record_debug(&fields.0);
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, values: &span::Record<'_>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        self.record_debug(&fields.0);
    }
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.record_debug(&fields.0);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recorder")
    }
}

impl Observer for Recorder {
    fn on_event(&self, event: &Event<'_>) {
        self.record_debug(event);
        if let Event::Instance {
            result: Err(error), ..
        } = event
        {
            self.record_debug(&error.to_string());
        }
    }
}

#[derive(Debug)]
struct WithFailures<S>(S, u32);

impl<S: ObjectSource> ObjectSource for WithFailures<S> {
    fn next(&mut self) -> Option<SourceItem> {
        let item = self.0.next();
        if item.is_some() || self.1 > 0 {
            return item;
        }
        self.1 += 1;
        let origin = Phi::new("/in/KANARI-path/none".to_owned());
        Some(SourceItem::Failed {
            origin,
            reason: "is missing",
            error: None,
        })
    }
}

#[test]
fn canaries_do_not_leave() {
    let recorded = Recorder::default();
    // The subscriber is global: logs of other tests are recorded too, and hold no canary either.
    tracing::subscriber::set_global_default(recorded.clone()).expect("no other subscriber");
    let mut canaries = Vec::new();
    let mut plant = |mut object: DataSet| {
        let identifying = |path: &[Tag]| {
            path.iter()
                .all(|tag| matches!(tag.0, 0x0008 | 0x0010 | 0x0020))
        };
        canaries.push(Canaries::plant_where(&mut object, identifying));
        object
    };
    let place = Place::new(77);
    let world = TestProject::new();
    let engine = world
        .builder()
        .observer(Arc::new(recorded.clone()))
        .start()
        .expect("it starts");
    let objects = [
        plant(ct(place)),
        plant(ct(place)),
        changed(plant(ct(place))),
        plant(refused(place.instance(2))),
        plant(ct(place).put(Tag(0x0008, 0x0020), VR::DA, "no date")),
        ct(place.instance(3)),
    ];
    let objects: Vec<Received> = objects
        .iter()
        .map(|object| Received::part10(bytes(object)).with_origin("/in/KANARI-path/IM1"))
        .chain([Received::file("/in/KANARI-path/missing")])
        .collect();
    for received in &objects {
        recorded.record_debug(received);
    }
    let mut source = WithFailures(BytesSource::new(objects), 0);
    let summary = import(&engine, &mut source, &Cancel::new(), &recorded);
    recorded.record_debug(&summary);
    recorded.record_debug(&engine);
    recorded.record_debug(&world.store);
    recorded.record_debug(&world.quarantine);
    assert_eq!(engine.stop(Duration::from_mins(1)), Stopped::Drained);
    assert!(summary.stored >= 1 && summary.failed == 2, "{summary:?}");
    let recorded = recorded.0.lock().expect("no panics").clone();
    assert!(recorded.contains("committed"), "the engine logs nothing");
    assert!(!recorded.contains("KANARI"), "a path is logged");
    assert!(
        canaries.iter().map(Canaries::len).sum::<usize>() > 100,
        "too few canaries"
    );
    for canary in canaries.iter().flat_map(Canaries::iter) {
        // A short number can occur by chance.
        if canary.token().len() >= 6 {
            assert!(
                !canary.is_in(recorded.as_bytes()),
                "{} is logged",
                canary.tag()
            );
        }
    }
    for uid in [
        place.study_uid(),
        place.series_uid(),
        place.instance_uid(),
        place.patient_id(),
    ] {
        assert!(!recorded.contains(&uid), "an identifier is logged");
    }
}
