//! Asking on a terminal for what must not be shown.

use std::io;

use zeroize::Zeroizing;

#[cfg(not(unix))]
use self::elsewhere as system;
#[cfg(unix)]
use self::unix as system;

/// Asks on the terminal, and does not show what is typed. None where there is no terminal, or standard
/// input is none.
///
/// What is typed is wiped from memory when it is dropped; it has up to 4,095 bytes. The asking ends when `ended` says that a signal came: an error of kind `Interrupted`.
pub(crate) fn ask_hidden(
    question: &str,
    ended: impl Fn() -> bool,
) -> io::Result<Option<Zeroizing<String>>> {
    system::ask_hidden(question, ended)
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io::{self, IsTerminal, Read, Write};

    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    use rustix::io::Errno;
    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
    use zeroize::{Zeroize as _, Zeroizing};

    /// What a terminal takes as one line, on Linux.
    const LONGEST: usize = 4096;

    pub(super) fn ask_hidden(
        question: &str,
        ended: impl Fn() -> bool,
    ) -> io::Result<Option<Zeroizing<String>>> {
        // A script that pipes something in does not mean to be asked.
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
        let Ok(terminal) = terminal else {
            return Ok(None);
        };
        let answer = {
            // First: who is asked may answer at once.
            let _hidden = Hidden::new(&terminal)?;
            (&terminal).write_all(question.as_bytes())?;
            read_line(&terminal, ended)
        };
        (&terminal).write_all(b"\n")?;
        answer.map(Some)
    }

    /// Shows nothing that is typed, until it is dropped.
    struct Hidden<'t>(&'t File, Termios);

    impl<'t> Hidden<'t> {
        fn new(terminal: &'t File) -> io::Result<Self> {
            let before = tcgetattr(terminal)?;
            let mut hidden = before.clone();
            hidden.local_modes.remove(LocalModes::ECHO);
            tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
            Ok(Self(terminal, before))
        }
    }

    impl Drop for Hidden<'_> {
        fn drop(&mut self) {
            // Nobody is left to tell if the terminal is gone.
            let _gone = tcsetattr(self.0, OptionalActions::Flush, &self.1);
        }
    }

    fn read_line(terminal: &File, ended: impl Fn() -> bool) -> io::Result<Zeroizing<String>> {
        const LOOK: Timespec = Timespec {
            tv_sec: 0,
            tv_nsec: 200_000_000,
        };
        // All of it at once: growing would leave copies behind.
        let mut line = Zeroizing::new(Vec::with_capacity(LONGEST));
        loop {
            if ended() {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let mut wait = [PollFd::new(terminal, PollFlags::IN)];
            match poll(&mut wait, Some(&LOOK)) {
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
            let mut byte = [0];
            // By the byte: what comes after the line is not ours.
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
mod elsewhere {
    use std::io;

    use zeroize::Zeroizing;

    #[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
    pub(super) fn ask_hidden(
        _: &str,
        _: impl Fn() -> bool,
    ) -> io::Result<Option<Zeroizing<String>>> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_nobody_is_asked() {
        assert_eq!(elsewhere::ask_hidden("?", || false).unwrap(), None);
    }
}
