//! What becomes of a request: a call goes into a batch, other executions to threads of their own, the rest to the node.

use super::batches::Batches;
use super::blocks::{Blocks, Pinned};
use super::calls;
use super::http::{Limits, Room};
use super::jsonrpc::{Answer, Failure, Request};
use super::methods::{self, Method};
use super::metrics::Metrics;
use super::params::{self, BlockId, BlockOverrideArgs, CallArgs, Positional, StateOverrideArgs};
use super::pool::{Pool, Turn};
use super::queues::Job;
use super::reply::Slot;
use super::sequence::Stop;
use super::tenants::{Tenant, Tenants};
use super::upstream::{self, Upstream};
use crate::executor::Snapshot;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Everything that answers requests.
pub struct Service {
    /// Who may ask.
    pub tenants: Arc<Tenants>,
    /// What bodies may be.
    pub limits: Limits,
    /// Room for bodies.
    pub room: Room,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    pub(super) blocks: Arc<Blocks>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) batches: Batches,
    /// For executions that are no plain calls.
    pub(super) quick: Arc<Pool>,
    /// Requests of each tenant that are under way.
    pub(super) under_way: Vec<AtomicUsize>,
}

/// Requests that count as under way until this is dropped.
pub struct Admitted<'a> {
    counter: &'a AtomicUsize,
    count: usize,
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        self.counter.fetch_sub(self.count, Ordering::AcqRel);
    }
}

/// What the requests of one body come to that only wait for their batch.
#[derive(Default)]
pub struct Gathered {
    calls: Vec<Job>,
    /// The block that was asked for last: mostly the next one asks for the same.
    block: Option<(BlockId, Arc<Pinned>)>,
}

/// The parameters of `eth_call`. The large ones in boxes, as they travel through several layers of parsing.
type CallParams = Positional<Box<CallArgs>, BlockId, StateOverrideArgs, Box<BlockOverrideArgs>>;

impl Service {
    /// Lets so many requests of a tenant in.
    ///
    /// # Errors
    /// When too many are under way.
    pub fn admit(&self, tenant: usize, count: usize) -> Result<Admitted<'_>, Failure> {
        let (Some(counter), Some(owner)) = (self.under_way.get(tenant), self.tenants.list().get(tenant)) else {
            return Err(Failure::internal("no such tenant"));
        };
        let before = counter.fetch_add(count, Ordering::AcqRel);
        let admitted = Admitted { counter, count };
        if before.saturating_add(count) > owner.concurrency {
            return Err(owner.full());
        }
        Ok(admitted)
    }

    /// Whether it can answer, and why not, as JSON.
    #[must_use]
    pub fn health(&self) -> (bool, String) {
        let (head, failure) = self.blocks.health();
        let status = if head.is_some() { "ok" } else { "the node behind this server does not answer" };
        let (number, age) = head.map_or((None, None), |(number, age)| (Some(number), Some(age.as_secs_f64())));
        let json = serde_json::json!({
            "status": status,
            "chainId": self.blocks.chain_id(),
            "head": number,
            "headAgeSeconds": age,
            "lastFailure": failure,
        });
        (head.is_some(), json.to_string())
    }

    /// Answers a request, sooner or later; a call that only waits for its batch is gathered, for [`Self::queue_all`]. It must be
    /// called within the runtime.
    pub fn submit(self: &Arc<Self>, tenant: usize, request: &Request<'_>, slot: Slot, gathered: &mut Gathered) {
        let Some(owner) = self.tenants.list().get(tenant) else { return };
        if !owner.may_call(&request.method) {
            return slot.answer(Err(Failure::no_method(&request.method)));
        }
        match Method::named(&request.method) {
            Some(Method::Call) => match self.call(tenant, request.params()) {
                Ok((block, job)) => self.queue(tenant, block, job, slot, gathered),
                Err(failure) => slot.answer(Err(failure)),
            },
            Some(method) => match methods::prepare(method, request.params()) {
                Ok(work) => self.execute(tenant, work, slot),
                Err(failure) => slot.answer(Err(failure)),
            },
            None => self.pass(owner, request, slot),
        }
    }

    /// Queues calls for the next batch.
    pub fn queue_all(&self, gathered: Gathered) {
        if !gathered.calls.is_empty() {
            self.batches.push(gathered.calls);
        }
    }

    fn call(&self, tenant: usize, params: &str) -> Result<(BlockId, Pending), Failure> {
        let Positional(args, block, state, overrides): CallParams = params::read(params)?;
        let call = Box::new(calls::call(*args, self.blocks.chain_id())?);
        Ok((block.unwrap_or(BlockId::Latest), Pending { tenant, call, state, overrides }))
    }

    /// A call for the next batch, once its block is at hand.
    fn queue(self: &Arc<Self>, tenant: usize, block: BlockId, pending: Pending, slot: Slot, gathered: &mut Gathered) {
        if !gathered.block.as_ref().is_some_and(|(last, _)| *last == block) {
            gathered.block = self.blocks.at_hand(&block).map(|pinned| (block, pinned));
        }
        if let Some((_, pinned)) = &gathered.block {
            gathered.calls.extend(Self::job(pinned, pending, slot));
            return;
        }
        let service = Arc::clone(self);
        let mut work = Some((pending, slot));
        let task = move |_: u64| {
            if let Some((pending, slot)) = work.take() {
                match service.blocks.find(&block) {
                    Ok(pinned) => {
                        if let Some(job) = Self::job(&pinned, pending, slot) {
                            service.batches.push(vec![job]);
                        }
                    }
                    Err(failure) => slot.answer(Err(failure)),
                }
            }
            Turn::Done(1)
        };
        self.quick.push(tenant, Box::new(task));
    }

    /// A call on a block; `None` where that is an error, which is answered.
    fn job(pinned: &Pinned, pending: Pending, slot: Slot) -> Option<Job> {
        let Pending { tenant, call, state, overrides } = pending;
        let snapshot = match (&state, &overrides) {
            (None, None) => Arc::clone(&pinned.snapshot),
            _ => match calls::overridden(Snapshot::clone(&pinned.snapshot), state, overrides.as_deref()) {
                Ok(snapshot) => Arc::new(snapshot),
                Err(failure) => {
                    slot.answer(Err(failure));
                    return None;
                }
            },
        };
        Some(Job { tenant, snapshot, call, slot, rounds: 0, second: false })
    }

    /// Executes what is no plain call.
    fn execute(self: &Arc<Self>, tenant: usize, work: methods::Work, slot: Slot) {
        let service = Arc::clone(self);
        let mut slot = Some(slot);
        let task = move |allowance: u64| {
            let (Some(waiting), Some(owner)) = (slot.take(), service.tenants.list().get(tenant)) else {
                return Turn::Done(1);
            };
            if waiting.is_abandoned() {
                return Turn::Done(1);
            }
            let mut used = 0;
            let answer: Answer = match work.execute(&service.blocks, owner, allowance, &mut used) {
                Ok(text) => Ok(text),
                Err(Stop::Failed(failure)) => Err(failure),
                Err(Stop::TooLong) if allowance < u64::MAX => {
                    service.metrics.demote();
                    slot = Some(waiting);
                    return Turn::TooLong(used);
                }
                Err(Stop::TooLong) => Err(Failure::server("it takes more instructions than this server executes")),
            };
            waiting.answer(answer);
            Turn::Done(used)
        };
        self.quick.push(tenant, Box::new(task));
    }

    /// Lets the node answer.
    fn pass(self: &Arc<Self>, owner: &Tenant, request: &Request<'_>, slot: Slot) {
        if owner.is_restricted() && methods::executes(&request.method) {
            // There, neither permissions nor budgets would hold.
            return slot.answer(Err(Failure::no_method(&request.method)));
        }
        let (service, method, params) = (Arc::clone(self), request.method.to_string(), request.params().to_owned());
        tokio::spawn(async move {
            let answer = service.upstream.pass(method.clone(), params).await;
            // Whoever asks next sees what this changed.
            if upstream::changes_state(&method) {
                service.blocks.forget();
            } else if upstream::may_mine(&method) {
                service.blocks.suspect();
            }
            slot.answer(answer);
        });
    }
}

/// A call whose block is not at hand yet.
struct Pending {
    tenant: usize,
    call: Box<crate::executor::Call>,
    state: Option<StateOverrideArgs>,
    overrides: Option<Box<BlockOverrideArgs>>,
}
