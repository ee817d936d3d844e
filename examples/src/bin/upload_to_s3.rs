//! Uploads a directory laid out as `<patient>/<study>/<series>/<instance>.dcm` to a bucket. Skips objects that
//! are there. Finds credentials where the tools of AWS find them.
//!
//! ```text
//! cargo run -p anon-examples --features s3 --bin upload_to_s3 DIRECTORY BUCKET [ENDPOINT]
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::sync::Arc;

use anon_export::s3::{S3Config, S3Sink};
use anon_export::{Cancel, DirectorySource, ExportEvent, Exporter, Observer, Selection};
use anyhow::Context as _;

/// Prints the result of each patient.
#[derive(Debug)]
struct PrintPatients;

impl Observer for PrintPatients {
    fn event(&self, event: &ExportEvent<'_>) {
        if let ExportEvent::PatientEnded { report } = event {
            println!("{}: {:?}", report.patient, report.counts);
        }
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next();
    let usage = "usage: upload_to_s3 DIRECTORY BUCKET [ENDPOINT]";
    let source = DirectorySource::new(argument().context(usage)?);
    let mut config = S3Config::new(argument().context(usage)?, "EXAMPLE");
    if let Some(endpoint) = argument() {
        config = config.with_endpoint(endpoint);
    }
    let exporter = Exporter::new(Arc::new(S3Sink::open(config)?));
    let report = exporter.export(&source, &Selection::all(), &Cancel::new(), &PrintPatients)?;
    anyhow::ensure!(
        report.is_complete(),
        "not everything was uploaded: run it again"
    );
    Ok(())
}
