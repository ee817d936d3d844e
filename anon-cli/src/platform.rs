//! What systems do differently: modes and owners, kinds of file systems, signals, the local socket;
//! and nowhere else in this crate.
//!
//! Everything has a portable fallback, tested below: where a system has no modes there is nothing to
//! check, and where it has neither sockets in the file system nor named pipes nobody listens.

#[cfg(any(test, windows))]
mod pipe;
#[cfg(feature = "cognito")]
pub(crate) mod terminal;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(not(unix))]
use self::elsewhere as system;
#[cfg(not(any(unix, windows)))]
use self::nobody as socket;
#[cfg(windows)]
use self::pipe as socket;
#[cfg(unix)]
use self::unix::{self as system, self as socket};

/// The two ends of a socket that is reached by a path.
pub(crate) use self::socket::{Listener, Stream};

/// Makes a directory that its owner alone may enter, whatever the umask.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    system::private_directory(&mut builder);
    builder.create(path)?;
    set_mode(path, 0o700)
}

/// The same options for a file that its owner alone may read, if this makes it.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    system::private(options)
}

/// Makes a file that its owner alone may read, or empties one, and then makes it so.
pub(crate) fn private_file(path: &Path) -> io::Result<File> {
    let file = private(OpenOptions::new().write(true).create(true).truncate(true)).open(path)?;
    set_mode(path, 0o600)?;
    Ok(file)
}

/// Sets the mode of what is there.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    system::set_mode(path, mode)
}

/// Who owns something, and what the mode allows to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The owner's number.
    pub(crate) owner: u32,
    /// The bits of the mode that let anybody else in.
    pub(crate) others: u32,
    /// True for a directory.
    pub(crate) is_directory: bool,
}

/// None where the system has no owners and modes.
pub(crate) fn access(path: &Path) -> io::Result<Option<Access>> {
    system::access(path)
}

/// The number of the user this runs as; 0 where there are none.
pub(crate) fn user() -> u32 {
    system::user()
}

/// True if the path lies on NFS or SMB; never where that cannot be told.
pub(crate) fn is_network(path: &Path) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    return linux::is_network(path);
    #[cfg(not(target_os = "linux"))]
    return elsewhere_is_network(path);
}

#[cfg(any(test, not(target_os = "linux")))]
fn elsewhere_is_network(path: &Path) -> io::Result<bool> {
    std::fs::metadata(path).map(|_| false)
}

/// True if both lie on one file system, so that a rename moves no bytes, or if that cannot be told.
pub(crate) fn same_file_system(a: &Path, b: &Path) -> io::Result<bool> {
    system::same_file_system(a, b)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    system::sync_directory(path)
}

/// The path that has these bytes; none if no path can have them here.
pub(crate) fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    system::path_of_bytes(bytes)
}

/// Starts the program of this name. It may be named with options, which a shell takes apart where
/// there is one.
pub(crate) fn command(named: &str) -> Command {
    system::command(named)
}

/// Calls back with the number of the first SIGINT or SIGTERM; the second ends the process. Where
/// there are no signals nothing calls, and ending the process is as safe as a crash.
pub(crate) fn on_signal(come: impl Fn(i32) + Clone + Send + 'static) -> io::Result<()> {
    system::on_signal(come)
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::fs::{DirBuilder, File, OpenOptions, Permissions};
    use std::io::{self, Read};
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use signal_hook::consts::{SIGINT, SIGTERM};

    use super::Access;

    pub(super) fn private_directory(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o600)
    }

    pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    }

    pub(super) fn access(path: &Path) -> io::Result<Option<Access>> {
        let metadata = std::fs::symlink_metadata(path)?;
        Ok(Some(Access {
            owner: metadata.uid(),
            others: metadata.mode() & 0o077,
            is_directory: metadata.is_dir(),
        }))
    }

    pub(super) fn user() -> u32 {
        rustix::process::geteuid().as_raw()
    }

    pub(super) fn same_file_system(a: &Path, b: &Path) -> io::Result<bool> {
        Ok(std::fs::metadata(a)?.dev() == std::fs::metadata(b)?.dev())
    }

    pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
    pub(super) fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
        Some(OsString::from_vec(bytes).into())
    }

    pub(super) fn command(named: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{named} \"$1\""), "sh"]);
        command
    }

    pub(super) fn on_signal(come: impl Fn(i32) + Clone + Send + 'static) -> io::Result<()> {
        let again = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down, the second finds it up.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&again))?;
            signal_hook::flag::register(signal, Arc::clone(&again))?;
            let (mut ours, theirs) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(signal, theirs)?;
            let come = come.clone();
            std::thread::Builder::new()
                .name(format!("signal {signal}"))
                .spawn(move || {
                    if matches!(ours.read(&mut [0]), Ok(1)) {
                        come(signal);
                    }
                })?;
        }
        Ok(())
    }

    pub(crate) type Stream = UnixStream;

    /// Takes what is connected to a socket.
    #[derive(Debug)]
    pub(crate) struct Listener(UnixListener);

    impl Listener {
        pub(crate) fn bind(socket: &Path) -> io::Result<Self> {
            let (short, _directory) = short(socket)?;
            UnixListener::bind(short).map(Self)
        }

        pub(crate) fn accept(&self) -> io::Result<Stream> {
            self.0.accept().map(|(stream, _)| stream)
        }

        pub(crate) fn connect(socket: &Path) -> io::Result<Stream> {
            let (short, _directory) = short(socket)?;
            UnixStream::connect(short)
        }
    }

    /// A name for a socket that fits into the 108 bytes which the system has for one.
    fn short(socket: &Path) -> io::Result<(PathBuf, Option<File>)> {
        const ROOM: usize = 100;
        if socket.as_os_str().len() <= ROOM {
            return Ok((socket.into(), None));
        }
        let (Some(parent), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Ok((socket.into(), None));
        };
        // The link stands as long as the directory is open.
        let directory = File::open(parent)?;
        let number = directory.as_raw_fd();
        let link = PathBuf::from(format!("/proc/self/fd/{number}")).join(name);
        Ok((link, Some(directory)))
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::path::Path;

    /// NFS, SMB, CIFS, SMB2, as statfs(2) lists them.
    const NETWORK: [u32; 4] = [0x6969, 0x517B, 0xFF53_4D42, 0xFE53_4D42];

    pub(super) fn is_network(path: &Path) -> io::Result<bool> {
        let kind = rustix::fs::statfs(path)?.f_type;
        #[expect(
            clippy::cast_sign_loss,
            clippy::cast_possible_truncation,
            reason = "the magic numbers are 32 bits wide, in a field whose type differs"
        )]
        let kind = kind as u32;
        Ok(is_network_kind(kind))
    }

    /// True if this is the magic number of a network file system.
    pub(super) fn is_network_kind(kind: u32) -> bool {
        NETWORK.contains(&kind)
    }
}

/// What is done where the system has nothing better.
#[cfg(any(test, not(unix)))]
mod elsewhere {
    use std::fs::{DirBuilder, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::Access;

    pub(super) fn private_directory(_: &mut DirBuilder) {}

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn set_mode(path: &Path, _: u32) -> io::Result<()> {
        std::fs::metadata(path).map(drop)
    }

    pub(super) fn access(path: &Path) -> io::Result<Option<Access>> {
        std::fs::symlink_metadata(path).map(|_| None)
    }

    pub(super) fn user() -> u32 {
        0
    }

    pub(super) fn same_file_system(a: &Path, b: &Path) -> io::Result<bool> {
        std::fs::metadata(a)?;
        std::fs::metadata(b).map(|_| true)
    }

    pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
        std::fs::metadata(path).map(drop)
    }

    pub(super) fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
        String::from_utf8(bytes).ok().map(PathBuf::from)
    }

    pub(super) fn command(named: &str) -> Command {
        Command::new(named)
    }

    #[expect(clippy::unnecessary_wraps, reason = "the other systems can fail")]
    pub(super) fn on_signal(_: impl Fn(i32) + Clone + Send + 'static) -> io::Result<()> {
        Ok(())
    }
}

/// Where there are no sockets.
#[cfg(any(test, not(any(unix, windows))))]
mod nobody {
    use std::io::{self, Read, Write};
    use std::path::Path;

    /// There is none: nothing makes one.
    #[derive(Debug)]
    pub(crate) struct Stream(pub(super) ());

    impl Stream {
        pub(crate) fn try_clone(&self) -> io::Result<Self> {
            let Self(()) = self;
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    impl Read for Stream {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    impl Write for Stream {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }

    /// There is none: nothing makes one.
    #[derive(Debug)]
    pub(crate) struct Listener(pub(super) ());

    impl Listener {
        pub(crate) fn bind(_: &Path) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn accept(&self) -> io::Result<Stream> {
            let Self(()) = self;
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn connect(_: &Path) -> io::Result<Stream> {
            Err(io::ErrorKind::Unsupported.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(unix)]
    fn modes_are_set_whatever_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        File::create(&path).unwrap();
        set_mode(&path, 0o644).unwrap();
        assert_eq!(access(&path).unwrap().unwrap().others, 0o044);
        private_file(&path).unwrap();
        let access = access(&path).unwrap().unwrap();
        assert_eq!((access.others, access.owner), (0, user()));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn file_systems() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_network(dir.path()).unwrap());
        assert!(same_file_system(dir.path(), dir.path()).unwrap());
        assert!(!same_file_system(dir.path(), Path::new("/proc")).unwrap());
        for (name, kind, network) in [
            ("NFS", 0x6969, true),
            ("SMB", 0x517B, true),
            ("CIFS", 0xFF53_4D42, true),
            ("SMB2", 0xFE53_4D42, true),
            ("ext4", 0xEF53, false),
            ("XFS", 0x5846_5342, false),
            ("Btrfs", 0x9123_683E, false),
            ("tmpfs", 0x0102_1994, false),
            ("overlay", 0x794C_7630, false),
        ] {
            assert_eq!(linux::is_network_kind(kind), network, "{name}");
        }
    }

    /// Without modes, owners and kinds of file systems all the rest still works.
    #[test]
    fn the_fallback_makes_and_checks_what_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let (inner, missing) = (dir.path().join("inner"), dir.path().join("missing"));
        let mut builder = DirBuilder::new();
        elsewhere::private_directory(&mut builder);
        builder.create(&inner).unwrap();
        let file = inner.join("file");
        let mut options = File::options();
        elsewhere::private(options.write(true).create_new(true))
            .open(&file)
            .unwrap();
        elsewhere::set_mode(&file, 0o600).unwrap();
        assert_eq!(elsewhere::access(&file).unwrap(), None);
        assert_eq!(elsewhere::user(), 0);
        elsewhere::sync_directory(&inner).unwrap();
        assert!(elsewhere::same_file_system(&inner, &file).unwrap());
        assert!(!elsewhere_is_network(&file).unwrap());
        for failed in [
            elsewhere::set_mode(&missing, 0o600),
            elsewhere::access(&missing).map(drop),
            elsewhere::sync_directory(&missing),
            elsewhere::same_file_system(&inner, &missing).map(drop),
            elsewhere_is_network(&missing).map(drop),
        ] {
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }

    #[test]
    fn both_make_paths_of_bytes() {
        let name = "Gr\u{f6}\u{df}e".as_bytes().to_vec();
        for (which, path_of) in [
            (
                "system",
                system::path_of_bytes as fn(Vec<u8>) -> Option<PathBuf>,
            ),
            ("elsewhere", elsewhere::path_of_bytes),
        ] {
            let path = path_of(name.clone()).unwrap();
            assert_eq!(path, Path::new("Gr\u{f6}\u{df}e"), "{which}");
        }
        assert_eq!(elsewhere::path_of_bytes(vec![b'a', 0xFF]), None);
    }

    #[test]
    fn both_start_a_program_with_an_argument() {
        for (which, command) in [
            ("system", system::command as fn(&str) -> Command),
            ("elsewhere", elsewhere::command),
        ] {
            let this = std::env::current_exe().unwrap();
            let output = command(this.to_str().unwrap()).arg("--list").output();
            assert!(output.unwrap().status.success(), "{which}");
        }
    }

    #[test]
    fn without_signals_and_sockets_nobody_calls() {
        elsewhere::on_signal(|_| panic!("there are no signals")).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("socket");
        let (listener, mut stream) = (nobody::Listener(()), nobody::Stream(()));
        for failed in [
            nobody::Listener::bind(&socket).map(drop),
            nobody::Listener::connect(&socket).map(drop),
            listener.accept().map(drop),
            stream.try_clone().map(drop),
            io::Read::read(&mut stream, &mut [0]).map(drop),
            io::Write::write(&mut stream, &[0]).map(drop),
            io::Write::flush(&mut stream),
        ] {
            assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::Unsupported);
        }
        assert!(!socket.exists());
    }

    #[test]
    #[cfg(unix)]
    fn a_socket_may_have_a_long_name() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        let socket = deep.join("socket");
        let listener = Listener::bind(&socket).unwrap();
        let mut ours = Listener::connect(&socket).unwrap();
        let mut theirs = listener.accept().unwrap();
        io::Write::write_all(&mut ours, b"hello").unwrap();
        let mut got = [0; 5];
        io::Read::read_exact(&mut theirs, &mut got).unwrap();
        assert_eq!(&got, b"hello");
    }
}
