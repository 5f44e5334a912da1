//! The encoding of messages, on which their ids and the exchange's journal rest: RLP.

use crate::crypto::keccak256;
use alloy_primitives::{Address, B256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use isolane_spec::{Bytes, EnvironmentId, Failure, H160, H256, Kind, Message, U256};
use std::fmt;

/// Bytes that are no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidMessage(String);

impl fmt::Display for InvalidMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the encoding of a message: {}", self.0)
    }
}

impl std::error::Error for InvalidMessage {}

/// The record as RLP has it, one item a field.
#[derive(RlpEncodable, RlpDecodable)]
struct Record {
    kind: u8,
    failed_id: B256,
    failure: u8,
    source: B256,
    destination: B256,
    nonce: u64,
    epoch: u64,
    sender: Address,
    to: Address,
    asset: B256,
    value: alloy_primitives::U256,
    gas: u64,
    timeout: u64,
    refund: Address,
    data: alloy_primitives::Bytes,
}

/// The encoding of a message.
#[must_use]
pub fn encode(message: &Message) -> Vec<u8> {
    let (failed_id, failure) = match message.kind {
        Kind::Refund { id, failure } => (id, failure as u8),
        Kind::State | Kind::Call => (H256::zero(), 0),
    };
    let record = Record {
        kind: message.kind.number(),
        failed_id: B256::new(failed_id.0),
        failure,
        source: B256::new(message.source.0.0),
        destination: B256::new(message.destination.0.0),
        nonce: message.nonce,
        epoch: message.epoch,
        sender: Address::new(message.sender.0),
        to: Address::new(message.to.0),
        asset: B256::new(message.asset.0.0),
        value: alloy_primitives::U256::from_limbs(message.value.0),
        gas: message.gas,
        timeout: message.timeout,
        refund: Address::new(message.refund.0),
        data: message.data.clone().into(),
    };
    let mut bytes = Vec::with_capacity(record.length());
    record.encode(&mut bytes);
    bytes
}

/// The message of an encoding, which must be whole and the only one that the message has.
///
/// # Errors
/// Says what is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Message, InvalidMessage> {
    let invalid = |what: &dyn fmt::Display| InvalidMessage(what.to_string());
    let mut rest = bytes;
    let record = Record::decode(&mut rest).map_err(|error| invalid(&error))?;
    if !rest.is_empty() {
        return Err(invalid(&format_args!("{} bytes after its end", rest.len())));
    }
    let kind = match (record.kind, record.failed_id.is_zero(), record.failure) {
        (0, _, number) => {
            let failure = Failure::from_number(number)
                .ok_or_else(|| invalid(&format_args!("failure: expected 1 to {}, got {number}", Failure::ALL.len())))?;
            Kind::Refund { id: H256(record.failed_id.0), failure }
        }
        (1, true, 0) => Kind::State,
        (2, true, 0) => Kind::Call,
        (1 | 2, ..) => return Err(invalid(&"a failure in a message that is no refund")),
        (number, ..) => return Err(invalid(&format_args!("kind: expected 0 to 2, got {number}"))),
    };
    Ok(Message {
        kind,
        source: EnvironmentId(H256(record.source.0)),
        destination: EnvironmentId(H256(record.destination.0)),
        nonce: record.nonce,
        epoch: record.epoch,
        sender: H160(record.sender.into_array()),
        to: H160(record.to.into_array()),
        asset: EnvironmentId(H256(record.asset.0)),
        value: U256(record.value.into_limbs()),
        gas: record.gas,
        timeout: record.timeout,
        refund: H160(record.refund.into_array()),
        data: Bytes::from(record.data),
    })
}

/// The id of a message: the Keccak-256 hash of its encoding and the manifest's hash.
#[must_use]
pub fn id(message: &Message, manifest: &H256) -> H256 {
    let mut bytes = encode(message);
    bytes.extend_from_slice(&manifest.0);
    keccak256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            kind: Kind::Refund { id: H256::repeat_byte(9), failure: Failure::Timeout },
            source: EnvironmentId::new("a").expect("a name"),
            destination: EnvironmentId::new("b").expect("a name"),
            nonce: u64::MAX,
            epoch: 7,
            sender: H160::repeat_byte(1),
            to: H160::repeat_byte(2),
            asset: EnvironmentId::new("c").expect("a name"),
            value: U256::MAX,
            gas: 30_000,
            timeout: 12,
            refund: H160::zero(),
            data: Bytes::from_static(&[0, 1, 2]),
        }
    }

    #[test]
    fn messages_round_trip() {
        for kind in [message().kind, Kind::State, Kind::Call] {
            let message = Message { kind, ..message() };
            assert_eq!(decode(&encode(&message)), Ok(message));
        }
        assert_eq!(decode(&encode(&Message::default())), Ok(Message::default()));
    }

    #[test]
    fn every_field_is_in_the_id() {
        let manifest = H256::repeat_byte(3);
        let base = message();
        let id_of = |change: &dyn Fn(&mut Message)| {
            let mut changed = base.clone();
            change(&mut changed);
            id(&changed, &manifest)
        };
        let mut ids = vec![
            id(&base, &manifest),
            id(&base, &H256::zero()),
            id_of(&|m| m.kind = Kind::Call),
            id_of(&|m| m.kind = Kind::Refund { id: H256::zero(), failure: Failure::Timeout }),
            id_of(&|m| m.kind = Kind::Refund { id: H256::repeat_byte(9), failure: Failure::Denied }),
            id_of(&|m| m.source = m.destination),
            id_of(&|m| m.destination = m.source),
            id_of(&|m| m.nonce -= 1),
            id_of(&|m| m.epoch += 1),
            id_of(&|m| m.sender = m.to),
            id_of(&|m| m.to = m.sender),
            id_of(&|m| m.asset = m.source),
            id_of(&|m| m.value = U256::zero()),
            id_of(&|m| m.gas += 1),
            id_of(&|m| m.timeout += 1),
            id_of(&|m| m.refund = m.to),
            id_of(&|m| m.data = Bytes::from_static(&[0, 1])),
        ];
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn damaged_encodings_are_errors() {
        let bytes = encode(&message());
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "cut to {length} bytes");
        }
        assert!(decode(&[&bytes[..], &[0]].concat()).is_err(), "a byte too many");
        let mut wrong = encode(&Message { kind: Kind::Call, ..message() });
        let kind = wrong.iter().position(|byte| *byte == 2).expect("the kind");
        wrong[kind] = 3;
        assert!(decode(&wrong).is_err(), "kind 3");
    }
}
