//! Tests of the calls of this system and of the fallbacks.

use std::fs::File;

use super::*;

#[test]
#[cfg(target_os = "linux")]
fn network_file_systems_are_recognized() {
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

/// The fallbacks create files and directories, and report missing ones.
#[test]
fn the_fallbacks_work_without_modes_and_owners() {
    let dir = tempfile::tempdir().unwrap();
    let (inner, missing) = (dir.path().join("inner"), dir.path().join("missing"));
    let mut builder = DirBuilder::new();
    portable::private_directory(&mut builder);
    portable::own_directory(&mut builder);
    builder.create(&inner).unwrap();
    let file = inner.join("file");
    let mut options = File::options();
    portable::no_links(&mut options);
    portable::own(portable::private(options.write(true).create_new(true)))
        .open(&file)
        .unwrap();
    portable::set_mode(&file, 0o600).unwrap();
    assert_eq!(portable::access(&file).unwrap(), None);
    assert_eq!(portable::user(), 0);
    assert_eq!(portable::real_path(&inner).unwrap(), inner);
    portable::sync_directory(&inner).unwrap();
    assert!(portable::same_file_system(&inner, &file).unwrap());
    assert!(!portable_is_network(&file).unwrap());
    for failed in [
        portable::set_mode(&missing, 0o600),
        portable::access(&missing).map(drop),
        portable::real_path(&missing).map(drop),
        portable::sync_directory(&missing),
        portable::same_file_system(&inner, &missing).map(drop),
        portable_is_network(&missing).map(drop),
    ] {
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

#[test]
fn words_are_quoted_where_the_shell_requires_it() {
    for (word, typed) in [
        ("/data/project-1", "/data/project-1"),
        ("my project", "'my project'"),
        ("it's", r"'it'\''s'"),
        ("", "''"),
    ] {
        assert_eq!(shell_quoted(word), typed);
    }
}

#[test]
fn paths_are_made_from_bytes() {
    let name = "Gr\u{f6}\u{df}e".as_bytes().to_vec();
    for (which, path_of) in [
        (
            "system",
            system::path_of_bytes as fn(Vec<u8>) -> Option<PathBuf>,
        ),
        ("portable", portable::path_of_bytes),
    ] {
        let path = path_of(name.clone()).unwrap();
        assert_eq!(path, Path::new("Gr\u{f6}\u{df}e"), "{which}");
    }
    assert_eq!(portable::path_of_bytes(vec![b'a', 0xFF]), None);
}

#[test]
fn a_program_is_started_with_an_argument() {
    for (which, command) in [
        ("system", system::command as fn(&str) -> Command),
        ("portable", portable::command),
    ] {
        let this = std::env::current_exe().unwrap();
        let output = command(this.to_str().unwrap()).arg("--list").output();
        assert!(output.unwrap().status.success(), "{which}");
    }
}

#[test]
fn the_fallbacks_for_signals_and_sockets_do_nothing() {
    portable::on_signal(|_| panic!("there are no signals")).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let (listener, mut stream) = (no_socket::Listener(()), no_socket::Stream(()));
    for failed in [
        no_socket::Listener::bind(&socket).map(drop),
        no_socket::Listener::connect(&socket).map(drop),
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

/// Connects as another user, once the socket is there for all.
#[test]
#[cfg(target_os = "linux")]
fn other_users_are_refused_at_both_ends_of_a_socket() {
    use std::os::unix::process::CommandExt as _;
    if user() != 0 {
        eprintln!("skipped: not root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    set_mode(dir.path(), 0o755).unwrap();
    let socket = dir.path().join("socket");
    let listener = Listener::bind(&socket).unwrap();
    set_mode(&socket, 0o666).unwrap();
    let connect = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])";
    let mut other = Command::new("python3");
    other
        .args(["-c", connect])
        .arg(&socket)
        .uid(54_321)
        .gid(54_321);
    match other.status() {
        Ok(status) => {
            assert!(status.success());
            let refused = listener.accept().unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        }
        Err(_) => eprintln!("skipped: no python3"),
    }
    Listener::connect(&socket).unwrap();
    std::os::unix::fs::chown(&socket, Some(54_321), None).unwrap();
    let refused = Listener::connect(&socket).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
#[cfg(unix)]
fn a_socket_path_can_be_long() {
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
