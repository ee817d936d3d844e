//! Checks the suite with DCMTK's `storescp --fork`, which serves every connection in its own
//! process and survives all cases.

use std::time::Duration;

use crate::shared::Test;
use crate::shared::hostile::{self, Target};
use crate::shared::servers::{ServerKind, Setup};

/// Short: a missing reaction of DCMTK is not a failure here.
const TIMEOUT: Duration = Duration::from_millis(300);

#[test]
fn forking_storescp_survives_every_hostile_peer() -> Test {
    let setup = Setup::default().with("--fork").with("+xa").with("--quiet");
    let Some(server) = ServerKind::Storescp.start(&setup)? else {
        return Ok(());
    };
    let target = Target::new(server.address(), server.title())
        .of_process(server.pid())
        .responds_within(TIMEOUT);
    let report = hostile::run(&target);
    for outcome in &report.outcomes {
        println!("{outcome}");
    }
    report.survived()?;
    hostile::no_path_traversal()?;
    assert!(server.is_running()?);
    Ok(())
}

/// Without `--fork` it serves one connection at a time, and the suite must detect that.
#[test]
fn suite_detects_that_a_single_process_serves_one_peer_only() -> Test {
    for name in ["an incomplete A-ASSOCIATE-RQ", "200,000 nested sequences"] {
        let Some(server) = ServerKind::Storescp.start(&Setup::default())? else {
            return Ok(());
        };
        let target = Target::new(server.address(), server.title());
        let report = hostile::run_named(&target, |case| case == name);
        let error = report
            .survived()
            .err()
            .ok_or("the suite detected nothing")?;
        assert!(error.to_string().contains("no service"), "{error}");
    }
    Ok(())
}
