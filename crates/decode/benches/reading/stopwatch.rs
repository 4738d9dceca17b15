//! Medians, printed. A program of our own: what is asked here (does it grow with the input?) needs no statistics, and no
//! dependency that every build of the tests would pay for.

use std::{
    fmt::Display,
    hint::black_box,
    time::{Duration, Instant},
};

/// How many times each case is timed.
const SAMPLES: usize = 41;
/// How long one sample takes at least: the clock itself costs some 30 ns.
const SAMPLE_MIN: Duration = Duration::from_millis(2);

/// Whether this is `cargo bench`; under `cargo test` each case runs once, to see that it runs.
fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Times one case, and prints its median.
pub(crate) fn time<T>(what: &str, size: impl Display, mut run: impl FnMut() -> T) {
    if !is_measuring() {
        black_box(run());
        return;
    }
    let mut rounds = 1_u32;
    while sample(rounds, &mut run) < SAMPLE_MIN {
        rounds = rounds.saturating_mul(2);
    }
    let mut samples: Vec<Duration> =
        (0..SAMPLES).map(|_| sample(rounds, &mut run) / rounds).collect();
    samples.sort_unstable();
    let median = samples[SAMPLES / 2];
    println!("{what:<44} {size:>8} {:>14}", format!("{median:.2?}"));
}

#[expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn sample<T>(rounds: u32, run: &mut impl FnMut() -> T) -> Duration {
    let began = Instant::now();
    for _ in 0..rounds {
        black_box(run());
    }
    began.elapsed()
}
