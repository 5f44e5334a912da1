//! A deadline for calls into a driver: wgpu's own waits have one, but a driver may hang inside any call.

use crate::device::DeviceError;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel, sync_channel};
use std::time::Duration;

type Task = Box<dyn FnOnce() + Send>;

/// A thread that calls into a driver for others. One that hangs is left behind with all that it holds: nothing can end it, and
/// nobody waits for it, not even the end of the process.
pub(crate) struct Watchdog(Sender<Task>);

impl Watchdog {
    /// Starts the thread.
    pub fn new() -> Result<Self, DeviceError> {
        let (send, receive) = channel::<Task>();
        let serve = move || receive.into_iter().for_each(|task| task());
        match std::thread::Builder::new().name("gpu-driver".to_owned()).spawn(serve) {
            Ok(_) => Ok(Self(send)),
            Err(error) => Err(DeviceError::Open(format!("no thread for the driver: {error}"))),
        }
    }

    /// Calls into the driver and waits for it no longer than that. A panic is an error.
    pub fn within<T: Send + 'static>(
        &self,
        longest: Duration,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, DeviceError> {
        let (send, receive) = sync_channel(1);
        let task = move || {
            // The receiver is gone only where nobody waits any more.
            let _ = send.send(catch_unwind(AssertUnwindSafe(call)));
        };
        let gone = || DeviceError::Lost("the driver's thread has ended".to_owned());
        self.0.send(Box::new(task)).map_err(|_| gone())?;
        match receive.recv_timeout(longest) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(payload)) => Err(DeviceError::from_panic(payload.as_ref())),
            Err(RecvTimeoutError::Timeout) => Err(DeviceError::Deadline(longest)),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_hang_or_panic_are_errors() {
        let watchdog = Watchdog::new().expect("a thread");
        let long = Duration::from_secs(600);
        assert_eq!(watchdog.within(long, || 7), Ok(7));
        assert_eq!(watchdog.within(long, || panic!("a defect")), Err::<(), _>(DeviceError::Panic("a defect".into())));
        assert_eq!(watchdog.within(long, || 8), Ok(8), "it goes on after a panic");
        let short = Duration::from_millis(20);
        let forever = || loop {
            std::thread::park();
        };
        assert_eq!(watchdog.within::<()>(short, forever), Err(DeviceError::Deadline(short)));
        assert_eq!(watchdog.within(short, || 9), Err(DeviceError::Deadline(short)), "the thread is left behind");
    }
}
