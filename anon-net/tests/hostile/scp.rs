//! Our SCP against all hostile peers. Its handler stores anything, so invalid data sets are not
//! tested here.

use std::process;
use std::sync::Arc;
use std::time::Duration;

use crate::node::{self, Inbox};
use crate::shared::Test;
use crate::shared::hostile::{self, Target};

#[test]
fn our_scp_survives_every_hostile_peer() -> Test {
    let artim = Duration::from_secs(2);
    let inbox = Arc::new(Inbox::default());
    let scp = node::listen(&inbox, |builder| {
        builder.artim_timeout(artim).dimse_timeout(artim * 5)
    })?;
    let target = Target::new(scp.local_addr(), node::TITLE)
        .of_process(process::id())
        .stores_anything()
        .ends_after(artim);
    let report = hostile::run(&target);
    for outcome in &report.outcomes {
        println!("{outcome}");
    }
    report.survived()?;
    hostile::no_path_traversal()?;
    report.as_expected()
}
