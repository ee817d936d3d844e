//! Sends files over one association, as DCMTK's `storescu` does: `send AET@HOST:PORT PATH...`. The benchmark
//! `network` measures it as our client.

use std::path::PathBuf;
use std::sync::Arc;

use anon_benches::baseline;
use anon_net::Node;
use anon_net::association::ul::UlDial;
use anon_net::service::{Cancel, Scu, SendItem};
use anyhow::{Context as _, ensure};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: send AET@HOST:PORT PATH...";
    let node: Node = arguments.next().context(usage)?.parse()?;
    let mut files: Vec<PathBuf> = Vec::new();
    for path in arguments {
        files.extend(baseline::files_below(path.as_ref())?);
    }
    let scu = Scu::new(Arc::new(UlDial::new()), "BENCH".parse()?);
    let count = files.len() as u64;
    let mut items = files.into_iter().map(SendItem::file);
    let report = scu.send(&node, &mut items, &Cancel::new(), &mut |_| {})?;
    ensure!(report.stored == count, "not all were stored: {report:?}");
    Ok(())
}
