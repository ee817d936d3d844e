//! The control socket of Windows: a named pipe, and a file that names it.
//!
//! Pipe names are global to the machine, and a client cannot tell from a name who listens. So
//! `private/control.sock` is a file, which each listener writes anew:
//!
//! ```text
//! anon-pipe 1
//! 4f0c…         16 random bytes in hexadecimal: the pipe is \\.\pipe\anon-4f0c…
//! 9be2…         16 random bytes in hexadecimal: the listener sends them first, as its proof
//! ```
//!
//! No other process can claim the name before the listener, because the name is random. The listener
//! refuses a pipe that exists. Only the owner can connect to the pipe or create more instances of it, and
//! nobody can over the network. After a listener was killed, its file remains and the name is free. A
//! process that claims the name cannot send the proof, so clients send it nothing. It can never
//! impersonate a client.
//!
//! Limits: `private/` is accessible to its owner only if the inherited permissions say so. The owner of an
//! elevated process is the group of administrators. A process that claims the name of a dead listener
//! can delay clients until the next listener writes its file.

use std::io::{self, Read};

/// The first line of the file, with the format version.
const HEADER: &str = "anon-pipe 1";

/// The most bytes read from the file. It has three lines.
const MAX_BYTES: u64 = 256;

/// The name of a listener's pipe, and its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Address {
    name: [u8; 16],
    proof: [u8; 16],
}

impl Address {
    /// Returns the name of the pipe.
    fn pipe(&self) -> String {
        format!(r"\\.\pipe\anon-{:032x}", u128::from_be_bytes(self.name))
    }

    /// Returns the content of the file.
    fn text(&self) -> String {
        let [name, proof] = [self.name, self.proof].map(u128::from_be_bytes);
        format!("{HEADER}\n{name:032x}\n{proof:032x}\n")
    }

    fn read(from: impl Read) -> io::Result<Self> {
        let mut text = String::new();
        from.take(MAX_BYTES).read_to_string(&mut text)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not the address of a pipe");
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
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

    /// Checks the proof of the listener.
    fn check(&self, mut stream: impl Read) -> io::Result<()> {
        let mut proof = [0; 16];
        stream.read_exact(&mut proof)?;
        if proof == self.proof {
            return Ok(());
        }
        let kind = io::ErrorKind::PermissionDenied;
        Err(io::Error::new(kind, "another process listens at this pipe"))
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

    /// Full access for the owner (S-1-3-4), none for others, nothing inherited. In the
    /// [security descriptor definition language][1].
    ///
    /// [1]: https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format
    const OWNER_ONLY: &str = "D:P(A;;GA;;;S-1-3-4)";

    /// The size of the pipe's buffers.
    const BUFFER_BYTES: u32 = 64 << 10;

    /// `FILE_FLAG_OVERLAPPED`: without it a write waits for a pending read.
    const OVERLAPPED: u32 = 0x4000_0000;

    /// `SECURITY_ANONYMOUS`: the listener cannot impersonate the client.
    const ANONYMOUS: u32 = 0;

    /// `ERROR_PIPE_BUSY`: the listener has not yet created the instance for the next client.
    const BUSY: i32 = 231;

    /// Attempts to open a busy pipe, and the pause between them.
    const TRIES: u32 = 100;
    const PAUSE: Duration = Duration::from_millis(10);

    /// One end of a pipe. Dropping the last clone closes it.
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

        /// Waits until the other end has read everything or is closed.
        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    /// A pipe that accepts connections.
    #[derive(Debug)]
    pub(crate) struct Listener {
        pipe: PipeListener<Bytes, Bytes>,
        address: Address,
    }

    impl Listener {
        /// Creates a pipe, then the file that names it.
        pub(crate) fn bind(socket: &Path) -> io::Result<Self> {
            let mut address = Address {
                name: [0; 16],
                proof: [0; 16],
            };
            for number in [&mut address.name, &mut address.proof] {
                getrandom::fill(number).map_err(io::Error::other)?;
            }
            let descriptor = OWNER_ONLY.to_wtf_16().map_err(io::Error::other)?;
            // The defaults of interprocess: fails if the pipe exists, refuses remote clients.
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
            // Nothing is ever sent: this waits, and clippy allows no sleep.
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
                    // Blocks in `read` while the other thread writes.
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
                // The listener closed its end.
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            });
        }

        #[test]
        fn a_dead_listener_and_an_impostor_are_refused() {
            let dir = tempfile::tempdir().unwrap();
            let [ours, theirs] = ["ours", "theirs"].map(|name| dir.path().join(name));
            assert!(Listener::connect(&ours).is_err());
            drop(Listener::bind(&ours).unwrap());
            let gone = Listener::connect(&ours).unwrap_err();
            assert_eq!(gone.kind(), io::ErrorKind::NotFound);
            // An impostor claims the name and does not know the proof.
            let stale = Address::read(File::open(&ours).unwrap()).unwrap();
            let impostor = Listener::bind(&theirs).unwrap();
            let address = Address {
                name: impostor.address.name,
                ..stale
            };
            fs::remove_file(&ours).unwrap();
            File::create_new(&ours)
                .and_then(|mut file| file.write_all(address.text().as_bytes()))
                .unwrap();
            thread::scope(|scope| {
                scope.spawn(|| impostor.accept().unwrap());
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
    fn the_file_names_the_pipe() {
        let text = ADDRESS.text();
        let (a, b) = ("0a".repeat(16), "f1".repeat(16));
        assert_eq!(text, format!("anon-pipe 1\n{a}\n{b}\n"));
        assert_eq!(ADDRESS.pipe(), format!(r"\\.\pipe\anon-{a}"));
        assert_eq!(Address::read(text.as_bytes()).unwrap(), ADDRESS);
    }

    #[test]
    fn malformed_files_are_refused() {
        let whole = ADDRESS.text();
        let long = format!("{HEADER}\n{}\n", "0".repeat(1000));
        // The last line break is optional.
        let cut = (0..whole.len() - 1).map(|end| &whole[..end]);
        for text in cut.chain(["anon-pipe 2\n", "\n\n\n", &long, &whole.replace('f', "+")]) {
            let error = Address::read(text.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{text}");
        }
    }

    #[test]
    fn a_listener_without_the_proof_is_refused() {
        ADDRESS.check(&[0xF1; 16][..]).unwrap();
        ADDRESS.check(&[0xF1; 40][..]).unwrap();
        for (proof, kind) in [
            (&[0xF2; 16][..], io::ErrorKind::PermissionDenied),
            (&[0xF1; 15][..], io::ErrorKind::UnexpectedEof),
            (&[][..], io::ErrorKind::UnexpectedEof),
        ] {
            assert_eq!(ADDRESS.check(proof).unwrap_err().kind(), kind, "{proof:?}");
        }
    }
}
