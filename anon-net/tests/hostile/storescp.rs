//! The suite itself is right: DCMTK's `storescp --fork`, which serves every connection in a process of
//! its own, survives all of it.

use std::time::Duration;

use crate::shared::Test;
use crate::shared::hostile::{self, Target};
use crate::shared::servers::{Kind, Setup};

/// What DCMTK does not answer is no fault here.
const PATIENCE: Duration = Duration::from_millis(300);

#[test]
fn forking_storescp_survives_all() -> Test {
    let setup = Setup::default().with("--fork").with("+xa").with("--quiet");
    let Some(server) = Kind::Storescp.start(&setup)? else {
        return Ok(());
    };
    let target = Target::new(server.address(), server.title())
        .of_process(server.pid())
        .answers_in(PATIENCE);
    let report = hostile::run(&target);
    for outcome in &report.outcomes {
        println!("{outcome}");
    }
    report.survived()?;
    hostile::nothing_climbed()?;
    assert!(server.lives()?);
    Ok(())
}

/// Without `--fork` one connection is served at a time, and the suite must see that.
#[test]
fn single_storescp_does_not() -> Test {
    for name in ["half an A-ASSOCIATE-RQ", "200,000 nested sequences"] {
        let Some(server) = Kind::Storescp.start(&Setup::default())? else {
            return Ok(());
        };
        let target = Target::new(server.address(), server.title());
        let report = hostile::run_those(&target, |case| case == name);
        let error = report.survived().err().ok_or("the suite saw nothing")?;
        assert!(error.to_string().contains("nobody served"), "{error}");
    }
    Ok(())
}
