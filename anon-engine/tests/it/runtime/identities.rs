//! Identities over many objects and restarts: one original has one pseudonym, no pseudonym has two
//! originals, and the days between two dates of a patient do not change.

use std::collections::BTreeMap;
use std::sync::Arc;

use anon_engine::testing::files::Place;
use anon_engine::{Engine, Outcome, Quarantine, Store};
use anon_model::settings::Durability;
use anon_model::{DiskOptions, DiskStore};
use dicom_core::{Tag, VR};
use proptest::prelude::*;

use super::world::{self, STUDY_DATE, TestProject, ct, received};

const SERIES_DATE: Tag = Tag(0x0008, 0x0021);
const FRAME_OF_REFERENCE: Tag = Tag(0x0020, 0x0052);

/// One object to import, and whether the project is reopened before.
#[derive(Debug, Clone)]
struct Step {
    patient: u32,
    study: u32,
    series: u32,
    instance: u32,
    reopened: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (
        1..4_u32,
        1..4_u32,
        1..3_u32,
        1..4_u32,
        prop::bool::weighted(0.2),
    )
        .prop_map(|(patient, study, series, instance, reopened)| Step {
            patient,
            study,
            series,
            instance,
            reopened,
        });
    prop::collection::vec(step, 1..40)
}

/// Returns the lengths of the months of a year.
fn months(year: i32) -> [i32; 12] {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = 28 + i32::from(leap);
    [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// Returns a day, counted from 1900-01-01, as a DA value.
fn date_of(mut days: i32) -> String {
    let mut year = 1900;
    loop {
        for (month, length) in (1..).zip(months(year)) {
            if days < length {
                return format!("{year:04}{month:02}{:02}", days + 1);
            }
            days -= length;
        }
        year += 1;
    }
}

fn days_of(date: &str) -> i32 {
    let number = |range: std::ops::Range<usize>| {
        date.get(range)
            .expect("digits")
            .parse::<i32>()
            .expect("digits")
    };
    let (year, month) = (number(0..4), number(4..6));
    let before: i32 = (1900..year).flat_map(months).sum();
    let in_year: i32 = (1..month).zip(months(year)).map(|(_, length)| length).sum();
    before + in_year + number(6..8) - 1
}

/// The pairs of original and pseudonym found in outputs.
#[derive(Default)]
struct Pairs {
    pseudonyms: BTreeMap<String, String>,
    originals: BTreeMap<String, String>,
}

impl Pairs {
    fn add(&mut self, original: &str, pseudonym: &str) {
        for (map, from, to) in [
            (&mut self.pseudonyms, original, pseudonym),
            (&mut self.originals, pseudonym, original),
        ] {
            let known = map.entry(from.to_owned()).or_insert_with(|| to.to_owned());
            assert_eq!(known, to, "{from} is paired with two");
        }
    }
}

struct Project {
    world: TestProject,
    dir: tempfile::TempDir,
}

impl Project {
    /// Opens an engine over the lookups on disk.
    fn open(&self) -> Engine {
        let options = DiskOptions::default().with_durability(Durability::Relaxed);
        let path = self.dir.path().join("lookup.redb");
        let lookups = DiskStore::open(&path, world::identity(), &options).expect("it opens");
        let store: Arc<dyn Store> = self.world.store.clone();
        let quarantine: Arc<dyn Quarantine> = self.world.quarantine.clone();
        Engine::builder(world::policy(), Arc::new(lookups), store, quarantine)
            .workers(0)
            .start()
            .expect("an engine starts")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pseudonyms_and_date_intervals_survive_restarts(
        dates in prop::collection::vec(0..40_000_i32, 16),
        apart in 0..400_i32,
        steps in steps(),
    ) {
        let project = Project { world: TestProject::new(), dir: tempfile::tempdir().expect("a directory") };
        let mut engine = Some(project.open());
        let mut pairs = Pairs::default();
        let mut shifts: BTreeMap<u32, i32> = BTreeMap::new();
        let mut outputs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for step in steps {
            if step.reopened {
                drop(engine.take());
            }
            let engine = engine.get_or_insert_with(|| project.open());
            let place = Place::new(5)
                .patient(step.patient)
                .study(step.study)
                .series(step.series)
                .instance(step.instance);
            let day = dates[(step.patient * 4 + step.study) as usize];
            let object = ct(place)
                .without(STUDY_DATE)
                .without(SERIES_DATE)
                .without(FRAME_OF_REFERENCE)
                .put(STUDY_DATE, VR::DA, date_of(day))
                .put(SERIES_DATE, VR::DA, date_of(day + apart))
                .put(FRAME_OF_REFERENCE, VR::UI, place.other_uid(9));
            let receipt = engine.process(received(&object)).expect("it is taken");
            let (Outcome::Stored { path, .. } | Outcome::Duplicate { path, .. }) = &receipt.outcome else {
                panic!("{receipt:?}");
            };
            let bytes = project.world.store.get(path).expect("it is stored");
            let known = outputs.entry(place.instance_uid()).or_insert_with(|| bytes.clone());
            prop_assert_eq!(&*known, &bytes, "one object has two outputs");
            let output = dicom_object::from_reader(&*bytes).expect("it can be read");
            let text = |tag| -> String {
                let value = output.element(tag).expect("it is there").to_str().expect("text");
                value.trim_end_matches([' ', '\0']).to_owned()
            };
            pairs.add(&place.patient_id(), &text(Tag(0x0010, 0x0020)));
            pairs.add(&place.study_uid(), &text(Tag(0x0020, 0x000D)));
            pairs.add(&place.series_uid(), &text(Tag(0x0020, 0x000E)));
            pairs.add(&place.instance_uid(), &text(Tag(0x0008, 0x0018)));
            pairs.add(&place.other_uid(9), &text(FRAME_OF_REFERENCE));
            for (tag, was) in [(STUDY_DATE, day), (SERIES_DATE, day + apart)] {
                let shift = days_of(&text(tag)) - was;
                let known = *shifts.entry(step.patient).or_insert(shift);
                prop_assert_eq!(known, shift, "a patient's dates move by different days");
            }
        }
    }
}
