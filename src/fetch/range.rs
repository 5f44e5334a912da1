//! Block ranges in cryo's style: `17000000`, `15M:+1000`, `15.5M:15.6M`, `-1000:7000`, `17_000_000:`, `0:1M:10K`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that is no block range.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "block range {text:?}: {reason}; expected N, A:B, A:+COUNT, -COUNT:B or A:B:STEP with numbers like 15M or 17_000_000 (B is not included)"
)]
pub struct RangeError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub reason: String,
}

/// Blocks `start`, `start + step`, … below `end`; an open end means up to the node's latest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockRange {
    /// The first block.
    pub start: u64,
    /// The first block that is not included; none = one after the node's latest.
    pub end: Option<u64>,
    /// Distance between blocks, at least 1.
    pub step: u64,
}

impl BlockRange {
    /// The blocks, `latest` standing for an open end.
    pub fn numbers(self, latest: u64) -> impl Iterator<Item = u64> {
        let end = self.end.unwrap_or_else(|| latest.saturating_add(1));
        std::iter::successors(Some(self.start), move |n| n.checked_add(self.step)).take_while(move |n| *n < end)
    }
}

impl fmt::Display for BlockRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.start)?;
        if let Some(end) = self.end {
            write!(f, "{end}")?;
        }
        if self.step != 1 {
            write!(f, ":{}", self.step)?;
        }
        Ok(())
    }
}

impl FromStr for BlockRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let fail = |reason: &str| RangeError { text: text.to_owned(), reason: reason.to_owned() };
        let number = |part: &str| parse_number(part).map_err(|reason| fail(&reason));
        let parts: Vec<&str> = text.trim().split(':').collect();
        let (start, end, step) = match parts.as_slice() {
            [one] => {
                let start = number(one)?;
                let end = start.checked_add(1).ok_or_else(|| fail("the number is too large"))?;
                return Ok(Self { start, end: Some(end), step: 1 });
            }
            [start, end] => (*start, *end, 1),
            [start, end, step] => (*start, *end, number(step)?),
            _ => return Err(fail("too many colons")),
        };
        if step == 0 {
            return Err(fail("the step is 0"));
        }
        let range = match (start.strip_prefix('-'), end.strip_prefix('+')) {
            (Some(_), Some(_)) => return Err(fail("a relative start needs an absolute end")),
            (Some(count), None) => {
                let end = number(end)?;
                Self { start: end.saturating_sub(number(count)?), end: Some(end), step }
            }
            (None, Some(count)) => {
                let start = number(start)?;
                let end = start.checked_add(number(count)?).ok_or_else(|| fail("the end is too large"))?;
                Self { start, end: Some(end), step }
            }
            (None, None) => {
                let start = if start.is_empty() { 0 } else { number(start)? };
                let end = if end.is_empty() || end == "latest" { None } else { Some(number(end)?) };
                Self { start, end, step }
            }
        };
        if range.end.is_some_and(|end| end <= range.start) {
            return Err(fail("it holds no block"));
        }
        Ok(range)
    }
}

/// `17000000`, `17_000_000`, `17M`, `15.5M`, `700K`, `0.1B`; exact, so `1.0001K` is refused.
fn parse_number(text: &str) -> Result<u64, String> {
    let text = text.replace('_', "");
    let (digits, zeros) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 3),
        Some((at, 'm' | 'M')) => (&text[..at], 6),
        Some((at, 'b' | 'B')) => (&text[..at], 9),
        _ => (text.as_str(), 0),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !plain(whole) || !plain(fraction) || (digits.contains('.') && fraction.is_empty()) {
        return Err(format!("{text:?} is not a number"));
    }
    let Some(missing) = usize::checked_sub(zeros, fraction.len()) else {
        return Err(format!("{text:?} is not a whole number"));
    };
    let exact = format!("{whole}{fraction}{}", "0".repeat(missing));
    exact.parse().map_err(|_| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<u64> {
        text.parse::<BlockRange>().unwrap().numbers(7).collect()
    }

    #[test]
    fn accepts_what_cryo_accepts() {
        assert_eq!(numbers("5"), [5]);
        assert_eq!(numbers("2:5"), [2, 3, 4]);
        assert_eq!(numbers(":2"), [0, 1]);
        assert_eq!(numbers("6:"), [6, 7]);
        assert_eq!(numbers("-2:7"), [5, 6]);
        assert_eq!(numbers("2000:5000:1000"), [2000, 3000, 4000]);
        let range: BlockRange = "15M:+1000".parse().unwrap();
        assert_eq!((range.start, range.end), (15_000_000, Some(15_001_000)));
        assert_eq!("15.5M:15_500_001".parse::<BlockRange>().unwrap().numbers(0).collect::<Vec<_>>(), [15_500_000]);
    }

    #[test]
    fn refuses_the_rest_and_says_why() {
        for text in
            ["", "x", "5:5", "6:5", "1:2:3:4", "1:2:0", "1.5:3", "1.:3", "-1:+2", "99999999999999999999", "1é", "M"]
        {
            assert!(text.parse::<BlockRange>().is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn prints_what_it_parses() {
        for text in ["1:2", "3:", "0:9:2", "3::2"] {
            let range: BlockRange = text.parse().unwrap();
            assert_eq!(range.to_string(), text);
        }
    }
}
