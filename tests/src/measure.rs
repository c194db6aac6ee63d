//! What benches share: rounds in which ours and the bare thing take turns, medians, and rows of the table in `docs/performance.md`.
//!
//! Only ratios of one run mean anything on a machine that others use too, so the two sides of a ratio always take turns.

use anyhow::Result;
use std::{
    fmt,
    time::{Duration, Instant},
};

/// How two ways compare over some rounds: medians, each over the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    pub ours: f64,
    pub bare: f64,
    /// Of the rounds' own ratios, not of the medians.
    pub ratio: f64,
}

/// Measures both ways once per round, the first of each round alternating. One round before the first goes uncounted: it warms caches.
///
/// # Panics
/// When no round is asked for.
pub async fn compare(
    rounds: usize,
    mut ours: impl AsyncFnMut() -> Result<f64>,
    mut bare: impl AsyncFnMut() -> Result<f64>,
) -> Result<Compared> {
    let (mut all_ours, mut all_bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (ours, bare) = if round % 2 == 0 {
            let ours = ours().await?;
            (ours, bare().await?)
        } else {
            let bare = bare().await?;
            (ours().await?, bare)
        };
        if round > 0 {
            all_ours.push(ours);
            all_bare.push(bare);
            ratios.push(ours / bare);
        }
    }
    Ok(Compared { ours: median(all_ours), bare: median(all_bare), ratio: median(ratios) })
}

/// The middle one; of an even number, the mean of the two in the middle.
///
/// # Panics
/// Of nothing.
pub fn median(mut values: Vec<f64>) -> f64 {
    assert!(!values.is_empty(), "a median of no values");
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { values[half] } else { (values[half - 1] + values[half]) / 2.0 }
}

/// Seconds that something took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, f64) {
    let start = Instant::now();
    let done = work.await;
    (done, start.elapsed().as_secs_f64())
}

/// A row of the table.
pub struct Row<'a> {
    pub what: &'a str,
    pub ours: String,
    pub bare: String,
    pub ratio: String,
}

impl<'a> Row<'a> {
    /// Times, in seconds: what one takes over what the other does.
    pub fn times(what: &'a str, compared: Compared) -> Self {
        let Compared { ours, bare, ratio } = compared;
        let added =
            if ours >= bare { format!("+{}", seconds(ours - bare)) } else { format!("−{}", seconds(bare - ours)) };
        Row { what, ours: seconds(ours), bare: seconds(bare), ratio: format!("{ratio:.2} ({added})") }
    }

    /// Speeds, per second.
    pub fn speeds(what: &'a str, compared: Compared) -> Self {
        let per_second = |n: f64| format!("{n:.0}/s");
        let Compared { ours, bare, ratio } = compared;
        Row { what, ours: per_second(ours), bare: per_second(bare), ratio: format!("{ratio:.2}") }
    }

    /// A figure that nothing is set against.
    pub fn alone(what: &'a str, figure: String) -> Self {
        Row { what, ours: figure, bare: "–".into(), ratio: "–".into() }
    }
}

impl fmt::Display for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Row { what, ours, bare, ratio } = self;
        write!(f, "| {what} | {ours} | {bare} | {ratio} |")
    }
}

/// With three digits and the unit that suits.
pub fn seconds(seconds: f64) -> String {
    let (n, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "µs"),
    };
    let decimals = match n {
        n if n >= 100.0 => 0,
        n if n >= 10.0 => 1,
        _ => 2,
    };
    format!("{n:.decimals$} {unit}")
}

/// Time left until a bench gives up on something that should have happened.
pub const PATIENCE: Duration = Duration::from_secs(120);
