//! What lanes report: requests and ends.

use crate::pack::{address_from, bytes_from, word_from};
use isolane_spec::layout::{account, account_flag, escape, report, request, slot, status};
use isolane_spec::{AccountInfo, Bytes, H160, H256, Log, U256, word};

/// An account as a lane leaves it.
#[derive(Clone, Debug)]
pub(crate) struct AccountReport {
    pub address: H160,
    pub info: AccountInfo,
    pub exists: bool,
    pub touched: bool,
    pub created: bool,
    pub destroyed: bool,
    /// Code that the lane created.
    pub code: Option<Bytes>,
    /// Key, value before the transaction, value now.
    pub slots: Vec<(U256, U256, U256)>,
}

/// How a lane ended.
#[derive(Clone, Debug)]
pub(crate) struct EndReport {
    pub status: u32,
    pub gas: u64,
    pub refund: i32,
    pub steps: u32,
    pub accounts: Vec<AccountReport>,
    pub logs: Vec<Log>,
    pub output: Bytes,
}

/// What a lane says.
#[derive(Clone, Debug)]
pub(crate) enum LaneReport {
    Ended(Box<EndReport>),
    Escaped(u32),
    NeedsAccount(H160),
    NeedsSlot(H160, U256),
    NeedsBlockHash(U256),
    NeedsCode(H160),
    NeedsStorageFlag(H160),
    NeedsPrecompile { address: H160, gas: u64, input: Vec<u8> },
}

/// The next report of the words: its lane, what it says, and its length. `None` where the words are no report: the
/// device did not do what it should.
pub(crate) fn read(words: &[u32], epoch: u32) -> Option<(u32, LaneReport, usize)> {
    let field = |place: u32| words.get(place as usize).copied();
    let size = field(report::SIZE_WORDS)? as usize;
    if field(report::EPOCH)? != epoch || size < report::SIZE as usize || size > words.len() {
        return None;
    }
    let lane = field(report::LANE)?;
    let address = address_from(words.get(report::ADDRESS as usize..)?.get(..5)?);
    let key = word_from(words.get(report::KEY as usize..)?.get(..8)?);
    let body = words.get(report::SIZE as usize..size)?;
    let said = match (field(report::STATUS)?, field(report::DETAIL)?) {
        (status::ESCAPED, reason) => LaneReport::Escaped(reason),
        (status::ENDED, _) => LaneReport::Ended(Box::new(end(words, body)?)),
        (status::WAITING, request::ACCOUNT) => LaneReport::NeedsAccount(address),
        (status::WAITING, request::SLOT) => LaneReport::NeedsSlot(address, key),
        (status::WAITING, request::BLOCK_HASH) => LaneReport::NeedsBlockHash(key),
        (status::WAITING, request::CODE) => LaneReport::NeedsCode(address),
        (status::WAITING, request::HAS_STORAGE) => LaneReport::NeedsStorageFlag(address),
        (status::WAITING, request::PRECOMPILE) => {
            let input = bytes_from(body, field(report::OUTPUT_LEN)? as usize);
            LaneReport::NeedsPrecompile { address, gas: two_words(words, report::GAS)?, input }
        }
        _ => return None,
    };
    Some((lane, said, size))
}

fn end(header: &[u32], body: &[u32]) -> Option<EndReport> {
    let field = |place: u32| header.get(place as usize).copied();
    let count = |place: u32| field(place).map(|count| count as usize);
    let (accounts, slots) = (count(report::ACCOUNTS)?, count(report::SLOTS)?);
    let (account_words, rest) = body.split_at_checked(accounts * account::SIZE as usize)?;
    let (slot_words, rest) = rest.split_at_checked(slots * slot::SIZE as usize)?;
    let (log_words, rest) = rest.split_at_checked(count(report::LOG_WORDS)?)?;
    let output_len = count(report::OUTPUT_LEN)?;
    let (output, code) = rest.split_at_checked(output_len.div_ceil(4))?;
    let mut accounts: Vec<AccountReport> =
        account_words.chunks(account::SIZE as usize).map(|words| read_account(words, code)).collect::<Option<_>>()?;
    for words in slot_words.chunks(slot::SIZE as usize) {
        let index = *words.get(slot::ACCOUNT as usize)? as usize;
        let word = |place: u32| Some(word_from(words.get(place as usize..)?.get(..8)?));
        // Transient storage does not outlive the transaction.
        if let Some(account) = accounts.get_mut(index) {
            account.slots.push((word(slot::KEY)?, word(slot::ORIGINAL)?, word(slot::VALUE)?));
        }
    }
    Some(EndReport {
        status: field(report::DETAIL)?,
        gas: two_words(header, report::GAS)?,
        refund: field(report::REFUND)? as i32,
        steps: field(report::STEPS)?,
        accounts,
        logs: read_logs(log_words)?,
        output: bytes_from(output, output_len).into(),
    })
}

fn read_account(words: &[u32], code: &[u32]) -> Option<AccountReport> {
    let field = |place: u32| words.get(place as usize).copied();
    let flags = field(account::FLAGS)?;
    let has = |flag: u32| flags & flag != 0;
    let nonce = u64::from(field(account::NONCE)?) | u64::from(field(account::NONCE + 1)?) << 32;
    let reference = field(account::CODE)?;
    let created_code = if reference & isolane_spec::layout::LANE_CODE == 0 {
        None
    } else {
        let at = (reference ^ isolane_spec::layout::LANE_CODE) as usize;
        let len = *code.get(at)? as usize;
        Some(bytes_from(code.get(at + 1..)?, len).into())
    };
    Some(AccountReport {
        address: address_from(words),
        info: AccountInfo {
            nonce,
            balance: word_from(words.get(account::BALANCE as usize..)?.get(..8)?),
            code_hash: hash_from(words.get(account::CODE_HASH as usize..)?.get(..8)?),
        },
        exists: has(account_flag::EXISTS),
        touched: has(account_flag::TOUCHED),
        created: has(account_flag::CREATED),
        destroyed: has(account_flag::DESTROYED),
        code: created_code,
        slots: Vec::new(),
    })
}

/// A number of two words, the low one first.
fn two_words(words: &[u32], place: u32) -> Option<u64> {
    let word = |place: u32| words.get(place as usize).copied().map(u64::from);
    Some(word(place)? | word(place + 1)? << 32)
}

fn hash_from(limbs: &[u32]) -> H256 {
    word::to_hash(&word_from(limbs))
}

fn read_logs(mut words: &[u32]) -> Option<Vec<Log>> {
    let mut logs = Vec::new();
    while let [topics, len, rest @ ..] = words {
        let (topics, len) = (*topics as usize, *len as usize);
        let (address, rest) = rest.split_at_checked(5)?;
        let (topic_words, rest) = rest.split_at_checked(8 * topics)?;
        let (data, rest) = rest.split_at_checked(len.div_ceil(4))?;
        logs.push(Log {
            address: address_from(address),
            topics: topic_words.chunks(8).map(hash_from).collect(),
            data: bytes_from(data, len).into(),
        });
        words = rest;
    }
    words.is_empty().then_some(logs)
}

/// Why a lane escaped, in words.
#[must_use]
pub fn escape_reason(code: u32) -> &'static str {
    match code {
        escape::STACK => "stack",
        escape::MEMORY => "memory",
        escape::DEPTH => "call depth",
        escape::ACCOUNTS => "accounts",
        escape::SLOTS => "storage slots",
        escape::UNDO => "undo log",
        escape::LOGS => "logs",
        escape::CODE => "created code",
        escape::RETURN_DATA => "return data",
        escape::REPORT => "report",
        escape::RESTRICTED => "limits and rules",
        escape::LONG => "the last ones of a batch",
        escape::GAS => "gas",
        _ => "defect",
    }
}
