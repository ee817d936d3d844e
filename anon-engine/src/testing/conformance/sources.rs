//! Checks for every [`ObjectSource`].

use crate::keep::received::Received;
use crate::run::source::{ObjectSource, SourceItem};

use super::{Breach, OrBreach, ensure};

/// An item that a source under test should give.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "one variant for each SourceItem")]
pub enum ExpectedItem {
    /// An object with this SOP Instance UID (0008,0018).
    Object(String),
    /// Something that is ignored.
    Ignored,
    /// Something that cannot be read. The source goes on after it.
    Failed,
}

/// Makes a new source over the same objects each time.
type Make<'m> = &'m dyn Fn() -> Box<dyn ObjectSource>;

/// Checks the promises of [`ObjectSource`]. `make` gives a new source over the same objects each
/// time; `expected` lists its items in order.
///
/// # Errors
/// [`Breach`] says which promise is broken.
pub fn check_source(
    make: &dyn Fn() -> Box<dyn ObjectSource>,
    expected: &[ExpectedItem],
) -> Result<(), Breach> {
    ensure(!expected.is_empty(), "the check needs at least one item")?;
    gives_each_item_once_and_in_order(make, expected)?;
    ends_once(make, expected)?;
    gives_the_same_again(make)?;
    an_import_that_is_cancelled_can_be_repeated(make, expected)?;
    two_sources_do_not_share_their_progress(make, expected)?;
    can_move_to_another_thread(make, expected)
}

/// Takes up to `most` items.
fn take(source: &mut dyn ObjectSource, most: usize) -> Vec<SourceItem> {
    std::iter::from_fn(|| source.next()).take(most).collect()
}

/// Compares items with the expected ones. One item more than expected may be passed, so that a
/// source that does not end is noticed and does not fill the memory.
fn compare(items: &[SourceItem], expected: &[ExpectedItem]) -> Result<(), Breach> {
    for (item, expected) in items.iter().zip(expected) {
        match (item, expected) {
            (SourceItem::Object(object), ExpectedItem::Object(instance)) => {
                is_instance(object, instance)
            }
            (SourceItem::Ignored { origin, reason }, ExpectedItem::Ignored)
            | (SourceItem::Failed { origin, reason, .. }, ExpectedItem::Failed) => {
                ensure(!origin.expose().is_empty(), "an item has an empty origin")?;
                ensure(!reason.is_empty(), "an item has an empty reason")
            }
            _ => ensure(false, "an item is of another kind than expected"),
        }?;
    }
    ensure(items.len() >= expected.len(), "items are missing")?;
    ensure(
        items.len() <= expected.len(),
        "there are more items than expected",
    )
}

fn is_instance(object: &Received, instance: &str) -> Result<(), Breach> {
    let found = object
        .sop_instance()
        .or_breach("an object cannot be read")?
        .map(|uid| uid.expose().clone());
    ensure(
        found.as_deref() == Some(instance),
        "an object has another SOP Instance UID than expected",
    )
}

fn gives_each_item_once_and_in_order(
    make: Make<'_>,
    expected: &[ExpectedItem],
) -> Result<(), Breach> {
    let mut source = make();
    let items = take(&mut *source, expected.len() + 1);
    // The engine reads an object when its turn comes, which may be after the source is gone.
    drop(source);
    compare(&items, expected)
}

fn ends_once(make: Make<'_>, expected: &[ExpectedItem]) -> Result<(), Breach> {
    let mut source = make();
    take(&mut *source, expected.len() + 1);
    for _ in 0..3 {
        ensure(source.next().is_none(), "a source goes on after its end")?;
    }
    Ok(())
}

fn origins(items: &[SourceItem]) -> Vec<Option<&String>> {
    let origins = items.iter().map(|item| match item {
        SourceItem::Object(object) => object.origin(),
        SourceItem::Ignored { origin, .. } | SourceItem::Failed { origin, .. } => Some(origin),
    });
    origins
        .map(|origin| origin.map(anon_model::Phi::expose))
        .collect()
}

/// The order decides which numbers are given, so it must not depend on the run.
fn gives_the_same_again(make: Make<'_>) -> Result<(), Breach> {
    let (first, second) = (
        take(&mut *make(), usize::MAX),
        take(&mut *make(), usize::MAX),
    );
    ensure(
        origins(&first) == origins(&second),
        "the second run has other origins, or another order",
    )
}

/// A cancelled import drops its source at any item. That must not use up what the source reads.
fn an_import_that_is_cancelled_can_be_repeated(
    make: Make<'_>,
    expected: &[ExpectedItem],
) -> Result<(), Breach> {
    for taken in 0..=expected.len() {
        drop(take(&mut *make(), taken));
        compare(&take(&mut *make(), expected.len() + 1), expected)?;
    }
    Ok(())
}

/// Several imports may run at once.
fn two_sources_do_not_share_their_progress(
    make: Make<'_>,
    expected: &[ExpectedItem],
) -> Result<(), Breach> {
    let (mut one, mut other) = (make(), make());
    let (mut of_one, mut of_other) = (Vec::new(), Vec::new());
    for _ in 0..=expected.len() {
        of_one.extend(one.next());
        of_other.extend(other.next());
    }
    compare(&of_one, expected)?;
    compare(&of_other, expected)
}

fn can_move_to_another_thread(make: Make<'_>, expected: &[ExpectedItem]) -> Result<(), Breach> {
    let mut source = make();
    let mut items = take(&mut *source, expected.len() / 2);
    let most = expected.len() + 1 - items.len();
    let thread = std::thread::spawn(move || take(&mut *source, most));
    let rest = thread.join().ok();
    ensure(rest.is_some(), "a source panics on another thread")?;
    items.extend(rest.into_iter().flatten());
    compare(&items, expected)
}
