//! What the device asks of the host besides state: cryptography that is not worth a kernel.

use crate::check::Mismatch;
use isolane_spec::{Authorization, Fork, H160, Halt};

/// Cryptography on the host. Another crate implements it, so that this one depends on no interpreter.
pub trait Services: Sync + Send {
    /// Whether the fork has a precompile at the address.
    fn is_precompile(&self, address: H160, fork: Fork) -> bool;
    /// Runs a precompile: the gas that is left, and its output.
    ///
    /// # Errors
    /// [`Halt::OutOfGas`] or [`Halt::PrecompileFailure`].
    fn precompile(&self, address: H160, fork: Fork, input: &[u8], gas: u64) -> Result<(u64, Vec<u8>), Halt>;
    /// Who signed an authorization (EIP-7702); `None` if the signature is no good.
    fn authority(&self, authorization: &Authorization) -> Option<H160>;
    /// Told, once, when a lane came to something else than the fallback, and the device is given up for it.
    fn mismatch(&self, mismatch: &Mismatch);
}
