//! The transaction level of the GPU backend against the reference interpreter: bundled state tests and blocks, those of
//! the folders that ISOLANE_FIXTURES and ISOLANE_BLOCKS name, and random transactions.

mod blocks;
mod random;
mod recorded;
mod states;
mod toy;

use isolane::cpu::precompile::{PrecompileError, Run as _};
use isolane::spec::{Authorization, Fork, H160, Halt, Precompile};
use isolane_gpu::Mismatch;
use isolane_gpu::services::Services;
use isolane_gpu::transition::recover_authority;
use std::path::{Path, PathBuf};

/// The host's services: precompiles of the reference, signatures of the backend's own.
struct Host;

impl Services for Host {
    fn is_precompile(&self, address: H160, fork: Fork) -> bool {
        Precompile::at(address, fork).is_some()
    }

    fn precompile(&self, address: H160, fork: Fork, input: &[u8], gas: u64) -> Result<(u64, Vec<u8>), Halt> {
        let precompile = Precompile::at(address, fork).expect("asked for where there is one");
        match precompile.run(input, gas, fork) {
            Ok(done) => Ok((gas - done.gas_used, done.output)),
            Err(PrecompileError::OutOfGas) => Err(Halt::OutOfGas),
            Err(PrecompileError::InvalidInput(_)) => Err(Halt::PrecompileFailure),
        }
    }

    fn authority(&self, authorization: &Authorization) -> Option<H160> {
        recover_authority(authorization)
    }

    fn mismatch(&self, _: &Mismatch) {
        unreachable!("nothing runs on a device here");
    }
}

fn bundled(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(folder)
}

/// The folder that a variable names, if any; a test that runs without says so.
fn named(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        println!("{variable} is not set: only what is bundled is compared");
    }
    folder
}
