//! Runs each example program on the example files and checks its output.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anon_net::Node;
use anon_net::association::ul::UlDial;
use anon_net::service::{Cancel, MoveRequest, Query, Scu, SendItem, TransferTarget};

/// Runs a program and returns its standard output. It must succeed and print nothing on standard error.
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

/// The example of the README is this program, run where the README is.
#[test]
fn the_rust_examples_of_the_readme_run_as_written() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let program = include_str!("../../src/bin/first_steps.rs");
    let blocks: Vec<&str> = readme.split("```rust\n").skip(1).collect();
    assert_eq!(blocks.len(), 1, "a program for each example");
    for block in blocks {
        let (example, _) = block.split_once("```").expect("the end of the example");
        assert!(program.ends_with(example), "the README has another program");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_first_steps"))
        .current_dir(root)
        .output()
        .expect("the program starts");
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        printed.contains("bytes of 527408119-000001 are clean"),
        "{printed}"
    );
}

#[test]
fn deidentify_bytes() {
    let program = env!("CARGO_BIN_EXE_deidentify_bytes");
    for (name, bytes) in anon_examples::files() {
        let printed = run(program, &[&anon_examples::directory().join(name)]);
        assert!(
            printed.starts_with(&format!("{} bytes in, ", bytes.len())),
            "{name}: {printed}"
        );
        assert!(
            printed.contains("output path: 527408119-000001/"),
            "{name}: {printed}"
        );
    }
}

#[test]
fn deidentify_a_directory_and_again() {
    let program = env!("CARGO_BIN_EXE_deidentify_a_directory");
    let project = tempfile::tempdir().expect("cannot read or create a directory");
    let files = anon_examples::files().len();
    let first = run(program, &[&anon_examples::directory(), project.path()]);
    assert!(
        first.contains(&format!("\n{files} stored, 0 already stored, ")),
        "{first}"
    );
    assert!(first.ends_with(", 0 in quarantine, 0 failed\n"), "{first}");
    let again = run(program, &[&anon_examples::directory(), project.path()]);
    assert!(
        again.contains(&format!("\n0 stored, {files} already stored, ")),
        "{again}"
    );
}

#[test]
fn write_your_own_store() {
    let printed = run(env!("CARGO_BIN_EXE_write_your_own_store"), &[]);
    assert_eq!(
        printed.lines().count(),
        anon_examples::files().len(),
        "{printed}"
    );
}

#[test]
fn write_your_own_sink() {
    let directory = tempfile::tempdir().expect("cannot read or create a directory");
    let printed = run(
        env!("CARGO_BIN_EXE_write_your_own_sink"),
        &[directory.path()],
    );
    let files = anon_examples::files().len();
    assert!(
        printed.contains(&format!("{files} sent, 0 already there")),
        "{printed}"
    );
    assert!(
        printed.ends_with(&format!("0 sent, {files} already there\n")),
        "{printed}"
    );
}

#[test]
fn async_program() {
    let printed = run(env!("CARGO_BIN_EXE_async_program"), &[]);
    let files = anon_examples::files();
    assert_eq!(printed.lines().count(), files.len(), "{printed}");
    for (line, (name, _)) in printed.lines().zip(files) {
        assert_eq!(line, format!("{name}: stored"));
    }
}

#[test]
fn check_a_script() {
    let printed = run(env!("CARGO_BIN_EXE_check_a_script"), &[]);
    assert!(printed.contains("@UID"), "{printed}");
    assert!(printed.contains("(0008,0018)"), "{printed}");
}

/// A server program, which runs until its standard input ends.
struct ServerProgram {
    child: Child,
    output: BufReader<ChildStdout>,
    node: Node,
}

impl ServerProgram {
    /// Starts a program. Its first line of output must say where `title` listens.
    #[track_caller]
    fn start(program: &str, title: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        output.read_line(&mut first).expect("a line");
        let printed = first.strip_prefix(&format!("{title} listens on "));
        let printed = printed.expect("the address that it listens on").trim();
        let address = printed.split(',').next().unwrap_or_default();
        let node = format!("{title}@{address}").parse().expect("a node");
        Self {
            child,
            output,
            node,
        }
    }

    /// Closes its standard input. Returns the rest of its output.
    #[track_caller]
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("UTF-8");
        assert!(
            self.child.wait().expect("the program ends").success(),
            "{rest}"
        );
        rest
    }
}

fn scu() -> Scu {
    let title = "MODALITY".parse().expect("a title");
    Scu::new(Arc::new(UlDial::new()), title)
}

/// Sends every example file. All must be stored. Returns their number.
#[track_caller]
fn send_files(node: &Node) -> usize {
    let directory = anon_examples::directory();
    let files: Vec<_> = anon_examples::files();
    let mut items = files
        .iter()
        .map(|(name, _)| SendItem::file(directory.join(name)));
    let mut events = Vec::new();
    let report = scu()
        .send(node, &mut items, &Cancel::new(), &mut |event| {
            events.push(format!("{event:?}"));
        })
        .expect("all files are sent");
    assert_eq!(report.stored, files.len() as u64, "{events:#?}");
    files.len()
}

/// The receiver stores what it receives, and ends with its standard input.
#[test]
fn receive_over_dicom() {
    let project = tempfile::tempdir().expect("cannot read or create a directory");
    let directory = project.path().to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_receive_over_dicom");
    let receiver = ServerProgram::start(program, "EXAMPLE", &["127.0.0.1:0", directory]);
    assert!(scu().echo(&receiver.node, &Cancel::new()).is_ok());
    let sent = send_files(&receiver.node);
    let printed = receiver.end();
    assert_eq!(
        printed.matches("stored from MODALITY\n").count(),
        sent,
        "{printed}"
    );
    assert!(printed.contains("Drained: "), "{printed}");
}

/// The studies of a patient are found and retrieved, each data set with the bytes of its file.
#[test]
fn query_retrieve_from_the_pacs_double() {
    let fetched = tempfile::tempdir().expect("cannot read or create a directory");
    let files = anon_examples::directory();
    let files = files.to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_pacs_double");
    let pacs = ServerProgram::start(program, "PACS", &[files, "127.0.0.1:0"]);
    let node = format!("PACS@127.0.0.1:{}", pacs.node.port());
    let arguments = [node.as_ref(), "SYN00001".as_ref(), fetched.path()];
    let printed = run(env!("CARGO_BIN_EXE_query_retrieve"), &arguments);
    assert_eq!(printed, "1 studies\n0000: 4 instances\n");
    let all = anon_examples::files();
    let fetched = std::fs::read_dir(fetched.path()).expect("cannot read or create a directory");
    let fetched: Vec<_> = fetched.map(|it| it.expect("a file").path()).collect();
    assert_eq!(fetched.len(), 4);
    for path in fetched {
        let data_set = std::fs::read(path).expect("a file");
        assert!(all.iter().any(|(_, file)| file.ends_with(&data_set)));
    }
    assert_eq!(pacs.end(), "");
}

/// The double finds what it received, and sends only to nodes that it knows.
#[test]
fn the_pacs_double_stores_and_moves() {
    let project = tempfile::tempdir().expect("cannot read or create a directory");
    let directory = project.path().to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_receive_over_dicom");
    let receiver = ServerProgram::start(program, "EXAMPLE", &["127.0.0.1:0", directory]);
    let empty = tempfile::tempdir().expect("cannot read or create a directory");
    let empty = empty.path().to_str().expect("UTF-8");
    let known = format!("EXAMPLE@127.0.0.1:{}", receiver.node.port());
    let program = env!("CARGO_BIN_EXE_pacs_double");
    let pacs = ServerProgram::start(program, "PACS", &[empty, "127.0.0.1:0", &known]);

    assert!(scu().echo(&pacs.node, &Cancel::new()).is_ok());
    let sent = send_files(&pacs.node);
    let mut studies = Vec::new();
    let found = scu().find(&pacs.node, &Query::new(), &Cancel::new(), &mut |found| {
        studies.push(found.study);
    });
    assert_eq!(found.expect("C-FIND succeeds").studies, studies.len());
    let mut moved = 0;
    for study in &studies {
        let study = study.clone();
        let to = "EXAMPLE".parse().expect("a title");
        let request = MoveRequest::new(TransferTarget::Study { study }, to);
        let end = scu().move_to(&pacs.node, &request, &Cancel::new(), &mut |_| {});
        moved += usize::from(end.expect("C-MOVE succeeds").counts.completed.unwrap_or(0));
    }
    assert_eq!(moved, sent);
    let printed = receiver.end();
    assert_eq!(
        printed.matches("stored from PACS\n").count(),
        sent,
        "{printed}"
    );

    let study = studies.pop().expect("a study");
    let request = MoveRequest::new(
        TransferTarget::Study { study },
        "NOBODY".parse().expect("a title"),
    );
    let end = scu().move_to(&pacs.node, &request, &Cancel::new(), &mut |_| {});
    assert!(end.is_err(), "{end:?}");
    assert_eq!(pacs.end(), "");
}

#[test]
fn re_identify() {
    let printed = run(env!("CARGO_BIN_EXE_re_identify"), &[]);
    assert!(
        printed.contains("527408119-000001 is Patient SYN00001\n"),
        "{printed}"
    );
    assert_eq!(printed.matches(" is Uid 2.25.").count(), 2, "{printed}");
}
