//! [`Counter`]: counts the objects to export in its own thread, for the progress bar.

use std::ops::ControlFlow;
use std::thread;

use anon_export::{Cancel, DirectorySource, Selection, Source};

use crate::report::{Progress, Report};

/// Counts until it is dropped.
#[derive(Debug)]
pub(super) struct Counter {
    stop: Cancel,
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Starts to count, if a progress bar is shown.
pub(super) fn start(
    report: &Report,
    source: &DirectorySource,
    selection: &Selection,
    cancel: &Cancel,
) -> Option<Counter> {
    let progress = report.start_export()?;
    let stop = Cancel::new();
    let (source, selection) = (source.clone(), selection.clone());
    let (stopped, cancel) = (stop.clone(), cancel.clone());
    let is_over = move || stopped.is_cancelled() || cancel.is_cancelled();
    // Without the thread the bar shows no total.
    thread::Builder::new()
        .name("count".into())
        .spawn(move || count(&source, &selection, &progress, &is_over))
        .ok()?;
    Some(Counter { stop })
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
    // The export itself reports what cannot be listed.
    let listed = source.patients(&mut |patient| {
        let _ = source.objects(&patient, &mut |object| {
            let [patient, study, ..] = object.key.parts();
            objects += u64::from(selection.has(patient, study));
            flow()
        });
        progress.counted(objects);
        flow()
    });
    if listed.is_ok() && !is_over() {
        progress.all_listed(objects);
    }
}
