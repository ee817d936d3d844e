//! Generates the synthetic files of `examples/files`, there or in another directory.
//!
//! ```text
//! cargo run -p anon-examples --bin generate_files [DIRECTORY]
//! ```

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let directory = std::env::args_os()
        .nth(1)
        .map_or_else(anon_examples::directory, PathBuf::from);
    fs::create_dir_all(&directory)?;
    for (name, bytes) in anon_examples::files() {
        File::create(directory.join(name))?.write_all(&bytes)?;
    }
    Ok(())
}
