//! Typed JSON: documents that are parsed straight into structs, without a tree in between.
//!
//! Block packs are megabytes of hex text, so each value is decoded from the borrowed text once. Objects refuse a key
//! that occurs twice: structs by serde's own check, maps by [`Entries`]. Where an error is depends on a
//! second, slower pass that only a document with an error pays for.

use super::hex;
use isolane_spec::{Bytes, H160, H256, U256};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::io::Read;
use std::marker::PhantomData;
use std::path::Path;

/// The largest document, decompressed.
pub const MAX_DOCUMENT: u64 = 512 << 20;

/// What a document may take, decompressed, whatever the ratio.
const SMALL_DOCUMENT: u64 = 16 << 20;

/// How many times larger than the file a document above [`SMALL_DOCUMENT`] may be. Real packs reach 120.
const MAX_RATIO: u64 = 1000;

/// Why an input cannot be used: one line that says what, where, what was expected, what was there and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputError {
    /// The file, or the URL.
    pub file: String,
    /// Where in it: a path such as `block.transactions[3].nonce`, an offset, or nothing for the whole file.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

impl InputError {
    /// An error at a place of a file.
    #[must_use]
    pub fn new(file: impl Into<String>, place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { file: file.into(), place: place.into(), problem: problem.into() }
    }

    /// An error whose file is not known yet: see [`InputError::in_file`].
    #[must_use]
    pub fn at(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::new("", place, problem)
    }

    /// Names the file, unless it is named.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        if self.file.is_empty() {
            file.clone_into(&mut self.file);
        }
        self
    }
}

/// Text from outside on one line: control characters are escaped.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(char::is_control) {
            match part.strip_suffix(char::is_control) {
                Some(clean) => write!(f, "{clean}{}", part[clean.len()..].escape_debug())?,
                None => f.write_str(part)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.file, &self.place] {
            if !part.is_empty() {
                write!(f, "{}: ", OneLine(part))?;
            }
        }
        OneLine(&self.problem).fmt(f)
    }
}

impl std::error::Error for InputError {}

/// The start of a text, for messages.
#[must_use]
pub fn quote(text: &str) -> String {
    const KEPT: usize = 72;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{:?}… ({} characters)", &text[..end], text.chars().count()),
        None => format!("{text:?}"),
    }
}

/// Reads a file whole, decompressing it if its name ends in `.zst`.
///
/// # Errors
/// When it cannot be read, is empty, is no zstd frame, is truncated, or is larger than a document may be.
pub fn read(path: &Path) -> Result<Vec<u8>, InputError> {
    let name = path.display().to_string();
    let fail = |problem: String| InputError::new(name.clone(), "", problem);
    let packed = std::fs::read(path).map_err(|error| fail(format!("cannot read it: {error}")))?;
    if packed.is_empty() {
        return Err(fail("the file is empty: fetch or copy it again".into()));
    }
    let compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zst"));
    if !compressed {
        if packed.len() as u64 > MAX_DOCUMENT {
            return Err(fail(format!("expected at most {MAX_DOCUMENT} bytes, got {}", packed.len())));
        }
        return Ok(packed);
    }
    decompress(&packed).map_err(fail)
}

thread_local! {
    /// What the last document of this thread lay in, and what decompressed it: fresh memory costs as much as a tenth of a replay.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static DECOMPRESSOR: RefCell<Option<zstd::bulk::Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The most that a thread keeps of [`SPARE`], in bytes.
const MOST_SPARE: usize = 32 << 20;

/// Takes back a document that was read, so that the next one of this thread may lie in its place.
pub fn recycle(document: Vec<u8>) {
    if document.capacity() <= MOST_SPARE {
        SPARE.set(document);
    }
}

/// A frame that says how long it is, which goes straight into its place. What is wrong with one that does not hold that shows when it is
/// read piece by piece.
fn at_once(packed: &[u8], limit: u64) -> Option<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok()?.filter(|size| (1..=limit).contains(size))?;
    let size = usize::try_from(size).ok()?;
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        if decompressor.is_none() {
            *decompressor = zstd::bulk::Decompressor::new().ok();
        }
        let mut document = SPARE.take();
        document.clear();
        document.reserve_exact(size);
        let written = decompressor.as_mut()?.decompress_to_buffer(packed, &mut document);
        written.is_ok_and(|written| written == size).then_some(document)
    })
}

fn decompress(packed: &[u8]) -> Result<Vec<u8>, String> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    if !packed.starts_with(&MAGIC) {
        let kind = match packed {
            [0x1f, 0x8b, ..] => "gzip (recompress it with zstd)".to_owned(),
            [b'{' | b'[', ..] => "JSON text (drop the .zst from its name)".to_owned(),
            _ => format!("bytes {:02x?}", &packed[..packed.len().min(4)]),
        };
        return Err(format!("expected a zstd frame, got {kind}"));
    }
    let limit = MAX_DOCUMENT.min(SMALL_DOCUMENT.max((packed.len() as u64).saturating_mul(MAX_RATIO)));
    if let Some(document) = at_once(packed, limit) {
        return Ok(document);
    }
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(|error| format!("zstd: {error}"))?;
    let mut document = Vec::with_capacity(packed.len().saturating_mul(12).min(SMALL_DOCUMENT as usize));
    decoder.take(limit + 1).read_to_end(&mut document).map_err(|error| {
        let what =
            if error.kind() == std::io::ErrorKind::UnexpectedEof { "the zstd frame is truncated" } else { "zstd" };
        format!("{what} after {} decompressed bytes: {error}: fetch or copy it again", document.len())
    })?;
    if document.len() as u64 > limit {
        return Err(format!(
            "expected at most {limit} decompressed bytes of {} packed ones, got more: refused as a decompression bomb",
            packed.len()
        ));
    }
    if document.is_empty() {
        return Err("the file is empty once decompressed: fetch or copy it again".into());
    }
    Ok(document)
}

/// Parses a whole document.
///
/// # Errors
/// The first thing that is wrong, with its path and its offset.
pub fn parse<'a, T: Deserialize<'a>>(document: &'a [u8]) -> Result<T, InputError> {
    if let Ok(value) = serde_json::from_slice(document) {
        return Ok(value);
    }
    // Once more, slowly, for the path of the error.
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let error = match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Err(error) => error,
        Ok(value) => match deserializer.end() {
            Ok(()) => return Ok(value),
            Err(error) => return Err(InputError::at(position(document, &error), message(&error))),
        },
    };
    let path = shorten(&error.path().to_string());
    let error = error.into_inner();
    let place = match (path.as_str(), position(document, &error)) {
        ("." | "?", offset) => offset,
        (path, offset) => format!("{path} ({offset})"),
    };
    Err(InputError::at(place, message(&error)))
}

/// A line is for reading: no more than its start.
fn shorten(text: &str) -> String {
    const KEPT: usize = 300;
    match text.char_indices().nth(KEPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
    // serde quotes the offending value whole.
    let text = shorten(text);
    match error.classify() {
        serde_json::error::Category::Eof => format!("the JSON ends too early: {text}: fetch or copy it again"),
        serde_json::error::Category::Syntax => format!("not JSON: {text}"),
        _ => text,
    }
}

fn position(document: &[u8], error: &serde_json::Error) -> String {
    let lines_before = error.line().saturating_sub(1);
    let start = if lines_before == 0 {
        0
    } else {
        let newlines = document.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        newlines.map(|(index, _)| index + 1).nth(lines_before - 1).unwrap_or(0)
    };
    format!("offset {}", start + error.column())
}

/// A value that JSON writes as hexadecimal text.
pub trait FromHex: Sized {
    /// What is expected.
    const EXPECTED: &'static str;
    /// Reads the text.
    fn from_hex(text: &str) -> Result<Self, &'static str>;
    /// Reads a JSON number, where the value may be one.
    fn from_number(_: u64) -> Option<Self> {
        None
    }
}

/// A quantity in decimal, as genesis files write some.
fn decimal(text: &str) -> Option<U256> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { U256::from_dec_str(text).ok() } else { None }
}

impl FromHex for u64 {
    const EXPECTED: &'static str = "a quantity below 2^64 (0x hex)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        match decimal(text) {
            Some(value) => value.try_into().map_err(|_| Self::EXPECTED),
            None => hex::u64(text).map_err(|_| Self::EXPECTED),
        }
    }
    fn from_number(number: u64) -> Option<Self> {
        Some(number)
    }
}

impl FromHex for U256 {
    const EXPECTED: &'static str = "a quantity below 2^256 (0x hex)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        // Slots and their values have all their digits: these are most of a pack's quantities.
        if let Some(bytes) = fixed::<32>(text) {
            return Ok(Self::from_big_endian(&bytes));
        }
        match decimal(text) {
            Some(value) => Ok(value),
            None => hex::u256(text).map_err(|_| Self::EXPECTED),
        }
    }
    fn from_number(number: u64) -> Option<Self> {
        Some(number.into())
    }
}

impl FromHex for H160 {
    const EXPECTED: &'static str = "an address (0x and 40 hex digits)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        fixed(text).map(Self).ok_or(Self::EXPECTED)
    }
}

impl FromHex for H256 {
    const EXPECTED: &'static str = "a 32-byte value (0x and 64 hex digits)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        fixed(text).map(Self).ok_or(Self::EXPECTED)
    }
}

impl FromHex for [u8; 8] {
    const EXPECTED: &'static str = "an 8-byte value (0x and 16 hex digits)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        fixed(text).ok_or(Self::EXPECTED)
    }
}

impl FromHex for [u8; 256] {
    const EXPECTED: &'static str = "a bloom filter (0x and 512 hex digits)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        fixed(text).ok_or(Self::EXPECTED)
    }
}

impl FromHex for Bytes {
    const EXPECTED: &'static str = "bytes (0x and an even number of hex digits)";
    fn from_hex(text: &str) -> Result<Self, &'static str> {
        let digits = text.strip_prefix("0x").ok_or(Self::EXPECTED)?;
        match alloy_primitives::hex::decode(digits) {
            // The decoder would strip a second prefix.
            Ok(bytes) if bytes.len() * 2 == digits.len() => Ok(bytes.into()),
            _ => Err(Self::EXPECTED),
        }
    }
}

fn fixed<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.strip_prefix("0x").filter(|digits| digits.len() == 2 * N)?;
    let mut bytes = [0; N];
    alloy_primitives::hex::decode_to_slice(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// A value read from hexadecimal text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Hex<T>(pub T);

impl<'de, T: FromHex> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text<T>(PhantomData<T>);
        impl<T: FromHex> Visitor<'_> for Text<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
                T::from_hex(text).map_err(|expected| E::custom(format!("expected {expected}, got {}", quote(text))))
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
                T::from_number(number)
                    .ok_or_else(|| E::custom(format!("expected {}, got the number {number}", T::EXPECTED)))
            }
        }
        deserializer.deserialize_any(Text(PhantomData)).map(Self)
    }
}

/// The entries of an object, in the document's order; no key twice.
#[derive(Clone, Debug)]
pub struct Entries<K, V>(pub Vec<(K, V)>);

impl<K, V> Default for Entries<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, K: FromHex + Eq + Hash + Clone + fmt::LowerHex, V: Deserialize<'de>> Deserialize<'de> for Entries<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<K, V>(PhantomData<(K, V)>);
        impl<'de, K: FromHex + Eq + Hash + Clone + fmt::LowerHex, V: Deserialize<'de>> Visitor<'de> for Map<K, V> {
            type Value = Entries<K, V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "an object keyed by {}", K::EXPECTED)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                entries(&mut map).map(Entries)
            }
        }
        deserializer.deserialize_map(Map(PhantomData))
    }
}

/// Reads all entries of an object and refuses a key that occurs twice, in whatever case its digits are.
///
/// # Errors
/// When a key or a value is malformed or a key occurs twice.
pub fn entries<'de, K, V, A>(map: &mut A) -> Result<Vec<(K, V)>, A::Error>
where
    K: FromHex + Eq + Hash + Clone + fmt::LowerHex,
    V: Deserialize<'de>,
    A: MapAccess<'de>,
{
    let mut list = Vec::with_capacity(map.size_hint().unwrap_or(0));
    let mut seen: HashSet<K> = HashSet::new();
    while let Some((Hex(key), value)) = map.next_entry::<Hex<K>, V>()? {
        let fresh = match list.len() {
            // Most objects are small: no set for them.
            0..8 => list.iter().all(|(other, _): &(K, V)| *other != key),
            8 => {
                seen.extend(list.iter().map(|(other, _)| other.clone()));
                seen.insert(key.clone())
            }
            _ => seen.insert(key.clone()),
        };
        if !fresh {
            return Err(A::Error::custom(format!("expected every key once, got {key:#x} twice")));
        }
        list.push((key, value));
    }
    Ok(list)
}
