//! Our SCP and all bad peers. What its handler does with a wrong data set is not looked at here: this
//! one keeps anything.

use std::process;
use std::sync::Arc;
use std::time::Duration;

use crate::node::{self, Inbox};
use crate::shared::Test;
use crate::shared::hostile::{self, Target};

#[test]
fn our_scp_survives_all() -> Test {
    let artim = Duration::from_secs(2);
    let inbox = Arc::new(Inbox::default());
    let scp = node::listen(&inbox, |builder| {
        builder.artim_timeout(artim).dimse_timeout(artim * 5)
    })?;
    let target = Target::new(scp.local_addr(), node::TITLE)
        .of_process(process::id())
        .keeps_anything()
        .ends_after(artim);
    let report = hostile::run(&target);
    for outcome in &report.outcomes {
        println!("{outcome}");
    }
    report.survived()?;
    hostile::nothing_climbed()?;
    report.as_expected()
}
