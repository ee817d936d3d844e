//! The impostors are right: DCMTK's echoscu comes to an end with each, and to the right one but for
//! what is listed.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use crate::shared::Test;
use crate::shared::hostile::impostors::{self, Impostor};
use crate::shared::servers::need::{Need, here};
use crate::shared::servers::tool::dcmtk;

/// Where echoscu of DCMTK 3.6.7 exits with 0 all the same: it looks at no status, and an association
/// that breaks off is good enough for it.
const DIFFERS: [&str; 12] = [
    "status 0110, processing failure",
    "status 0122, SOP class not supported",
    "status 0211, unrecognised operation",
    "status A700, out of resources",
    "status A900, mismatch",
    "status C000, cannot understand",
    "status FE00, cancelled",
    "a status that there is not",
    "hangs up instead of answering",
    "aborts instead of answering",
    "aborts while it is asked",
    "hangs up while it is asked",
];

/// What is wrong with how echoscu came to its end.
fn echo(impostor: &Impostor) -> Result<Option<String>, String> {
    let listening = impostor.listen().map_err(|error| error.to_string())?;
    let port = listening.address().port().to_string();
    let began = Instant::now();
    let timeouts = ["-to", "2", "-ta", "2", "-td", "2", "-ts", "2"];
    let arguments = [&timeouts[..], &["127.0.0.1", &port]].concat();
    let ran = dcmtk("echoscu", &arguments).map_err(|error| error.to_string())?;
    let (name, took) = (impostor.name, began.elapsed());
    if took > Duration::from_secs(30) {
        return Ok(Some(format!("{name}: took {took:?}")));
    }
    let right = impostor.ends.agrees(ran.code == Some(0));
    let wrong = format!(
        "{name}: exit code {:?}, {:?} expected",
        ran.code, impostor.ends
    );
    Ok((right == DIFFERS.contains(&name)).then_some(wrong))
}

#[test]
fn echoscu_is_not_deceived() -> Test {
    if !here(&[Need::Dcmtk])? {
        return Ok(());
    }
    let mut deceived = Vec::new();
    let impostors: Vec<&Impostor> = impostors::all().collect();
    // Many only wait.
    for some in impostors.chunks(16) {
        thread::scope(|scope| {
            let running: Vec<_> = some.iter().map(|it| scope.spawn(|| echo(it))).collect();
            for echoed in running {
                deceived.extend(echoed.join().map_err(|_| "a thread panicked")??);
            }
            Ok::<_, Box<dyn Error>>(())
        })?;
    }
    assert!(deceived.is_empty(), "{}", deceived.join("\n"));
    Ok(())
}
