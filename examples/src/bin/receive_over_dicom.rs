//! Receives objects over DICOM and de-identifies them into a project on disk. Ends at the end of standard
//! input: press Ctrl-D.
//!
//! ```text
//! cargo run -p anon-examples --bin receive_over_dicom [ADDRESS] [PROJECT]
//! storescu -aec EXAMPLE 127.0.0.1 1045 FILE...        # DCMTK, in another terminal
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use anon_engine::{Engine, Received};
use anon_net::scp::Scp;
use anon_net::{
    BackendError, HandlerResponse, Instance, InstanceHandler, Outcome, SupportedContexts,
};

/// The largest accepted data set, in bytes. It is read into memory.
const MAX_BYTES: u64 = 256 << 20;
type Response = Result<HandlerResponse, BackendError>;

/// Passes received objects to the engine. A receiver needs no other adapter.
#[derive(Debug)]
struct Deidentify(Engine);

impl InstanceHandler for Deidentify {
    fn handle(&self, instance: &Instance, body: &mut dyn BufRead) -> Response {
        let mut bytes = Vec::new();
        if body.take(MAX_BYTES + 1).read_to_end(&mut bytes).is_err() {
            return Ok(Outcome::BrokenOff.into());
        } else if bytes.len() as u64 > MAX_BYTES {
            return Ok(Outcome::OutOfResources.because("it is too large"));
        }
        let received = Received::data_set(bytes, instance.transfer_syntax.as_str())
            .announced(instance.sop_class.as_str(), instance.sop_instance.expose());
        // When this returns, the object and its pseudonyms are durable.
        let result = self.0.process(received);
        if let Ok(receipt) = &result {
            println!("{} from {}", receipt.outcome.name(), instance.calling);
        }
        anon_examples::store_response(result)
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:1045".into());
    let project = arguments.next().unwrap_or_else(|| "target/received".into());
    let engine = anon_examples::engine(project.as_ref())?;
    let scp = Scp::builder("EXAMPLE".parse()?, Arc::new(Deidentify(engine)))
        .supported(SupportedContexts::storage())
        .bind(address.parse()?)?;
    println!("EXAMPLE listens on {}", scp.local_addr());
    io::copy(&mut io::stdin(), &mut io::sink())?;
    let stopped = scp.stop(std::time::Duration::from_secs(30));
    println!("{stopped:?}: {:?}", scp.totals().instances);
    Ok(())
}
