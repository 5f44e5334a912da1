//! Compiled pipelines on disk, where the adapter can hand them out. A file belongs to one device, driver and version of the
//! kernels; what is damaged is not read, and what cannot be written is not kept: nothing depends on either.

use crate::device::Device;
use sha3::{Digest, Keccak256};
use std::path::{Path, PathBuf};

/// Bytes of the hash that a file starts with.
const HASH: usize = 32;

/// The cache of an opened device.
pub(crate) struct PipelineCache {
    inner: wgpu::PipelineCache,
    file: PathBuf,
    /// The hash of what was read.
    read: Option<[u8; HASH]>,
}

fn hash(bytes: &[u8]) -> [u8; HASH] {
    Keccak256::digest(bytes).into()
}

impl PipelineCache {
    /// Reads the cache of a device from a folder; `None` where the device has none. `kernels`: all that is compiled.
    pub fn open(device: &Device, adapter: &wgpu::Adapter, folder: &Path, kernels: &str) -> Option<Self> {
        if !device.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let info = adapter.get_info();
        let key = wgpu::util::pipeline_cache_key(&info)?;
        let version = hash(format!("{}\n{}\n{}\n{kernels}", info.name, info.driver, info.driver_info).as_bytes());
        let file = folder.join(format!("{key}-{}", hex::encode(&version[..8])));
        let stored = std::fs::read(&file).ok();
        let data = stored.as_deref().and_then(|bytes| {
            let (expected, data) = bytes.split_at_checked(HASH)?;
            (hash(data) == *expected).then_some(data)
        });
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("kernels"), data, fallback: true };
        #[expect(unsafe_code, reason = "wgpu cannot know where the bytes come from")]
        // SAFETY: the bytes are what `get_data` gave this program for this device, driver and version: the file's name and
        // the hash in front of them say so. The driver checks its own header besides, and starts anew where it does not fit.
        let inner = unsafe { device.device.create_pipeline_cache(&descriptor) };
        Some(Self { inner, file, read: data.map(hash) })
    }

    /// What pipelines are created with.
    pub fn inner(&self) -> &wgpu::PipelineCache {
        &self.inner
    }

    /// Writes what was compiled, if there is more than was read.
    pub fn save(&self) {
        let Some(data) = self.inner.get_data() else { return };
        let hash = hash(&data);
        if self.read == Some(hash) {
            return;
        }
        // Another process may do the same: the file comes into being in one step.
        let written = self.file.with_extension(std::process::id().to_string());
        let kept = self.file.parent().map_or(Ok(()), std::fs::create_dir_all);
        let kept = kept.and_then(|()| std::fs::write(&written, [&hash[..], &data].concat()));
        if kept.and_then(|()| std::fs::rename(&written, &self.file)).is_err() {
            // It costs the next start its time, and nothing else. What was half written goes.
            let _ = std::fs::remove_file(&written);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::adapters;
    use std::time::Duration;

    /// What was compiled comes back; a damaged file is as good as none.
    #[test]
    fn files_are_kept_and_checked() {
        let folder = tempfile::tempdir().expect("a folder");
        for adapter in adapters() {
            let open = || {
                let device = Device::open(adapter.inner()).expect("a device");
                let cache = PipelineCache::open(&device, adapter.inner(), folder.path(), "kernels");
                (device, cache)
            };
            let (device, Some(cache)) = open() else { continue };
            assert!(cache.read.is_none());
            let compiled = crate::kernels::Kernels::new(device, 64, Duration::from_secs(60), Some(cache.inner()));
            compiled.expect("kernels");
            cache.save();
            let file = cache.file.clone();
            if cache.inner.get_data().is_none() {
                continue;
            }
            let bytes = std::fs::read(&file).expect("what was handed out is kept");
            assert_eq!(hash(&bytes[HASH..]), bytes[..HASH]);
            assert_eq!(open().1.expect("a cache").read, Some(hash(&bytes[HASH..])));
            for damaged in [&bytes[..HASH / 2], &bytes[..bytes.len() - 1], &[&bytes[..], &[0]].concat()] {
                std::fs::write(&file, damaged).expect("it can be written");
                assert!(open().1.expect("a cache").read.is_none());
            }
            std::fs::remove_file(file).expect("it is there");
        }
    }
}
