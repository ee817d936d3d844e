//! Processor time and memory of processes, from `/proc` (Linux).

use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

/// Clock ticks per second in `/proc`: the same on every Linux.
const TICKS: u64 = 100;

/// Waits briefly between two checks of another process.
pub(crate) fn pause() {
    thread::park_timeout(Duration::from_millis(20));
}

/// The fields of `/proc/PID/stat`.
struct Stat {
    state: String,
    parent: u32,
    /// Processor time of the process and of its reaped children, in ticks.
    ticks: u64,
}

impl Stat {
    fn read(process: &str) -> anyhow::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{process}/stat"))?;
        // The name, in parentheses, can contain any character.
        let (_, rest) = text.rsplit_once(") ").context("not a stat line")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |number: usize| fields.get(number).copied().context("a short stat line");
        let mut ticks = 0;
        for number in 11..15 {
            ticks += field(number)?.parse::<u64>()?;
        }
        Ok(Self {
            state: field(0)?.to_owned(),
            parent: field(1)?.parse()?,
            ticks,
        })
    }
}

/// Returns the processor time of a process and its children. `None` while a child runs.
fn ticks_at_rest(process: u32) -> anyhow::Result<Option<u64>> {
    let mut ticks = Stat::read(&process.to_string())?.ticks;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(name) = name.to_str().filter(|name| name.parse::<u32>().is_ok()) else {
            continue;
        };
        // Skips a process that ended in the meantime. The caller waits for two equal readings.
        let Ok(stat) = Stat::read(name) else { continue };
        if stat.parent == process {
            if stat.state != "Z" {
                return Ok(None);
            }
            ticks += stat.ticks;
        }
    }
    Ok(Some(ticks))
}

/// Waits until a server is idle. Returns its processor time and that of its children, in seconds.
pub(crate) fn server_seconds(process: u32) -> anyhow::Result<f64> {
    let began = Instant::now();
    let mut last = None;
    while began.elapsed() < Duration::from_secs(10) {
        let now = ticks_at_rest(process)?;
        if now.is_some() && now == last {
            return Ok(seconds(now.unwrap_or_default()));
        }
        last = now;
        pause();
    }
    bail!("the server does not become idle");
}

/// Returns the peak memory of a process, in bytes.
pub(crate) fn peak_bytes(process: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(kilobytes.context("no VmHWM")?.parse::<u64>()? * 1024)
}

fn seconds(ticks: u64) -> f64 {
    super::report::float(ticks) / super::report::float(TICKS)
}

/// The time that the clients took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientTimes {
    pub(crate) wall: Duration,
    /// Processor time of all clients, in seconds.
    pub(crate) processor: f64,
}

/// Runs clients in parallel. All must succeed.
pub(crate) fn run(clients: Vec<Command>) -> anyhow::Result<ClientTimes> {
    // Only the clients are reaped here, so the difference is their processor time.
    let before = Stat::read("self")?.ticks;
    let ours = own_ticks()?;
    let began = Instant::now();
    let mut children = Vec::new();
    for mut client in clients {
        children.push(client.spawn().context("cannot start a client")?);
    }
    let ended: Vec<_> = children.iter_mut().map(Child::wait).collect();
    let wall = began.elapsed();
    for status in ended {
        let status = status?;
        ensure!(status.success(), "a client failed: {status}");
    }
    let spent = Stat::read("self")?.ticks - before;
    Ok(ClientTimes {
        wall,
        processor: seconds(spent.saturating_sub(own_ticks()? - ours)),
    })
}

/// Returns the processor time of this process alone, in ticks.
fn own_ticks() -> anyhow::Result<u64> {
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = text.rsplit_once(") ").context("not a stat line")?;
    let mut own = 0;
    for field in rest.split(' ').skip(11).take(2) {
        own += field.parse::<u64>()?;
    }
    Ok(own)
}
