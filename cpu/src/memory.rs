//! The memory of a frame.

use isolane_spec::gas::memory_cost;
use isolane_spec::{U256, word};

/// No memory reaches here: it would cost more than 2^64 gas many times over.
const UNREACHABLE: u64 = 1 << 37;

/// Byte memory that grows by words and is zero where it was never written.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: Vec<u8>,
    /// The bytes that it may grow to.
    limit: u64,
}

/// The gas did not suffice.
pub(crate) struct OutOfGas;

/// Why the memory does not grow.
pub(crate) enum MemoryError {
    OutOfGas,
    /// The environment's budget.
    Budget,
}

impl From<OutOfGas> for MemoryError {
    fn from(_: OutOfGas) -> Self {
        Self::OutOfGas
    }
}

impl Memory {
    /// Bytes, always a multiple of 32.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What the frames above may grow to together.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.bytes.len() as u64)
    }

    /// Forgets everything, sets what it may grow to, and gives back memory that few frames need.
    pub fn clear(&mut self, limit: u64) {
        self.limit = limit;
        self.bytes.clear();
        if self.bytes.capacity() > 1 << 20 {
            self.bytes = Vec::new();
        }
    }

    /// Makes `len` bytes at `offset` accessible, and charges for them. Returns the offset.
    #[inline(always)]
    pub fn require(&mut self, offset: &U256, len: u64, gas: &mut u64) -> Result<usize, MemoryError> {
        if len == 0 {
            return Ok(0);
        }
        let offset = word::to_u64_saturating(offset);
        let end = offset.saturating_add(len);
        if end > self.bytes.len() as u64 {
            *gas = self.grow(end, *gas)?;
        }
        Ok(offset as usize)
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, end: u64, gas: u64) -> Result<u64, MemoryError> {
        let rest = self.check(end, gas)?;
        self.bytes.resize(end.next_multiple_of(32) as usize, 0);
        Ok(rest)
    }

    /// Grows to `len` bytes, which are paid for.
    pub fn extend(&mut self, len: usize) {
        if len > self.bytes.len() {
            self.bytes.resize(len, 0);
        }
    }

    /// What is left of `gas` after growing up to `end`; does not grow yet.
    pub fn check(&self, end: u64, gas: u64) -> Result<u64, MemoryError> {
        if end > UNREACHABLE {
            return Err(MemoryError::OutOfGas);
        }
        let cost = memory_cost(end.div_ceil(32)).saturating_sub(memory_cost(self.bytes.len() as u64 / 32));
        let rest = gas.checked_sub(cost).ok_or(MemoryError::OutOfGas)?;
        if end > self.bytes.len() as u64 && end.next_multiple_of(32) > self.limit {
            return Err(MemoryError::Budget);
        }
        Ok(rest)
    }

    /// 32 bytes, which must be accessible.
    #[inline(always)]
    pub fn load(&self, offset: usize) -> U256 {
        self.bytes[offset..].first_chunk().map_or_else(U256::zero, word::from_be)
    }

    /// Writes 32 bytes, which must be accessible.
    #[inline(always)]
    pub fn store(&mut self, offset: usize, value: &U256) {
        if let Some(chunk) = self.bytes[offset..].first_chunk_mut() {
            *chunk = word::to_be(value);
        }
    }

    /// Writes one byte, which must be accessible.
    #[inline(always)]
    pub fn store_byte(&mut self, offset: usize, value: u8) {
        self.bytes[offset] = value;
    }

    /// Bytes that must be accessible; none where `len` is zero.
    #[inline(always)]
    pub fn slice(&self, offset: usize, len: usize) -> &[u8] {
        if len == 0 { &[] } else { &self.bytes[offset..offset + len] }
    }

    /// Writes `len` bytes of `source` from `from` on; zeros beyond its end (CALLDATACOPY and its kin).
    pub fn copy_padded(&mut self, offset: usize, len: usize, source: &[u8], from: &U256) {
        if len == 0 {
            return;
        }
        let from = usize::try_from(word::to_u64_saturating(from)).unwrap_or(usize::MAX).min(source.len());
        let available = &source[from..];
        let take = available.len().min(len);
        let target = &mut self.bytes[offset..offset + len];
        target[..take].copy_from_slice(&available[..take]);
        target[take..].fill(0);
    }

    /// Writes bytes; the place must be accessible.
    pub fn write(&mut self, offset: usize, source: &[u8]) {
        if !source.is_empty() {
            self.bytes[offset..offset + source.len()].copy_from_slice(source);
        }
    }

    /// MCOPY: copies within the memory, as if through a buffer.
    pub fn copy_within(&mut self, target: usize, source: usize, len: usize) {
        if len > 0 {
            self.bytes.copy_within(source..source + len, target);
        }
    }
}
