//! An opened device: every error comes back as a value, and no wait is without a deadline.

use crate::watchdog::Watchdog;
use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;
use wgpu::{BufferUsages, ErrorFilter, ErrorScopeGuard, PollError, PollType};

/// A device that could not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It could not be opened.
    #[error("cannot open the device: {0}")]
    Open(String),
    /// wgpu or the driver refused the work.
    #[error("the device refused the work: {0}")]
    Refused(String),
    /// Its memory is exhausted.
    #[error("the device is out of memory")]
    OutOfMemory,
    /// A buffer would be larger than it can bind.
    #[error("{what} need {bytes} bytes, and the device binds {limit}")]
    TooLarge {
        /// The buffer.
        what: &'static str,
        /// Its size.
        bytes: u64,
        /// The largest.
        limit: u64,
    },
    /// It is gone: reset, unplugged, or its watchdog ended the work.
    #[error("the device was lost: {0}")]
    Lost(String),
    /// It did not answer in time.
    #[error("the device did not finish within {0:?}")]
    Deadline(Duration),
    /// wgpu or the driver panicked.
    #[error("the driver failed: {0}")]
    Panic(String),
}

impl DeviceError {
    pub(crate) fn from_panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
        Self::Panic(text.unwrap_or_else(|| "panic without a message".to_owned()))
    }
}

impl From<wgpu::Error> for DeviceError {
    fn from(error: wgpu::Error) -> Self {
        match error {
            wgpu::Error::OutOfMemory { .. } => Self::OutOfMemory,
            other => Self::Refused(other.to_string()),
        }
    }
}

/// An opened device with its queue.
pub(crate) struct Device {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    /// The first error that no scope caught, or why the device was lost.
    fault: Arc<Mutex<Option<DeviceError>>>,
    /// Submits and waits, so that a driver that hangs does not take its caller with it.
    watchdog: Watchdog,
    /// Whether the driver hangs, as some do.
    #[cfg(test)]
    pub hangs: Arc<std::sync::atomic::AtomicBool>,
}

/// What a driver is given beyond a deadline of its own.
const GRACE: Duration = Duration::from_secs(5);

/// Error scopes of all kinds.
pub(crate) struct Scopes([ErrorScopeGuard; 3]);

impl Device {
    /// Opens the adapter with all the limits that it has.
    pub fn open(adapter: &wgpu::Adapter) -> Result<Self, DeviceError> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("isolane"),
            required_limits: adapter.limits(),
            required_features: adapter.features() & wgpu::Features::PIPELINE_CACHE,
            ..Default::default()
        };
        let opened = pollster::block_on(adapter.request_device(&descriptor));
        let (device, queue) = opened.map_err(|error| DeviceError::Open(error.to_string()))?;
        let fault = Arc::new(Mutex::new(None));
        // wgpu's own handler panics.
        let sink = Arc::clone(&fault);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| keep_first(&sink, error.into())));
        let sink = Arc::clone(&fault);
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                keep_first(&sink, DeviceError::Lost(text));
            }
        });
        Ok(Self {
            device,
            queue,
            fault,
            watchdog: Watchdog::new()?,
            #[cfg(test)]
            hangs: Arc::default(),
        })
    }

    /// Catches all errors of what follows on this thread, until [`Self::close`].
    pub fn scopes(&self) -> Scopes {
        Scopes(
            [ErrorFilter::Internal, ErrorFilter::OutOfMemory, ErrorFilter::Validation]
                .map(|filter| self.device.push_error_scope(filter)),
        )
    }

    /// The first error of the scopes, or one that came from elsewhere.
    pub fn close(&self, scopes: Scopes) -> Result<(), DeviceError> {
        let mut first = None;
        for scope in scopes.0.into_iter().rev() {
            first = first.or(pollster::block_on(scope.pop()).map(DeviceError::from));
        }
        match first.or_else(|| self.fault()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// A buffer with these bytes.
    pub fn filled(&self, label: &str, bytes: &[u8], usage: BufferUsages) -> wgpu::Buffer {
        let buffer = self.empty(label, bytes.len() as u64, usage | BufferUsages::COPY_DST);
        self.queue.write_buffer(&buffer, 0, bytes);
        buffer
    }

    /// A zeroed buffer.
    pub fn empty(&self, label: &str, size: u64, usage: BufferUsages) -> wgpu::Buffer {
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size,
            usage,
            mapped_at_creation: false,
        })
    }

    /// Submits commands and waits for the first bytes of a `MAP_READ` buffer that they fill.
    pub fn submit_and_read(
        &self,
        commands: wgpu::CommandBuffer,
        buffer: &wgpu::Buffer,
        size: u64,
        deadline: Duration,
    ) -> Result<Vec<u8>, DeviceError> {
        let (device, queue, buffer) = (self.device.clone(), self.queue.clone(), buffer.clone());
        #[cfg(test)]
        let hangs = Arc::clone(&self.hangs);
        let call = move || {
            #[cfg(test)]
            while hangs.load(std::sync::atomic::Ordering::Relaxed) {
                std::thread::park();
            }
            read_back(&device, &queue, commands, &buffer, size, deadline)
        };
        // What the device says of itself tells more than what came of it.
        self.watchdog.within(deadline + GRACE, call).flatten().map_err(|error| self.fault().unwrap_or(error))
    }

    fn fault(&self) -> Option<DeviceError> {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Submits commands, waits, and reads the buffer that they fill.
fn read_back(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    commands: wgpu::CommandBuffer,
    buffer: &wgpu::Buffer,
    size: u64,
    deadline: Duration,
) -> Result<Vec<u8>, DeviceError> {
    let submission = queue.submit([commands]);
    let (send, receive) = mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, ..size, move |result| {
        // The receiver is gone only where nobody waits any more.
        let _ = send.send(result);
    });
    let lost = |text: String| DeviceError::Lost(text);
    match device.poll(PollType::Wait { submission_index: Some(submission), timeout: Some(deadline) }) {
        Ok(_) => {}
        Err(PollError::Timeout) => return Err(DeviceError::Deadline(deadline)),
        Err(error) => return Err(lost(error.to_string())),
    }
    match receive.try_recv() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(lost(error.to_string())),
        Err(_) => return Err(lost("its results were never mapped".to_owned())),
    }
    let bytes = buffer.get_mapped_range(..size).map_err(|error| lost(error.to_string()))?.to_vec();
    buffer.unmap();
    Ok(bytes)
}

fn keep_first(slot: &Mutex<Option<DeviceError>>, error: DeviceError) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
}
