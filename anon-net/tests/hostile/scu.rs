//! Our SCU and all impostors.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anon_net::association::ul::UlDial;
use anon_net::dimse::StatusClass;
use anon_net::service::{Cancel, Scu, Timeouts};
use anon_net::{Node, Status};

use crate::shared::Test;
use crate::shared::hostile::impostors::{self, Impostor};

const PATIENCE: Duration = Duration::from_secs(2);

/// What is wrong with how our C-ECHO came to its end.
fn echo(scu: &Scu, impostor: &Impostor) -> Test<Option<String>> {
    let listening = impostor.listen()?;
    let node = Node::new("IMPOSTOR".parse()?, "127.0.0.1", listening.address().port())?;
    let began = Instant::now();
    let echoed = scu.echo(&node, &Cancel::new());
    let (name, took) = (impostor.name, began.elapsed());
    // Connecting and associating, the answer, the release: each has its time.
    if took > PATIENCE * 6 {
        return Ok(Some(format!("{name}: took {took:?}")));
    }
    let done = echoed.as_ref().is_ok_and(|status| is_done(*status));
    let wrong = format!("{name}: {echoed:?}, {:?} expected", impostor.ends);
    Ok((!impostor.ends.agrees(done)).then_some(wrong))
}

fn is_done(status: Status) -> bool {
    matches!(status.class(), StatusClass::Success | StatusClass::Warning)
}

#[test]
fn our_scu_is_not_deceived() -> Test {
    let scu = Scu::new(Arc::new(UlDial::new()), "ANONYMIZER".parse()?);
    let scu = scu.with_timeouts(Timeouts::all(PATIENCE));
    let mut deceived = Vec::new();
    thread::scope(|scope| {
        let scu = &scu;
        let run = |it| scope.spawn(move || echo(scu, it).map_err(|error| error.to_string()));
        let running: Vec<_> = impostors::all().map(run).collect();
        for echoed in running {
            deceived.extend(echoed.join().map_err(|_| "a thread panicked")??);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    assert!(deceived.is_empty(), "{}", deceived.join("\n"));
    Ok(())
}
