//! The control socket of Windows: a named pipe, and a file in its place that says which.
//!
//! A pipe has no place in the file system: its name is known to the whole machine, and by the name
//! alone a client cannot tell who listens. So what stands at `private/control.sock` is a file,
//!
//! ```text
//! anon-pipe 1
//! 4f0c…         the pipe is \\.\pipe\anon-4f0c…: 16 random bytes, in hexadecimal
//! 9be2…         what whoever listens there says before all else: 16 random bytes
//! ```
//!
//! made afresh by each listener. Nobody can take the name beforehand, since nobody knows it. The
//! pipe must not be there yet, its owner alone can reach it or listen at it beside us, and nobody
//! can over the network. Of a listener that was killed the file stays, and its name is free to be
//! taken: what listens there and does not say the second number is told nothing. It never can act in
//! the client's name.
//!
//! What this leaves open: `private/` is for its owner alone as far as what it inherits says so; the
//! owner of what an administrator starts elevated is the group of administrators; and whoever took
//! a dead listener's name can keep a client waiting until the next listener makes its file.

use std::io::{self, Read};

/// The first line of the file, with the version of its form.
const FORM: &str = "anon-pipe 1";

/// The longest file of this form that is read: three lines.
const LONGEST: u64 = 256;

/// Where a listener is, and how it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address {
    name: [u8; 16],
    proof: [u8; 16],
}

impl Address {
    /// The pipe's name.
    fn pipe(&self) -> String {
        format!(r"\\.\pipe\anon-{:032x}", u128::from_be_bytes(self.name))
    }

    /// What stands in the file.
    fn text(&self) -> String {
        let [name, proof] = [self.name, self.proof].map(u128::from_be_bytes);
        format!("{FORM}\n{name:032x}\n{proof:032x}\n")
    }

    fn read(from: impl Read) -> io::Result<Self> {
        let mut text = String::new();
        from.take(LONGEST).read_to_string(&mut text)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not the address of a pipe");
        let mut lines = text.lines();
        if lines.next() != Some(FORM) {
            return Err(wrong());
        }
        let mut number = || {
            let digits = lines.next().filter(|digits| digits.len() == 32)?;
            u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
        };
        match (number(), number()) {
            (Some(name), Some(proof)) => Ok(Self { name, proof }),
            _ => Err(wrong()),
        }
    }

    /// Hears whether this is the listener that made the file.
    fn check(&self, mut stream: impl Read) -> io::Result<()> {
        let mut said = [0; 16];
        stream.read_exact(&mut said)?;
        if said == self.proof {
            return Ok(());
        }
        let kind = io::ErrorKind::PermissionDenied;
        Err(io::Error::new(kind, "somebody else listens at this pipe"))
    }
}

#[cfg(windows)]
pub(crate) use self::windows::{Listener, Stream};

#[cfg(windows)]
mod windows {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Read, Write};
    use std::os::windows::fs::OpenOptionsExt;
    use std::os::windows::io::OwnedHandle;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Duration;

    use interprocess::os::windows::ToWtf16;
    use interprocess::os::windows::named_pipe::pipe_mode::Bytes;
    use interprocess::os::windows::named_pipe::{
        DuplexPipeStream, PipeListener, PipeListenerOptions,
    };
    use interprocess::os::windows::security_descriptor::SecurityDescriptor;

    use super::Address;

    /// Everything to the owner, nothing to anybody else, whatever would be inherited. In words of
    /// the [language for security descriptors][1]; S-1-3-4 is whoever owns the pipe.
    ///
    /// [1]: https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format
    const FOR_ITS_OWNER: &str = "D:P(A;;GA;;;S-1-3-4)";

    /// How much may be on its way before who writes must wait.
    const BUFFER_BYTES: u32 = 64 << 10;

    /// `FILE_FLAG_OVERLAPPED`: without it a pipe lets nobody write while somebody reads.
    const OVERLAPPED: u32 = 0x4000_0000;

    /// `SECURITY_ANONYMOUS`: who listens can do nothing in the name of who comes.
    const ANONYMOUS: u32 = 0;

    /// `ERROR_PIPE_BUSY`: who listens is about to make room for the next.
    const BUSY: i32 = 231;

    /// How often, and how long after each other, a busy pipe is asked.
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(10);

    /// Closing the last of its clones closes it.
    #[derive(Debug)]
    pub(crate) struct Stream(Arc<DuplexPipeStream<Bytes>>);

    impl Stream {
        #[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
        pub(crate) fn try_clone(&self) -> io::Result<Self> {
            Ok(Self(Arc::clone(&self.0)))
        }
    }

    impl Read for Stream {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            (&*self.0).read(bytes)
        }
    }

    impl Write for Stream {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            (&*self.0).write(bytes)
        }

        /// Waits until the other end has read everything, or has gone.
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    /// Takes what is connected to a pipe.
    #[derive(Debug)]
    pub(crate) struct Listener {
        pipe: PipeListener<Bytes, Bytes>,
        address: Address,
    }

    impl Listener {
        /// Makes a pipe, and then the file that says which.
        pub(crate) fn bind(socket: &Path) -> io::Result<Self> {
            let mut address = Address {
                name: [0; 16],
                proof: [0; 16],
            };
            for number in [&mut address.name, &mut address.proof] {
                getrandom::fill(number).map_err(io::Error::other)?;
            }
            let descriptor = FOR_ITS_OWNER.to_wtf_16().map_err(io::Error::other)?;
            // As the crate makes them: the first of its name, and for no other machine.
            let pipe = PipeListenerOptions::new()
                .path(address.pipe())
                .security_descriptor(Some(SecurityDescriptor::deserialize(&descriptor)?))
                .input_buffer_size_hint(BUFFER_BYTES)
                .output_buffer_size_hint(BUFFER_BYTES)
                .create()?;
            File::create_new(socket)?.write_all(address.text().as_bytes())?;
            Ok(Self { pipe, address })
        }

        pub(crate) fn accept(&self) -> io::Result<Stream> {
            let mut stream = Stream(Arc::new(self.pipe.accept()?));
            stream.write_all(&self.address.proof)?;
            Ok(stream)
        }

        pub(crate) fn connect(socket: &Path) -> io::Result<Stream> {
            let address = Address::read(File::open(socket)?)?;
            let mut stream = open(&address.pipe())?;
            address.check(&mut stream)?;
            Ok(stream)
        }
    }

    fn open(pipe: &str) -> io::Result<Stream> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .custom_flags(OVERLAPPED)
            .security_qos_flags(ANONYMOUS);
        let mut tries = 0;
        let file = loop {
            match options.open(pipe) {
                Err(error) if error.raw_os_error() == Some(BUSY) && tries < TRIES => tries += 1,
                opened => break opened?,
            }
            // Nothing is ever sent: a pause that needs no sleep.
            let _ = crossbeam_channel::never::<()>().recv_timeout(PAUSE);
        };
        let stream = DuplexPipeStream::try_from(OwnedHandle::from(file))
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a pipe"))?;
        Ok(Stream(Arc::new(stream)))
    }

    #[cfg(test)]
    mod tests {
        use std::fs;
        use std::thread;

        use super::*;

        #[test]
        fn both_ends_read_and_write_at_once() {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("socket");
            let listener = Listener::bind(&socket).unwrap();
            let long = vec![7; 4 * BUFFER_BYTES as usize];
            thread::scope(|scope| {
                let served = scope.spawn(|| {
                    let mut stream = listener.accept().unwrap();
                    let mut reads = stream.try_clone().unwrap();
                    // Stands in `read` while the other thread writes.
                    let waits = thread::spawn(move || reads.read(&mut [0; 8]).unwrap());
                    stream.write_all(&long).unwrap();
                    stream.flush().unwrap();
                    waits.join().unwrap()
                });
                let mut client = Listener::connect(&socket).unwrap();
                let mut got = vec![0; long.len()];
                client.read_exact(&mut got).unwrap();
                assert!(got == long);
                client.write_all(b"over").unwrap();
                assert_eq!(served.join().unwrap(), 4);
                // The listener's end is closed.
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            });
        }

        #[test]
        fn who_is_gone_or_another_is_no_listener() {
            let dir = tempfile::tempdir().unwrap();
            let [ours, theirs] = ["ours", "theirs"].map(|name| dir.path().join(name));
            assert!(Listener::connect(&ours).is_err());
            drop(Listener::bind(&ours).unwrap());
            let gone = Listener::connect(&ours).unwrap_err();
            assert_eq!(gone.kind(), io::ErrorKind::NotFound);
            // The name of ours was taken by somebody who does not know what to say.
            let stale = Address::read(File::open(&ours).unwrap()).unwrap();
            let squatter = Listener::bind(&theirs).unwrap();
            let address = Address {
                name: squatter.address.name,
                ..stale
            };
            fs::remove_file(&ours).unwrap();
            File::create_new(&ours)
                .and_then(|mut file| file.write_all(address.text().as_bytes()))
                .unwrap();
            thread::scope(|scope| {
                scope.spawn(|| squatter.accept().unwrap());
                let other = Listener::connect(&ours).unwrap_err();
                assert_eq!(other.kind(), io::ErrorKind::PermissionDenied);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Address = Address {
        name: [0x0A; 16],
        proof: [0xF1; 16],
    };

    #[test]
    fn the_file_says_which_pipe() {
        let text = ADDRESS.text();
        let (a, b) = ("0a".repeat(16), "f1".repeat(16));
        assert_eq!(text, format!("anon-pipe 1\n{a}\n{b}\n"));
        assert_eq!(ADDRESS.pipe(), format!(r"\\.\pipe\anon-{a}"));
        assert_eq!(Address::read(text.as_bytes()).unwrap(), ADDRESS);
    }

    #[test]
    fn what_is_no_such_file_is_refused() {
        let whole = ADDRESS.text();
        let long = format!("{FORM}\n{}\n", "0".repeat(1000));
        // Without its last line break nothing is missing.
        let cut = (0..whole.len() - 1).map(|end| &whole[..end]);
        for text in cut.chain(["anon-pipe 2\n", "\n\n\n", &long, &whole.replace('f', "+")]) {
            let error = Address::read(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[test]
    fn a_listener_that_does_not_say_it_is_another() {
        ADDRESS.check(&[0xF1; 16][..]).unwrap();
        ADDRESS.check(&[0xF1; 40][..]).unwrap();
        for (said, kind) in [
            (&[0xF2; 16][..], io::ErrorKind::PermissionDenied),
            (&[0xF1; 15][..], io::ErrorKind::UnexpectedEof),
            (&[][..], io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(ADDRESS.check(said).unwrap_err().kind(), kind, "{said:?}");
        }
    }
}
