//! Measures the memory of `anon serve` with 32 associations, one of which sends a large object.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anon_benches::{baseline, cases};
use anon_net::association::ul::UlDial;
use anon_net::service::{Cancel, Scu, SendItem, Timeouts};
use anon_net::{Node, ServiceError};
use anyhow::{Context as _, ensure};

use super::server::{Server, ServerKind};
use super::{Slices, process, report};

/// The associations besides the one that sends the large object.
const OTHERS: usize = 31;

const GOAL_BYTES: u64 = 256_000_000;

pub(crate) fn measure(directory: &Path, slices: &Slices, frames: u32) -> anyhow::Result<()> {
    let large = directory.join("large.dcm");
    // Of a different patient than the slices.
    let bytes = cases::large_file(&large, 1_000_000, frames)?;
    let mut files = Vec::new();
    for shard in &slices.shards {
        files.extend(baseline::files_below(shard)?);
    }
    let server = Server::start(ServerKind::Anon("relaxed"), directory)?;
    let node = format!("ANONYMIZER@127.0.0.1:{}", server.port());
    let node: Node = node.parse()?;
    // The large object is de-identified with a 32nd of the processor time.
    let mut timeouts = Timeouts::default();
    timeouts.dimse = Duration::from_mins(10);
    let scu = Scu::new(Arc::new(UlDial::new()), "BENCH".parse()?).with_timeouts(timeouts);
    let done = Cancel::new();
    thread::scope(|scope| {
        let (scu, node, files, done) = (&scu, &node, &files, &done);
        let others: Vec<_> = (0..OTHERS)
            .map(|number| scope.spawn(move || send_until_cancelled(scu, node, files, number, done)))
            .collect();
        let mut item = std::iter::once(SendItem::file(&large));
        let sent = scu.send(node, &mut item, &Cancel::new(), &mut |_| {});
        done.cancel();
        for other in others {
            other.join().ok().context("a sender panicked")??;
        }
        let sent = sent?;
        ensure!(sent.stored == 1, "the large object: {sent:?}");
        anyhow::Ok(())
    })?;
    let name = format!(
        "anon serve, 32 associations, an object of {:.1} GB",
        report::float(bytes) / 1e9
    );
    report::memory(&name, process::peak_bytes(server.process())?, GOAL_BYTES);
    std::fs::remove_file(&large)?;
    Ok(())
}

/// Sends slices repeatedly until cancelled. Each sender starts at another slice.
fn send_until_cancelled(
    scu: &Scu,
    node: &Node,
    files: &[PathBuf],
    number: usize,
    done: &Cancel,
) -> anyhow::Result<()> {
    let first = number * files.len() / OTHERS;
    let mut items = files.iter().cycle().skip(first).map(SendItem::file);
    match scu.send(node, &mut items, done, &mut |_| {}) {
        Err(stopped) if matches!(stopped.error, ServiceError::Cancelled) => {
            ensure!(stopped.report.failed == 0, "slices: {:?}", stopped.report);
            Ok(())
        }
        Err(error) => Err(error.into()),
        Ok(report) => anyhow::bail!("the send ended without a cancel: {report:?}"),
    }
}
