//! Asks questions on the terminal, and tells how wide it is.
//!
//! # Passwords
//!
//! The crate `rpassword` (7.4) does not do what is promised here. It prints the question before it turns
//! the echo off and does not discard what was typed earlier, so an early answer is shown and used. Its
//! read starts again after a signal handler returns, so a signal that only sets a flag does not end it.
//! It leaves copies of the answer in its read buffer, which it does not wipe.

use std::io;

#[cfg(feature = "cognito")]
use zeroize::Zeroizing;

#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix as system;

/// Whether the terminal shows what is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    Shown,
    #[cfg_attr(
        not(any(unix, test, feature = "cognito")),
        expect(dead_code, reason = "only Cognito users have a password")
    )]
    Hidden,
}

/// Returns the number of columns of the terminal that standard output is. `None` if it is none, or
/// the system does not tell.
pub(crate) fn columns_of_stdout() -> Option<usize> {
    system::columns(&io::stdout())
}

/// Returns the number of columns of the terminal that standard error is, as
/// [`columns_of_stdout`] does.
pub(crate) fn columns_of_stderr() -> Option<usize> {
    system::columns(&io::stderr())
}

/// Prints `question` on the terminal and reads the answer. What was typed before does not count.
///
/// Returns `None` where the process has no terminal or standard input is not one.
///
/// # Errors
/// `Interrupted` once `ended` returns true, which it does after a signal. `InvalidInput` if the answer is
/// too long, `InvalidData` if it is not UTF-8.
pub(crate) fn ask(question: &str, ended: impl Fn() -> bool) -> io::Result<Option<String>> {
    let answer = system::ask(question, Echo::Shown, ended)?;
    Ok(answer.map(|answer| answer.as_str().to_owned()))
}

/// Prints `question` on the terminal and reads the answer, which is not echoed.
///
/// Returns `None` where the process has no terminal or standard input is not one.
/// The answer has up to 4,095 bytes and is wiped from memory when it is dropped.
///
/// # Errors
/// `Interrupted` once `ended` returns true, which it does after a signal. `InvalidInput` if the answer is
/// too long, `InvalidData` if it is not UTF-8.
#[cfg(feature = "cognito")]
pub(crate) fn ask_hidden(
    question: &str,
    ended: impl Fn() -> bool,
) -> io::Result<Option<Zeroizing<String>>> {
    system::ask(question, Echo::Hidden, ended)
}

/// Returns true if [`ask`] can ask.
pub(crate) fn is_there() -> bool {
    system::is_there()
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io::{self, IsTerminal, Read, Write};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::fd::AsFd;
    use rustix::io::Errno;
    use rustix::termios::{
        LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize,
        tcsetattr,
    };
    use zeroize::{Zeroize as _, Zeroizing};

    use super::Echo;

    /// The longest line that a Linux terminal delivers, with its line feed.
    const LONGEST: usize = 4096;

    pub(super) fn columns(stream: &impl AsFd) -> Option<usize> {
        match tcgetwinsize(stream) {
            // Some terminals have no size.
            Ok(size) if size.ws_col > 0 => Some(size.ws_col.into()),
            _ => None,
        }
    }

    pub(super) fn ask(
        question: &str,
        echo: Echo,
        ended: impl Fn() -> bool,
    ) -> io::Result<Option<Zeroizing<String>>> {
        let Some(terminal) = open() else {
            return Ok(None);
        };
        let answer = {
            // Before the question: the answer may be typed as soon as the question shows.
            let _echo_off = match echo {
                Echo::Hidden => Some(EchoOff::new(&terminal)?),
                Echo::Shown => {
                    tcflush(&terminal, QueueSelector::IFlush)?;
                    None
                }
            };
            (&terminal).write_all(question.as_bytes())?;
            read_line(&terminal, ended)
        };
        if echo == Echo::Hidden || answer.is_err() {
            (&terminal).write_all(b"\n")?;
        }
        answer.map(Some)
    }

    pub(super) fn is_there() -> bool {
        open().is_some()
    }

    /// Opens the terminal. `None` if standard input is not one: a script that pipes its input cannot
    /// answer.
    fn open() -> Option<File> {
        if !io::stdin().is_terminal() {
            return None;
        }
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        terminal.ok()
    }

    /// Turns the echo of a terminal off until it is dropped. Holds the modes to restore.
    struct EchoOff<'t>(&'t File, Termios);

    impl<'t> EchoOff<'t> {
        fn new(terminal: &'t File) -> io::Result<Self> {
            let before = tcgetattr(terminal)?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
            Ok(Self(terminal, before))
        }
    }

    impl Drop for EchoOff<'_> {
        fn drop(&mut self) {
            // Fails only if the terminal is gone, and then there is nothing to restore.
            let _gone = tcsetattr(self.0, OptionalActions::Flush, &self.1);
        }
    }

    fn read_line(terminal: &File, ended: impl Fn() -> bool) -> io::Result<Zeroizing<String>> {
        const SIGNAL_CHECK: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 200_000_000,
        };
        // Allocated once: a vector that grows leaves unwiped copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
        loop {
            if ended() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let mut wait = [PollFd::new(terminal, PollFlags::IN)];
            match poll(&mut wait, Some(&SIGNAL_CHECK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let mut byte = [0];
            // One byte at a time: input after the line belongs to the next reader.
            let end = (&*terminal).read(&mut byte)? == 0;
            match byte {
                _ if end => break,
                [b'\n' | b'\r'] => break,
                [_] if line.len() == LONGEST => return Err(io::ErrorKind::InvalidInput.into()),
                [byte] => line.push(byte),
            }
        }
        match String::from_utf8(std::mem::take(&mut line)) {
            Ok(line) => Ok(Zeroizing::new(line)),
            Err(error) => {
                error.into_bytes().zeroize();
                Err(io::ErrorKind::InvalidData.into())
            }
        }
    }
}

#[cfg(any(test, not(unix)))]
mod portable {
    use std::io;

    use zeroize::Zeroizing;

    use super::Echo;

    pub(super) fn columns<S>(_: &S) -> Option<usize> {
        None
    }

    #[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
    pub(super) fn ask(
        _: &str,
        _: Echo,
        _: impl Fn() -> bool,
    ) -> io::Result<Option<Zeroizing<String>>> {
        Ok(None)
    }

    pub(super) fn is_there() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_terminal_code_does_not_ask() {
        for echo in [Echo::Shown, Echo::Hidden] {
            assert_eq!(portable::ask("?", echo, || false).unwrap(), None);
        }
        assert!(!portable::is_there());
        assert_eq!(portable::columns(&io::stdout()), None);
    }
}
