//! Checks for every [`Store`].

use std::sync::Arc;

use anon_model::Names;

use crate::deid::deidentified::Deidentified;
use crate::deid::output_path::OutputPath;
use crate::deid::plan::{Source, plan};
use crate::deid::policy::Policy;
use crate::keep::store::{Staged, Store, StoreError, StoredObject};
use crate::testing::files::{Place, Syntax, ct_small};
use crate::testing::rules::PlainRules;

use super::{Breach, OrBreach, ensure};

/// Checks the promises of [`Store`]. `make` returns a new empty store each time.
///
/// # Errors
/// [`Breach`] says which promise is broken.
pub fn check_store(make: &dyn Fn() -> Arc<dyn Store>) -> Result<(), Breach> {
    staged_is_not_visible(&*make())?;
    a_group_is_visible_at_once(&*make())?;
    a_large_group_has_results_in_order(&*make())?;
    the_same_object_again_is_no_error(&*make())?;
    other_bytes_are_not_overwritten(&*make())?;
    confirm_gives_results_in_order(&*make())?;
    stored_bytes_are_those_of_the_object(&*make())?;
    an_object_is_replaced_or_refused(&*make())?;
    remove_study_removes_all_its_objects(&*make())?;
    many_threads_stage(&*make())
}

/// Calls `take` with the `n`-th synthetic object under these pseudonyms.
fn with_object<T>(
    names: [&str; 4],
    n: u32,
    take: impl FnOnce(&Deidentified<'_>) -> Result<T, Breach>,
) -> Result<T, Breach> {
    let policy = Policy::new(Arc::new(PlainRules::default()), "1", "conformance");
    let bytes = ct_small(&Place::new(u64::from(n))).write(Syntax::ExplicitLittle);
    let plan = plan(&policy, Source::part10(&bytes)).or_breach("a synthetic object is refused")?;
    let [patient, study, series, instance] = names.map(str::to_owned);
    let names = Names {
        patient,
        study,
        series,
        instance,
        uids: vec!["1.2.9".to_owned(); plan.wanted().uids.len()],
        accessions: vec!["9".to_owned(); plan.wanted().accessions.len()],
        filed_under: None,
        date_offset: None,
    };
    let object = plan
        .apply(&names)
        .or_breach("a synthetic object is refused")?;
    take(&object)
}

fn stage(store: &dyn Store, names: [&str; 4], n: u32) -> Result<Staged, Breach> {
    with_object(names, n, |object| {
        let staged = store.stage(object).or_breach("an object is not staged")?;
        ensure(
            staged.path() == object.path(),
            "a staged object has another path",
        )?;
        ensure(
            staged.bytes() == object.len(),
            "a staged object has another length",
        )?;
        Ok(staged)
    })
}

fn put(store: &dyn Store, names: [&str; 4], n: u32) -> Result<(), Breach> {
    let group = vec![stage(store, names, n)?];
    let results = store.publish(group);
    ensure(
        results.len() == 1,
        "publish gives another number of results",
    )?;
    results
        .into_iter()
        .try_for_each(|result| result.or_breach("an object is not published"))
}

fn path(names: [&str; 4]) -> Result<OutputPath, Breach> {
    OutputPath::new(names).or_breach("a path is refused")
}

fn contains(store: &dyn Store, names: [&str; 4]) -> Result<bool, Breach> {
    store.contains(&path(names)?).or_breach("contains fails")
}

const ONE: [&str; 4] = ["1-000001", "1.2.1", "1.2.2", "1.2.3"];
const TWO: [&str; 4] = ["1-000001", "1.2.1", "1.2.2", "1.2.4"];
const THREE: [&str; 4] = ["1-000001", "1.2.5", "1.2.6", "1.2.7"];
const FOUR: [&str; 4] = ["1-000002", "1.2.8", "1.2.9", "1.2.10"];

fn staged_is_not_visible(store: &dyn Store) -> Result<(), Breach> {
    let staged = stage(store, ONE, 1)?;
    ensure(!contains(store, ONE)?, "a staged object is visible")?;
    store
        .discard(staged)
        .or_breach("a staged object cannot be discarded")?;
    ensure(!contains(store, ONE)?, "a discarded object is visible")?;
    put(store, ONE, 2)?;
    ensure(contains(store, ONE)?, "a published object is not visible")
}

fn a_group_is_visible_at_once(store: &dyn Store) -> Result<(), Breach> {
    ensure(
        store.publish(Vec::new()).is_empty(),
        "an empty group has results",
    )?;
    let mut group = Vec::new();
    for names in [ONE, TWO, THREE, FOUR] {
        group.push(stage(store, names, 1)?);
    }
    let results = store.publish(group);
    ensure(
        results.len() == 4,
        "publish gives another number of results",
    )?;
    for result in results {
        result.or_breach("an object of a group is not published")?;
    }
    for names in [ONE, TWO, THREE, FOUR] {
        ensure(
            contains(store, names)?,
            "an object of a group is not visible",
        )?;
    }
    Ok(())
}

fn a_large_group_has_results_in_order(store: &dyn Store) -> Result<(), Breach> {
    const COUNT: u32 = 150;
    for (patient, of_a_series) in [("1-000001", COUNT), ("1-000002", 40), ("1-000003", 1)] {
        let names = |n: u32| {
            let series = n / of_a_series;
            let study = format!("1.2.{}", series / 2);
            [study, format!("1.3.{series}"), format!("1.4.{n}")]
        };
        let is_late = |n: u32| n % 7 == 3 || n == COUNT - 1;
        let mut group = Vec::new();
        for n in 0..COUNT {
            let [study, series, instance] = names(n);
            let names = [patient, &study, &series, &instance];
            group.push(stage(store, names, 2)?);
            if is_late(n) {
                put(store, names, 1)?;
            }
        }
        let results = store.publish(group);
        ensure(
            results.len() == COUNT as usize,
            "publish gives another number of results",
        )?;
        for (n, result) in (0..COUNT).zip(results) {
            let is_expected = match result {
                Ok(()) => !is_late(n),
                Err(error) => is_late(n) && matches!(error, StoreError::Occupied),
            };
            ensure(is_expected, "publish gives an object the result of another")?;
            let [study, series, instance] = names(n);
            let names = [patient, &study, &series, &instance];
            // The expected bytes are stored: other bytes would be refused.
            put(store, names, if is_late(n) { 1 } else { 2 })?;
        }
    }
    Ok(())
}

fn the_same_object_again_is_no_error(store: &dyn Store) -> Result<(), Breach> {
    put(store, ONE, 1)?;
    put(store, ONE, 1)?;
    ensure(
        contains(store, ONE)?,
        "an object disappears when the same is published again",
    )
}

fn other_bytes_are_not_overwritten(store: &dyn Store) -> Result<(), Breach> {
    let late = stage(store, ONE, 2)?;
    put(store, ONE, 1)?;
    with_object(ONE, 2, |object| {
        let refused = matches!(store.stage(object), Err(StoreError::Occupied));
        ensure(refused, "an object is staged for the path of another")
    })?;
    let other = stage(store, TWO, 1)?;
    let mut results = store.publish(vec![late, other]).into_iter();
    let occupied = matches!(results.next(), Some(Err(StoreError::Occupied)));
    ensure(occupied, "an object of another content is overwritten")?;
    let fine = matches!(results.next(), Some(Ok(())));
    ensure(fine, "the failure of one object fails another")?;
    // The first bytes are still stored: other bytes would be refused.
    put(store, ONE, 1)
}

fn confirm_gives_results_in_order(store: &dyn Store) -> Result<(), Breach> {
    put(store, ONE, 1)?;
    put(store, THREE, 1)?;
    let paths = [path(ONE)?, path(TWO)?, path(THREE)?, path(FOUR)?];
    let found = store.confirm(&paths).or_breach("confirm fails")?;
    ensure(
        found == [true, false, true, false],
        "confirm gives wrong results",
    )?;
    let none = store.confirm(&[]).or_breach("confirm fails for no paths")?;
    ensure(none.is_empty(), "confirm gives results for no paths")
}

fn stored_bytes_are_those_of_the_object(store: &dyn Store) -> Result<(), Breach> {
    let stored = |names| store.stored(&path(names)?).or_breach("stored fails");
    let staged = stage(store, ONE, 1)?;
    let is_hidden = matches!(stored(ONE)?, None | Some(StoredObject::NotReadable));
    ensure(is_hidden, "a staged object can be read")?;
    let results = store.publish(vec![staged]);
    ensure(
        results.iter().all(Result::is_ok),
        "an object is not published",
    )?;
    put(store, TWO, 2)?;
    let object = stored(ONE)?;
    let mut bytes = Vec::new();
    match object {
        Some(StoredObject::Bytes(known)) => bytes = known,
        Some(StoredObject::File(mut file, len)) => {
            let read = std::io::Read::read_to_end(&mut file, &mut bytes);
            read.or_breach("a stored object cannot be read")?;
            ensure(
                bytes.len() as u64 == len,
                "a stored object has another length",
            )?;
        }
        Some(StoredObject::NotReadable) => return Ok(()),
        None => return ensure(false, "a published object is missing"),
    }
    with_object(ONE, 1, |object| {
        let expected = object.to_vec().or_breach("an object cannot be written")?;
        ensure(bytes == expected, "a stored object has other bytes")
    })
}

/// A store that replaces no objects says so.
fn an_object_is_replaced_or_refused(store: &dyn Store) -> Result<(), Breach> {
    put(store, ONE, 1)?;
    let over = |n| with_object(ONE, n, |object| Ok(store.stage_over(object)));
    let dropped = match over(2)? {
        Err(StoreError::Occupied) => return Ok(()),
        staged => staged.or_breach("an object is not staged over another")?,
    };
    put(store, ONE, 1)?;
    let discarded = store.discard(dropped);
    discarded.or_breach("an object staged over another cannot be discarded")?;
    // The first bytes are still stored: other bytes would be refused.
    put(store, ONE, 1)?;
    let staged = over(2)?.or_breach("an object is not staged over another")?;
    store
        .replace(staged)
        .or_breach("an object is not replaced")?;
    put(store, ONE, 2)?;
    with_object(ONE, 1, |object| {
        let refused = matches!(store.stage(object), Err(StoreError::Occupied));
        ensure(refused, "a replaced object is still there")
    })?;
    // Where nothing is stored, nothing has to be replaced.
    let staged = with_object(FOUR, 1, |object| {
        let staged = store.stage_over(object);
        staged.or_breach("an object is not staged at a free path")
    })?;
    let replaced = store.replace(staged);
    replaced.or_breach("an object is not put at a free path")?;
    put(store, FOUR, 1)
}

fn remove_study_removes_all_its_objects(store: &dyn Store) -> Result<(), Breach> {
    for names in [ONE, TWO, THREE] {
        put(store, names, 1)?;
    }
    let [patient, study, ..] = ONE;
    for _ in 0..2 {
        store
            .remove_study(patient, study)
            .or_breach("a study cannot be removed")?;
    }
    ensure(
        !contains(store, ONE)? && !contains(store, TWO)?,
        "a removed object is visible",
    )?;
    ensure(
        contains(store, THREE)?,
        "remove_study removes another study",
    )?;
    let [patient, study, ..] = THREE;
    store
        .remove_study(patient, study)
        .or_breach("the last study cannot be removed")?;
    put(store, ONE, 1)?;
    ensure(
        contains(store, ONE)?,
        "nothing can be stored where a study was removed",
    )
}

fn many_threads_stage(store: &dyn Store) -> Result<(), Breach> {
    let names: Vec<String> = (0..8).map(|n| format!("1.2.{n}")).collect();
    let staged: Vec<Result<Staged, Breach>> = std::thread::scope(|scope| {
        let start = |name| scope.spawn(move || stage(store, ["1-000001", "1.3", "1.4", name], 1));
        let threads: Vec<_> = names.iter().map(|name| start(name.as_str())).collect();
        let joined = threads.into_iter().map(std::thread::ScopedJoinHandle::join);
        joined.filter_map(Result::ok).collect()
    });
    ensure(staged.len() == names.len(), "staging panicked")?;
    let staged = staged.into_iter().collect::<Result<Vec<_>, _>>()?;
    let published = store
        .publish(staged)
        .into_iter()
        .all(|result| result.is_ok());
    ensure(
        published,
        "objects staged by several threads are not published",
    )?;
    for name in &names {
        ensure(
            contains(store, ["1-000001", "1.3", "1.4", name])?,
            "an object is missing",
        )?;
    }
    Ok(())
}
