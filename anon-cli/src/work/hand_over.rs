//! One way to have work done on a project: here if the project is free, else by its holder.

use std::time::Duration;

use crate::exit::Failure;
use crate::project::Project;
use crate::project::lock::{self, Held, Lock};
use crate::signal::Signals;
use crate::work::control::{HandOver, Request, Response, hand_over};

/// A holder that takes requests answers at once, and short commands end soon: within these tries a
/// project that can be used is found.
const TRIES: u32 = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// How a request is done where the project is free, and what is done with the responses of a holder.
pub(crate) trait Job {
    /// What the work ends with.
    type Output;

    /// The request for the process that holds the project.
    fn request(&self) -> Request;

    /// Does the work in this process, which now holds the project.
    fn run(&mut self, lock: Lock) -> anyhow::Result<Self::Output>;

    /// Takes a response that does not end the work.
    fn on_response(&mut self, response: Response);

    /// Takes the result out of the response that ends the work. `None` if it answers another request.
    fn output(response: Response) -> Option<Self::Output>;

    /// Called before each attempt to hand the request over.
    fn before_hand_over(&mut self) {}
}

/// Does a job in this process if no other holds the project. Otherwise hands it to the holder.
///
/// # Errors
/// If the work fails, here or at the holder; if the project stays held by a process that takes no
/// requests; if a signal comes while neither is possible.
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
            HandOver::Done(response) => return J::output(response).ok_or_else(unexpected),
            HandOver::NoHolder => {}
        }
        if signals.cancel().is_cancelled() {
            break;
        }
        // Nothing is ever sent: this waits, and clippy allows no sleep.
        let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
    }
    Err(lock::in_use(holder))
}

fn unexpected() -> anyhow::Error {
    Failure::cannot_run(
        "the process that holds the project gave an unexpected response: run the command again",
    )
}
