//! TOML with places: every value knows its file, its line and its path, so that an error can name them.

use crate::load::typed::{self, quote};
use isolane_spec::{H160, H256, U256};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

/// What is wrong with a manifest, where, and what the nearest right value is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestError {
    /// The file.
    pub file: String,
    /// The line, from 1; 0 for the whole file.
    pub line: usize,
    /// The key, such as `environment.uni-a.budget.gas`.
    pub key: String,
    /// What is wrong, and what was expected.
    pub problem: String,
    /// The nearest valid value.
    pub nearest: Option<String>,
}

impl ManifestError {
    /// Adds the nearest valid value.
    #[must_use]
    pub fn nearest(mut self, nearest: impl Into<Option<String>>) -> Self {
        self.nearest = nearest.into();
        self
    }
}

/// The text of a file, and the name that errors call it by.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub fn read_text(path: &Path) -> Result<(String, String)> {
    let name = path.display().to_string();
    let fail =
        |problem: String| ManifestError { file: name.clone(), line: 0, key: String::new(), problem, nearest: None };
    let bytes = typed::read(path).map_err(|error| fail(error.problem))?;
    let text = String::from_utf8(bytes).map_err(|error| fail(format!("expected UTF-8 text: {error}")))?;
    Ok((name, text))
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        f.write_str(" ")?;
        // One error, one line, whatever the file holds.
        for character in self.problem.chars() {
            if character.is_control() { write!(f, "{}", character.escape_debug())? } else { write!(f, "{character}")? }
        }
        if let Some(nearest) = &self.nearest {
            write!(f, ": did you mean {nearest}?")?;
        }
        Ok(())
    }
}

impl std::error::Error for ManifestError {}

/// The result of reading.
pub type Result<T> = std::result::Result<T, ManifestError>;

/// The candidate that looks most like the text, if one looks like it at all.
#[must_use]
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let score = |candidate: &str| strsim::jaro_winkler(&lower, &candidate.to_ascii_lowercase());
    candidates
        .into_iter()
        .map(|candidate| (score(candidate), candidate))
        .filter(|(score, _)| *score > 0.7)
        .max_by(|(a, left), (b, right)| a.total_cmp(b).then_with(|| right.cmp(left)))
        .map(|(_, candidate)| candidate.to_owned())
}

/// A parsed file.
pub struct Document<'a> {
    file: String,
    text: &'a str,
    root: Spanned<DeTable<'a>>,
}

impl<'a> Document<'a> {
    /// Parses a file's text.
    ///
    /// # Errors
    /// When it is no TOML, or has a key twice.
    pub fn parse(file: &str, text: &'a str) -> Result<Self> {
        let root = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let line = line_of(text, start);
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            let source = text.lines().nth(line - 1).unwrap_or_default().trim();
            let key = key_of(source);
            let problem = if message.contains("duplicate key") {
                format!("{} is there twice: every id and every key once", quote(source))
            } else {
                format!("not TOML: {message}, at {}", quote(source))
            };
            ManifestError { file: file.to_owned(), line, key, problem, nearest: None }
        })?;
        Ok(Self { file: file.to_owned(), text, root })
    }

    /// The outermost table.
    #[must_use]
    pub fn root(&self) -> Table<'_> {
        let at = At { document: self, start: 0, path: String::new() };
        Table { at, table: self.root.get_ref(), asked: RefCell::default() }
    }
}

/// The key that a line is about, as it is written.
fn key_of(line: &str) -> String {
    let name = line.split('=').next().unwrap_or_default();
    name.trim().trim_matches(['[', ']']).trim().to_owned()
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// A place in a file.
#[derive(Clone)]
pub struct At<'a> {
    document: &'a Document<'a>,
    start: usize,
    path: String,
}

impl At<'_> {
    /// An error here.
    #[must_use]
    pub fn error(&self, problem: impl fmt::Display) -> ManifestError {
        ManifestError {
            file: self.document.file.clone(),
            line: line_of(self.document.text, self.start),
            key: self.path.clone(),
            problem: problem.to_string(),
            nearest: None,
        }
    }
}

/// A value.
#[derive(Clone)]
pub struct Value<'a> {
    /// Where it is.
    pub at: At<'a>,
    value: &'a DeValue<'a>,
}

/// A table. A key that nobody asked for is an error: see [`Table::done`].
pub struct Table<'a> {
    /// Where it is.
    pub at: At<'a>,
    table: &'a DeTable<'a>,
    asked: RefCell<BTreeSet<&'static str>>,
}

impl<'a> Table<'a> {
    fn child(&self, key: &Spanned<DeString<'a>>, value: &'a Spanned<DeValue<'a>>) -> Value<'a> {
        let name = key.get_ref();
        let path = if self.at.path.is_empty() { name.to_string() } else { format!("{}.{name}", self.at.path) };
        let at = At { document: self.at.document, start: key.span().start, path };
        Value { at, value: value.get_ref() }
    }

    /// The value of a key, if it is there.
    #[must_use]
    pub fn get(&self, name: &'static str) -> Option<Value<'a>> {
        self.asked.borrow_mut().insert(name);
        self.table.get_key_value(name).map(|(key, value)| self.child(key, value))
    }

    /// The value of a key that has to be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn need(&self, name: &'static str, expected: &str) -> Result<Value<'a>> {
        self.get(name).ok_or_else(|| self.at.error(format!("expected the key {name:?} ({expected}), got nothing")))
    }

    /// Reads a key, if it is there.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read<T>(&self, name: &'static str, read: impl FnOnce(&Value<'a>) -> Result<T>) -> Result<Option<T>> {
        self.get(name).map(|value| read(&value)).transpose()
    }

    /// All entries, of a table whose keys are names. They are sorted by their place in the file.
    #[must_use]
    pub fn entries(&self) -> Vec<(&'a str, Value<'a>)> {
        let mut entries: Vec<_> =
            self.table.iter().map(|(key, value)| (&**key.get_ref(), self.child(key, value))).collect();
        entries.sort_by_key(|(_, value)| value.at.start);
        entries
    }

    /// That every key was asked for.
    ///
    /// # Errors
    /// The first that was not, with the nearest that was.
    pub fn done(self) -> Result<()> {
        let asked = self.asked.borrow();
        let Some((name, value)) = self.entries().into_iter().find(|(name, _)| !asked.contains(name)) else {
            return Ok(());
        };
        let known = asked.iter().copied();
        let near = nearest(name, known.clone()).map(|name| format!("{name:?}"));
        let all = known.collect::<Vec<_>>().join(", ");
        Err(value.at.error(format!("unknown key: expected one of {all}")).nearest(near))
    }
}

impl<'a> Value<'a> {
    /// An error here: `expected`, and what is there.
    #[must_use]
    pub fn wrong(&self, expected: impl fmt::Display) -> ManifestError {
        let got = match self.value {
            DeValue::String(text) => quote(text),
            DeValue::Integer(number) => number.to_string(),
            DeValue::Float(number) => number.to_string(),
            DeValue::Boolean(flag) => flag.to_string(),
            DeValue::Datetime(time) => time.to_string(),
            DeValue::Array(items) => format!("an array of {}", items.len()),
            DeValue::Table(_) => "a table".to_owned(),
        };
        self.at.error(format!("expected {expected}, got {got}"))
    }

    /// The text.
    ///
    /// # Errors
    /// When it is something else; so for all readers.
    pub fn text(&self) -> Result<&'a str> {
        self.as_text().ok_or_else(|| self.wrong("text in quotes"))
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&'a str> {
        match self.value {
            DeValue::String(text) => Some(text),
            _ => None,
        }
    }

    /// Text, a number or a truth value, as text.
    ///
    /// # Errors
    /// When it is something else.
    pub fn plain(&self) -> Result<String> {
        match self.value {
            DeValue::String(text) => Ok(text.to_string()),
            DeValue::Integer(_) => Ok(self.word()?.to_string()),
            DeValue::Boolean(flag) => Ok(flag.to_string()),
            _ => Err(self.wrong("text, a number, true or false")),
        }
    }

    /// One of a few words, and what it stands for.
    ///
    /// # Errors
    /// When it is none of them.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T> {
        let text = self.text()?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Ok(*meaning);
        }
        let names = || words.iter().map(|(word, _)| *word);
        let expected = names().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
        Err(self.wrong(format!("one of {expected}")).nearest(nearest(text, names()).map(|word| format!("{word:?}"))))
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn flag(&self) -> Result<bool> {
        match self.value {
            DeValue::Boolean(flag) => Ok(*flag),
            _ => Err(self.wrong("true or false")),
        }
    }

    /// A quantity below 2^256: a number, or text in decimal or 0x hex, which may end in `gwei` or `ether`.
    ///
    /// # Errors
    /// When it is something else.
    pub fn word(&self) -> Result<U256> {
        const EXPECTED: &str = "a number from 0 to 2^256 - 1 (text for large ones, such as \"0xff\" or \"10 ether\")";
        let parsed = match self.value {
            DeValue::Integer(number) => {
                // 2^256 - 1 has 78 digits; the parser's limit is its own.
                U256::from_str_radix(number.as_str(), number.radix()).ok()
            }
            DeValue::String(text) => quantity(text),
            _ => None,
        };
        parsed.ok_or_else(|| self.wrong(EXPECTED))
    }

    /// A number within these limits.
    ///
    /// # Errors
    /// When it is not; the nearest one is proposed.
    pub fn number(&self, least: u64, most: u64) -> Result<u64> {
        let negative = matches!(self.value, DeValue::Integer(number) if number.as_str().starts_with('-'));
        let expected = format!("a number from {least} to {most}");
        let value = match self.word() {
            Ok(value) => value,
            Err(_) if negative => return Err(self.wrong(expected).nearest(Some(least.to_string()))),
            Err(_) => return Err(self.wrong(expected)),
        };
        if value < least.into() {
            return Err(self.wrong(expected).nearest(Some(least.to_string())));
        }
        if value > most.into() {
            return Err(self.wrong(expected).nearest(Some(most.to_string())));
        }
        Ok(value.low_u64())
    }

    /// An address.
    ///
    /// # Errors
    /// When it is something else.
    pub fn address(&self) -> Result<H160> {
        self.as_text()
            .and_then(|text| crate::load::hex::address(text).ok())
            .ok_or_else(|| self.wrong("an address (0x and 40 hex digits)"))
    }

    /// A hash.
    ///
    /// # Errors
    /// When it is something else.
    pub fn hash(&self) -> Result<H256> {
        self.as_text()
            .and_then(|text| crate::load::hex::h256(text).ok())
            .ok_or_else(|| self.wrong("a hash (0x and 64 hex digits)"))
    }

    /// Bytes.
    ///
    /// # Errors
    /// When it is something else.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        self.as_text()
            .and_then(|text| crate::load::hex::bytes(text).ok())
            .ok_or_else(|| self.wrong("bytes (0x and an even number of hex digits)"))
    }

    /// The items of an array.
    ///
    /// # Errors
    /// When it is something else.
    pub fn items(&self) -> Result<Vec<Self>> {
        self.as_items().ok_or_else(|| self.wrong("an array"))
    }

    /// The items, if it is an array.
    #[must_use]
    pub fn as_items(&self) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else { return None };
        let item = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let at =
                At { document: self.at.document, start: item.span().start, path: format!("{}[{index}]", self.at.path) };
            Self { at, value: item.get_ref() }
        };
        Some(items.iter().enumerate().map(item).collect())
    }

    /// The table.
    ///
    /// # Errors
    /// When it is something else.
    pub fn table(&self) -> Result<Table<'a>> {
        self.as_table().ok_or_else(|| self.wrong("a table"))
    }

    /// The table, if it is one.
    #[must_use]
    pub fn as_table(&self) -> Option<Table<'a>> {
        let DeValue::Table(table) = self.value else { return None };
        Some(Table { at: self.at.clone(), table, asked: RefCell::default() })
    }

    /// `"all"`, `"none"`, or an array whose items are read with `read`: `None` stands for all.
    ///
    /// # Errors
    /// When it is something else, or an item cannot be read.
    pub fn all_or<T>(&self, read: impl FnMut(Self) -> Result<T>) -> Result<Option<Vec<T>>> {
        match (self.as_text(), self.as_items()) {
            (Some("all"), _) => Ok(None),
            (Some("none"), _) => Ok(Some(Vec::new())),
            (_, Some(items)) => items.into_iter().map(read).collect::<Result<_>>().map(Some),
            _ => Err(self.wrong("\"all\", \"none\" or an array")),
        }
    }
}

/// A quantity as people write it: decimal or 0x hex; decimal with `gwei` or `ether` behind it, then also with a point.
#[must_use]
pub fn quantity(text: &str) -> Option<U256> {
    let text = text.trim();
    if text.starts_with("0x") {
        return crate::load::hex::u256(text).ok();
    }
    let units = [("ether", 18usize), ("gwei", 9), ("wei", 0)];
    let (number, decimals) = units
        .iter()
        .find_map(|(unit, decimals)| text.strip_suffix(unit).map(|number| (number.trim_end(), *decimals)))
        .unwrap_or((text, 0));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > decimals {
        return None;
    }
    let mut all: String = [whole, fraction].concat().replace('_', "");
    all.extend(std::iter::repeat_n('0', decimals - fraction.len()));
    (!all.is_empty()).then(|| U256::from_dec_str(&all).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_as_people_write_them() {
        let wei = |text: &str| quantity(text).map(|value| value.as_u128());
        assert_eq!(wei("1_000"), Some(1000));
        assert_eq!(wei("0xff"), Some(255));
        assert_eq!(wei("1.5 ether"), Some(1_500_000_000_000_000_000));
        assert_eq!(wei("3gwei"), Some(3_000_000_000));
        for wrong in ["", "ether", "1.5", "-1", "1e18", "0x", "1.0000000001 gwei", "_", ".5 ether"] {
            assert_eq!(wei(wrong), None, "{wrong:?}");
        }
        assert_eq!(quantity(&format!("{} ether", "9".repeat(70))), None, "beyond 256 bits");
    }

    #[test]
    fn an_unknown_key_names_the_nearest() {
        let text = "[run]\nepochs = 3\nquantom = 5\n";
        let document = Document::parse("m.toml", text).expect("TOML");
        let run = document.root().need("run", "").and_then(|run| run.table()).expect("a table");
        assert_eq!(run.read("epochs", |value| value.number(0, 9)), Ok(Some(3)));
        assert_eq!(run.read("quantum", |value| value.number(0, 9)), Ok(None));
        let error = run.done().expect_err("an unknown key");
        assert_eq!((error.line, error.key.as_str()), (3, "run.quantom"));
        let shown = error.to_string();
        assert_eq!(
            shown,
            "m.toml:3: run.quantom: unknown key: expected one of epochs, quantum: did you mean \"quantum\"?"
        );
    }
}
