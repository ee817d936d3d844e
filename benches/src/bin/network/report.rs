//! Prints the results.

use std::time::Duration;

use super::Slices;

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}

/// One round of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub(crate) wall: Duration,
    /// Processor time in seconds.
    pub(crate) server: f64,
    pub(crate) client: f64,
}

/// The rounds of one row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) rounds: Vec<Round>,
    /// The goal for the throughput: the lowest ratio to the first row.
    pub(crate) ratio_goal: Option<f64>,
    /// The goal for the processor time: the most seconds per GB.
    pub(crate) goal: Option<(Party, f64)>,
}

/// The party whose processor time has a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Party {
    Server,
    Client,
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn goal_result(holds: bool) -> &'static str {
    if holds { "holds" } else { "MISSED" }
}

/// Prints rows. The first is the reference of the others.
pub(crate) fn table(title: &str, slices: &Slices, rows: &[Row]) {
    println!(
        "\n{title:<30} {:>8} {:>8} {:>8} {:>7} {:>9} {:>9}",
        "MB/s", "best", "obj/s", "ratio", "srv s/GB", "cli s/GB"
    );
    for row in rows {
        println!("{}", line(slices, row, rows.first()));
    }
}

fn line(slices: &Slices, row: &Row, baseline: Option<&Row>) -> String {
    let gigabytes = float(slices.bytes) / 1e9;
    let speeds = || row.rounds.iter().map(|it| 1.0 / it.wall.as_secs_f64());
    let speed = median(speeds());
    let ratio = median(baseline.into_iter().flat_map(|baseline| {
        let pairs = row.rounds.iter().zip(&baseline.rounds);
        pairs.map(|(ours, theirs)| theirs.wall.as_secs_f64() / ours.wall.as_secs_f64())
    }));
    let server = median(row.rounds.iter().map(|it| it.server / gigabytes));
    let client = median(row.rounds.iter().map(|it| it.client / gigabytes));
    let mut goals = String::new();
    if let Some(goal) = row.ratio_goal {
        goals = format!("  ratio >= {goal:.1} {}", goal_result(ratio >= goal));
    }
    if let Some((party, goal)) = row.goal {
        let (name, spent) = match party {
            Party::Server => ("server", server),
            Party::Client => ("client", client),
        };
        goals = format!(
            "{goals}, {name} <= {goal:.1} {}",
            goal_result(spent <= goal)
        );
    }
    format!(
        "{:<30} {:>8.0} {:>8.0} {:>8.0} {ratio:>7.2} {server:>9.2} {client:>9.2}{goals}",
        row.name,
        speed * gigabytes * 1e3,
        speeds().fold(0.0, f64::max) * gigabytes * 1e3,
        speed * float(slices.files),
    )
}

/// Prints the peak memory of a server.
pub(crate) fn memory(name: &str, peak: u64, goal: u64) {
    println!(
        "\n{name}: {:.0} MB peak  < {:.0} MB {}",
        float(peak) / 1e6,
        float(goal) / 1e6,
        goal_result(peak < goal)
    );
}
