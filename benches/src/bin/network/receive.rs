//! Measures receiving: `storescu` sends to `storescp` and to `anon serve`, which de-identifies.

use std::path::Path;
use std::process::Command;

use anyhow::ensure;

use super::Slices;
use super::process::{self, server_seconds};
use super::report::{self, Party, Round, Row};
use super::server::{Server, ServerKind};

const KINDS: [ServerKind; 3] = [
    ServerKind::StorescpStoring,
    ServerKind::Anon("relaxed"),
    ServerKind::Anon("full"),
];

pub(crate) fn measure(directory: &Path, slices: &Slices, rounds: usize) -> anyhow::Result<()> {
    for associations in [1, 2, 4] {
        let mut rows = KINDS.map(row);
        for _ in 0..rounds {
            for (kind, row) in KINDS.into_iter().zip(&mut rows) {
                row.rounds
                    .push(round(directory, slices, kind, associations)?);
            }
        }
        let title = format!("receive, {associations} associations");
        report::table(&title, slices, &rows);
    }
    Ok(())
}

fn row(kind: ServerKind) -> Row {
    let has_goal = kind == ServerKind::Anon("relaxed");
    Row {
        name: kind.name(),
        rounds: Vec::new(),
        ratio_goal: has_goal.then_some(1.0),
        goal: has_goal.then_some((Party::Server, 1.9)),
    }
}

fn round(
    directory: &Path,
    slices: &Slices,
    kind: ServerKind,
    associations: usize,
) -> anyhow::Result<Round> {
    let server = Server::start(kind, directory)?;
    let before = server_seconds(server.process())?;
    let clients = slices.shares(associations).map(|share| {
        let mut client = storescu(server.port());
        client.args(share);
        client
    });
    let clients = process::run(clients.collect())?;
    let after = server_seconds(server.process())?;
    let stored = server.stored()?;
    ensure!(stored == slices.files, "{} stored {stored}", kind.name());
    Ok(Round {
        wall: clients.wall,
        server: after - before,
        client: clients.processor,
    })
}

/// Returns DCMTK's sender. Its arguments are the directories to send.
pub(crate) fn storescu(port: u16) -> Command {
    let mut command = Command::new("storescu");
    command
        .args(["--aetitle", "BENCH", "--call", "ANONYMIZER", "127.0.0.1"])
        .arg(port.to_string())
        .arg("--scan-directories");
    command
}
