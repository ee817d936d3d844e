//! Each program runs on the example files and does what it shows.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anon_net::Node;
use anon_net::association::ul::UlDial;
use anon_net::service::{Cancel, Scu, SendItem};

/// Runs a program; returns what it prints. It must end well and say nothing on stderr.
#[track_caller]
fn run(program: &str, arguments: &[&Path]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the program starts");
    let errors = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(output.status.success(), "{errors}");
    assert_eq!(errors, "");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn deidentify_bytes() {
    let program = env!("CARGO_BIN_EXE_deidentify_bytes");
    for (name, bytes) in anon_examples::files() {
        let said = run(program, &[&anon_examples::directory().join(name)]);
        assert!(
            said.starts_with(&format!("{} bytes in, ", bytes.len())),
            "{name}: {said}"
        );
        assert!(
            said.contains("to be kept as 527408119-000001/"),
            "{name}: {said}"
        );
    }
}

#[test]
fn deidentify_a_directory_and_again() {
    let program = env!("CARGO_BIN_EXE_deidentify_a_directory");
    let project = tempfile::tempdir().expect("a directory");
    let files = anon_examples::files().len();
    let first = run(program, &[&anon_examples::directory(), project.path()]);
    assert!(
        first.contains(&format!("\n{files} stored, 0 known before, ")),
        "{first}"
    );
    assert!(first.ends_with(", 0 in quarantine, 0 failed\n"), "{first}");
    let again = run(program, &[&anon_examples::directory(), project.path()]);
    assert!(
        again.contains(&format!("\n0 stored, {files} known before, ")),
        "{again}"
    );
}

#[test]
fn write_your_own_store() {
    let said = run(env!("CARGO_BIN_EXE_write_your_own_store"), &[]);
    assert_eq!(said.lines().count(), anon_examples::files().len(), "{said}");
}

#[test]
fn async_program() {
    let said = run(env!("CARGO_BIN_EXE_async_program"), &[]);
    let files = anon_examples::files();
    assert_eq!(said.lines().count(), files.len(), "{said}");
    for (line, (name, _)) in said.lines().zip(files) {
        assert_eq!(line, format!("{name}: stored"));
    }
}

#[test]
fn check_a_script() {
    let said = run(env!("CARGO_BIN_EXE_check_a_script"), &[]);
    assert!(said.contains("@UID"), "{said}");
    assert!(said.contains("(0008,0018)"), "{said}");
}

/// What is sent to it is stored; its input ends, and so does it.
#[test]
fn receive_over_dicom() {
    let project = tempfile::tempdir().expect("a directory");
    let mut program = Command::new(env!("CARGO_BIN_EXE_receive_over_dicom"))
        .arg("127.0.0.1:0")
        .arg(project.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut output = BufReader::new(program.stdout.take().expect("piped"));
    let mut first = String::new();
    output.read_line(&mut first).expect("a line");
    let address = first.trim().strip_prefix("EXAMPLE listens at ");
    let node: Node = format!("EXAMPLE@{}", address.expect("where"))
        .parse()
        .expect("a node");

    let scu = Scu::new(
        Arc::new(UlDial::new()),
        "MODALITY".parse().expect("a title"),
    );
    assert!(scu.echo(&node).is_ok());
    let names: Vec<_> = anon_examples::files()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let directory = anon_examples::directory();
    let mut items = names
        .iter()
        .map(|name| SendItem::file(directory.join(name)));
    let mut answers = Vec::new();
    let report = scu
        .send(&node, &mut items, &Cancel::new(), &mut |event| {
            answers.push(format!("{event:?}"));
        })
        .expect("all are sent");
    assert_eq!(report.stored, names.len() as u64, "{answers:#?}");

    drop(program.stdin.take());
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("UTF-8");
    assert!(program.wait().expect("it ends").success(), "{rest}");
    assert_eq!(
        rest.matches("stored from MODALITY\n").count(),
        names.len(),
        "{rest}"
    );
    assert!(rest.contains("Drained: "), "{rest}");
}

#[test]
fn re_identify() {
    let said = run(env!("CARGO_BIN_EXE_re_identify"), &[]);
    assert!(
        said.contains("527408119-000001 is Patient SYN00001\n"),
        "{said}"
    );
    assert_eq!(said.matches(" is Uid 2.25.").count(), 2, "{said}");
}
