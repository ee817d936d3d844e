//! Runs a job on a project: in this process if the project is free, else in the process that holds it.

use std::time::Duration;

use crate::exit::Failure;
use crate::project::Project;
use crate::project::lock::{self, Held, Lock};
use crate::signal::Signals;
use crate::work::control::{HandOver, Request, Response, hand_over};

/// How often to try to lock the project or reach its holder. A holder responds at once, and short
/// commands end within this time.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// A job that runs in this process or as a request to the holder.
pub(crate) trait Job {
    /// The result of the job.
    type Output;

    /// Returns the request for the process that holds the project.
    fn request(&self) -> Request;

    /// Runs the job in this process, which now holds the project.
    fn run(&mut self, lock: Lock) -> anyhow::Result<Self::Output>;

    /// Handles a response that does not end the request.
    fn on_response(&mut self, response: Response);

    /// Returns the result from the response that ends the request. `None` if the response is of another
    /// kind.
    fn output(response: Response) -> Option<Self::Output>;

    /// Called before each attempt to hand the request over.
    fn before_hand_over(&mut self) {}
}

/// Runs a job in this process if no other holds the project. Otherwise hands it to the holder.
///
/// # Errors
/// If the job fails, here or at the holder; if the holder takes no requests; if a signal comes before
/// the job could start.
pub(crate) fn run_or_hand_over<J: Job>(
    project: &Project,
    signals: &Signals,
    job: &mut J,
) -> anyhow::Result<J::Output> {
    let request = job.request();
    let mut holder = None;
    for _ in 0..TRIES {
        match Lock::try_take(&project.lock_file())? {
            Held::ByUs(lock) => return job.run(lock),
            Held::ByOther(pid) => holder = pid,
        }
        job.before_hand_over();
        let mut on_response = |response| job.on_response(response);
        match hand_over(&project.socket(), &request, signals, &mut on_response)? {
            HandOver::Done(response) => return J::output(*response).ok_or_else(unexpected),
            HandOver::NoHolder => {}
        }
        if signals.cancel().is_cancelled() {
            break;
        }
        // A sleep: nothing is ever sent on this channel. The lints forbid `thread::sleep`.
        let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
    }
    Err(lock::in_use(holder))
}

fn unexpected() -> anyhow::Error {
    Failure::cannot_run(
        "the process that holds the project gave an unexpected response: run the command again",
    )
}
