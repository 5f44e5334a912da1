//! How far a replay is: a bar on a terminal, plain lines now and then elsewhere.

use crate::backend::Chosen;
use crate::replay::live::Live;
use crate::report;
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often a bar is drawn again.
const REDRAW: Duration = Duration::from_millis(200);

/// Shows progress until it is dropped.
pub struct Progress {
    bar: ProgressBar,
    /// Ends the thread that shows it.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins. `every`: between lines, where there is no terminal.
    pub fn start(quiet: bool, every: Duration, live: &Arc<Live>, chosen: &Chosen) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let target = if terminal && !quiet { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        if quiet || (!terminal && every.is_zero()) {
            return Self { bar, stop: None, thread: None };
        }
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {msg}") {
            bar.set_style(style);
        }
        let (stop, stopped) = channel();
        let (shown, live, chosen, start) = (bar.clone(), Arc::clone(live), chosen.clone(), Instant::now());
        let show = move || {
            let wait = if terminal { REDRAW } else { every };
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                let text = line(&live, &chosen, start.elapsed());
                if terminal {
                    shown.set_length(live.inputs.get());
                    shown.set_position(live.done());
                    shown.set_message(text);
                } else {
                    eprintln!("progress: {text}");
                }
            }
        };
        // Without the thread there is no progress to see, which harms nobody.
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show).ok();
        Self { bar, stop: Some(stop), thread }
    }

    /// Prints something that the bar must not overwrite.
    pub fn print(&self, line: &str) {
        self.bar.suspend(|| eprintln!("{line}"));
    }
}

impl Progress {
    /// Ends, and clears the bar.
    pub fn finish(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It only prints.
            let _ = thread.join();
        }
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Blocks, transactions, pace, and what else there is to say.
fn line(live: &Live, chosen: &Chosen, elapsed: Duration) -> String {
    let (done, all) = (live.done(), live.inputs.get());
    let rate = report::mgas_per_second(live.gas.get(), elapsed);
    let mut text = format!("{done}/{all} blocks, {} transactions, {rate:.0} Mgas/s", live.transactions.get());
    if let Some(left) = live.left(elapsed) {
        text.push_str(&format!(", {} left", HumanDuration(left)));
    }
    let (fetched, cached) = (live.fetched.get(), live.cached.get());
    if fetched + cached > 0 {
        text.push_str(&format!(", {cached} of {} out of the cache", fetched + cached));
    }
    let bad = live.mismatches.get() + live.failed.get();
    if bad > 0 {
        text.push_str(&format!(", {bad} do not match"));
    }
    if let Some(escapes) = chosen.escapes() {
        let sum: u64 = escapes.iter().map(|(_, count)| count).sum();
        text.push_str(&format!(", {sum} escapes"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let live = Live::default();
        live.inputs.set(10);
        assert_eq!(line(&live, &Chosen::Reference, Duration::from_secs(2)), "0/10 blocks, 0 transactions, 0 Mgas/s");
        live.matches.set(4);
        live.mismatches.set(1);
        live.transactions.set(321);
        live.gas.set(10_000_000);
        live.cached.set(2);
        live.fetched.set(5);
        let expected =
            "5/10 blocks, 321 transactions, 5 Mgas/s, 2 seconds left, 2 of 7 out of the cache, 1 do not match";
        assert_eq!(line(&live, &Chosen::Reference, Duration::from_secs(2)), expected);
    }
}
