//! The GPU backend with what it asks of the host: cryptography and the fallback come from the reference.

use isolane_cpu::Reference;
use isolane_cpu::precompile::{Precompile, PrecompileError};
use isolane_gpu::{Adapter, Gpu, GpuOptions, OpenError, Services};
use isolane_spec::{Authorization, Fork, H160, Halt};
use std::sync::Arc;

/// The reference's cryptography.
struct Host;

impl Services for Host {
    fn is_precompile(&self, address: H160, fork: Fork) -> bool {
        Precompile::at(address, fork).is_some()
    }

    fn precompile(&self, address: H160, fork: Fork, input: &[u8], gas: u64) -> Result<(u64, Vec<u8>), Halt> {
        let precompile = Precompile::at(address, fork).ok_or(Halt::PrecompileFailure)?;
        match precompile.run(input, gas, fork) {
            Ok(done) => Ok((gas.saturating_sub(done.gas_used), done.output)),
            Err(PrecompileError::OutOfGas) => Err(Halt::OutOfGas),
            Err(PrecompileError::InvalidInput(_)) => Err(Halt::PrecompileFailure),
        }
    }

    fn authority(&self, authorization: &Authorization) -> Option<H160> {
        isolane_gpu::transition::recover_authority(authorization)
    }
}

/// Opens an adapter as a backend whose fallback is the reference.
///
/// # Errors
/// When the adapter cannot be used, or fails its self-test.
pub fn open(adapter: &Adapter, options: GpuOptions) -> Result<Gpu, OpenError> {
    Gpu::open(adapter, Arc::new(Host), Arc::new(Reference), options)
}
