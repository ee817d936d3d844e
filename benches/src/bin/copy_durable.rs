//! Copies a tree as durably as an import stores one: `copy_durable FROM TO [THREADS]`.
//!
//! See `baseline::copy_durable`.

use std::path::Path;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (from, to, threads) = match arguments.as_slice() {
        [from, to] => (from, to, 2),
        [from, to, threads] => {
            let threads = threads.to_str().and_then(|text| text.parse().ok());
            (from, to, threads.context("THREADS is not a number")?)
        }
        _ => anyhow::bail!("usage: copy_durable FROM TO [THREADS]"),
    };
    anon_benches::baseline::copy_durable(Path::new(from), Path::new(to), threads)?;
    Ok(())
}
