//! How much there is to export, counted beside the export, for a bar that people look at.

use std::ops::ControlFlow;
use std::thread;

use anon_export::{Cancel, DirectorySource, Selection, Source};

use crate::report::{Progress, Report};

/// Counts until this is dropped.
#[derive(Debug)]
pub(super) struct Counting {
    done: Cancel,
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.done.cancel();
    }
}

/// Starts to count, if anybody looks.
pub(super) fn start(
    report: &Report,
    source: &DirectorySource,
    selection: &Selection,
    cancel: &Cancel,
) -> Option<Counting> {
    let progress = report.start_export()?;
    let done = Cancel::new();
    let (source, selection) = (source.clone(), selection.clone());
    let (over, cancel) = (done.clone(), cancel.clone());
    let is_over = move || over.is_cancelled() || cancel.is_cancelled();
    // Without the thread the bar has no end to tell.
    thread::Builder::new()
        .name("count".into())
        .spawn(move || count(&source, &selection, &progress, &is_over))
        .ok()?;
    Some(Counting { done })
}

fn count(
    source: &DirectorySource,
    selection: &Selection,
    progress: &Progress,
    is_over: &dyn Fn() -> bool,
) {
    let flow = || {
        if is_over() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    let mut objects = 0;
    // What cannot be listed is told by the export itself.
    let counted = source.patients(&mut |patient| {
        let _ = source.objects(&patient, &mut |object| {
            let [patient, study, ..] = object.key.parts();
            objects += u64::from(selection.has(patient, study));
            flow()
        });
        progress.counted(objects);
        flow()
    });
    if counted.is_ok() && !is_over() {
        progress.all_listed(objects);
    }
}
