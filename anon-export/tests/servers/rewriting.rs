//! Uncompressed objects to a storescp that accepts one transfer syntax only: what arrives is what
//! DCMTK's dcmconv makes of them, and pydicom reads the same values.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anon_export::{Cancel, Exporter, MemorySource, ObjectKey, Quiet, Selection};
use anon_net::service::FileMeta;

use crate::shared::servers::dependency::{Dependency, are_installed, python};
use crate::shared::servers::tool::dcmtk;
use crate::shared::servers::{Server, ServerKind, Setup, scripts};
use crate::{Test, sink};

/// Name of the file, transfer syntax, and the option of dcmconv.
const ENCODINGS: [(&str, &str, &str); 4] = [
    ("explicit", "1.2.840.10008.1.2.1", "+te"),
    ("implicit", "1.2.840.10008.1.2", "+ti"),
    ("big-endian", "1.2.840.10008.1.2.2", "+tb"),
    ("deflated", "1.2.840.10008.1.2.1.99", "+td"),
];

fn script(arguments: &[&Path]) -> Test {
    let output = Command::new(python())
        .arg(scripts().join("rewriting.py"))
        .args(arguments)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into())
}

/// Starts a storescp that accepts CT images in this transfer syntax only, and writes what arrives.
fn accepting_only(directory: &Path, transfer_syntax: &str) -> Test<Option<Server>> {
    let text = format!(
        "[[TransferSyntaxes]]\n[Only]\nTransferSyntax1 = {transfer_syntax}\n\
         [Implicit]\nTransferSyntax1 = 1.2.840.10008.1.2\n\
         [[PresentationContexts]]\n[All]\n\
         PresentationContext1 = 1.2.840.10008.1.1\\Implicit\n\
         PresentationContext2 = 1.2.840.10008.5.1.4.1.1.2\\Only\n\
         [[Profiles]]\n[Default]\nPresentationContexts = All\n"
    );
    let file = directory.join("storescp.cfg");
    fs::File::create(&file)?.write_all(text.as_bytes())?;
    let setup = Setup::default()
        .with("+B")
        .with("--config-file")
        .with(&file.to_string_lossy())
        .with("Default");
    ServerKind::Storescp.start(&setup)
}

fn data_set(file: &[u8]) -> Test<&[u8]> {
    let meta = FileMeta::read(&mut &*file)?;
    let data_set = file.get(usize::try_from(meta.data_set_at)?..);
    Ok(data_set.ok_or("no data set")?)
}

/// Exports a file and returns what arrived.
fn exported(server: &Server, file: &Path) -> Test<PathBuf> {
    let bytes = fs::read(file)?;
    let meta = FileMeta::read(&mut &*bytes)?;
    let key = ObjectKey::new(["S", "1.1", "1.2", meta.sop_instance.expose()])?;
    let mut source = MemorySource::new();
    source.insert(key, bytes);
    let exporter = Exporter::new(std::sync::Arc::new(sink(server)?));
    let report = exporter.export(&source, &Selection::all(), &Cancel::new(), &Quiet)?;
    assert_eq!(
        (report.counts.sent, report.counts.rewritten),
        (1, 1),
        "{report:?}"
    );
    let mut received = server.received()?;
    Ok(received.pop().ok_or("nothing arrived")?)
}

#[test]
fn a_node_that_accepts_one_uncompressed_transfer_syntax_gets_every_other() -> Test {
    if !are_installed(&[Dependency::Dcmtk, Dependency::Python])? {
        return Ok(());
    }
    let files = tempfile::tempdir()?;
    script(&[Path::new("make"), files.path()])?;
    for (to, transfer_syntax, option) in ENCODINGS {
        let directory = tempfile::tempdir()?;
        let Some(server) = accepting_only(directory.path(), transfer_syntax)? else {
            return Ok(());
        };
        for (from, ..) in ENCODINGS.into_iter().filter(|(from, ..)| *from != to) {
            let file = files.path().join(format!("every-vr-{from}.dcm"));
            let received = exported(&server, &file)?;
            script(&[Path::new("compare"), &file, &received])?;
            let converted = directory.path().join("converted.dcm");
            let arguments: [&std::ffi::OsStr; 5] = [
                option.as_ref(),
                "-g".as_ref(),
                // What is only inflated keeps its lengths.
                if (from, to) == ("deflated", "explicit") {
                    "+e".as_ref()
                } else {
                    "-e".as_ref()
                },
                file.as_ref(),
                converted.as_ref(),
            ];
            dcmtk("dcmconv", &arguments)?.succeeds()?;
            script(&[Path::new("compare"), &converted, &received])?;
            if to != "deflated" {
                let (ours, theirs) = (fs::read(&received)?, fs::read(&converted)?);
                assert!(
                    data_set(&ours)? == data_set(&theirs)?,
                    "{from} to {to}: dcmconv writes other bytes"
                );
            }
            fs::remove_file(received)?;
        }
    }
    Ok(())
}
