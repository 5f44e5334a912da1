//! Messages between environments: what a contract sends, what a destination gets, and what came of it.

use crate::{Bytes, H160, H256, StateError, U256};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The account that messages are sent through, in every environment that allows messaging: "isolane" in ASCII.
pub const EXCHANGE_ADDRESS: H160 =
    H160([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'i', b's', b'o', b'l', b'a', b'n', b'e']);

/// An environment as contracts name it: its name in UTF-8, at most 32 bytes, padded with zeros at the end (Solidity's
/// `bytes32("name")`). An asset has the name of its home, the environment whose native asset it is.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvironmentId(pub H256);

/// A name that cannot be an [`EnvironmentId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidName {
    /// No byte at all: the zero word stands for "my own native asset".
    Empty,
    /// More than 32 bytes.
    TooLong(usize),
    /// A control character, which a padded word could not tell from its padding or a report would print raw.
    Control,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the name of an environment is empty: give it 1 to 32 bytes"),
            Self::TooLong(bytes) => write!(f, "the name of an environment has {bytes} bytes: at most 32 fit"),
            Self::Control => f.write_str("the name of an environment has a control character: remove it"),
        }
    }
}

impl std::error::Error for InvalidName {}

impl EnvironmentId {
    /// The identity of an environment of that name.
    ///
    /// # Errors
    /// A name that is empty, longer than 32 bytes, or has a control character.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.chars().any(char::is_control) {
            return Err(InvalidName::Control);
        }
        let mut word = [0; 32];
        let place = word.get_mut(..name.len()).ok_or(InvalidName::TooLong(name.len()))?;
        place.copy_from_slice(name.as_bytes());
        Ok(Self(H256(word)))
    }

    /// Whether it names nothing: the zero word.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for EnvironmentId {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl fmt::Display for EnvironmentId {
    /// The name, or the word in hexadecimal where it is no name (a contract can send to any word).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        match self.0.0.get(..end).map(std::str::from_utf8) {
            Some(Ok(name)) if Self::new(name).is_ok() => f.write_str(name),
            _ => write!(f, "{:?}", self.0),
        }
    }
}

impl fmt::Debug for EnvironmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a message did not do what it was sent for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Failure {
    /// The run has no environment of that name.
    UnknownEnvironment = 1,
    /// The source may not send there, or the destination does not receive from there.
    Denied,
    /// The source sent more in this epoch than its outbox holds.
    OutboxFull,
    /// More messages wait at the destination than its inbox holds.
    InboxFull,
    /// The message asks for more gas than the destination's inbox has in an epoch.
    GasAboveInbox,
    /// It carries an asset, and the destination takes none (see [`MessagePolicy::assets`]).
    AssetsRefused,
    /// It was not delivered by the end of its last epoch.
    Timeout,
    /// The call reverted.
    Reverted,
    /// The call halted.
    Halted,
    /// The destination rolled the delivery back, or broke down while it executed.
    RolledBack,
}

impl Failure {
    /// All failures, in the order of their numbers, which start at 1.
    pub const ALL: [Self; 10] = [
        Self::UnknownEnvironment,
        Self::Denied,
        Self::OutboxFull,
        Self::InboxFull,
        Self::GasAboveInbox,
        Self::AssetsRefused,
        Self::Timeout,
        Self::Reverted,
        Self::Halted,
        Self::RolledBack,
    ];

    /// The failure of a number.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// A short name for reports, in kebab case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownEnvironment => "unknown-environment",
            Self::Denied => "denied",
            Self::OutboxFull => "outbox-full",
            Self::InboxFull => "inbox-full",
            Self::GasAboveInbox => "gas-above-inbox",
            Self::AssetsRefused => "assets-refused",
            Self::Timeout => "timeout",
            Self::Reverted => "reverted",
            Self::Halted => "halted",
            Self::RolledBack => "rolled-back",
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The failure receipt of a message, with what it carried.
    Refund {
        /// The message that failed.
        id: H256,
        /// Why.
        failure: Failure,
    },
    /// The new value of a slot that the destination subscribed to.
    State,
    /// Sent by an account of the source.
    #[default]
    Call,
}

impl Kind {
    /// The number by which messages of one epoch and source are sorted, and which contracts see: refunds (0) before
    /// state (1) before calls (2). Nonces are counted by source, destination and this number.
    #[must_use]
    pub const fn number(&self) -> u8 {
        match self {
            Self::Refund { .. } => 0,
            Self::State => 1,
            Self::Call => 2,
        }
    }
}

/// A message from one environment to another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// Where it comes from.
    pub source: EnvironmentId,
    /// Where it goes.
    pub destination: EnvironmentId,
    /// Its place among all messages of its kind from this source to this destination: 0, 1, 2, …
    pub nonce: u64,
    /// The epoch that it was sent in; it is delivered in a later one.
    pub epoch: u64,
    /// Who sent it; [`EXCHANGE_ADDRESS`] for what the exchange itself sends.
    pub sender: H160,
    /// Who is called.
    pub to: H160,
    /// What it carries: the home of the asset.
    pub asset: EnvironmentId,
    /// How much of it.
    pub value: U256,
    /// Gas of the call at the destination, paid for at the source.
    pub gas: u64,
    /// The last epoch in which it may be delivered; `u64::MAX` = no limit.
    pub timeout: u64,
    /// Who gets at the source what it carries if it fails.
    pub refund: H160,
    /// The call data.
    pub data: Bytes,
}

/// A message on its way into its destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub message: Message,
    /// Its id: the hash of its encoding and the manifest's hash.
    pub id: H256,
    /// The epoch of the delivery.
    pub epoch: u64,
    /// A refund that could not be delivered before: it goes to the claimable ledger, and nothing is called.
    pub ledger_only: bool,
}

/// What came of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptStatus {
    /// The call succeeded and its effects are kept.
    Delivered,
    /// The call failed and has no effect, except that what a refund carries is now claimable.
    Failed(Failure),
    /// Nothing of it is kept, not even the claimable ledger.
    RolledBack,
}

/// The receipt of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The message.
    pub id: H256,
    /// What came of it.
    pub status: ReceiptStatus,
    /// Gas that the call used.
    pub gas_used: u64,
}

/// Environments that a rule holds for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Peers {
    /// Every environment of the run.
    #[default]
    All,
    /// These.
    Only(Vec<EnvironmentId>),
}

impl Peers {
    /// No environment.
    pub const NONE: Self = Self::Only(Vec::new());

    /// Whether the rule holds for that environment.
    #[must_use]
    pub fn allows(&self, environment: &EnvironmentId) -> bool {
        match self {
            Self::All => true,
            Self::Only(environments) => environments.contains(environment),
        }
    }
}

/// What an environment may do with messages, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagePolicy {
    /// Where it may send.
    pub send_to: Peers,
    /// Whom it receives from.
    pub receive_from: Peers,
    /// Whose state it may read.
    pub read_from: Peers,
    /// Who may read its state.
    pub read_by: Peers,
    /// Messages that it may send in an epoch; beyond it a send fails.
    pub outbox: u64,
    /// Bytes of data of these messages, in all.
    pub outbox_bytes: u64,
    /// Calls that may wait for it; beyond it they fail and are refunded.
    pub inbox: u64,
    /// Gas of the deliveries of an epoch; beyond it messages wait in their order.
    pub inbox_gas: u64,
    /// Gas that one read may use at its target.
    pub read_gas: u64,
    /// Whether messages may bring assets in or take them out. Refunds always come back.
    pub assets: bool,
}

impl Default for MessagePolicy {
    fn default() -> Self {
        Self {
            send_to: Peers::All,
            receive_from: Peers::All,
            read_from: Peers::All,
            read_by: Peers::All,
            outbox: 64,
            outbox_bytes: 65_536,
            inbox: 65_536,
            inbox_gas: 5_000_000,
            read_gas: 1_000_000,
            assets: true,
        }
    }
}

/// A data call from one environment into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Who reads: the environment.
    pub source: EnvironmentId,
    /// Who reads: the account in it.
    pub sender: H160,
    /// The epoch of the read.
    pub epoch: u64,
    /// Whose state is read.
    pub environment: EnvironmentId,
    /// The account that is called there.
    pub to: H160,
    /// The call data.
    pub data: Bytes,
    /// Gas that the call may use.
    pub gas: u64,
}

/// How a data call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerStatus {
    /// It returned.
    Success,
    /// It reverted; the output says why.
    Revert,
    /// It halted.
    Halt,
    /// The target does not let this environment read.
    Denied,
}

/// The answer to a data call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it ended.
    pub status: AnswerStatus,
    /// Gas that it used, never more than the query gave.
    pub gas_used: u64,
    /// What it returned.
    pub output: Bytes,
}

/// Answers data calls from the states at the start of the epoch.
pub trait Reader: Send + Sync {
    /// Executes a static call. Whether the target allows it is the reader's to decide; whether the source may ask was
    /// decided before.
    ///
    /// # Errors
    /// When the target's state cannot answer, or the reader has no such environment.
    fn read(&self, query: &Query) -> Result<Answer, StateError>;
}

/// Makes the system address of an environment answer.
#[derive(Clone)]
pub struct Messaging {
    /// The environment itself.
    pub environment: EnvironmentId,
    /// All environments of the run, in any order; a send to another one fails at once.
    pub environments: Arc<[EnvironmentId]>,
    /// The hash of the manifest, which the ids of messages depend on.
    pub manifest: H256,
    /// The running epoch.
    pub epoch: u64,
    /// What the environment may do.
    pub policy: Arc<MessagePolicy>,
    /// Answers data calls; without it they revert.
    pub reader: Option<Arc<dyn Reader>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for name in ["a", "uni-b", "Grüße", "exactly-thirty-two-bytes-of-name"] {
            let id = EnvironmentId::new(name).expect("a name");
            assert_eq!(id.to_string(), name);
            assert_eq!(name.parse(), Ok(id));
        }
        assert_eq!(EnvironmentId::new(""), Err(InvalidName::Empty));
        assert_eq!(EnvironmentId::new("a\0"), Err(InvalidName::Control));
        assert_eq!(EnvironmentId::new(&"x".repeat(33)), Err(InvalidName::TooLong(33)));
        let mut gap = EnvironmentId::new("a").expect("a name");
        gap.0.0[2] = b'b';
        assert!(gap.to_string().starts_with("0x6100"), "a word with a gap is no name: {gap}");
        assert!(EnvironmentId::default().to_string().starts_with("0x0000"));
    }

    #[test]
    fn failures_have_the_numbers_that_they_say() {
        for (index, failure) in Failure::ALL.into_iter().enumerate() {
            assert_eq!(failure as usize, index + 1);
            assert_eq!(Failure::from_number(failure as u8), Some(failure));
        }
        assert_eq!(Failure::from_number(0), None);
        assert_eq!(Failure::from_number(11), None);
    }

    #[test]
    fn peers_are_all_or_listed() {
        let [a, b] = ["a", "b"].map(|name| EnvironmentId::new(name).expect("a name"));
        assert!(Peers::All.allows(&a));
        assert!(Peers::Only(vec![a]).allows(&a));
        assert!(!Peers::Only(vec![a]).allows(&b));
        assert!(!Peers::NONE.allows(&a));
    }
}
