//! Everything that depends on the operating system: modes and owners, kinds of file systems, signals,
//! the control socket. No other module of this crate does.
//!
//! Each function has a portable fallback, tested below. A system without modes has nothing to check. A
//! system with neither Unix sockets nor named pipes has no control socket.

pub(crate) mod files;
pub(crate) mod owner;
#[cfg(any(test, windows))]
mod pipe;

pub(crate) mod identifying;
pub(crate) mod terminal;

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

#[cfg(not(any(unix, windows)))]
use self::no_socket as socket;
#[cfg(windows)]
use self::pipe as socket;
#[cfg(not(unix))]
use self::portable as system;
#[cfg(unix)]
use self::unix::{self as system, self as socket};

/// The two ends of the control socket, which is addressed by a path.
pub(crate) use self::socket::{Listener, Stream};
pub(crate) use self::terminal::{columns_of_stderr, columns_of_stdout};

/// Creates a directory that only its owner can access, whatever the umask.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    system::private_directory(&mut builder);
    builder.create(path)?;
    set_mode(path, 0o700)
}

/// Adds to `options` that a new file is accessible to its owner only.
pub(crate) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    system::private(options)
}

/// Sets the mode of an existing file or directory.
pub(crate) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    system::set_mode(path, mode)
}

/// The owner of a file or directory, and what its mode allows to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Access {
    /// The user id of the owner.
    pub(crate) owner: u32,
    /// The group id.
    pub(crate) group: u32,
    /// The mode bits of group and others.
    pub(crate) others: u32,
    /// Whether only the owner of an entry of this directory can remove it.
    pub(crate) is_sticky: bool,
    /// Whether this is a directory.
    pub(crate) is_directory: bool,
    /// Whether this is a symbolic link.
    pub(crate) is_link: bool,
}

/// Returns owner and mode. `None` where the system has none. Does not follow a link.
pub(crate) fn access(path: &Path) -> io::Result<Option<Access>> {
    system::access(path)
}

/// Returns the effective user id; 0 where the system has none.
pub(crate) fn user() -> u32 {
    system::user()
}

/// Creates a directory and the missing ones above it, so that only their owner can write in them,
/// whatever the umask.
pub(crate) fn own_directory(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    system::own_directory(&mut builder);
    builder.recursive(true).create(path)
}

/// Adds to `options` that a new file can be written by its owner only.
pub(crate) fn own(options: &mut OpenOptions) -> &mut OpenOptions {
    system::own(options)
}

/// Returns the directory for the state of this user's programs: `$XDG_STATE_HOME`, else
/// `~/.local/state`; on Windows `%LOCALAPPDATA%`. `None` if there is none.
pub(crate) fn state_directory() -> Option<PathBuf> {
    let directory = |name| std::env::var_os(name).map(PathBuf::from);
    // A relative path counts as none (XDG Base Directory Specification).
    let named = |name| directory(name).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return named("LOCALAPPDATA");
    }
    named("XDG_STATE_HOME").or_else(|| Some(named("HOME")?.join(".local/state")))
}

/// Returns the directory for the settings of this user's programs: `$XDG_CONFIG_HOME`, else
/// `~/.config`; on Windows `%LOCALAPPDATA%`. `None` if there is none.
pub(crate) fn config_directory() -> Option<PathBuf> {
    if cfg!(windows) {
        return state_directory();
    }
    let named = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    named("XDG_CONFIG_HOME").or_else(|| Some(named("HOME")?.join(".config")))
}

/// Returns true if the path is on NFS or SMB. Always false where the system does not tell.
pub(crate) fn is_network(path: &Path) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    return linux::is_network(path);
    #[cfg(not(target_os = "linux"))]
    return portable_is_network(path);
}

#[cfg(any(test, not(target_os = "linux")))]
fn portable_is_network(path: &Path) -> io::Result<bool> {
    std::fs::metadata(path).map(|_| false)
}

/// Returns true if both paths are on one file system, where a rename is atomic, or if that is unknown.
pub(crate) fn same_file_system(a: &Path, b: &Path) -> io::Result<bool> {
    system::same_file_system(a, b)
}

/// Syncs a directory, so that its entries are durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    system::sync_directory(path)
}

/// Converts bytes to a path. `None` if no path can have these bytes on this system.
pub(crate) fn path_of_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    system::path_of_bytes(bytes)
}

/// Returns a command for a program. On Unix a shell parses `named`, which may contain options.
pub(crate) fn command(named: &str) -> Command {
    system::command(named)
}

/// Quotes a word so that it can be pasted into a shell.
pub(crate) fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,:+@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Calls `on_first` with the number of the first SIGINT or SIGTERM. The second ends the process.
///
/// Systems without these signals never call it. There, ending the process is as safe as a crash.
pub(crate) fn on_signal(on_first: impl Fn(i32) + Clone + Send + 'static) -> io::Result<()> {
    system::on_signal(on_first)
}

#[cfg(unix)]
mod unix {
    use std::ffi::OsString;
    use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
    use std::io::{self, Read};
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::{
        DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
    };
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use rustix::fs::OFlags;
    use signal_hook::consts::{SIGINT, SIGTERM};

    use super::Access;

    pub(super) fn private_directory(builder: &mut DirBuilder) {
        builder.mode(0o700);
    }

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o600)
    }

    pub(super) fn own_directory(builder: &mut DirBuilder) {
        builder.mode(0o755);
    }

    pub(super) fn own(options: &mut OpenOptions) -> &mut OpenOptions {
        options.mode(0o644)
    }

    pub(super) fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
        std::fs::set_permissions(path, Permissions::from_mode(mode))
    }

    pub(super) fn no_links(options: &mut OpenOptions) {
        // Without waiting: a pipe in the place of a file would wait for ever.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }

    pub(super) fn access(path: &Path) -> io::Result<Option<Access>> {
        Ok(access_of(&std::fs::symlink_metadata(path)?))
    }

    #[expect(clippy::unnecessary_wraps, reason = "other systems have no owners")]
    pub(super) fn access_of(metadata: &Metadata) -> Option<Access> {
        Some(Access {
            owner: metadata.uid(),
            group: metadata.gid(),
            others: metadata.mode() & 0o077,
            is_sticky: metadata.mode() & 0o1000 != 0,
            is_directory: metadata.is_dir(),
            is_link: metadata.is_symlink(),
        })
    }

    pub(super) fn real_path(path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
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

    pub(super) fn on_signal(on_first: impl Fn(i32) + Clone + Send + 'static) -> io::Result<()> {
        let is_second = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The order matters: the first signal finds the flag unset and then sets it.
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&is_second))?;
            signal_hook::flag::register(signal, Arc::clone(&is_second))?;
            let (mut ours, theirs) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(signal, theirs)?;
            let on_first = on_first.clone();
            std::thread::Builder::new()
                .name(format!("signal {signal}"))
                .spawn(move || {
                    if matches!(ours.read(&mut [0]), Ok(1)) {
                        on_first(signal);
                    }
                })?;
        }
        Ok(())
    }

    pub(crate) type Stream = UnixStream;

    /// A Unix socket that accepts connections.
    #[derive(Debug)]
    pub(crate) struct Listener(UnixListener);

    impl Listener {
        pub(crate) fn bind(socket: &Path) -> io::Result<Self> {
            let (short, _directory) = short(socket)?;
            UnixListener::bind(short).map(Self)
        }

        /// Accepts a connection of this user.
        ///
        /// # Errors
        /// `PermissionDenied` if another user has connected.
        pub(crate) fn accept(&self) -> io::Result<Stream> {
            let (stream, _) = self.0.accept()?;
            check_peer(&stream)?;
            Ok(stream)
        }

        /// Connects to a socket of this user.
        ///
        /// # Errors
        /// `PermissionDenied` if another user has made it, or listens there.
        pub(crate) fn connect(socket: &Path) -> io::Result<Stream> {
            let (short, _directory) = short(socket)?;
            let found = std::fs::symlink_metadata(&short)?;
            if !found.file_type().is_socket() || found.uid() != user() {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let stream = UnixStream::connect(short)?;
            check_peer(&stream)?;
            Ok(stream)
        }
    }

    /// Asks the system whose process is at the other end, where it tells.
    #[cfg(target_os = "linux")]
    fn check_peer(stream: &UnixStream) -> io::Result<()> {
        let peer = rustix::net::sockopt::socket_peercred(stream)?;
        if peer.uid.as_raw() == user() {
            Ok(())
        } else {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "Linux can fail")]
    fn check_peer(_: &UnixStream) -> io::Result<()> {
        Ok(())
    }

    /// Returns a path for a socket that fits into the 108 bytes of `sockaddr_un`.
    fn short(socket: &Path) -> io::Result<(PathBuf, Option<File>)> {
        const MAX_BYTES: usize = 100;
        if socket.as_os_str().len() <= MAX_BYTES {
            return Ok((socket.into(), None));
        }
        let (Some(parent), Some(name)) = (socket.parent(), socket.file_name()) else {
            return Ok((socket.into(), None));
        };
        // The link is valid while the directory is open.
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

    /// Returns true if this is the magic number of a network file system.
    pub(super) fn is_network_kind(kind: u32) -> bool {
        NETWORK.contains(&kind)
    }
}

/// The fallbacks for systems without the calls above.
#[cfg(any(test, not(unix)))]
mod portable {
    use std::fs::{DirBuilder, Metadata, OpenOptions};
    use std::io;
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::Access;

    pub(super) fn private_directory(_: &mut DirBuilder) {}

    pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn own_directory(_: &mut DirBuilder) {}

    pub(super) fn own(options: &mut OpenOptions) -> &mut OpenOptions {
        options
    }

    pub(super) fn set_mode(path: &Path, _: u32) -> io::Result<()> {
        std::fs::metadata(path).map(drop)
    }

    pub(super) fn no_links(_: &mut OpenOptions) {}

    pub(super) fn access(path: &Path) -> io::Result<Option<Access>> {
        std::fs::symlink_metadata(path).map(|metadata| access_of(&metadata))
    }

    pub(super) fn access_of(_: &Metadata) -> Option<Access> {
        None
    }

    pub(super) fn real_path(path: &Path) -> io::Result<PathBuf> {
        std::fs::metadata(path).map(|_| path.to_owned())
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

/// The fallback for systems without sockets: every call fails with `Unsupported`.
#[cfg(any(test, not(any(unix, windows))))]
mod no_socket {
    use std::io::{self, Read, Write};
    use std::path::Path;

    /// Never constructed outside tests.
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

    /// Never constructed outside tests.
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
mod tests;
