//! Each program runs on the example files and does what it shows.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use anon_net::Node;
use anon_net::association::ul::UlDial;
use anon_net::service::{Cancel, MoveRequest, Query, Scu, SendItem, TransferTarget};

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
fn write_your_own_sink() {
    let directory = tempfile::tempdir().expect("a directory");
    let said = run(
        env!("CARGO_BIN_EXE_write_your_own_sink"),
        &[directory.path()],
    );
    let files = anon_examples::files().len();
    assert!(
        said.contains(&format!("{files} sent, 0 there before")),
        "{said}"
    );
    assert!(
        said.ends_with(&format!("0 sent, {files} there before\n")),
        "{said}"
    );
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

/// A program that serves until its input ends.
struct Serving {
    child: Child,
    output: BufReader<ChildStdout>,
    node: Node,
}

impl Serving {
    /// Starts a program that says first where `title` listens.
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
        let said = first.strip_prefix(&format!("{title} listens at "));
        let said = said.expect("where it listens").trim();
        let address = said.split(',').next().unwrap_or_default();
        let node = format!("{title}@{address}").parse().expect("a node");
        Self {
            child,
            output,
            node,
        }
    }

    /// Ends its input; returns what it has said.
    #[track_caller]
    fn end(mut self) -> String {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("UTF-8");
        assert!(self.child.wait().expect("it ends").success(), "{rest}");
        rest
    }
}

fn scu() -> Scu {
    let title = "MODALITY".parse().expect("a title");
    Scu::new(Arc::new(UlDial::new()), title)
}

/// Sends every example file; all must be stored.
#[track_caller]
fn send_files(node: &Node) -> usize {
    let directory = anon_examples::directory();
    let names: Vec<_> = anon_examples::files();
    let mut items = names
        .iter()
        .map(|(name, _)| SendItem::file(directory.join(name)));
    let mut answers = Vec::new();
    let report = scu()
        .send(node, &mut items, &Cancel::new(), &mut |event| {
            answers.push(format!("{event:?}"));
        })
        .expect("all are sent");
    assert_eq!(report.stored, names.len() as u64, "{answers:#?}");
    names.len()
}

/// What is sent to it is stored; its input ends, and so does it.
#[test]
fn receive_over_dicom() {
    let project = tempfile::tempdir().expect("a directory");
    let directory = project.path().to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_receive_over_dicom");
    let receiver = Serving::start(program, "EXAMPLE", &["127.0.0.1:0", directory]);
    assert!(scu().echo(&receiver.node, &Cancel::new()).is_ok());
    let sent = send_files(&receiver.node);
    let said = receiver.end();
    assert_eq!(
        said.matches("stored from MODALITY\n").count(),
        sent,
        "{said}"
    );
    assert!(said.contains("Drained: "), "{said}");
}

/// A patient's studies are found and fetched, each data set as it stands in its file.
#[test]
fn query_retrieve_from_the_pacs_double() {
    let fetched = tempfile::tempdir().expect("a directory");
    let files = anon_examples::directory();
    let files = files.to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_pacs_double");
    let pacs = Serving::start(program, "PACS", &[files, "127.0.0.1:0"]);
    let node = format!("PACS@127.0.0.1:{}", pacs.node.port());
    let arguments = [node.as_ref(), "SYN00001".as_ref(), fetched.path()];
    let said = run(env!("CARGO_BIN_EXE_query_retrieve"), &arguments);
    assert_eq!(said, "1 studies\n0000: 4 instances\n");
    let all = anon_examples::files();
    let fetched = std::fs::read_dir(fetched.path()).expect("a directory");
    let fetched: Vec<_> = fetched.map(|it| it.expect("a file").path()).collect();
    assert_eq!(fetched.len(), 4);
    for path in fetched {
        let data_set = std::fs::read(path).expect("a file");
        assert!(all.iter().any(|(_, file)| file.ends_with(&data_set)));
    }
    assert_eq!(pacs.end(), "");
}

/// What is stored on it is found; it sends to nodes that it knows, and to no others.
#[test]
fn the_pacs_double_stores_and_moves() {
    let project = tempfile::tempdir().expect("a directory");
    let directory = project.path().to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_receive_over_dicom");
    let receiver = Serving::start(program, "EXAMPLE", &["127.0.0.1:0", directory]);
    let empty = tempfile::tempdir().expect("a directory");
    let empty = empty.path().to_str().expect("UTF-8");
    let known = format!("EXAMPLE@127.0.0.1:{}", receiver.node.port());
    let program = env!("CARGO_BIN_EXE_pacs_double");
    let pacs = Serving::start(program, "PACS", &[empty, "127.0.0.1:0", &known]);

    assert!(scu().echo(&pacs.node, &Cancel::new()).is_ok());
    let sent = send_files(&pacs.node);
    let mut studies = Vec::new();
    let found = scu().find(&pacs.node, &Query::new(), &Cancel::new(), &mut |found| {
        studies.push(found.study);
    });
    assert_eq!(found.expect("answers").studies, studies.len());
    let mut moved = 0;
    for study in &studies {
        let study = study.clone();
        let to = "EXAMPLE".parse().expect("a title");
        let request = MoveRequest::new(TransferTarget::Study { study }, to);
        let end = scu().move_to(&pacs.node, &request, &Cancel::new(), &mut |_| {});
        moved += usize::from(end.expect("an end").counts.completed.unwrap_or(0));
    }
    assert_eq!(moved, sent);
    let said = receiver.end();
    assert_eq!(said.matches("stored from PACS\n").count(), sent, "{said}");

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
    let said = run(env!("CARGO_BIN_EXE_re_identify"), &[]);
    assert!(
        said.contains("527408119-000001 is Patient SYN00001\n"),
        "{said}"
    );
    assert_eq!(said.matches(" is Uid 2.25.").count(), 2, "{said}");
}
