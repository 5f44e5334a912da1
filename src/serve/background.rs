//! Where executions go that are too long for the threads that others wait for: threads that come after those.
//!
//! A tenant that sends a long one now and then gets threads of low priority, which go on, if slowly, when the machine is busy. One of
//! several that sends more than [`RATE`] instructions a second gets threads that run only while a processor has nothing else to do: the system
//! takes it away from them at once, while a thread that is merely of low priority keeps it for some milliseconds.

use super::pool::{Pool, Priority, Settings, Task, Turn};
use crate::schedule::Share;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Instructions a second that a tenant may execute at low priority: about a twentieth of a processor.
const RATE: u64 = 20_000_000;
/// What it may execute there at a time, after a while without.
const BURST: u64 = 50_000_000;
/// What a task is taken to need until it is over.
const UNKNOWN: u64 = 4_000_000;
/// The most that a tenant is held to have used: it is forgotten within half a minute.
const MOST: u64 = 30 * RATE;

/// What a tenant has used lately.
#[derive(Clone, Copy, Debug)]
struct Usage {
    level: u64,
    at: Instant,
}

impl Usage {
    fn new() -> Self {
        Self { level: 0, at: Instant::now() }
    }

    /// What is left of it now.
    fn decay(&mut self, now: Instant) {
        let since = now.saturating_duration_since(self.at);
        let gone = since.as_micros().saturating_mul(u128::from(RATE)) / 1_000_000;
        self.level = self.level.saturating_sub(u64::try_from(gone).unwrap_or(u64::MAX));
        self.at = now;
    }

    /// A task begins to wait; whether it may run at low priority.
    fn begin(&mut self, now: Instant) -> bool {
        self.decay(now);
        self.level = self.level.saturating_add(UNKNOWN);
        self.level <= BURST
    }

    /// It is over.
    fn end(&mut self, now: Instant, cost: u64) {
        self.decay(now);
        self.level = self.level.saturating_sub(UNKNOWN).saturating_add(cost).min(MOST);
    }
}

/// Threads for long executions.
pub struct Background {
    low: Pool,
    /// Where there are several tenants: nobody needs to be kept from itself.
    idle: Option<Pool>,
    usage: Arc<Vec<Mutex<Usage>>>,
}

impl Background {
    /// Starts the threads, on so many processors.
    ///
    /// # Errors
    /// When the system has no threads.
    pub fn start(cores: usize, shares: &[Share]) -> std::io::Result<Self> {
        let some = |count: usize| NonZeroU32::new(count as u32).unwrap_or(NonZeroU32::MIN);
        let threads = (cores * 2).max(4);
        let settings = |name, priority| Settings {
            name,
            threads: some(threads),
            // Whoever comes second finds a thread, and half of the processors free of the first.
            each: some(if shares.len() > 1 { (cores / 2).max(1) } else { threads }),
            allowance: u64::MAX,
            priority,
        };
        let idle = match shares.len() {
            0 | 1 => None,
            _ => Some(Pool::start(settings("idle", Priority::Idle), shares, None)?),
        };
        Ok(Self {
            low: Pool::start(settings("long", Priority::Low), shares, None)?,
            idle,
            usage: Arc::new(shares.iter().map(|_| Mutex::new(Usage::new())).collect()),
        })
    }

    /// Queues a task of a tenant.
    pub fn push(&self, tenant: usize, mut task: Task) {
        let all = Arc::clone(&self.usage);
        let Some(usage) = self.usage.get(tenant) else { return };
        let may_run = usage.lock().unwrap_or_else(PoisonError::into_inner).begin(Instant::now());
        let counted = move |allowance: u64| {
            let turn = task(allowance);
            let (Turn::Done(cost) | Turn::TooLong(cost)) = turn;
            if let Some(usage) = all.get(tenant) {
                usage.lock().unwrap_or_else(PoisonError::into_inner).end(Instant::now(), cost);
            }
            turn
        };
        let pool = self.idle.as_ref().filter(|_| !may_run).unwrap_or(&self.low);
        pool.push(tenant, Box::new(counted));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn who_floods_gets_what_is_left_over() {
        let start = Instant::now();
        let mut usage = Usage { level: 0, at: start };
        let long = 13_000_000;
        // One long call every second never leaves the threads of low priority.
        for second in 0..100 {
            let now = start + Duration::from_secs(second);
            assert!(usage.begin(now), "second {second}");
            usage.end(now, long);
        }
        // Thirty at once do, and so do those that come while they are executed.
        let now = start + Duration::from_secs(200);
        let begun: Vec<bool> = (0..30).map(|_| usage.begin(now)).collect();
        assert!(begun[0] && !begun[29]);
        (0..30).for_each(|_| usage.end(now, long));
        assert!(!usage.begin(now + Duration::from_secs(5)));
        usage.end(now + Duration::from_secs(5), long);
        assert!(usage.begin(now + Duration::from_secs(60)), "it is forgotten");
    }

    #[test]
    fn everything_is_executed_whatever_was_used() {
        let background = Background::start(2, &[Share::default(); 2]).expect("threads");
        let (sender, receiver) = mpsc::channel();
        for task in 0..40u64 {
            let sender = sender.clone();
            let done = move |_: u64| {
                let name = std::thread::current().name().unwrap_or_default().to_owned();
                let _ = sender.send((task, name));
                Turn::Done(BURST)
            };
            background.push(0, Box::new(done));
        }
        drop(sender);
        let ended: Vec<(u64, String)> = receiver.iter().collect();
        assert_eq!(ended.len(), 40);
        for name in ["long-", "idle-"] {
            assert!(ended.iter().any(|(_, thread)| thread.starts_with(name)), "{name}");
        }
    }
}
