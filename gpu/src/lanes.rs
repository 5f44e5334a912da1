//! Runs transactions on lanes of one class: hands them out, answers what lanes ask for, collects how they end.

use crate::class::LaneClass;
use crate::code_store::CodeStore;
use crate::device::DeviceError;
use crate::edition::{self, Edition};
use crate::kernels::{Kernels, Slot};
use crate::pack::{address_limbs, hash_limbs, limbs, push_bytes};
use crate::pool::Pool;
use crate::report::{self, EndReport, LaneReport};
use crate::services::Services;
use crate::split;
use crate::state_tables::StateTables;
use isolane_spec::gas::SCHEDULES;
use isolane_spec::layout::{
    NO_CODE, Params, UNKNOWN_CODE, account, account_flag, environment, escape, message, transaction,
};
use isolane_spec::{
    AccessListItem, AccountInfo, Bytes, Environment, Fork, GasSchedule, H160, H256, KECCAK_EMPTY, StateError,
    StateView, U256, word,
};
use rayon::prelude::*;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

/// An account that a lane's journal starts with.
#[derive(Clone, Debug)]
pub(crate) struct Seed {
    pub address: H160,
    pub info: AccountInfo,
    pub exists: bool,
    pub warm: bool,
    pub touched: bool,
    pub created: bool,
    /// Code that the transaction itself gave it (EIP-7702).
    pub code: Option<Bytes>,
}

/// What a lane starts from.
#[derive(Clone, Debug)]
pub(crate) struct LaneStart {
    /// Its environment, by its place in the run's list.
    pub environment: usize,
    pub creates: bool,
    /// Below 2^63.
    pub gas: u64,
    pub refund: i32,
    pub origin: H160,
    pub gas_price: U256,
    pub value: U256,
    pub input: Bytes,
    pub blob_hashes: Vec<H256>,
    pub access_list: Vec<AccessListItem>,
    /// The sender and others.
    pub seeds: Vec<Seed>,
    /// Which of them the first frame works on.
    pub target: u32,
    /// The code that runs first, by its hash; of a creation the initcode, without one.
    pub code: (Option<H256>, Bytes),
}

/// How a lane's transaction came out.
#[derive(Debug)]
pub(crate) enum LaneEnd {
    Ended(Box<EndReport>),
    /// It needs a larger lane, or the fallback.
    Escaped(u32),
    /// The state could not answer.
    State,
    /// The device has no room for the code or the state that it needs.
    Full,
}

/// An environment of a run.
pub(crate) struct RunEnvironment {
    pub rules: Environment,
    /// What its code is decoded to.
    pub edition: Edition,
    /// Its state as lanes see it.
    pub state: Arc<dyn StateView>,
    /// The number of that state in the tables.
    pub key: u32,
    /// Whether the tables hold all of it.
    pub complete: bool,
    /// How many of its commits the tables have.
    pub seen: usize,
}

/// Everything on the host's side that outlives a class.
pub(crate) struct Host<'a> {
    pub kernels: &'a mut Kernels,
    pub codes: &'a mut CodeStore,
    pub tables: &'a mut StateTables,
    pub services: &'a dyn Services,
}

/// Limits of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RunLimits {
    /// Most lanes at once.
    pub lanes: u32,
    /// Most instructions of a lane in one dispatch.
    pub steps: u32,
    /// Rounds of the first exchange.
    pub rounds: u32,
    /// Words of the outbox.
    pub outbox_words: u32,
}

/// Rounds of the longest exchange.
const MOST_ROUNDS: u32 = 32;
/// Most instructions of a lane in a dispatch of the longest exchange.
const MOST_STEPS: u32 = 16_384;
/// Rounds without a report after which the last lanes of a batch are left to the reference, which is faster with few of them
/// than a device.
const PATIENCE: u32 = 4096;

/// A lane at work: its job, and where its transaction is in the pool.
#[derive(Clone, Copy)]
struct Busy {
    job: usize,
    at: u32,
    len: usize,
}

/// The fixed part of the pool: instruction words by edition, gas schedules by fork, environments.
fn fixed_words(environments: &[RunEnvironment], services: &dyn Services) -> (Vec<u32>, Vec<u32>) {
    // Place 0 is no message.
    let mut words = vec![0; 4];
    let mut rows: HashMap<Edition, u32> = HashMap::new();
    for run in environments {
        rows.entry(run.edition).or_insert_with(|| {
            let at = words.len() as u32;
            words.extend((0..=255).map(|byte| run.edition.instruction(byte)));
            at
        });
    }
    let schedules: Vec<u32> = SCHEDULES
        .iter()
        .map(|schedule: &GasSchedule| {
            let at = words.len() as u32;
            words.extend_from_slice(bytemuck::cast_slice(std::slice::from_ref(schedule)));
            at
        })
        .collect();
    let places = environments
        .iter()
        .map(|run| {
            let at = words.len();
            words.resize(at + environment::SIZE as usize, 0);
            let fork = run.rules.rules.fork;
            let block = &run.rules.block;
            let number = H160::from_low_u64_be;
            let mask = (1..32u32)
                .filter(|address| services.is_precompile(number(u64::from(*address)), fork))
                .fold(0, |mask, address| mask | 1 << address);
            let random = if fork >= Fork::Paris { word::from_hash(&block.prev_randao) } else { block.difficulty };
            let mut set = |field: u32, values: &[u32]| {
                words[at + field as usize..][..values.len()].copy_from_slice(values);
            };
            set(environment::STATE, &[run.key]);
            set(environment::COMPLETE, &[u32::from(run.complete)]);
            set(environment::FORK, &[fork as u32]);
            set(environment::SCHEDULE, &[schedules[fork as usize]]);
            set(environment::ROWS, &[rows[&run.edition]]);
            set(environment::PRECOMPILES, &[mask]);
            set(environment::P256, &[u32::from(services.is_precompile(number(0x100), fork))]);
            let budget = &run.rules.budget;
            set(environment::RESTRICTIONS, &[edition::restrictions(&run.rules)]);
            set(environment::MOST_STEPS, &[edition::limit(budget.steps)]);
            set(environment::MOST_MEMORY, &[edition::limit(budget.memory / 4)]);
            set(environment::MOST_DEPTH, &[edition::depth_limit(&run.rules)]);
            set(environment::MOST_CHANGES, &[edition::limit(budget.slots)]);
            set(environment::MOST_LOG_BYTES, &[edition::limit(budget.log_bytes)]);
            set(environment::COINBASE, &limbs(&word::from_address(&block.coinbase)));
            set(environment::TIMESTAMP, &limbs(&block.timestamp.into()));
            set(environment::NUMBER, &limbs(&block.number.into()));
            set(environment::PREVRANDAO, &limbs(&random));
            set(environment::GASLIMIT, &limbs(&block.gas_limit.into()));
            set(environment::CHAINID, &limbs(&run.rules.rules.chain_id.into()));
            set(environment::BASEFEE, &limbs(&block.base_fee));
            set(environment::BLOBBASEFEE, &limbs(&block.blob_base_fee));
            set(environment::SLOTNUM, &limbs(&block.slot_number.into()));
            at as u32
        })
        .collect();
    (words, places)
}

/// An account as lanes have it.
pub(crate) fn account_words(
    address: &H160,
    info: &AccountInfo,
    flags: u32,
    code: u32,
) -> [u32; account::SIZE as usize] {
    let mut words = [0; account::SIZE as usize];
    let mut set = |field: u32, values: &[u32]| words[field as usize..][..values.len()].copy_from_slice(values);
    set(account::ADDRESS, &address_limbs(address));
    set(account::FLAGS, &[flags]);
    set(account::NONCE, &[info.nonce as u32, (info.nonce >> 32) as u32]);
    set(account::BALANCE, &limbs(&info.balance));
    set(account::CODE_HASH, &hash_limbs(&info.code_hash));
    set(account::CODE, &[code]);
    words
}

/// Instruction words of a creation's first frame or of a code that runs.
fn start_code(codes: &mut CodeStore, edition: Edition, (hash, bytes): &(Option<H256>, Bytes)) -> u32 {
    match hash {
        Some(hash) => codes.add(*hash, edition, bytes),
        None => codes.push(edition, bytes),
    }
}

impl Host<'_> {
    /// Runs all jobs on lanes of a class. Results come in the order of the jobs.
    pub fn run(
        &mut self,
        class: &LaneClass,
        environments: &[RunEnvironment],
        jobs: &[&LaneStart],
        limits: RunLimits,
    ) -> Result<Vec<LaneEnd>, DeviceError> {
        let lanes = limits.lanes.min(jobs.len() as u32).max(1);
        let (fixed, places) = fixed_words(environments, self.services);
        let mut pool = Pool::new(fixed, lanes);
        let mut params = class.params(lanes);
        params.steps = limits.steps;
        params.outbox_words = limits.outbox_words;
        params.mail = pool.mail_at();
        self.kernels.reset(&params)?;
        self.kernels.reserve(Slot::Outbox, u64::from(limits.outbox_words) * 4)?;

        let mut ends: Vec<Option<LaneEnd>> = jobs.iter().map(|_| None).collect();
        let mut busy: Vec<Option<Busy>> = vec![None; lanes as usize];
        let mut free: Vec<u32> = (0..lanes).rev().collect();
        let mut next = 0;
        let mut working = 0u32;
        let mut replies: Vec<(u32, usize)> = Vec::new();
        let (mut rounds, mut quiet) = (limits.rounds, 0);
        loop {
            while next < jobs.len()
                && let Some(lane) = free.pop()
            {
                let job = &jobs[next];
                if !self.has_room(split::code_words(job.code.1.len())) {
                    ends[next] = Some(LaneEnd::Full);
                    free.push(lane);
                    next += 1;
                    continue;
                }
                let words = self.transaction_words(environments, &places, job);
                let at = pool.put(&words);
                // The record lies behind the message, and its ranges are relative to the pool.
                relocate(&mut pool, at, &words);
                pool.send(lane, at);
                busy[lane as usize] = Some(Busy { job: next, at, len: words.len() });
                next += 1;
                working += 1;
            }
            if working == 0 {
                break;
            }
            params.epoch = params.epoch.wrapping_add(1).max(1);
            self.send(&mut pool, &mut params)?;
            let exchange = self.kernels.exchange(&params, rounds)?;
            pool.clear_mail();
            for (at, len) in replies.drain(..) {
                pool.release(at, len);
            }
            if exchange.count == 0 && exchange.active == 0 {
                return Err(DeviceError::Lost(format!("{working} lanes never came to an end")));
            }
            // Lanes that only execute get longer exchanges and longer dispatches; lanes that ask are answered soon.
            if exchange.count == 0 {
                quiet += rounds;
                rounds = (rounds * 2).min(MOST_ROUNDS);
                params.steps = (params.steps * 4).clamp(limits.steps, MOST_STEPS.max(limits.steps));
            } else {
                (quiet, rounds, params.steps) = (0, limits.rounds, limits.steps);
            }
            if quiet >= PATIENCE && next == jobs.len() && working <= lanes.div_ceil(16) {
                for work in busy.iter().flatten() {
                    ends[work.job] = Some(LaneEnd::Escaped(escape::LONG));
                }
                break;
            }
            let answering = Instant::now();
            let mut at = 0;
            let mut precompiles = Vec::new();
            for _ in 0..exchange.count {
                let Some((lane, said, len)) = report::read(exchange.reports.get(at..).unwrap_or(&[]), params.epoch)
                else {
                    return Err(DeviceError::Lost("a report that no lane writes".to_owned()));
                };
                at += len;
                let Some(Some(work)) = busy.get(lane as usize).copied() else {
                    return Err(DeviceError::Lost(format!("lane {lane} reports without work")));
                };
                let environment = &environments[jobs[work.job].environment];
                let end = match said {
                    LaneReport::Ended(end) => Some(LaneEnd::Ended(end)),
                    LaneReport::Escaped(reason) => Some(LaneEnd::Escaped(reason)),
                    LaneReport::NeedsPrecompile { address, gas, input } => {
                        precompiles.push((lane, environment.rules.rules.fork, address, gas, input));
                        None
                    }
                    need => match catch_unwind(AssertUnwindSafe(|| self.answer(environment, &need))) {
                        Ok(Ok(false)) => Some(LaneEnd::Full),
                        Ok(Ok(true)) => {
                            let at = pool.put(&[message::RETRY]);
                            replies.push((at, 1));
                            pool.send(lane, at);
                            None
                        }
                        // It could not answer, or has a defect, which stays in its environment.
                        Ok(Err(_)) | Err(_) => Some(LaneEnd::State),
                    },
                };
                if let Some(end) = end {
                    ends[work.job] = Some(end);
                    pool.release(work.at, work.len);
                    busy[lane as usize] = None;
                    free.push(lane);
                    working -= 1;
                }
            }
            let services = self.services;
            let done: Vec<(u32, Vec<u32>)> = precompiles
                .into_par_iter()
                .map(|(lane, fork, address, gas, input)| (lane, precompile_words(services, fork, address, gas, &input)))
                .collect();
            for (lane, words) in done {
                let at = pool.put(&words);
                replies.push((at, words.len()));
                pool.send(lane, at);
            }
            self.kernels.times.services += answering.elapsed();
        }
        Ok(ends.into_iter().map(|end| end.unwrap_or(LaneEnd::Escaped(escape::REPORT))).collect())
    }

    /// Sends what the device does not have yet.
    fn send(&mut self, pool: &mut Pool, params: &mut Params) -> Result<(), DeviceError> {
        if self.kernels.reserve(Slot::Pool, pool.len() as u64 * 4)? {
            pool.resend();
        }
        if self.kernels.reserve(Slot::Tables, self.tables.len() as u64 * 4)? {
            self.tables.resend();
        }
        let [account_mask, slot_mask] = self.tables.masks();
        params.account_table = 0;
        params.account_mask = account_mask;
        params.slot_table = self.tables.slots_at();
        params.slot_mask = slot_mask;
        if self.kernels.reserve(Slot::Codes, self.codes.len() as u64 * 4)? {
            self.kernels.write(Slot::Codes, 0, self.codes.all());
        } else {
            let (at, words) = self.codes.unsent();
            self.kernels.write(Slot::Codes, at, words);
        }
        for (at, words) in pool.unsent() {
            self.kernels.write(Slot::Pool, at, words);
        }
        for (at, words) in self.tables.unsent() {
            self.kernels.write(Slot::Tables, at, words);
        }
        Ok(())
    }

    /// Whether so many words of code fit, and one more entry in the tables.
    fn has_room(&self, code: usize) -> bool {
        let limit = usize::try_from(self.kernels.binding_limit() / 4).unwrap_or(usize::MAX);
        self.codes.len() + code <= limit && self.tables.has_room(limit)
    }

    /// Puts what a lane lacks into the tables. Returns whether there is room for it.
    fn answer(&mut self, run: &RunEnvironment, need: &LaneReport) -> Result<bool, StateError> {
        if !self.has_room(0) {
            return Ok(false);
        }
        match need {
            LaneReport::NeedsAccount(address) => {
                let account = run.state.account(address)?;
                self.add_account(run, address, account, 0);
            }
            LaneReport::NeedsSlot(address, key) => {
                let value = run.state.storage(address, key)?;
                self.tables.set_slot(run.key, address, key, &value);
            }
            LaneReport::NeedsBlockHash(number) => {
                let hash = run.state.block_hash(number.low_u64())?;
                self.tables.set_block_hash(run.key, number, &word::from_hash(&hash));
            }
            LaneReport::NeedsCode(address) => {
                if let Some(info) = run.state.account(address)? {
                    let code = run.state.code(&info.code_hash)?;
                    if !self.has_room(split::code_words(code.len())) {
                        return Ok(false);
                    }
                    self.codes.add(info.code_hash, run.edition, &code);
                }
                let account = run.state.account(address)?;
                self.add_account(run, address, account, 0);
            }
            LaneReport::NeedsStorageFlag(address) => {
                let has = run.state.has_storage(address)?;
                let flags = account_flag::STORAGE_KNOWN | if has { account_flag::HAS_STORAGE } else { 0 };
                let account = run.state.account(address)?;
                self.add_account(run, address, account, flags);
            }
            LaneReport::Ended(_) | LaneReport::Escaped(_) | LaneReport::NeedsPrecompile { .. } => {}
        }
        Ok(true)
    }

    /// A code that lanes may use already. The store may have it from another environment: one whose state lacks it asks for it, and
    /// fails.
    fn code_at_hand(&self, run: &RunEnvironment, code_hash: &H256) -> u32 {
        let code = self.codes.find(code_hash, run.edition).filter(|_| run.state.code(code_hash).is_ok());
        code.unwrap_or(UNKNOWN_CODE)
    }

    /// Puts an account into the tables, with its code where that is at hand.
    fn add_account(&mut self, run: &RunEnvironment, address: &H160, account: Option<AccountInfo>, flags: u32) {
        let info = account.unwrap_or_default();
        let flags = match account {
            Some(_) => flags | account_flag::EXISTS,
            None => account_flag::STORAGE_KNOWN,
        };
        let code = if info.code_hash == KECCAK_EMPTY { NO_CODE } else { self.code_at_hand(run, &info.code_hash) };
        // What was learnt about its storage stays true.
        let known = self.tables.account(run.key, address).map_or(0, |old| old[account::FLAGS as usize]);
        let kept = known & (account_flag::STORAGE_KNOWN | account_flag::HAS_STORAGE);
        self.tables.set_account(run.key, &account_words(address, &info, flags | kept, code));
    }

    /// The message that starts a transaction. Places in it are relative to its start until [`relocate`] moves them.
    fn transaction_words(&mut self, environments: &[RunEnvironment], places: &[u32], job: &LaneStart) -> Vec<u32> {
        let run = &environments[job.environment];
        let mut words = vec![0; HEAD + transaction::SIZE as usize];
        words[0] = message::START;
        words[1] = HEAD as u32;
        let code = start_code(self.codes, run.edition, &job.code);
        let seeds_at = words.len();
        for seed in &job.seeds {
            let mut flags = if seed.exists { account_flag::EXISTS } else { account_flag::STORAGE_KNOWN };
            if seed.warm {
                flags |= account_flag::WARM;
            }
            if seed.touched {
                flags |= account_flag::TOUCHED;
            }
            if seed.created {
                flags |= account_flag::CREATED;
            }
            if let Some(known) = self.tables.account(run.key, &seed.address) {
                flags |= known[account::FLAGS as usize] & (account_flag::STORAGE_KNOWN | account_flag::HAS_STORAGE);
            }
            let code = match &seed.code {
                Some(bytes) => self.codes.add(seed.info.code_hash, run.edition, bytes),
                None if seed.info.code_hash == KECCAK_EMPTY => NO_CODE,
                None => self.code_at_hand(run, &seed.info.code_hash),
            };
            words.extend(account_words(&seed.address, &seed.info, flags, code));
        }
        let input_at = words.len();
        push_bytes(&mut words, &job.input);
        let blobs_at = words.len();
        words.extend(job.blob_hashes.iter().flat_map(hash_limbs));
        let addresses_at = words.len();
        words.extend(job.access_list.iter().flat_map(|item| address_limbs(&item.address)));
        let slots_at = words.len();
        let mut slots = 0;
        for item in &job.access_list {
            for key in &item.storage_keys {
                words.extend(address_limbs(&item.address));
                words.extend(limbs(key));
                slots += 1;
            }
        }
        let mut set = |field: u32, values: &[u32]| {
            words[HEAD + field as usize..][..values.len()].copy_from_slice(values);
        };
        set(transaction::ENVIRONMENT, &[places[job.environment]]);
        set(transaction::CREATES, &[u32::from(job.creates)]);
        set(transaction::GAS, &[job.gas as u32, (job.gas >> 32) as u32]);
        set(transaction::REFUND, &[job.refund as u32]);
        set(transaction::ORIGIN, &limbs(&word::from_address(&job.origin)));
        set(transaction::GASPRICE, &limbs(&job.gas_price));
        set(transaction::VALUE, &limbs(&job.value));
        set(transaction::INPUT, &[input_at as u32]);
        set(transaction::INPUT_LEN, &[job.input.len() as u32]);
        set(transaction::BLOBS, &[blobs_at as u32]);
        set(transaction::BLOB_COUNT, &[job.blob_hashes.len() as u32]);
        set(transaction::LIST_ADDRESSES, &[addresses_at as u32]);
        set(transaction::LIST_ADDRESS_COUNT, &[job.access_list.len() as u32]);
        set(transaction::LIST_SLOTS, &[slots_at as u32]);
        set(transaction::LIST_SLOT_COUNT, &[slots]);
        set(transaction::SEEDS, &[seeds_at as u32]);
        set(transaction::SEED_COUNT, &[job.seeds.len() as u32]);
        set(transaction::TARGET, &[job.target]);
        set(transaction::CODE, &[code]);
        words
    }
}

/// Words before the record of a transaction: the message, and the record's place.
const HEAD: usize = 2;

/// Moves the places of a transaction's message to where it lies.
fn relocate(pool: &mut Pool, at: u32, words: &[u32]) {
    pool.set(at + 1, at + words[1]);
    for field in [
        transaction::INPUT,
        transaction::BLOBS,
        transaction::LIST_ADDRESSES,
        transaction::LIST_SLOTS,
        transaction::SEEDS,
    ] {
        let place = HEAD as u32 + field;
        pool.set(at + place, at + words[place as usize]);
    }
}

/// The reply to a lane that waits for a precompile.
fn precompile_words(services: &dyn Services, fork: Fork, address: H160, gas: u64, input: &[u8]) -> Vec<u32> {
    match services.precompile(address, fork, input, gas) {
        Ok((left, output)) => {
            let mut words = vec![message::OUTPUT, left as u32, (left >> 32) as u32, output.len() as u32];
            push_bytes(&mut words, &output);
            words
        }
        Err(halt) => {
            vec![message::FAILURE, isolane_spec::lane::HALT | isolane_spec::lane::halt_code(halt) << 8]
        }
    }
}

#[cfg(test)]
mod tests;
