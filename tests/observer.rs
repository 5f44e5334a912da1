//! Watching an execution changes nothing of it, and what observers tell is so: by the outcomes of the same execution
//! unobserved, by what the state was asked, and by revm's own inspectors.

#[path = "observer/cases.rs"]
mod cases;
#[path = "observer/peer.rs"]
mod peer;
#[path = "observer/steps.rs"]
mod steps;
#[allow(dead_code, reason = "the oracle's outcomes are compared elsewhere")]
mod support;

use cases::{Asked, Case, Recorder};
use isolane::cpu::Machine;
use isolane::cpu::observer::{Enter, Exit, Observer, Step, StepEnd};
use isolane::replay::{Inputs, Options, find};
use isolane::report::{InputReport, Verdict, receipts_lines};
use isolane::spec::{AccountRead, Fork, H160, Log, Outcome, Reads, SlotRead, U256};
use isolane::trace::{AccessList, CallFrames, Profile, Tracing, TracingSettings};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Counts what must come in pairs, and keeps what else is told.
#[derive(Default)]
struct Told {
    steps: u64,
    running: Option<(u8, usize)>,
    depth: usize,
    logs: Vec<Log>,
    accounts: Vec<AccountRead>,
    slots: Vec<SlotRead>,
    outcomes: Vec<Outcome>,
}

impl Observer for Told {
    fn step(&mut self, step: &Step<'_>) {
        assert_eq!(self.running.replace((step.opcode, step.depth)), None, "a step within a step");
        assert_eq!(step.depth, self.depth, "a step of another frame");
        assert!(step.stack.len() <= 1_024 && step.memory.len().is_multiple_of(32), "{step:?}");
        self.steps += 1;
    }
    fn step_end(&mut self, end: &StepEnd) {
        assert_eq!(self.running.take(), Some((end.opcode, end.depth)), "the end of another step");
        assert!(end.given <= end.cost, "{end:?}");
    }
    fn enter(&mut self, enter: &Enter<'_>) {
        self.depth += 1;
        assert_eq!(enter.depth, self.depth, "a frame at another depth");
    }
    fn exit(&mut self, exit: &Exit<'_>) {
        assert_eq!(exit.depth, self.depth, "the end of another frame");
        self.depth -= 1;
    }
    fn log(&mut self, log: &Log) {
        self.logs.push(log.clone());
    }
    fn account_read(&mut self, read: &AccountRead) {
        self.accounts.push(*read);
    }
    fn slot_read(&mut self, read: &SlotRead) {
        self.slots.push(*read);
    }
    fn outcome(&mut self, outcome: &Outcome) {
        self.outcomes.push(outcome.clone());
    }
}

/// Whether all of `part` are in `whole`, in that order.
fn is_within<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|item| rest.any(|other| other == item))
}

fn check(case: &Case) {
    let place = &case.place;
    let mut machine = Machine::new(case.environment.clone());
    let expected = machine.transact(&case.transaction, case.available).expect("the state answers");
    let unobserved_reads = machine.reads();

    let mut environment = case.environment.clone();
    let recorder = Arc::new(Recorder::new(environment.state.clone()));
    environment.state = recorder.clone();
    let block = &environment.block;
    let access = AccessList::new(environment.rules.fork, block.coinbase);
    let mut observers = (Told::default(), ((CallFrames::default(), Profile::default()), access));
    let mut machine = Machine::new(environment.clone());
    let outcome =
        machine.transact_observed(&case.transaction, case.available, &mut observers).expect("the state answers");
    let reads = machine.reads();
    let (told, ((mut calls, profile), mut access)) = observers;

    assert_eq!(outcome, expected, "{place}: observed");
    assert_eq!(reads, unobserved_reads, "{place}: reads");
    assert_eq!(told.outcomes, std::slice::from_ref(&outcome), "{place}");
    assert_eq!((told.steps, told.depth, told.running), (outcome.steps, 0, None), "{place}");
    assert!(is_within(&outcome.logs, &told.logs), "{place}: logs\n{:?}\n{:?}", outcome.logs, told.logs);
    check_reads(place, &reads, &told, &recorder.asked());

    let frames = calls.take();
    let by_opcode: u64 = profile.opcodes().values().map(|counted| counted.count).sum();
    let by_contract: u64 = profile.contracts().values().map(|counted| counted.gas).sum();
    assert_eq!(by_opcode, outcome.steps, "{place}: instructions by opcode");
    assert_eq!(by_contract, frames.first().map_or(0, |first| first.gas_used), "{place}: gas by contract");
    let opcodes: u64 = profile.opcodes().values().map(|counted| counted.gas).sum();
    assert!(opcodes <= by_contract, "{place}: gas by opcode: {opcodes} of {by_contract}");
    if let Some(first) = frames.first() {
        assert_eq!(first.error.is_none(), outcome.status.is_success(), "{place}: {first:?}");
        assert_eq!((first.from, first.value), (case.transaction.sender, case.transaction.value), "{place}");
        assert!(first.created.is_none() || first.created == outcome.created, "{place}: {first:?}");
    }

    let list = access.take();
    let listed: BTreeSet<(H160, U256)> =
        list.iter().flat_map(|item| item.storage_keys.iter().map(|key| (item.address, *key))).collect();
    for slot in &reads.slots {
        assert!(listed.contains(&(slot.address, slot.key)), "{place}: {slot:?} is not in the access list");
    }
}

fn check_reads(place: &str, reads: &Reads, told: &Told, asked: &Asked) {
    let addresses = |list: &[AccountRead]| list.iter().map(|read| (read.address, read.before)).collect::<Vec<_>>();
    assert_eq!(addresses(&reads.accounts), addresses(&told.accounts), "{place}: accounts");
    let keys = |list: &[SlotRead]| list.iter().map(|read| (read.address, read.key, read.before)).collect::<Vec<_>>();
    assert_eq!(keys(&reads.slots), keys(&told.slots), "{place}: slots");

    let accounts: BTreeSet<_> = reads.accounts.iter().map(|read| read.address).collect();
    assert_eq!(accounts.len(), reads.accounts.len(), "{place}: an account twice");
    assert_eq!(accounts, asked.accounts, "{place}: accounts that the state was asked for");
    let slots: BTreeSet<_> = reads.slots.iter().map(|read| (read.address, read.key)).collect();
    assert_eq!(slots.len(), reads.slots.len(), "{place}: a slot twice");
    assert!(asked.slots.is_subset(&slots), "{place}: slots that the state was asked for");
    // Of an account that is not there, no slot needs to be asked for: it is zero.
    assert!(reads.slots.iter().all(|slot| asked.slots.contains(&(slot.address, slot.key)) || slot.before.is_zero()));
    let codes: BTreeSet<_> = reads.code_hashes().into_iter().collect();
    assert!(asked.codes.is_subset(&codes), "{place}: codes {:?} and {codes:?}", asked.codes);
    let hashes: BTreeSet<_> = reads.block_hashes.iter().copied().collect();
    assert_eq!(hashes, asked.block_hashes, "{place}: block hashes");
}

#[test]
fn bundled_state_tests_and_workloads_are_the_same_observed() {
    let cases = cases::bundled();
    assert!(cases.len() > 1_000, "{} cases", cases.len());
    let (mut executed, mut with_slots, mut with_hashes) = (0, 0, 0);
    for case in &cases {
        check(case);
        let mut machine = Machine::new(case.environment.clone());
        let outcome = machine.transact(&case.transaction, case.available).expect("the state answers");
        let reads = machine.reads();
        executed += u64::from(outcome.steps > 0);
        with_slots +=
            u64::from(reads.slots.iter().any(|slot| slot.warm) && case.environment.rules.fork >= Fork::Berlin);
        with_hashes += u64::from(!reads.block_hashes.is_empty());
    }
    println!("{} cases, {executed} with code, {with_slots} with slots, {with_hashes} with block hashes", cases.len());
    assert!(executed > 0 && with_slots > 0 && with_hashes > 0, "the cases cover what is compared");
}

/// The reads of the second transaction of a machine are its own, with the values that the first left.
#[test]
fn reads_are_of_the_last_transaction() {
    let cases = cases::bundled();
    let mut checked = 0;
    for case in cases.iter().filter(|case| case.transaction.authorization_list.is_empty()).take(600) {
        let mut machine = Machine::new(case.environment.clone());
        let first = machine.transact(&case.transaction, case.available).expect("the state answers");
        let mut again = case.transaction.clone();
        again.nonce += 1;
        let second = machine.transact(&again, case.available).expect("the state answers");
        if !first.status.is_success() || !second.status.is_success() {
            continue;
        }
        let reads = machine.reads();
        let sender = reads.accounts.iter().find(|read| read.address == again.sender).expect("the sender");
        assert_eq!(sender.before.expect("it exists").nonce, again.nonce, "{}", case.place);
        for change in &second.diff {
            let read = reads.accounts.iter().find(|read| read.address == change.address);
            assert_eq!(read.expect("a change is a read").before, change.before, "{}", case.place);
            for slot in &change.storage {
                let read = reads.slots.iter().find(|read| read.address == change.address && read.key == slot.key);
                assert_eq!(read.expect("a change is a read").before, slot.before, "{}", case.place);
            }
        }
        checked += 1;
    }
    assert!(checked > 50, "{checked} pairs");
}

fn replayed(inputs: &Inputs, tracing: Option<Arc<Tracing>>) -> Vec<InputReport> {
    let mut reports = Vec::new();
    let options = Options { keep_receipts: true, tracing, ..Options::default() };
    isolane::replay::replay(inputs, &options, |report| reports.push(report)).expect("threads");
    reports
}

#[test]
fn bundled_blocks_are_the_same_observed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/blocks");
    let inputs = find(&[folder]).unwrap_or_else(|error| panic!("{error}"));
    let tracing = Arc::new(Tracing::new(Box::new(std::io::sink()), TracingSettings::default()));
    let (plain, observed) = (replayed(&inputs, None), replayed(&inputs, Some(tracing.clone())));
    let transactions: usize = plain.iter().map(|report| report.transactions).sum();
    assert_eq!(tracing.finish().expect("a sink takes everything"), transactions as u64);
    assert!(transactions > 0);
    for (plain, observed) in plain.iter().zip(&observed) {
        assert!(matches!(observed.verdict, Verdict::Match), "{}: {:?}", observed.file, observed.verdict);
        assert_eq!((plain.steps, plain.gas_used), (observed.steps, observed.gas_used), "{}", plain.file);
        assert_eq!(plain.checks, observed.checks, "{}", plain.file);
        let lines = |report| receipts_lines(report).expect("receipts");
        assert_eq!(lines(plain), lines(observed), "{}", plain.file);
    }
}

#[test]
fn steps_and_calls_are_those_of_revm() {
    steps::compare_all(&cases::bundled());
}
