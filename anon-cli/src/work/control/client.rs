//! The end of the socket that hands work over.

use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::exit::Failure;
use crate::platform::Listener;
use crate::signal::Signals;

use super::protocol::{self, Request, Response, VERSION};

/// What came of trying to hand over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The holder did it, and this is its last word.
    Done(Response),
    /// Nobody takes work here now.
    Nobody,
}

/// Hands work to the holder, if one listens, and tells each answer as it comes.
///
/// # Errors
/// If the holder is of another version, goes away in the middle, or cannot do it.
pub(crate) fn hand_over(
    socket: &Path,
    ask: &Request,
    signals: &Signals,
    tell: &mut dyn FnMut(Response) -> anyhow::Result<()>,
) -> anyhow::Result<Handed> {
    let Ok(stream) = Listener::connect(socket) else {
        return Ok(Handed::Nobody);
    };
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    if !greeted(&mut lines)? || protocol::write(&mut out, ask).is_err() {
        return Ok(Handed::Nobody);
    }
    let _asked = signals.on_cancel(move || {
        // A holder that is gone needs no telling.
        let _ = protocol::write(&mut out, &Request::Cancel(true));
    });
    loop {
        match protocol::read(&mut lines) {
            Ok(Some(Response::Failed { code, message })) => {
                return Err(Failure::from_exit_code(code, message));
            }
            Ok(Some(answer)) if answer.is_last() => return Ok(Handed::Done(answer)),
            Ok(Some(answer)) => tell(answer)?,
            _ => {
                return Err(Failure::cannot_run(
                    "the process that holds the project went away; run the same command again, it \
                     goes on where this stopped",
                ));
            }
        }
    }
}

/// True if whoever listens takes work.
fn greeted(lines: &mut impl BufRead) -> anyhow::Result<bool> {
    match protocol::read(lines) {
        Ok(Some(Response::Hello { version, .. })) if version == VERSION => Ok(true),
        Ok(Some(Response::Hello { version, pid })) => Err(Failure::cannot_run(format!(
            "the project is in use by process {pid}, which speaks version {version} of the \
             control protocol, and this program version {VERSION}: wait for it"
        ))),
        _ => Ok(false),
    }
}
