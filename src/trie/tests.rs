use super::*;
use crate::convert::keccak;
use alloy_trie::proof::ProofRetainer;
use alloy_trie::{HashBuilder, Nibbles};
use isolane_spec::{
    AccountDiff, AccountInfo, Bytes, H160, KECCAK_EMPTY, MemoryState, SlotDiff, StateError, StateView, U256,
};
use std::collections::BTreeMap;

/// A small generator: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

fn address(number: u64) -> H160 {
    H160::from_low_u64_be(number)
}

fn info(nonce: u64) -> AccountInfo {
    AccountInfo { nonce, balance: U256::from(nonce) * 1_000, code_hash: KECCAK_EMPTY }
}

fn state(accounts: u64, slots: u64) -> MemoryState {
    let mut state = MemoryState::default();
    for number in 0..accounts {
        let storage = (0..slots * (number % 3)).map(|slot| (slot.into(), (slot + 1).into()));
        state.insert(address(number), info(number + 1), Bytes::new(), storage);
    }
    state
}

/// A change of some accounts of the state, as an execution would report it.
fn random_diff(random: &mut Random, state: &MemoryState, accounts: u64) -> Vec<AccountDiff> {
    let mut diff = BTreeMap::new();
    for _ in 0..1 + random.below(6) {
        let address = address(random.below(accounts));
        let before = state.accounts.get(&address);
        let wiped = random.below(8) == 0;
        let gone = random.below(4) == 0;
        let mut storage = BTreeMap::new();
        for _ in 0..if gone { 0 } else { random.below(6) } {
            let after = if random.below(2) == 0 { 0 } else { 1 + random.below(1_000) };
            storage.insert(U256::from(random.below(12)), U256::from(after));
        }
        let slot = |(key, after)| {
            let before = before.and_then(|account| account.storage.get(&key)).copied().unwrap_or_default();
            SlotDiff { key, before, after }
        };
        let change = AccountDiff {
            address,
            before: before.map(|account| account.info),
            after: (!gone).then(|| info(random.below(1_000))),
            code: None,
            storage_wiped: wiped || gone,
            storage: storage.into_iter().map(slot).collect(),
        };
        diff.insert(address, change);
    }
    diff.into_values().collect()
}

#[test]
fn empty_roots() {
    let empty = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
    assert_eq!(hex::encode(EMPTY_ROOT), empty);
    assert_eq!(state_root(&MemoryState::default()), EMPTY_ROOT);
    assert_eq!(ordered_root::<Vec<u8>>(&[]), EMPTY_ROOT);
    assert_eq!(withdrawals_root(&[]), EMPTY_ROOT);
    assert_eq!(transactions_root(&[]), EMPTY_ROOT);
    assert_eq!(StateTrie::default().root(), EMPTY_ROOT);
}

#[test]
fn the_transactions_root_of_block_46147() {
    let first = "f86780862d79883d2000825208945df9b87991262f6ba471f09758cde1c0fc1de734827a69801ca088ff6cf0fefd94db46111149ae4b\
                 fc179e9b94721fffd821d38d16464b3f71d0a045e0aff800961cfce805daef7016b9b675c137a6a41a548f7b60a3484c06a33a";
    let first = hex::decode(first.replace(' ', "")).expect("hex digits");
    let root = "4513310fcb9f6f616972a3b948dc5d547f280849a87ebb5af0191f98b87be598";
    assert_eq!(hex::encode(ordered_root(&[first])), root);
}

#[test]
fn state_roots_agree_with_alloy() {
    for accounts in [1, 2, 17, 300] {
        let state = state(accounts, 5);
        let theirs = state.accounts.iter().map(|(address, account)| {
            let slots = account.storage.iter().map(|(key, value)| {
                (alloy_primitives::B256::new(key.to_big_endian()), alloy_primitives::U256::from_limbs(value.0))
            });
            let account = alloy_trie::TrieAccount {
                nonce: account.info.nonce,
                balance: alloy_primitives::U256::from_limbs(account.info.balance.0),
                storage_root: alloy_trie::root::storage_root_unhashed(slots),
                code_hash: alloy_primitives::B256::new(account.info.code_hash.0),
            };
            (alloy_primitives::Address::new(address.0), account)
        });
        let theirs = alloy_trie::root::state_root_unhashed(theirs);
        assert_eq!(state_root(&state).0, theirs.0, "{accounts} accounts");
    }
}

#[test]
fn a_trie_follows_its_state() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for accounts in [3, 12, 60] {
        let mut state = state(accounts, 4);
        let mut trie = StateTrie::from_memory(&state).expect("a state in memory");
        for step in 0..150 {
            let diff = random_diff(&mut random, &state, accounts);
            state.apply(&diff);
            trie.apply(&diff).expect("all nodes are in memory");
            assert_eq!(trie.root(), state_root(&state), "{accounts} accounts, step {step}");
        }
    }
}

#[test]
fn a_trie_can_become_empty() {
    let mut state = state(9, 3);
    let mut trie = StateTrie::from_memory(&state).expect("a state in memory");
    for number in 0..9 {
        let change = AccountDiff {
            address: address(number),
            before: Some(info(number + 1)),
            after: None,
            code: None,
            storage_wiped: true,
            storage: vec![],
        };
        state.apply(std::slice::from_ref(&change));
        trie.apply(&[change]).expect("all nodes are in memory");
        assert_eq!(trie.root(), state_root(&state));
    }
    assert_eq!(trie.root(), EMPTY_ROOT);
}

/// The nodes on the paths to these keys, made by another library.
fn proof(leaves: BTreeMap<H256, Vec<u8>>, targets: &[H256]) -> (H256, Vec<Bytes>) {
    let targets = targets.iter().map(|key| Nibbles::unpack_array(&key.0)).collect();
    let mut builder = HashBuilder::default().with_proof_retainer(ProofRetainer::new(targets));
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack_array(&key.0), &value);
    }
    let root = H256(builder.root().0);
    let nodes = builder.take_proof_nodes().into_nodes_sorted();
    (root, nodes.into_iter().map(|(_, node)| Bytes::copy_from_slice(&node)).collect())
}

/// A witness of these accounts of a state, with these slots of each.
fn witness(state: &MemoryState, accounts: &[u64], slots: &[u64]) -> (H256, Witness) {
    let mut nodes = Vec::new();
    let mut leaves = BTreeMap::new();
    for (address, account) in &state.accounts {
        let storage = account.storage.iter().map(|(key, value)| {
            (keccak(key.to_big_endian()), alloy_rlp::encode(alloy_primitives::U256::from_limbs(value.0)))
        });
        let targets: Vec<_> = slots.iter().map(|slot| keccak(U256::from(*slot).to_big_endian())).collect();
        let (storage_root, storage_nodes) = proof(storage.collect(), &targets);
        if accounts.iter().any(|number| super::tests::address(*number) == *address) {
            nodes.extend(storage_nodes);
        }
        let mut value = Vec::new();
        root::account_into(&account.info, storage_root, &mut value);
        leaves.insert(keccak(address.0), value);
    }
    let targets: Vec<_> = accounts.iter().map(|number| keccak(address(*number).0)).collect();
    let (root, account_nodes) = proof(leaves, &targets);
    nodes.extend(account_nodes);
    (root, Witness { state: nodes, ..Witness::default() })
}

#[test]
fn a_witness_answers_what_it_proves_and_nothing_else() {
    let state = state(200, 20);
    // 300 does not exist, and its absence is proven.
    let (root, witness) = witness(&state, &[2, 5, 300], &[0, 39, 41]);
    assert_eq!(root, state_root(&state));
    let view = WitnessState::with_root(&witness, root, [(7, H256::repeat_byte(7))]).expect("a sound witness");
    assert_eq!(view.account(&address(2)), Ok(Some(info(3))));
    assert_eq!(view.account(&address(300)), Ok(None));
    assert_eq!(view.storage(&address(2), &U256::from(39)), Ok(U256::from(40)));
    assert_eq!(view.storage(&address(2), &U256::from(41)), Ok(U256::zero()));
    assert_eq!(view.storage(&address(300), &U256::from(5)), Ok(U256::zero()));
    assert_eq!(view.has_storage(&address(2)), Ok(true));
    assert_eq!(view.has_storage(&address(300)), Ok(false));
    assert_eq!(view.block_hash(7), Ok(H256::repeat_byte(7)));
    assert_eq!(view.block_hash(8), Err(StateError::BlockHashMissing(8)));
    assert_eq!(view.code(&H256::zero()), Err(StateError::CodeMissing(H256::zero())));
    let unproven = (0..200).filter(|number| view.account(&address(*number)).is_err()).count();
    assert!(unproven > 150, "{unproven}");
    let missing = (0..40).map(|slot| view.storage(&address(2), &slot.into()));
    let missing = missing.filter(|value| matches!(value, Err(StateError::SlotMissing(..)))).count();
    assert!(missing > 10, "{missing}");
}

#[test]
fn the_root_after_a_change_is_that_of_the_whole_state() {
    let mut random = Random(77);
    let mut collapsed = 0;
    for round in 0..200 {
        let accounts = 2 + random.below(30);
        let before = state(accounts, 4);
        let diff = random_diff(&mut random, &before, accounts);
        let touched: Vec<u64> = diff.iter().map(|change| change.address.to_low_u64_be()).collect();
        let slots: Vec<u64> = (0..12).collect();
        let (root, witness) = witness(&before, &touched, &slots);
        let view = WitnessState::with_root(&witness, root, []).expect("a sound witness");
        let mut after = before.clone();
        after.apply(&diff);
        match view.post_root(&diff) {
            Ok(root) => assert_eq!(root, state_root(&after), "round {round}"),
            // Proofs of the changed keys alone lack the siblings that deletions pull up.
            Err(WitnessError::Trie(TrieError::NodeMissing { sibling: true, .. })) => {
                collapsed += 1;
                // Proofs of the same keys after the change show what they were.
                let mut view = view;
                let (_, later) = self::witness(&after, &touched, &slots);
                while let Some(hash) = view.post_root(&diff).err().and_then(|error| error.missing_sibling()) {
                    assert!(view.add_sibling(hash, &later.state), "round {round}: no sibling {hash:?}");
                }
                assert_eq!(view.post_root(&diff), Ok(state_root(&after)), "round {round}");
            }
            Err(other) => panic!("round {round}: {other}"),
        }
        // With every path at hand nothing is missing.
        let all: Vec<u64> = (0..accounts).collect();
        let (root, witness) = self::witness(&before, &all, &slots);
        let view = WitnessState::with_root(&witness, root, []).expect("a sound witness");
        assert_eq!(view.post_root(&diff), Ok(state_root(&after)), "round {round}");
    }
    assert!(collapsed > 0, "no round deleted a node whose only sibling is unknown");
}

#[test]
fn damaged_nodes_are_errors() {
    let state = state(40, 6);
    let (root, sound) = witness(&state, &[2], &[1]);
    assert!(sound.state.iter().any(|node| keccak(node) == root));
    for skip in 0..sound.state.len() {
        let mut damaged = sound.clone();
        let mut node = damaged.state[skip].to_vec();
        if let Some(byte) = node.last_mut() {
            *byte ^= 1;
        }
        damaged.state[skip] = Bytes::from(node);
        // A node that was changed has another hash: it is as good as missing.
        match WitnessState::with_root(&damaged, root, []) {
            Err(error) => assert_eq!(error, WitnessError::RootMissing(root)),
            Ok(view) => assert!(
                view.account(&address(2)).is_err() || view.storage(&address(2), &U256::one()).is_err(),
                "node {skip}"
            ),
        }
    }
}

#[test]
fn malformed_nodes_are_named() {
    let list = |items: &[&[u8]]| {
        let payload = items.concat();
        let mut node = Vec::new();
        alloy_rlp::Header { list: true, payload_length: payload.len() }.encode(&mut node);
        node.extend(payload);
        node
    };
    let long = [&[0xa0][..], &[7; 32]].concat();
    let nodes = [
        vec![],
        vec![0xc0],
        vec![0xf8, 0xff],
        list(&[&[0x80], &[0x80]]),
        list(&[&[0x20], &[0x80]]),
        list(&[&[0x00], &long]),
        list(&[&[0x40], &long]),
        list(&[&[0x16], &[0x01]]),
        list(&[&[0xc0], &[0x01]]),
        list(&vec![&[0x80][..]; 16]),
        list(&vec![&[0x80][..]; 18]),
        list(&vec![&[0x01][..]; 17]),
        [list(&vec![&[0x80][..]; 17]), vec![0]].concat(),
    ];
    for node in nodes {
        let root = keccak(&node);
        let witness = Witness { state: vec![Bytes::from(node.clone())], ..Witness::default() };
        let view = WitnessState::with_root(&witness, root, []).expect("its root is there");
        assert!(matches!(view.account(&address(1)), Err(StateError::Source(_))), "{node:02x?}");
        let diff = AccountDiff {
            address: address(1),
            before: None,
            after: Some(info(1)),
            code: None,
            storage_wiped: false,
            storage: vec![],
        };
        assert!(matches!(view.post_root(&[diff]), Err(WitnessError::Trie(TrieError::Malformed(_)))), "{node:02x?}");
    }
}
