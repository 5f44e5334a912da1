//! A block as it is executed, but for its state.

use crate::block::{BlockInput, BlockResult, block_context, execute_block};
use crate::chain::ChainSpec;
use crate::load::block_pack::BlockPack;
use crate::load::envelope;
use crate::load::json_rpc::RpcBlock;
use crate::load::transaction::SignedTransaction;
use crate::load::typed::InputError;
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawal;
use isolane_cpu::with_machine;
use isolane_spec::{Environment, Fork, H160, H256, Rules, StateView, U256};
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The lowest difficulty that proof of work allows. Chains of other consensus write 0 to 2, and reward nobody.
const MINIMUM_DIFFICULTY: u64 = 131_072;

/// Forks that differ in nothing that a transaction can see go by one name in packs.
const fn family(fork: Fork) -> Fork {
    match fork {
        Fork::Dao => Fork::Homestead,
        Fork::MuirGlacier => Fork::Istanbul,
        Fork::ArrowGlacier | Fork::GrayGlacier => Fork::London,
        Fork::Bpo1 | Fork::Bpo2 | Fork::Bpo3 | Fork::Bpo4 | Fork::Bpo5 => Fork::Osaka,
        other => other,
    }
}

/// The rules of a pack: by the chain's schedule where it is known, which the pack's own fork must not contradict.
fn rules(pack: &BlockPack, chain: Option<&ChainSpec>) -> Result<Rules, InputError> {
    let Some(chain) = chain else {
        let fork = pack.fork().ok_or_else(|| {
            let problem =
                format!("expected the name of a fork: the schedule of chain {} is not known", pack.chain_id.0);
            InputError::at("fork", problem + ": add it to the pack, or use --chain-config")
        })?;
        return Ok(Rules::new(fork, pack.chain_id.0));
    };
    let block = &pack.block;
    let parent_total = block.total_difficulty.and_then(|total| total.0.checked_sub(block.difficulty.0));
    let scheduled = chain.fork_at(block.number.0, block.timestamp.0, parent_total);
    if let Some(named) = pack.fork()
        && family(named) != family(scheduled)
    {
        // Where The Merge came by total difficulty, only a node that still tells it can say when.
        if named == Fork::Paris && family(scheduled) == Fork::London && block.difficulty.0.is_zero() {
            return Ok(chain.rules(Fork::Paris));
        }
        let problem = format!("expected {scheduled} by the schedule of {}, got {named}", chain.name);
        return Err(InputError::at("fork", problem));
    }
    Ok(chain.rules(scheduled))
}

/// The envelopes and senders of a block's transactions.
fn transactions(
    block: &RpcBlock,
    chain_id: u64,
    fork: Fork,
    parallel: bool,
) -> Result<Vec<SignedTransaction>, InputError> {
    let prepare = |(index, rpc)| {
        envelope::prepare(rpc, chain_id, fork).map_err(|error| {
            let place = format!("block.transactions[{index}].{}", error.place);
            InputError::at(place.trim_end_matches('.'), error.problem)
        })
    };
    if parallel {
        block.transactions.par_iter().enumerate().map(prepare).collect()
    } else {
        block.transactions.iter().enumerate().map(prepare).collect()
    }
}

/// The headers of the ommers, which must be those that the block names.
fn ommers(pack: &BlockPack) -> Result<Vec<Header>, InputError> {
    let headers: Vec<Header> = pack.ommers.iter().flatten().map(RpcBlock::header).collect();
    let missing = usize::try_from(pack.ommers_missing).unwrap_or(usize::MAX);
    let (named, there) = (pack.block.uncles.len(), headers.len().saturating_add(missing));
    if named != there {
        let problem = format!("expected the headers of {named} ommers, or ommersMissing, got {there}");
        return Err(InputError::at("ommers", problem));
    }
    for (index, header) in headers.iter().enumerate() {
        let hash = H256(header.hash_slow().0);
        if !pack.block.uncles.iter().any(|uncle| uncle.0 == hash) {
            let problem = format!("expected one of the block's ommers, got a header of hash {hash:?}");
            return Err(InputError::at(format!("ommers[{index}]"), problem));
        }
    }
    let hash = crate::convert::keccak(alloy_rlp::encode(&headers));
    if missing == 0 && hash != pack.block.sha3_uncles.0 {
        let problem = format!("expected ommers of hash {:?}, got {hash:?}", pack.block.sha3_uncles.0);
        return Err(InputError::at("ommers", problem));
    }
    Ok(headers)
}

fn withdrawals(block: &RpcBlock) -> Option<Vec<Withdrawal>> {
    let list = block.withdrawals.as_ref()?;
    Some(
        list.iter()
            .map(|one| Withdrawal {
                index: one.index.0,
                validator_index: one.validator_index.0,
                address: one.address.0.0.into(),
                amount: one.amount.0,
            })
            .collect(),
    )
}

/// A pack whose rules are known and whose header hashes to the block's hash.
pub struct Checked {
    pub chain_id: u64,
    pub chain: ChainSpec,
    pub rules: Rules,
    pub header: Header,
    pub hash: H256,
}

impl Checked {
    /// `given`: a schedule that counts instead of a built-in one, if it is of the pack's chain.
    pub fn new(pack: &BlockPack, given: Option<&ChainSpec>) -> Result<Self, InputError> {
        let chain_id = pack.chain_id.0;
        let chain = given.filter(|chain| chain.chain_id == chain_id).cloned().or_else(|| ChainSpec::by_id(chain_id));
        let rules = rules(pack, chain.as_ref())?;
        let header = pack.block.header();
        let hash = H256(header.hash_slow().0);
        if hash != pack.block.hash.0 {
            let problem = format!("expected the hash of the header, {hash:?}, got {:?}", pack.block.hash.0);
            return Err(InputError::at("block.hash", problem + ": a field of the header is wrong"));
        }
        let parent = pack.block_hashes.0.iter().find(|(number, _)| number.checked_add(1) == Some(header.number));
        if let Some((_, given)) = parent
            && given.0 != pack.block.parent_hash.0
        {
            let problem = format!("expected the parent's hash {:?}, got {:?}", pack.block.parent_hash.0, given.0);
            return Err(InputError::at("blockHashes", problem));
        }
        let chain = chain.unwrap_or_else(|| ChainSpec::constant(rules.fork, chain_id));
        Ok(Self { chain_id, chain, rules, header, hash })
    }
}

/// All that a block is executed with, but its state.
pub struct Prepared {
    pub checked: Checked,
    pub signed: Vec<SignedTransaction>,
    ommers: Vec<Header>,
    missing_ommers: usize,
    withdrawals: Option<Vec<Withdrawal>>,
}

impl Prepared {
    /// `parallel`: whether several threads recover the senders.
    pub fn new(pack: &BlockPack, checked: Checked, parallel: bool) -> Result<Self, InputError> {
        Ok(Self {
            signed: transactions(&pack.block, checked.chain_id, checked.rules.fork, parallel)?,
            ommers: ommers(pack)?,
            missing_ommers: usize::try_from(pack.ommers_missing).unwrap_or(usize::MAX),
            withdrawals: withdrawals(&pack.block),
            checked,
        })
    }

    /// The block, with a header for its context.
    pub fn input<'a>(&'a self, context: &'a Header) -> BlockInput<'a> {
        let Checked { chain, rules, header, .. } = &self.checked;
        let mut input = BlockInput::new(context, &self.signed, chain, rules);
        input.ommers = &self.ommers;
        input.missing_ommers = self.missing_ommers;
        input.withdrawals = self.withdrawals.as_deref();
        if header.difficulty < alloy_primitives::U256::from(MINIMUM_DIFFICULTY) {
            input.reward = U256::zero();
        }
        input
    }
}

/// A block that is executed to learn what it reads.
pub struct Trial {
    prepared: Prepared,
}

impl Trial {
    /// The block of a pack, whose state need not be there.
    ///
    /// # Errors
    /// When the pack contradicts itself.
    pub fn new(pack: &BlockPack, chain: Option<&ChainSpec>) -> Result<Self, InputError> {
        let prepared = Prepared::new(pack, Checked::new(pack, chain)?, false)?;
        Ok(Self { prepared })
    }

    /// The block's transactions.
    #[must_use]
    pub fn transactions(&self) -> &[SignedTransaction] {
        &self.prepared.signed
    }

    /// The accounts that are read whatever the transactions do, but for system contracts.
    #[must_use]
    pub fn named(&self) -> BTreeSet<H160> {
        let Prepared { checked, signed, ommers, withdrawals, .. } = &self.prepared;
        let of_transaction = |one: &SignedTransaction| {
            let transaction = &one.transaction;
            let listed = transaction.access_list.iter().map(|item| item.address);
            let authorities =
                transaction.authorization_list.iter().filter_map(isolane_gpu::transition::recover_authority);
            let mut named: Vec<H160> = listed.chain(authorities).chain(transaction.to).collect();
            named.push(transaction.sender);
            named
        };
        let beneficiaries = std::iter::once(&checked.header).chain(ommers).map(|header| header.beneficiary);
        let recipients = withdrawals.iter().flatten().map(|withdrawal| withdrawal.address);
        let others = beneficiaries.chain(recipients).map(crate::convert::from_address);
        signed.iter().flat_map(of_transaction).chain(others).collect()
    }

    /// Executes the block on a state. `None` where that ends early.
    #[must_use]
    pub fn run(&self, state: Arc<dyn StateView>) -> Option<BlockResult> {
        let Checked { rules, header, .. } = &self.prepared.checked;
        let environment = Environment::new("trial", *rules, block_context(header, rules), state);
        let input = self.prepared.input(header);
        with_machine(environment, |machine| execute_block(machine, &input)).ok()
    }
}
