//! [`Snapshot`]: the state after some block, the block that calls see, and its rules.

use super::cache::{Cache, CacheStatistics};
use super::call::Terms;
use super::error::ExecutorError;
use super::keys::Key;
use super::overrides::{BlockOverrides, OverlaidView, Overlay, OverrideError, StateOverrides};
use isolane_spec::{AccountDiff, BlockContext, Budget, Environment, Order, Permissions, Rules, StateView, U256};
use std::fmt;
use std::sync::Arc;

/// Where the answers come from.
#[derive(Clone)]
pub(super) enum Origin {
    /// A state at hand.
    Direct(Arc<dyn StateView>),
    /// A source, asked round by round.
    Cached(Arc<Cache>),
}

/// What calls run against: the state after some block, the block that they see, and its rules. Cheap to clone. It never changes:
/// overrides make another one, which reads through the same cache.
#[derive(Clone)]
pub struct Snapshot {
    origin: Origin,
    rules: Rules,
    block: Arc<BlockContext>,
    overlay: Option<Arc<Overlay>>,
    /// What calls may do and spend, where that is less than everything.
    limits: Option<Arc<(Permissions, Budget)>>,
    /// The number of the block whose state it is.
    latest: u64,
}

impl Snapshot {
    pub(super) fn new(origin: Origin, block: BlockContext, rules: Rules) -> Self {
        Self { origin, rules, latest: block.number, block: Arc::new(block), overlay: None, limits: None }
    }

    /// The block that calls see.
    #[must_use]
    pub fn block(&self) -> &BlockContext {
        &self.block
    }

    /// Its rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What was asked of the source so far, for all snapshots that share its cache. Nothing where the source's state is at
    /// hand.
    #[must_use]
    pub fn cache_statistics(&self) -> CacheStatistics {
        match &self.origin {
            Origin::Direct(_) => CacheStatistics::default(),
            Origin::Cached(cache) => cache.statistics(),
        }
    }

    /// With another state.
    ///
    /// # Errors
    /// When the overrides contradict themselves.
    pub fn with_overrides(&self, overrides: &StateOverrides) -> Result<Self, OverrideError> {
        let mut other = self.clone();
        let mut overlay = other.take_overlay();
        overlay.override_state(overrides, &mut other.rules)?;
        other.overlay = Some(Arc::new(overlay));
        Ok(other)
    }

    /// In another block.
    #[must_use]
    pub fn with_block_overrides(&self, overrides: &BlockOverrides) -> Self {
        let mut other = self.clone();
        overrides.apply(Arc::make_mut(&mut other.block));
        let mut overlay = other.take_overlay();
        overlay.override_block_hashes(&overrides.block_hashes);
        other.overlay = Some(Arc::new(overlay));
        other
    }

    /// After transactions that changed this, as [`super::CallOutcome::diff`] lists it.
    #[must_use]
    pub fn with_changes(&self, diff: &[AccountDiff]) -> Self {
        let mut other = self.clone();
        let mut overlay = other.take_overlay();
        overlay.apply(diff);
        other.overlay = Some(Arc::new(overlay));
        other
    }

    fn take_overlay(&mut self) -> Overlay {
        self.overlay.take().map_or_else(Overlay::default, Arc::unwrap_or_clone)
    }

    /// Reads some keys of the source ahead, all of them in one request a kind, and keeps the answers. Returns those that there is
    /// no answer to. Nothing happens where the state is at hand.
    pub fn fetch(&self, keys: impl IntoIterator<Item = Key>) -> Vec<(Key, ExecutorError)> {
        match &self.origin {
            Origin::Direct(_) => Vec::new(),
            Origin::Cached(cache) => cache.fetch(keys),
        }
    }

    /// With permissions and a budget. Calls that keep within them have the same outcomes; those that do not are cut as an environment's
    /// are (docs/isolation.md). The state that was read stays shared.
    #[must_use]
    pub fn with_limits(&self, permissions: Permissions, budget: Budget) -> Self {
        Self { limits: Some(Arc::new((permissions, budget))), ..self.clone() }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The state over another base.
    pub(super) fn over(&self, base: Arc<dyn StateView>) -> Arc<dyn StateView> {
        match &self.overlay {
            None => base,
            Some(overlay) => Arc::new(OverlaidView { base, overlay: Arc::clone(overlay), latest: self.latest }),
        }
    }

    /// The state with all that is known now.
    pub(crate) fn view(&self) -> Arc<dyn StateView> {
        self.over(match &self.origin {
            Origin::Direct(view) => Arc::clone(view),
            Origin::Cached(cache) => Arc::new(cache.view()),
        })
    }

    /// What calls are executed in.
    pub(crate) fn environment(&self, state: Arc<dyn StateView>, terms: Terms, diffs: bool) -> Environment {
        let mut block = BlockContext::clone(&self.block);
        if terms.free_gas {
            block.base_fee = U256::zero();
        }
        if terms.free_blobs {
            block.blob_base_fee = U256::zero();
        }
        let (permissions, budget) = self.limits.as_deref().cloned().unwrap_or_default();
        Environment {
            order: Order::Independent,
            permissions,
            budget,
            validation: terms.validation,
            diffs,
            ..Environment::new(String::new(), self.rules, block, state)
        }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("block", &self.block).field("rules", &self.rules).finish_non_exhaustive()
    }
}
