//! The end of the socket that hands work over.

use std::io::{self, BufRead, BufReader};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::exit::Failure;
use crate::record::{Instance, Summary};
use crate::roots::Roots;
use crate::signal::Signals;

use super::holder::short;
use super::protocol::{self, Answer, Ask, VERSION};

/// What came of trying to hand over.
#[derive(Debug)]
pub(crate) enum Handed {
    /// The holder did it.
    Done(Summary),
    /// Nobody takes work here now.
    Nobody,
}

pub(super) fn connect(socket: &Path) -> io::Result<UnixStream> {
    let (short, _directory) = short(socket)?;
    UnixStream::connect(short)
}

/// Hands an import to the holder, if one listens, and tells each instance as it comes.
///
/// # Errors
/// If the holder is of another version, or goes away in the middle.
pub(crate) fn hand_over(
    socket: &Path,
    roots: &Roots,
    signals: &Signals,
    tell: &mut dyn FnMut(Instance) -> anyhow::Result<()>,
) -> anyhow::Result<Handed> {
    let Ok(stream) = connect(socket) else {
        return Ok(Handed::Nobody);
    };
    let mut out = stream.try_clone()?;
    let mut lines = BufReader::new(stream);
    let ask = Ask::Import {
        roots: roots.as_slice().to_vec(),
    };
    if !greeted(&mut lines)? || protocol::write(&mut out, &ask).is_err() {
        return Ok(Handed::Nobody);
    }
    let _asked = signals.on_cancel(move || {
        // A holder that is gone needs no telling.
        let _ = protocol::write(&mut out, &Ask::Cancel(true));
    });
    loop {
        match protocol::read(&mut lines) {
            Ok(Some(Answer::Instance(instance))) => tell(instance)?,
            Ok(Some(Answer::Summary(summary))) => return Ok(Handed::Done(*summary)),
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
        Ok(Some(Answer::Hello { version, .. })) if version == VERSION => Ok(true),
        Ok(Some(Answer::Hello { version, pid })) => Err(Failure::cannot_run(format!(
            "the project is in use by process {pid}, which speaks version {version} of the \
             control protocol, and this program version {VERSION}: wait for it"
        ))),
        _ => Ok(false),
    }
}
