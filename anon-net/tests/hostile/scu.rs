//! Our SCU against all hostile servers.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anon_net::association::ul::UlDial;
use anon_net::dimse::StatusClass;
use anon_net::service::{Cancel, Scu, Timeouts};
use anon_net::{Node, Status};

use crate::shared::Test;
use crate::shared::hostile::hostile_servers::{self, HostileServer};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Returns what is wrong with the end of our C-ECHO.
fn echo(scu: &Scu, server: &HostileServer) -> Test<Option<String>> {
    let listening = server.listen()?;
    let node = Node::new("IMPOSTOR".parse()?, "127.0.0.1", listening.address().port())?;
    let started = Instant::now();
    let echoed = scu.echo(&node, &Cancel::new());
    let (name, took) = (server.name, started.elapsed());
    // Connecting, the association, the response and the release each have a timeout.
    if took > TIMEOUT * 6 {
        return Ok(Some(format!("{name}: took {took:?}")));
    }
    let done = echoed.as_ref().is_ok_and(|status| is_success(*status));
    let problem = format!("{name}: {echoed:?}, {:?} expected", server.ends);
    Ok((!server.ends.agrees(done)).then_some(problem))
}

fn is_success(status: Status) -> bool {
    matches!(status.class(), StatusClass::Success | StatusClass::Warning)
}

#[test]
fn our_scu_ends_as_expected_with_every_hostile_server() -> Test {
    let scu = Scu::new(Arc::new(UlDial::new()), "ANONYMIZER".parse()?);
    let scu = scu.with_timeouts(Timeouts::all(TIMEOUT));
    let mut problems = Vec::new();
    thread::scope(|scope| {
        let scu = &scu;
        let run = |it| scope.spawn(move || echo(scu, it).map_err(|error| error.to_string()));
        let running: Vec<_> = hostile_servers::all().map(run).collect();
        for echoed in running {
            problems.extend(echoed.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}
