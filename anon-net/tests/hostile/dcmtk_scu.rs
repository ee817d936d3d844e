//! Checks the hostile servers with DCMTK's echoscu: it always ends, with the expected result except
//! in the listed cases.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use crate::shared::Test;
use crate::shared::hostile::hostile_servers::{self, HostileServer};
use crate::shared::servers::dependency::{Dependency, are_installed};
use crate::shared::servers::tool::dcmtk;

/// The cases in which echoscu of DCMTK 3.6.7 exits with 0 although it should fail: it ignores the
/// status, and a broken association is a success.
const DIFFERS: [&str; 12] = [
    "status 0110, processing failure",
    "status 0122, SOP class not supported",
    "status 0211, unrecognized operation",
    "status A700, out of resources",
    "status A900, mismatch",
    "status C000, cannot understand",
    "status FE00, cancelled",
    "an undefined status",
    "closes instead of responding",
    "aborts instead of responding",
    "aborts while the request is sent",
    "closes while the request is sent",
];

/// Returns what is wrong with the end of echoscu.
fn echo(server: &HostileServer) -> Result<Option<String>, String> {
    let listening = server.listen().map_err(|error| error.to_string())?;
    let port = listening.address().port().to_string();
    let started = Instant::now();
    let timeouts = ["-to", "2", "-ta", "2", "-td", "2", "-ts", "2"];
    let arguments = [&timeouts[..], &["127.0.0.1", &port]].concat();
    let ran = dcmtk("echoscu", &arguments).map_err(|error| error.to_string())?;
    let (name, took) = (server.name, started.elapsed());
    if took > Duration::from_secs(30) {
        return Ok(Some(format!("{name}: took {took:?}")));
    }
    let is_expected = server.ends.agrees(ran.code == Some(0));
    let problem = format!(
        "{name}: exit code {:?}, {:?} expected",
        ran.code, server.ends
    );
    Ok((is_expected == DIFFERS.contains(&name)).then_some(problem))
}

#[test]
fn echoscu_ends_as_expected_with_every_hostile_server() -> Test {
    if !are_installed(&[Dependency::Dcmtk])? {
        return Ok(());
    }
    let mut problems = Vec::new();
    let hostile_servers: Vec<&HostileServer> = hostile_servers::all().collect();
    // Most of them only wait.
    for some in hostile_servers.chunks(16) {
        thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|it| scope.spawn(|| echo(it))).collect();
            for echoed in running {
                problems.extend(echoed.join().map_err(|_| "a thread panicked")??);
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    Ok(())
}
