//! A group: lanes that run the same code, each in an executor of its own, with what they share.
//!
//! Lanes are executed frame by frame. A [`Level`] is one frame of them all, or of those that called the same code; where
//! lanes go apart in it they form several paths, and where a path calls, the level above it is executed before it goes on.
//! A lane that leaves finishes the frame that it is in on the reference, and is back when its caller goes on.

use super::path::{Columns, Path, lanes};
use super::run::{Results, Runner, Stop, THIN};
use super::simd::{LANES, Limb, Mask, Simd, SimdLevel};
use super::statistics::{Leave, Statistics};
use super::words::Hashes;
use crate::execution::Executor;
use crate::frame::{Code, FrameKind};
use crate::interpreter::Exit;
use crate::lane::Programs;
use crate::machine::Available;
use crate::op::reducer::Reducer;
use crate::program::Rows;
use crate::stack::{Slots, slots};
use crate::transition::{Open, Opened};
use isolane_spec::{
    AccountInfo, Bytes, Environment, ExecutionError, H160, H256, MemoryState, Outcome, StateError, StateView,
    Transaction, U256,
};
use std::hint::black_box;
use std::sync::Arc;

/// A transaction of a group.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    pub environment: &'a Environment,
    /// The number of the environment in its batch.
    pub number: u32,
    pub transaction: &'a Transaction,
}

/// One frame of lanes that run the same code.
struct Level {
    program: u32,
    gas: Box<Limb>,
    /// Ready to run.
    paths: Vec<Path>,
    /// The path whose calls are being executed.
    calling: Option<Calling>,
}

/// A path that called or created.
struct Calling {
    path: Path,
    creates: bool,
    /// Lanes whose callee got a frame.
    framed: Mask,
    /// Callees that were not executed yet, and the lanes that called them.
    callees: Vec<(u32, Mask)>,
}

/// The state of a group's lanes. It is counted by this thread alone, where the counter of the state itself would travel from core to
/// core for every lane.
struct Near(Arc<dyn StateView>);

impl StateView for Near {
    fn account(&self, address: &H160) -> Result<Option<AccountInfo>, StateError> {
        self.0.account(address)
    }

    fn storage(&self, address: &H160, key: &U256) -> Result<U256, StateError> {
        self.0.storage(address, key)
    }

    fn has_storage(&self, address: &H160) -> Result<bool, StateError> {
        self.0.has_storage(address)
    }

    fn memory(&self) -> Option<&MemoryState> {
        self.0.memory()
    }

    fn is_near(&self) -> bool {
        self.0.is_near()
    }

    fn code(&self, code_hash: &H256) -> Result<Bytes, StateError> {
        self.0.code(code_hash)
    }

    fn block_hash(&self, number: u64) -> Result<H256, StateError> {
        self.0.block_hash(number)
    }
}

/// Executes groups, one after another, with buffers that outlive them.
pub(super) struct Group {
    simd: Simd,
    seats: Vec<Executor>,
    /// Of each seat: the batch and the environment that it is set up for.
    set_up: Vec<(u64, u32)>,
    programs: Programs,
    rows: Box<Rows>,
    columns: Columns,
    levels: Vec<Level>,
    results: Results,
    hashes: Hashes,
    reducer: Reducer,
    scratch: Box<Slots>,
    pub statistics: Statistics,
    /// Lanes that the reference executed a frame of.
    helped: Mask,
    /// Whether states are probably too large for the caches, so that reading them a little ahead pays.
    pub cold: bool,
    /// The state of a seat that has none, and those of the seats that have one now.
    nothing: Arc<dyn StateView>,
    idle: Vec<Arc<dyn StateView>>,
}

impl Group {
    pub fn new(level: SimdLevel) -> Self {
        Self {
            simd: Simd::new(level),
            seats: Vec::new(),
            set_up: Vec::new(),
            programs: Programs::default(),
            rows: Box::new([crate::program::Row::default(); 256]),
            columns: Columns::new(),
            levels: Vec::new(),
            results: Results {
                ended: std::iter::repeat_with(|| None).take(LANES).collect(),
                failed: Vec::new(),
                left: 0,
            },
            hashes: Hashes::default(),
            reducer: Reducer::default(),
            scratch: slots(),
            statistics: Statistics::default(),
            helped: 0,
            cold: false,
            nothing: Arc::new(MemoryState::default()),
            idle: Vec::new(),
        }
    }

    pub fn set_level(&mut self, level: SimdLevel) {
        self.simd = Simd::new(level);
    }

    /// Executes at most [`LANES`] transactions, each from its environment's base state. `sink` gets their outcomes, with their
    /// index among the jobs and the reason why the group did not execute them, in no particular order. `batch` is another number for each batch.
    pub fn execute(
        &mut self,
        batch: u64,
        jobs: &[Job<'_>],
        mut sink: impl FnMut(usize, Result<Outcome, ExecutionError>, Option<Leave>),
    ) {
        let jobs = &jobs[..jobs.len().min(LANES)];
        self.take_seats(batch, jobs);
        self.programs.trim();
        self.statistics.groups += 1;
        self.statistics.grouped += jobs.len() as u64;
        self.helped = 0;
        if self.cold {
            for job in jobs {
                if job.environment.state.is_near() {
                    black_box(job.environment.state.account(&job.transaction.sender).is_ok());
                }
            }
        }

        let mut opened: [Option<Opened>; LANES] = std::array::from_fn(|_| None);
        let mut first = Vec::new();
        let mut uncoded: Mask = 0;
        for (lane, job) in jobs.iter().enumerate() {
            let seat = &mut self.seats[lane];
            let available = Available::of(job.environment);
            match seat.open(&mut self.programs, job.transaction, available, &mut ()) {
                Ok(Open::Done(outcome)) => sink(lane, Ok(*outcome), Some(Leave::NoCode)),
                Ok(Open::Ended(open, ended)) => {
                    uncoded |= 1 << lane;
                    opened[lane] = Some(open);
                    self.results.ended[lane] = Some(ended);
                }
                Ok(Open::Running(open)) => {
                    opened[lane] = Some(open);
                    add_callee(&mut first, seat, 0, lane);
                }
                Err(error) => {
                    seat.abandon();
                    sink(lane, Err(error.into()), Some(Leave::Failed));
                }
            }
        }
        let too_few = first.iter().filter(|(program, lanes)| *program == OWN || lanes.count_ones() < THIN);
        let few = too_few.fold(0, |mask, (_, lanes)| mask | lanes);
        while let Some((program, lanes)) = first.pop() {
            if self.start(0, program, lanes) {
                self.drive();
            }
        }
        self.hashes.release(&mut self.columns);
        self.columns.trim();
        for (lane, error) in self.results.failed.drain(..) {
            opened[lane] = None;
            self.seats[lane].abandon();
            sink(lane, Err(error.into()), Some(Leave::Failed));
        }
        self.statistics.whole += jobs.len() as u64 - u64::from(self.helped.count_ones());
        for (lane, job) in jobs.iter().enumerate() {
            let seat = &mut self.seats[lane];
            if let Some(opened) = &opened[lane] {
                let closed = match self.results.ended[lane].take() {
                    Some(ended) => {
                        let closed = seat.close(job.transaction, opened, &ended, &mut ());
                        if closed.is_err() {
                            seat.abandon();
                        }
                        closed
                    }
                    None => Err(ExecutionError::Panic("a lane was lost".to_owned())),
                };
                let left = match (uncoded >> lane & 1, few >> lane & 1) {
                    (1, _) => Some(Leave::NoCode),
                    (_, 1) => Some(Leave::Few),
                    _ => None,
                };
                sink(lane, closed, left);
            }
        }
        // Nothing that is kept may keep a state alive.
        for (seat, nothing) in self.seats.iter_mut().zip(self.idle.drain(..)) {
            seat.lane.environment.state = nothing;
        }
    }

    /// Columns that are still referred to: none between groups.
    #[cfg(test)]
    pub fn columns_in_use(&self) -> usize {
        self.columns.in_use()
    }

    /// Sets up an executor for each transaction.
    fn take_seats(&mut self, batch: u64, jobs: &[Job<'_>]) {
        let mut near: Option<(u32, Arc<dyn StateView>)> = None;
        for (lane, job) in jobs.iter().enumerate() {
            let state = match &near {
                Some((number, state)) if *number == job.number => Arc::clone(state),
                _ => {
                    let state: Arc<dyn StateView> = Arc::new(Near(Arc::clone(&job.environment.state)));
                    near.insert((job.number, state)).1.clone()
                }
            };
            let wanted = (batch, job.number);
            match (self.seats.get_mut(lane), self.set_up.get_mut(lane)) {
                (Some(seat), Some(set_up)) => {
                    if *set_up == wanted {
                        seat.lane.rewind();
                    } else {
                        let state = Arc::clone(&self.nothing);
                        seat.lane.reset(Environment { state, ..job.environment.clone() });
                        *set_up = wanted;
                    }
                    // Put by rather than dropped and cloned again: each of these is an atomic operation.
                    self.idle.push(std::mem::replace(&mut seat.lane.environment.state, state));
                }
                _ => {
                    self.seats.push(Executor::new(Environment { state, ..job.environment.clone() }));
                    self.set_up.push(wanted);
                    self.idle.push(Arc::clone(&self.nothing));
                }
            }
        }
        if let Some(seat) = self.seats.first() {
            self.rows.clone_from(&seat.lane.rows);
        }
    }

    /// Starts a level of lanes whose frame at `depth` is ready; or, of too few lanes, runs it on the reference. Returns
    /// whether there is a level to run.
    fn start(&mut self, depth: usize, program: u32, mask: Mask) -> bool {
        let reason = if program == OWN { Leave::Initcode } else { Leave::Callee };
        if program == OWN || mask.count_ones() < THIN || depth >= DEEPEST {
            self.statistics.leave(reason, u64::from(mask.count_ones()));
            self.run_alone(depth, mask);
            return false;
        }
        let mut gas = Box::new([0; LANES]);
        for lane in lanes(mask) {
            gas[lane] = self.seats[lane].frames[depth].gas;
        }
        let ip = self.programs.get(program).start(&self.rows);
        self.levels.push(Level { program, gas, paths: vec![Path::new(mask, ip)], calling: None });
        true
    }

    /// Finishes frames on the reference.
    fn run_alone(&mut self, depth: usize, mask: Mask) {
        self.helped |= mask;
        for lane in lanes(mask) {
            match self.seats[lane].run(&mut self.programs, depth, &mut ()) {
                Ok(ended) => self.results.ended[lane] = Some(ended),
                Err(error) => self.results.failed.push((lane, error)),
            }
            self.seats[lane].trim((depth + 1).max(DEEPEST));
        }
    }

    /// Runs the levels until the first one has ended.
    fn drive(&mut self) {
        while let Some(depth) = self.levels.len().checked_sub(1) {
            let level = &mut self.levels[depth];
            let program = self.programs.get(level.program);
            let Some((mut path, limit)) =
                next_path(level, |ip| program.position(ip), self.simd, &mut self.columns, &mut self.seats)
            else {
                self.levels.pop();
                if let Some(caller) = depth.checked_sub(1) {
                    self.go_on(caller);
                }
                continue;
            };
            let stop = Runner {
                simd: self.simd,
                seats: &mut self.seats,
                columns: &mut self.columns,
                program,
                rows: &self.rows,
                gas: &mut level.gas,
                depth,
                waiting: &mut level.paths,
                results: &mut self.results,
                hashes: &mut self.hashes,
                reducer: &mut self.reducer,
                scratch: &mut self.scratch,
                statistics: &mut self.statistics,
                cold: self.cold,
            }
            .run(&mut path, limit);
            match stop {
                Stop::Over => {}
                Stop::Yield => level.paths.push(path),
                Stop::Call | Stop::Create => {
                    let creates = matches!(stop, Stop::Create);
                    level.calling = Some(Calling { path, creates, framed: 0, callees: Vec::new() });
                }
            }
            let left = std::mem::take(&mut self.results.left);
            if left != 0 {
                self.run_alone(depth, left);
            }
            if matches!(stop, Stop::Call | Stop::Create) {
                self.call(depth);
            }
        }
    }

    /// Makes the calls or creations of the calling path.
    fn call(&mut self, depth: usize) {
        let Some(calling) = &mut self.levels[depth].calling else { return };
        for lane in lanes(calling.path.lanes) {
            let seat = &mut self.seats[lane];
            // What is called has what is left of a budget.
            seat.lane.steps += calling.path.steps;
            let started =
                if calling.creates { seat.nested_create(depth) } else { seat.nested_call(&mut self.programs, depth) };
            match started {
                Ok(Some(ended)) => self.results.ended[lane] = Some(ended),
                Ok(None) => {
                    calling.framed |= 1 << lane;
                    add_callee(&mut calling.callees, seat, depth + 1, lane);
                }
                Err(error) => self.results.failed.push((lane, error)),
            }
        }
        (calling.path.steps, calling.path.copied) = (0, 0);
        self.go_on(depth);
    }

    /// Executes what the calling path has called and was not executed yet; after that the path can go on.
    fn go_on(&mut self, depth: usize) {
        loop {
            let Some(calling) = &mut self.levels[depth].calling else { return };
            let Some((program, lanes)) = calling.callees.pop() else { break };
            if self.start(depth + 1, program, lanes) {
                return;
            }
        }
        self.deliver(depth);
    }

    /// Hands the results of its calls to the calling path.
    fn deliver(&mut self, depth: usize) {
        let level = &mut self.levels[depth];
        let Some(Calling { mut path, creates, framed, .. }) = level.calling.take() else { return };
        for lane in lanes(path.lanes) {
            let Some(ended) = self.results.ended[lane].take() else {
                // The state could not answer.
                path.lanes &= !(1 << lane);
                continue;
            };
            let seat = &mut self.seats[lane];
            if let Some(halt) = ended.ends_transaction() {
                self.results.ended[lane] = Some(seat.end_frame(depth, &Exit::Halt(halt)));
                path.lanes &= !(1 << lane);
                continue;
            }
            let kind = match (creates, framed >> lane & 1) {
                (true, _) => FrameKind::Create,
                (false, 0) => FrameKind::Call { offset: 0, len: 0 },
                (false, _) => seat.frames[depth + 1].kind,
            };
            let word = seat.accept(depth, &ended, kind);
            level.gas[lane] = seat.frames[depth].gas + path.gas;
            self.columns.next.set(lane, &word);
        }
        if path.lanes == 0 {
            path.release(&mut self.columns);
            return;
        }
        let result = self.columns.keep_uniform(self.simd, path.lanes);
        path.stack.push(result);
        path.room = self.simd.least(&level.gas, path.lanes) - path.gas;
        if path.left < UNBOUNDED {
            // To be looked at again: the callees have executed some.
            path.left = 0;
        }
        level.paths.push(path);
    }
}

/// Frames that are nested deeper are executed lane by lane, so that not every lane of a group has a thousand of them at once.
const DEEPEST: usize = 64;
/// No transaction executes so many instructions, nor so many calls as many: who has as many left is under no budget.
const UNBOUNDED: u64 = 1 << 62;
/// Initcode: a frame's own program.
const OWN: u32 = u32::MAX;

/// Adds a lane whose frame at `depth` was started to the lanes that run the same code.
fn add_callee(callees: &mut Vec<(u32, Mask)>, seat: &Executor, depth: usize, lane: usize) {
    let program = match seat.frames[depth].code {
        Code::Cached(program) => program,
        Code::Own(_) => OWN,
    };
    match callees.iter_mut().find(|(other, _)| *other == program) {
        Some((_, mask)) => *mask |= 1 << lane,
        None => callees.push((program, 1 << lane)),
    }
}

/// The path that is furthest behind, joined with all that are at the same place; and where the next one waits.
fn next_path(
    level: &mut Level,
    position: impl Fn(usize) -> usize,
    simd: Simd,
    columns: &mut Columns,
    seats: &mut [Executor],
) -> Option<(Path, usize)> {
    let mut path = level.paths.pop()?;
    if level.paths.is_empty() {
        return Some((path, usize::MAX));
    }
    let mut at = position(path.ip);
    for other in &mut level.paths {
        let other_at = position(other.ip);
        if other_at < at {
            std::mem::swap(&mut path, other);
            at = other_at;
        }
    }
    let mut settled = false;
    let mut i = 0;
    while i < level.paths.len() {
        if position(level.paths[i].ip) != at || !path.meets(&level.paths[i]) {
            i += 1;
            continue;
        }
        let mut other = level.paths.swap_remove(i);
        if !settled {
            path.settle(simd, seats, &mut level.gas);
            settled = true;
        }
        other.settle(simd, seats, &mut level.gas);
        path.join(simd, columns, other);
    }
    let limit = level.paths.iter().map(|other| position(other.ip)).min().unwrap_or(usize::MAX);
    Some((path, limit))
}
