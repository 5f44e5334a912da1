//! Counting what passed and what failed.

/// Test counts, summed over all steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests and cases that passed.
    pub passed: u64,
    /// Tests, cases and steps that failed.
    pub failed: u64,
}

impl Tally {
    /// Adds another count.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }

    /// Reads a line that reports counts: `… 12 passed … 3 failed …` of Rust's test harness and of `isolane test`, `all 12
    /// inputs match` and `9 of 12 inputs match` of `isolane replay`.
    pub fn read(line: &str) -> Option<Self> {
        if let Some((counts, _)) = line.split_once(" inputs match") {
            let words: Vec<&str> = counts.split_whitespace().collect();
            return match words[..] {
                ["all", all] => Some(Self { passed: all.parse().ok()?, failed: 0 }),
                [good, "of", all] => {
                    let (good, all): (u64, u64) = (good.parse().ok()?, all.parse().ok()?);
                    Some(Self { passed: good, failed: all.checked_sub(good)? })
                }
                _ => None,
            };
        }
        let mut words =
            line.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ':' | '.')).filter(|w| !w.is_empty());
        let (mut passed, mut failed, mut number) = (None, None, None);
        for word in &mut words {
            match word {
                "passed" => passed = passed.or(number),
                "failed" => failed = failed.or(number),
                _ => {}
            }
            number = word.replace('_', "").parse::<u64>().ok();
        }
        Some(Self { passed: passed?, failed: failed? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_test_harness_and_plain_lines() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        assert_eq!(Tally::read(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(Tally::read("2190 passed, 0 failed"), Some(Tally { passed: 2190, failed: 0 }));
        assert_eq!(Tally::read("all 127 inputs match"), Some(Tally { passed: 127, failed: 0 }));
        let line = "125 of 127 inputs match; 1 mismatch, 1 could not be executed (see the lines above)";
        assert_eq!(Tally::read(line), Some(Tally { passed: 125, failed: 2 }));
        assert_eq!(Tally::read("all tests passed"), None);
        assert_eq!(Tally::read("test passed_and_failed ... ok"), None);
    }
}
