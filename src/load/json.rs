//! Strict JSON: what fixtures and block packs are read with.
//!
//! A document is parsed into a borrowing tree ([`Json`]) in which no object has a key twice (serde_json alone would
//! silently take the last), and is then read field by field with accessors that say what they expect. An error names the
//! file, the path within it, what was expected and what was there. The path is put together on the way out of an error,
//! so that reading without errors allocates nothing for it.

use super::hex;
use isolane_spec::{Bytes, H160, H256, U256};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// The largest document that is parsed, in bytes.
pub const MAX_DOCUMENT: usize = 256 << 20;

/// How much of an offending value an error quotes, in characters.
const QUOTE: usize = 80;

/// What is wrong with a document, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// The file; empty until [`JsonError::in_file`].
    pub file: String,
    /// Where in the document, such as `.pre.0x1000….balance` or `.blocks[3].rlp`; `offset N` for broken syntax.
    pub path: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub got: String,
}

impl JsonError {
    /// An error at the value that is being read; readers further out prepend the path.
    #[must_use]
    pub fn new(expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self { file: String::new(), path: String::new(), expected: expected.into(), got: got.into() }
    }

    /// Prepends an object's key to the path.
    #[must_use]
    pub fn at(mut self, key: &str) -> Self {
        self.path.insert_str(0, key);
        self.path.insert(0, '.');
        self
    }

    /// Prepends an array's index to the path.
    #[must_use]
    pub fn at_index(mut self, index: usize) -> Self {
        self.path.insert_str(0, &format!("[{index}]"));
        self
    }

    /// Names the file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        file.clone_into(&mut self.file);
        self
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.is_empty() {
            write!(f, "{}: ", self.file)?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

impl std::error::Error for JsonError {}

/// The result of reading JSON.
pub type Result<T> = std::result::Result<T, JsonError>;

/// A JSON value; strings borrow from the document where they have no escapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number from 0 to 2^64 - 1.
    Unsigned(u64),
    /// A whole number below 0.
    Negative(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Self>),
    /// An object, in the document's order; no key occurs twice.
    Object(Object<'a>),
}

/// A JSON object in the document's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Json<'a> {
    /// Parses a whole document. Nesting deeper than 127 is refused.
    ///
    /// # Errors
    /// When it is too large, is not JSON, or has an object with a key twice.
    pub fn parse(file: &str, document: &'a [u8]) -> Result<Self> {
        if document.len() > MAX_DOCUMENT {
            let error = JsonError::new(format!("at most {MAX_DOCUMENT} bytes"), format!("{} bytes", document.len()));
            return Err(error.in_file(file));
        }
        let json: Self =
            serde_json::from_slice(document).map_err(|error| syntax_error(document, &error).in_file(file))?;
        json.refuse_duplicates().map_err(|error| error.in_file(file))?;
        Ok(json)
    }

    fn refuse_duplicates(&self) -> Result<()> {
        match self {
            Self::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    item.refuse_duplicates().map_err(|error| error.at_index(index))?;
                }
            }
            Self::Object(object) => {
                if let Some(key) = object.duplicate() {
                    return Err(JsonError::new("every key once", format!("key \"{key}\" twice")));
                }
                for (key, value) in &object.0 {
                    value.refuse_duplicates().map_err(|error| error.at(key))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A short rendering for errors.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "null".into(),
            Self::Bool(value) => value.to_string(),
            Self::Unsigned(value) => value.to_string(),
            Self::Negative(value) => value.to_string(),
            Self::Float(value) => value.to_string(),
            Self::String(text) => quote(text),
            Self::Array(items) => format!("an array of {}", items.len()),
            Self::Object(object) => format!("an object with {} keys", object.0.len()),
        }
    }

    fn wrong(&self, expected: &str) -> JsonError {
        JsonError::new(expected, self.describe())
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The object.
    ///
    /// # Errors
    /// When this is something else; so for all accessors.
    pub fn object(&self) -> Result<&Object<'a>> {
        match self {
            Self::Object(object) => Ok(object),
            _ => Err(self.wrong("an object")),
        }
    }

    /// The array.
    ///
    /// # Errors
    /// When this is something else.
    pub fn array(&self) -> Result<&[Self]> {
        match self {
            Self::Array(items) => Ok(items),
            _ => Err(self.wrong("an array")),
        }
    }

    /// The items of an array, each read with `read`.
    ///
    /// # Errors
    /// When this is something else or an item cannot be read.
    pub fn items<T>(&self, mut read: impl FnMut(&Self) -> Result<T>) -> Result<Vec<T>> {
        let items = self.array()?.iter().enumerate();
        items.map(|(index, item)| read(item).map_err(|error| error.at_index(index))).collect()
    }

    /// The string.
    ///
    /// # Errors
    /// When this is something else.
    pub fn string(&self) -> Result<&str> {
        match self {
            Self::String(text) => Ok(text),
            _ => Err(self.wrong("a string")),
        }
    }

    /// The string, owned.
    ///
    /// # Errors
    /// When this is something else.
    pub fn text(&self) -> Result<String> {
        self.string().map(str::to_owned)
    }

    /// The boolean.
    ///
    /// # Errors
    /// When this is something else.
    pub fn bool(&self) -> Result<bool> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A whole JSON number from 0 to 2^64 - 1.
    ///
    /// # Errors
    /// When this is something else.
    pub fn number(&self) -> Result<u64> {
        match self {
            Self::Unsigned(value) => Ok(*value),
            _ => Err(self.wrong("a whole number from 0 to 2^64 - 1")),
        }
    }

    fn hex<T>(&self, parse: impl FnOnce(&str) -> std::result::Result<T, &'static str>, what: &str) -> Result<T> {
        let Self::String(text) = self else { return Err(self.wrong(what)) };
        parse(text).map_err(|expected| JsonError::new(expected, quote(text)))
    }

    /// A `0x` quantity below 2^64. Leading zeros are allowed: fixtures write them.
    ///
    /// # Errors
    /// When this is something else.
    pub fn u64(&self) -> Result<u64> {
        self.hex(hex::u64, hex::U64)
    }

    /// A `0x` quantity below 2^256. Leading zeros are allowed: fixtures write them.
    ///
    /// # Errors
    /// When this is something else.
    pub fn u256(&self) -> Result<U256> {
        self.hex(hex::u256, hex::U256_QUANTITY)
    }

    /// `0x` and 64 hex digits.
    ///
    /// # Errors
    /// When this is something else.
    pub fn h256(&self) -> Result<H256> {
        self.hex(hex::h256, hex::HASH)
    }

    /// `0x` and 40 hex digits.
    ///
    /// # Errors
    /// When this is something else.
    pub fn address(&self) -> Result<H160> {
        self.hex(hex::address, hex::ADDRESS)
    }

    /// `0x` and an even number of hex digits.
    ///
    /// # Errors
    /// When this is something else.
    pub fn bytes(&self) -> Result<Bytes> {
        self.hex(hex::bytes, hex::BYTES).map(Bytes::from)
    }
}

impl<'a> Object<'a> {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether the key is there (even with `null`).
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values in the document's order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    /// Reads every entry in the document's order.
    ///
    /// # Errors
    /// The first entry that cannot be read.
    pub fn entries<T>(&self, mut read: impl FnMut(&str, &Json<'a>) -> Result<T>) -> Result<Vec<T>> {
        self.0.iter().map(|(key, value)| read(key, value).map_err(|error| error.at(key))).collect()
    }

    /// Reads a field that must be there.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn required<T>(&self, key: &str, read: impl FnOnce(&Json<'a>) -> Result<T>) -> Result<T> {
        let value = self.get(key).ok_or_else(|| JsonError::new(format!("field \"{key}\""), "none"))?;
        read(value).map_err(|error| error.at(key))
    }

    /// Reads a field that may be missing or `null`.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn optional<T>(&self, key: &str, read: impl FnOnce(&Json<'a>) -> Result<T>) -> Result<Option<T>> {
        match self.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|error| error.at(key)),
        }
    }

    /// Refuses fields that the reader does not know, so that nothing given is passed over.
    ///
    /// # Errors
    /// The first such field.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        match self.0.iter().find(|(key, _)| !known.contains(&key.as_ref())) {
            None => Ok(()),
            Some((key, _)) => {
                Err(JsonError::new(format!("only the fields {}", known.join(", ")), format!("field \"{key}\"")))
            }
        }
    }

    fn duplicate(&self) -> Option<&str> {
        let keys = &self.0;
        if keys.len() <= 8 {
            let mut rest = keys.iter().enumerate();
            return rest
                .find_map(|(i, (key, _))| keys[..i].iter().any(|(seen, _)| seen == key).then_some(key.as_ref()));
        }
        let mut sorted: Vec<&str> = keys.iter().map(|(key, _)| key.as_ref()).collect();
        sorted.sort_unstable();
        sorted.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
    }
}

/// A string in quotes, cut to a bearable length.
#[must_use]
pub fn quote(text: &str) -> String {
    match text.char_indices().nth(QUOTE) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}… ({} characters)", &text[..end], text.chars().count()),
    }
}

fn syntax_error(document: &[u8], error: &serde_json::Error) -> JsonError {
    let lines = document.split_inclusive(|byte| *byte == b'\n').take(error.line().saturating_sub(1));
    let offset = lines.map(<[u8]>::len).sum::<usize>() + error.column();
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let expected = match error.classify() {
        serde_json::error::Category::Eof => "JSON to its end",
        _ => "JSON",
    };
    JsonError { path: format!("offset {offset}"), ..JsonError::new(expected, text) }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Self::Value, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Self::Value, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Self::Value, E> {
        Ok(Json::Negative(value))
    }

    fn visit_f64<E>(self, value: f64) -> std::result::Result<Self::Value, E> {
        Ok(Json::Float(value))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
        Ok(Json::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
        Ok(Json::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> std::result::Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Json<'de>>()? {
            let Json::String(key) = key else { return Err(A::Error::custom("a key that is no string")) };
            entries.push((key, map.next_value()?));
        }
        Ok(Json::Object(Object(entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_file_path_expected_and_got() {
        let document = br#"{"a":{"list":[{"x":"0x01"},{"x":"0xzz"}]}}"#;
        let json = Json::parse("f.json", document).unwrap();
        let read = |json: &Json<'_>| json.object()?.required("x", Json::u64);
        let error = json.object().unwrap().required("a", |a| a.object()?.required("list", |list| list.items(read)));
        let error = error.unwrap_err().in_file("f.json");
        assert_eq!(error.to_string(), format!("f.json: .a.list[1].x: expected {}, got \"0xzz\"", hex::U64));
        let missing = json.object().unwrap().required("b", Json::u64).unwrap_err();
        assert_eq!(missing.to_string(), "expected field \"b\", got none");
    }

    #[test]
    fn duplicate_keys_are_refused_at_any_depth() {
        let error = Json::parse("f", br#"{"a":[{"k":1,"k":2}]}"#).unwrap_err();
        assert_eq!(error.to_string(), "f: .a[0]: expected every key once, got key \"k\" twice");
        let many: Vec<String> = (0..20).map(|i| format!("\"k{}\":1", i % 19)).collect();
        let document = format!("{{{}}}", many.join(","));
        assert!(Json::parse("f", document.as_bytes()).unwrap_err().to_string().contains("key \"k0\" twice"));
        // An escape spells the same key.
        assert!(Json::parse("f", br#"{"a":1,"\u0061":2}"#).is_err());
    }

    #[test]
    fn broken_syntax_names_the_offset() {
        let error = Json::parse("f", b"{\"a\":\n  [1,}").unwrap_err();
        assert_eq!(error.path, "offset 12");
        assert!(Json::parse("f", b"{\"a\":").unwrap_err().to_string().contains("JSON to its end"));
        assert!(Json::parse("f", b"{} x").is_err());
        let deep = "[".repeat(100_000);
        assert!(Json::parse("f", deep.as_bytes()).is_err());
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_refused() {
        let json = Json::parse("f", br#"{"a":1,"b":null}"#).unwrap();
        let object = json.object().unwrap();
        assert!(object.only(&["a", "b"]).is_ok());
        assert!(object.only(&["a"]).unwrap_err().to_string().contains("field \"b\""));
        assert_eq!(object.optional("b", Json::u64), Ok(None));
        assert_eq!(object.optional("c", Json::u64), Ok(None));
        assert!(object.optional("a", Json::u64).is_err());
        assert_eq!(object.required("a", Json::number), Ok(1));
        assert!(json.array().is_err());
    }
}
