//! Finds a patient's studies on a PACS, and retrieves each by C-GET into a directory.
//!
//! ```text
//! cargo run -p anon-examples --bin pacs_double [DIRECTORY] [ADDRESS]        # in another terminal
//! cargo run -p anon-examples --bin query_retrieve PACS@127.0.0.1:11112 SYN00001 [DIRECTORY]
//! ```

#![expect(clippy::print_stdout, reason = "an example prints its result")]

use std::fs::File;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::sync::Arc;

use anon_net::association::ul::UlDial;
use anon_net::context::transfer_syntaxes;
use anon_net::service::{GetRequest, Query, TransferTarget};
use anon_net::{
    BackendError, Cancel, HandlerResponse, Instance, InstanceHandler, Node, Outcome, Remedy, Scu,
    Uid,
};
use anyhow::Context as _;

/// Saves each data set unchanged in its own file. The files identify people.
#[derive(Debug)]
struct SaveToDirectory(PathBuf);

impl InstanceHandler for SaveToDirectory {
    fn handle(
        &self,
        instance: &Instance,
        body: &mut dyn BufRead,
    ) -> Result<HandlerResponse, BackendError> {
        let path = self.0.join(instance.sop_instance.expose());
        let copied = File::create(path).and_then(|mut file| io::copy(body, &mut file));
        copied.map_err(|error| BackendError::new(Remedy::Retry, error))?;
        Ok(Outcome::Stored.into())
    }
}

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: query_retrieve AET@HOST:PORT PATIENT_ID [DIRECTORY]";
    let node: Node = arguments.next().context(usage)?.parse()?;
    let patient = arguments.next().context(usage)?;
    let directory: PathBuf = arguments.next().map_or("target/fetched".into(), Into::into);
    std::fs::create_dir_all(&directory)?;

    let scu = Scu::new(Arc::new(UlDial::new()), "EXAMPLE".parse()?);
    let cancel = Cancel::new();
    let mut studies = Vec::new();
    let query = Query::new().with_patient_id(&patient)?;
    scu.find(&node, &query, &cancel, &mut |found| {
        studies.push(found.study);
    })?;
    println!("{} studies", studies.len());

    let classes = anon_examples::SOP_CLASSES.map(Uid::new);
    let classes: Vec<Uid> = classes.into_iter().collect::<Result<_, _>>()?;
    let syntaxes: Vec<Uid> = transfer_syntaxes().collect();
    let handler = SaveToDirectory(directory);
    for study in studies {
        let request = GetRequest::new(
            TransferTarget::Study { study },
            classes.clone(),
            syntaxes.clone(),
        );
        let end = scu.get(&node, &request, &handler, &cancel, &mut |_| {})?;
        println!(
            "{}: {} instances",
            end.status,
            end.counts.completed.unwrap_or(0)
        );
    }
    Ok(())
}
