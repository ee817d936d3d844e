//! The client's end of the socket.

use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::exit::Failure;
use crate::platform::Listener;
use crate::signal::Signals;

use super::protocol::{self, Request, Response, VERSION};

/// The result of handing a request over.
#[derive(Debug)]
pub(crate) enum HandOver {
    /// The holder did the work. This is its last line.
    Done(Box<Response>),
    /// No holder takes requests now.
    NoHolder,
}

/// Hands a request to the holder, if one listens, and passes on each response that does not end it.
///
/// # Errors
/// If the holder speaks another version, ends before it is done, or the request fails there.
pub(crate) fn hand_over(
    socket: &Path,
    request: &Request,
    signals: &Signals,
    on_response: &mut dyn FnMut(Response),
) -> anyhow::Result<HandOver> {
    let Ok(stream) = Listener::connect(socket) else {
        return Ok(HandOver::NoHolder);
    };
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    if !greeted(&mut lines)? || protocol::write(&mut out, request).is_err() {
        return Ok(HandOver::NoHolder);
    }
    let _cancel = signals.on_cancel(move || {
        // Fails if the holder has ended, which is no loss.
        let _ = protocol::write(&mut out, &Request::Cancel(true));
    });
    loop {
        match protocol::read(&mut lines) {
            Ok(Some(Response::Failed { code, message })) => {
                return Err(Failure::from_exit_code(code, message));
            }
            Ok(Some(response)) if response.is_last() => {
                return Ok(HandOver::Done(Box::new(response)));
            }
            Ok(Some(response)) => on_response(response),
            _ => {
                return Err(Failure::cannot_run(
                    "the process that holds the project ended before the work was done: run the \
                     same command again to continue",
                ));
            }
        }
    }
}

/// True if the holder takes requests.
fn greeted(lines: &mut impl BufRead) -> anyhow::Result<bool> {
    match protocol::read(lines) {
        Ok(Some(Response::Hello { version, .. })) if version == VERSION => Ok(true),
        Ok(Some(Response::Hello { version, pid })) => Err(Failure::cannot_run(format!(
            "the project is in use by process {pid}, which speaks version {version} of the \
             control protocol, and this program version {VERSION}: restart that process with this \
             program, or wait for it"
        ))),
        _ => Ok(false),
    }
}
