use super::*;
use crate::class::CLASSES;
use crate::device::Device;
use isolane_spec::lane::{SUCCESS, status_of};
use isolane_spec::opcode::op;
use isolane_spec::{BlockContext, Halt, MemoryState, Rules, Status};
use std::time::Duration;

struct NoServices;

impl Services for NoServices {
    fn is_precompile(&self, address: H160, _: Fork) -> bool {
        address == H160::from_low_u64_be(4)
    }
    fn precompile(&self, _: H160, _: Fork, _: &[u8], _: u64) -> Result<(u64, Vec<u8>), Halt> {
        Err(Halt::PrecompileFailure)
    }
    fn authority(&self, _: &isolane_spec::Authorization) -> Option<H160> {
        None
    }
    fn mismatch(&self, _: &crate::Mismatch) {}
}

const SENDER: H160 = H160([1; 20]);
const CONTRACT: H160 = H160([2; 20]);

fn start(code: &[u8], creates: bool) -> LaneStart {
    let seed =
        |address, info| Seed { address, info, exists: true, warm: true, touched: false, created: false, code: None };
    let rich = AccountInfo { balance: 1_000_000.into(), nonce: 1, ..AccountInfo::default() };
    let hash = H256::from_low_u64_be(code.iter().fold(7, |hash, byte| (hash * 31 + u64::from(*byte)) % 1_000_003));
    let contract = AccountInfo { nonce: 1, code_hash: hash, ..AccountInfo::default() };
    LaneStart {
        environment: 0,
        creates,
        gas: 1_000_000,
        refund: 0,
        origin: SENDER,
        gas_price: 10.into(),
        value: U256::zero(),
        input: Bytes::from_static(&[1, 2, 3, 4, 5]),
        blob_hashes: Vec::new(),
        access_list: Vec::new(),
        seeds: vec![seed(SENDER, rich), seed(CONTRACT, if creates { AccountInfo::default() } else { contract })],
        target: 1,
        code: ((!creates).then_some(hash), Bytes::copy_from_slice(code)),
    }
}

fn run(jobs: &[LaneStart]) -> Option<Vec<LaneEnd>> {
    let adapter = crate::adapter::adapters().into_iter().next()?;
    let device = Device::open(adapter.inner()).expect("a device");
    let mut kernels = Kernels::new(device, 64, Duration::from_secs(60), None).expect("kernels");
    for (name, time) in kernels.warm_up().expect("it compiles") {
        println!("{name}: {time:?}");
    }
    let mut state = MemoryState::default();
    state.insert(SENDER, AccountInfo { balance: 1_000_000.into(), ..Default::default() }, Bytes::new(), []);
    let block = BlockContext { number: 7, gas_limit: 30_000_000, ..BlockContext::default() };
    let state = Arc::new(state);
    let rules = Environment::new("test", Rules::new(Fork::Prague, 1), block, state.clone());
    let environments =
        [RunEnvironment { edition: Edition::of(&rules), rules, state, key: 0, complete: false, seen: 0 }];
    let (mut codes, mut tables) = (CodeStore::new(), StateTables::new());
    let mut host = Host { kernels: &mut kernels, codes: &mut codes, tables: &mut tables, services: &NoServices };
    let limits = RunLimits { lanes: 64, steps: 256, rounds: 4, outbox_words: 1 << 20 };
    let jobs: Vec<&LaneStart> = jobs.iter().collect();
    Some(host.run(&CLASSES[1], &environments, &jobs, limits).expect("a run"))
}

#[test]
fn lanes_run_programs() {
    let word =
        |byte: u8| [vec![op::PUSH1, 0, op::MSTORE, op::PUSH1, 32, op::PUSH1, 0, op::RETURN], vec![byte]].concat();
    let programs = [
        [vec![op::PUSH1, 2, op::PUSH1, 40, op::ADD], word(0)].concat(),
        [vec![op::PUSH1, 7, op::PUSH1, 100, op::DIV], word(0)].concat(),
        [vec![op::PUSH1, 7, op::PUSH0, op::SSTORE, op::PUSH0, op::SLOAD], word(0)].concat(),
        [vec![op::PUSH1, 4, op::PUSH0, op::KECCAK256], word(0)].concat(),
        vec![op::PUSH1, 3, op::JUMP],
        [vec![op::PUSH0, op::CALLDATALOAD], word(0)].concat(),
        [vec![op::PUSH1, 0x30, op::BALANCE], word(0)].concat(),
    ];
    let jobs: Vec<LaneStart> = programs.iter().map(|code| start(code, false)).collect();
    let Some(ends) = run(&jobs) else { return };
    let output = |i: usize| match &ends[i] {
        LaneEnd::Ended(end) => {
            assert_eq!(end.status, SUCCESS, "program {i}: {:?}", status_of(end.status));
            U256::from_big_endian(&end.output)
        }
        other => panic!("program {i}: {other:?}"),
    };
    assert_eq!(output(0), 42.into());
    assert_eq!(output(1), 14.into());
    assert_eq!(output(2), 7.into());
    let hash = "e8e77626586f73b955364c7b4bbf0bb7f7685ebd40e852b164633a4acbd3244c";
    assert_eq!(output(3), U256::from_str_radix(hash, 16).expect("a number"));
    assert!(matches!(&ends[4], LaneEnd::Ended(end) if status_of(end.status) == Some(Status::Halt(Halt::InvalidJump))));
    assert_eq!(output(5), U256::from(0x01_0203_0405u64) << 216);
    assert_eq!(output(6), U256::zero());
}
