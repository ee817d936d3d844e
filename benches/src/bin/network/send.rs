//! Measures sending: our program `send` and `storescu` send to `storescp --ignore`.

use std::path::Path;
use std::process::Command;

use super::Slices;
use super::process::{self, server_seconds};
use super::receive::storescu;
use super::report::{self, Party, Round, Row};
use super::server::{Server, ServerKind};

pub(crate) fn measure(directory: &Path, slices: &Slices, rounds: usize) -> anyhow::Result<()> {
    let row = |name: &str| Row {
        name: name.to_owned(),
        rounds: Vec::new(),
        ratio_goal: None,
        goal: None,
    };
    let mut theirs = row("storescu");
    let mut ours = Row {
        ratio_goal: Some(1.0),
        goal: Some((Party::Client, 2.3)),
        ..row("anon-net")
    };
    for _ in 0..rounds {
        theirs.rounds.push(round(directory, slices, storescu)?);
        ours.rounds.push(round(directory, slices, our_sender)?);
    }
    report::table("send, 1 association", slices, &[theirs, ours]);
    Ok(())
}

fn our_sender(port: u16) -> Command {
    let program = std::env::current_exe().map(|path| path.with_file_name("send"));
    let mut command = Command::new(program.unwrap_or_default());
    command.arg(format!("ANONYMIZER@127.0.0.1:{port}"));
    command
}

fn round(
    directory: &Path,
    slices: &Slices,
    client: impl Fn(u16) -> Command,
) -> anyhow::Result<Round> {
    let server = Server::start(ServerKind::StorescpIgnoring, directory)?;
    let before = server_seconds(server.process())?;
    let mut client = client(server.port());
    client.args(&slices.shards);
    let clients = process::run(vec![client])?;
    Ok(Round {
        wall: clients.wall,
        server: server_seconds(server.process())? - before,
        client: clients.processor,
    })
}
