//! The exchange as bytes, for the journal on disk. The same exchange has the same bytes everywhere.

use super::{Channel, Config, ConfigError, Exchange, Ticket, Waiting};
use crate::cpu::crypto::keccak256;
use crate::cpu::exchange::{InvalidMessage, decode, encode};
use crate::spec::{EnvironmentId, H256, U256};
use alloy_primitives::B256;
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use std::collections::BTreeMap;

/// The number of this form of the bytes.
const VERSION: u64 = 1;
/// The bytes end with the hash of what is before it.
const DIGEST: usize = 32;

/// Bytes from which no exchange can be restored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The configuration cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bytes are not what was written.
    #[error(
        "the exchange's journal is damaged: expected the digest {expected:?}, got {got:?}; remove it and start over"
    )]
    Damaged {
        /// The digest of the bytes.
        expected: H256,
        /// The digest in the bytes.
        got: H256,
    },
    /// The bytes are too short to be anything.
    #[error("the exchange's journal is damaged: it has only {0} bytes; remove it and start over")]
    Short(usize),
    /// Another version of isolane wrote them.
    #[error(
        "the exchange's journal has version {got}, expected {expected}: continue it with the isolane that wrote it"
    )]
    Version {
        /// The version that this isolane writes.
        expected: u64,
        /// The version of the bytes.
        got: u64,
    },
    /// They are of another run.
    #[error("the exchange's journal is of the manifest {got:?}, expected {expected:?}: give the manifest of that run")]
    Manifest {
        /// The manifest of the configuration.
        expected: H256,
        /// The manifest of the bytes.
        got: H256,
    },
    /// They have the digest that they say, but not the form.
    #[error("the exchange's journal: {0}")]
    Form(String),
}

impl From<alloy_rlp::Error> for RestoreError {
    fn from(error: alloy_rlp::Error) -> Self {
        Self::Form(error.to_string())
    }
}

impl From<InvalidMessage> for RestoreError {
    fn from(error: InvalidMessage) -> Self {
        Self::Form(error.to_string())
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct NextRecord {
    source: B256,
    destination: B256,
    kind: u8,
    nonce: u64,
}

#[derive(RlpEncodable, RlpDecodable)]
struct WaitingRecord {
    ledger_only: bool,
    message: alloy_primitives::Bytes,
}

#[derive(RlpEncodable, RlpDecodable)]
struct ToldRecord {
    subscription: u64,
    value: alloy_primitives::U256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct SupplyRecord {
    environment: B256,
    supply: alloy_primitives::U256,
}

#[derive(RlpEncodable, RlpDecodable)]
struct Record {
    version: u64,
    manifest: B256,
    epoch: u64,
    next: Vec<NextRecord>,
    waiting: Vec<WaitingRecord>,
    told: Vec<ToldRecord>,
    supplies: Vec<SupplyRecord>,
}

fn sol(number: &U256) -> alloy_primitives::U256 {
    alloy_primitives::U256::from_limbs(number.0)
}

fn environment(word: B256) -> EnvironmentId {
    EnvironmentId(H256(word.0))
}

impl Exchange {
    /// The state of the exchange at its last barrier; what was handed in since is not in it.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let waiting = self.waiting.values().flat_map(BTreeMap::values);
        let record = Record {
            version: VERSION,
            manifest: B256::new(self.config.manifest.0),
            epoch: self.epoch,
            next: self
                .next
                .iter()
                .map(|(channel, nonce)| NextRecord {
                    source: B256::new(channel.source.0.0),
                    destination: B256::new(channel.destination.0.0),
                    kind: channel.kind,
                    nonce: *nonce,
                })
                .collect(),
            waiting: waiting
                .map(|waiting| WaitingRecord {
                    ledger_only: waiting.ledger_only,
                    message: encode(&waiting.message).into(),
                })
                .collect(),
            told: self
                .told
                .iter()
                .map(|(index, value)| ToldRecord { subscription: *index as u64, value: sol(value) })
                .collect(),
            supplies: self
                .supplies
                .iter()
                .map(|(name, supply)| SupplyRecord { environment: B256::new(name.0.0), supply: sol(supply) })
                .collect(),
        };
        let mut bytes = Vec::with_capacity(record.length() + DIGEST);
        record.encode(&mut bytes);
        let digest = keccak256(&bytes);
        bytes.extend_from_slice(&digest.0);
        bytes
    }

    /// The hash of the state at the last barrier.
    #[must_use]
    pub fn digest(&self) -> H256 {
        let bytes = self.to_bytes();
        H256::from_slice(&bytes[bytes.len() - DIGEST..])
    }

    /// The exchange that [`Exchange::to_bytes`] wrote, under the same configuration.
    ///
    /// # Errors
    /// Says why the bytes are not those of such an exchange.
    pub fn from_bytes(config: Config, bytes: &[u8]) -> Result<Self, RestoreError> {
        let (mut body, digest) = bytes.split_last_chunk::<DIGEST>().ok_or(RestoreError::Short(bytes.len()))?;
        let (expected, got) = (keccak256(body), H256(*digest));
        if expected != got {
            return Err(RestoreError::Damaged { expected, got });
        }
        let record = Record::decode(&mut body)?;
        if !body.is_empty() {
            return Err(RestoreError::Form(format!("{} bytes after its end", body.len())));
        }
        if record.version != VERSION {
            return Err(RestoreError::Version { expected: VERSION, got: record.version });
        }
        let (expected, got) = (config.manifest, H256(record.manifest.0));
        if expected != got {
            return Err(RestoreError::Manifest { expected, got });
        }
        let mut exchange = Self::new(config)?;
        exchange.epoch = record.epoch;
        for next in record.next {
            let (source, destination) = (environment(next.source), environment(next.destination));
            exchange.next.insert(Channel { source, destination, kind: next.kind }, next.nonce);
        }
        for waiting in record.waiting {
            let message = decode(&waiting.message)?;
            let id = exchange.id(&message);
            if !exchange.config.environments.contains_key(&message.destination) {
                return Err(RestoreError::Form(format!("message {id:?}: no environment {}", message.destination)));
            }
            let queue = exchange.waiting.entry(message.destination).or_default();
            let waiting = Waiting { message, id, ledger_only: waiting.ledger_only };
            queue.insert(Ticket::of(&waiting.message), waiting);
        }
        let subscriptions = exchange.config.subscriptions.len();
        for told in record.told {
            let index = usize::try_from(told.subscription).ok().filter(|index| *index < subscriptions);
            let Some(index) = index else {
                let number = told.subscription;
                return Err(RestoreError::Form(format!("no subscription {number} among {subscriptions}")));
            };
            exchange.told.insert(index, U256(told.value.into_limbs()));
        }
        for record in record.supplies {
            exchange.supplies.insert(environment(record.environment), U256(record.supply.into_limbs()));
        }
        Ok(exchange)
    }
}
