//! Bytes for the journal and the digests: fixed-width big-endian numbers, and a length before everything that varies.

use crate::load::typed::InputError;
use isolane_spec::{AccountDiff, AccountInfo, Bytes, H160, H256, Log, Outcome, SlotDiff, U256};

/// Writes values one after another.
#[derive(Clone, Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// A byte.
    pub fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    /// A truth value.
    pub fn flag(&mut self, value: bool) -> &mut Self {
        self.byte(u8::from(value))
    }

    /// A number.
    pub fn number(&mut self, value: u64) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A number with a sign.
    pub fn signed(&mut self, value: i128) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    /// A word.
    pub fn word(&mut self, value: &U256) -> &mut Self {
        self.0.extend(value.to_big_endian());
        self
    }

    /// A hash.
    pub fn hash(&mut self, value: &H256) -> &mut Self {
        self.0.extend(value.0);
        self
    }

    /// An address.
    pub fn address(&mut self, value: &H160) -> &mut Self {
        self.0.extend(value.0);
        self
    }

    /// Bytes, after their number.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.number(value.len() as u64);
        self.0.extend(value);
        self
    }

    /// A value that may be absent.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// A list, after its length.
    pub fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.number(values.len() as u64);
        for value in values {
            write(self, value);
        }
        self
    }

    fn info(&mut self, info: &AccountInfo) {
        self.number(info.nonce).word(&info.balance).hash(&info.code_hash);
    }

    /// What changed.
    pub fn diff(&mut self, diff: &[AccountDiff]) -> &mut Self {
        self.list(diff, |writer, change| {
            writer.address(&change.address);
            writer.option(change.before, |writer, info| writer.info(&info));
            writer.option(change.after, |writer, info| writer.info(&info));
            writer.option(change.code.as_ref(), |writer, code| {
                writer.bytes(code);
            });
            writer.flag(change.storage_wiped);
            writer.list(&change.storage, |writer, slot| {
                writer.word(&slot.key).word(&slot.before).word(&slot.after);
            });
        })
    }

    fn log(&mut self, log: &Log) {
        self.address(&log.address);
        self.list(&log.topics, |writer, topic| {
            writer.hash(topic);
        });
        self.bytes(&log.data);
    }

    /// An outcome, for a digest: all that is in it. Its messages are digested with the exchange that routes them.
    pub fn outcome(&mut self, outcome: &Outcome) -> &mut Self {
        // The names of statuses are part of the crate's interface, so a digest may depend on them.
        self.bytes(format!("{:?}", outcome.status).as_bytes());
        for number in [
            outcome.gas_used,
            outcome.gas_refunded,
            outcome.block_gas_used,
            outcome.state_gas_used,
            outcome.steps,
            outcome.messages.len() as u64,
        ] {
            self.number(number);
        }
        self.bytes(&outcome.output);
        self.option(outcome.created, |writer, address| {
            writer.address(&address);
        });
        self.list(&outcome.logs, Self::log);
        self.option(outcome.denial, |writer, denial| {
            writer.byte(denial.rule as u8).address(&denial.address).number(denial.pc.into());
        });
        self.diff(&outcome.diff)
    }
}

/// Reads what a [`Writer`] wrote. The bytes may come from a damaged file: every read is checked.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    length: usize,
}

/// The result of reading.
pub type Result<T> = std::result::Result<T, InputError>;

impl<'a> Reader<'a> {
    /// Reads from the start.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, length: bytes.len() }
    }

    fn damaged(&self, expected: &str) -> InputError {
        let place = format!("byte {}", self.length - self.rest.len());
        InputError::at(place, format!("expected {expected}: the file is damaged: remove it and those after it"))
    }

    fn take(&mut self, count: usize, expected: &str) -> Result<&'a [u8]> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else { return Err(self.damaged(expected)) };
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, expected: &str) -> Result<[u8; N]> {
        let taken = self.take(N, expected)?;
        taken.try_into().map_err(|_| self.damaged(expected))
    }

    /// A byte.
    ///
    /// # Errors
    /// When the bytes are over, or are not what is expected; so for all that is read here.
    pub fn byte(&mut self) -> Result<u8> {
        Ok(u8::from_be_bytes(self.array("a byte")?))
    }

    /// A truth value.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn flag(&mut self) -> Result<bool> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.damaged("0 or 1")),
        }
    }

    /// A number.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn number(&mut self) -> Result<u64> {
        Ok(u64::from_be_bytes(self.array("a number")?))
    }

    /// A number with a sign.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn signed(&mut self) -> Result<i128> {
        Ok(i128::from_be_bytes(self.array("a signed number")?))
    }

    /// A word.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn word(&mut self) -> Result<U256> {
        Ok(U256::from_big_endian(&self.array::<32>("a word")?))
    }

    /// A hash.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn hash(&mut self) -> Result<H256> {
        Ok(H256(self.array("a hash")?))
    }

    /// An address.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn address(&mut self) -> Result<H160> {
        Ok(H160(self.array("an address")?))
    }

    /// Bytes.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn bytes(&mut self) -> Result<&'a [u8]> {
        let count = usize::try_from(self.number()?).unwrap_or(usize::MAX);
        self.take(count, "as many bytes as were announced")
    }

    /// A value that may be absent.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<Option<T>> {
        Ok(if self.flag()? { Some(read(self)?) } else { None })
    }

    /// A list.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let count = self.number()?;
        if count > self.rest.len() as u64 {
            return Err(self.damaged("a list that fits"));
        }
        (0..count).map(|_| read(self)).collect()
    }

    fn info(&mut self) -> Result<AccountInfo> {
        Ok(AccountInfo { nonce: self.number()?, balance: self.word()?, code_hash: self.hash()? })
    }

    /// What changed.
    ///
    /// # Errors
    /// See [`Reader::byte`].
    pub fn diff(&mut self) -> Result<Vec<AccountDiff>> {
        self.list(|reader| {
            Ok(AccountDiff {
                address: reader.address()?,
                before: reader.option(Self::info)?,
                after: reader.option(Self::info)?,
                code: reader.option(|reader| reader.bytes().map(Bytes::copy_from_slice))?,
                storage_wiped: reader.flag()?,
                storage: reader.list(|reader| {
                    Ok(SlotDiff { key: reader.word()?, before: reader.word()?, after: reader.word()? })
                })?,
            })
        })
    }

    /// That nothing is left.
    ///
    /// # Errors
    /// When something is.
    pub fn end(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged("the end")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_round_trips_and_every_cut_is_an_error() {
        let info = AccountInfo { nonce: 3, balance: U256::from(77) << 130, ..AccountInfo::default() };
        let diff = vec![
            AccountDiff {
                address: H160::repeat_byte(3),
                before: None,
                after: Some(info),
                code: Some(Bytes::from_static(b"code")),
                storage_wiped: true,
                storage: vec![SlotDiff { key: 1.into(), before: 2.into(), after: 3.into() }],
            },
            AccountDiff {
                address: H160::repeat_byte(4),
                before: Some(info),
                after: None,
                code: None,
                storage_wiped: false,
                storage: Vec::new(),
            },
        ];
        let mut writer = Writer::default();
        writer.diff(&diff).signed(-5).flag(true);
        let bytes = writer.0;
        let read = |bytes: &[u8]| -> Result<Vec<AccountDiff>> {
            let mut reader = Reader::new(bytes);
            let diff = reader.diff()?;
            assert_eq!((reader.signed()?, reader.flag()?), (-5, true));
            reader.end()?;
            Ok(diff)
        };
        assert_eq!(read(&bytes).expect("whole"), diff);
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let mut longer = bytes;
        longer.push(0);
        assert!(read(&longer).is_err());
        assert!(Reader::new(&[0xff; 8]).list(Reader::byte).is_err(), "a length from hell allocates nothing");
    }
}
