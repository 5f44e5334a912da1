//! Chain configurations as geth writes them: the `config` of a genesis file, or that object alone.

use super::{Activation, ChainSpec};
use isolane_spec::{BlobSchedule, Fork, H160, U256};
use serde_json::{Map, Value};
use std::fmt;

/// A chain configuration that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChainConfigError {
    /// Which field.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ChainConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain configuration, {}: {}", self.field, self.problem)
    }
}

impl std::error::Error for ChainConfigError {}

const BLOCKS: [(&str, Fork); 14] = [
    ("homesteadBlock", Fork::Homestead),
    ("daoForkBlock", Fork::Dao),
    ("eip150Block", Fork::TangerineWhistle),
    ("eip155Block", Fork::SpuriousDragon),
    ("eip158Block", Fork::SpuriousDragon),
    ("byzantiumBlock", Fork::Byzantium),
    ("constantinopleBlock", Fork::Constantinople),
    ("petersburgBlock", Fork::Petersburg),
    ("istanbulBlock", Fork::Istanbul),
    ("muirGlacierBlock", Fork::MuirGlacier),
    ("berlinBlock", Fork::Berlin),
    ("londonBlock", Fork::London),
    ("arrowGlacierBlock", Fork::ArrowGlacier),
    ("grayGlacierBlock", Fork::GrayGlacier),
];

const TIMES: [(&str, Fork); 10] = [
    ("shanghaiTime", Fork::Shanghai),
    ("cancunTime", Fork::Cancun),
    ("pragueTime", Fork::Prague),
    ("osakaTime", Fork::Osaka),
    ("bpo1Time", Fork::Bpo1),
    ("bpo2Time", Fork::Bpo2),
    ("bpo3Time", Fork::Bpo3),
    ("bpo4Time", Fork::Bpo4),
    ("bpo5Time", Fork::Bpo5),
    ("amsterdamTime", Fork::Amsterdam),
];

/// Forks that isolane does not know: a chain that schedules them cannot be executed faithfully.
const UNSUPPORTED: [&str; 3] = ["bogotaTime", "ubtTime", "verkleTime"];

impl ChainSpec {
    /// Reads a geth genesis file, or the `config` object of one.
    ///
    /// # Errors
    /// When the text is no such JSON, or schedules a fork that isolane does not have.
    pub fn from_config_json(text: &str) -> Result<Self, ChainConfigError> {
        let value: Value = serde_json::from_str(text).map_err(|error| fail("file", error.to_string()))?;
        Self::from_config(&value)
    }

    /// As [`ChainSpec::from_config_json`], from parsed JSON.
    ///
    /// # Errors
    /// When the value is no chain configuration, or schedules a fork that isolane does not have.
    pub fn from_config(value: &Value) -> Result<Self, ChainConfigError> {
        let config = value.get("config").unwrap_or(value);
        let config = config.as_object().ok_or_else(|| fail("config", "expected an object".into()))?;
        let chain_id =
            number(config, "chainId")?.ok_or_else(|| fail("chainId", "expected a number, got none".into()))?;
        let mut chain = Self::new(format!("chain {chain_id}"), chain_id);
        for name in UNSUPPORTED {
            if number(config, name)?.is_some() {
                return Err(fail(name, "isolane does not have this fork; remove it, or use a newer isolane".into()));
            }
        }
        for (name, fork) in BLOCKS {
            if fork == Fork::Dao && config.get("daoForkSupport") == Some(&Value::Bool(false)) {
                continue;
            }
            if let Some(block) = number(config, name)? {
                chain.activate(fork, Activation::Block(block));
            }
        }
        if config.get("eip155Block") != config.get("eip158Block") && config.contains_key("eip155Block") {
            return Err(fail("eip155Block", "expected the same block as eip158Block (Spurious Dragon)".into()));
        }
        for (name, fork) in TIMES {
            if let Some(time) = number(config, name)? {
                chain.activate(fork, Activation::Time(time));
            }
        }
        if let Some(total) = word(config, "terminalTotalDifficulty")? {
            chain.terminal_total_difficulty = Some(total);
            // At zero there never was proof of work.
            let activation = if total.is_zero() { Activation::Block(0) } else { Activation::TotalDifficulty(total) };
            chain.activate(Fork::Paris, activation);
        }
        if let Some(address) = config.get("depositContractAddress").and_then(Value::as_str) {
            chain.deposit_contract = parse_address(address)
                .ok_or_else(|| fail("depositContractAddress", format!("expected 20 bytes in hex, got {address:?}")))?;
        }
        if let Some(schedules) = config.get("blobSchedule") {
            let schedules =
                schedules.as_object().ok_or_else(|| fail("blobSchedule", "expected an object of forks".into()))?;
            for (name, schedule) in schedules {
                let field = format!("blobSchedule.{name}");
                let fork: Fork = name.parse().map_err(|error| fail(&field, format!("{error}")))?;
                chain.blob_schedules.insert(fork, blob_schedule(&field, schedule)?);
            }
        }
        Ok(chain)
    }
}

fn blob_schedule(field: &str, value: &Value) -> Result<BlobSchedule, ChainConfigError> {
    let object = value.as_object().ok_or_else(|| fail(field, "expected target, max, baseFeeUpdateFraction".into()))?;
    let get = |name: &str| {
        number(object, name)?.ok_or_else(|| fail(&format!("{field}.{name}"), "expected a number, got none".into()))
    };
    let schedule = BlobSchedule {
        target: get("target")?,
        max: get("max")?,
        base_fee_update_fraction: get("baseFeeUpdateFraction")?,
    };
    if schedule.base_fee_update_fraction == 0 || schedule.target > schedule.max || schedule.max > 1 << 32 {
        return Err(fail(field, "expected target <= max <= 2^32 and a baseFeeUpdateFraction above zero".into()));
    }
    Ok(schedule)
}

fn fail(field: &str, problem: String) -> ChainConfigError {
    ChainConfigError { field: field.to_owned(), problem }
}

/// A JSON number, or a string of decimal or 0x hexadecimal digits; `null` is absent.
fn word(object: &Map<String, Value>, name: &str) -> Result<Option<U256>, ChainConfigError> {
    let parsed = match object.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => match number.as_u64() {
            Some(number) => Some(U256::from(number)),
            // Total difficulties exceed 64 bits and geth writes them as plain numbers.
            None => number.as_f64().filter(|value| *value >= 0.0).and_then(|_| {
                let text = number.to_string();
                U256::from_dec_str(&text).ok().or_else(|| from_scientific(&text))
            }),
        },
        Some(Value::String(text)) => match text.strip_prefix("0x") {
            Some(hex) => U256::from_str_radix(hex, 16).ok(),
            None => U256::from_dec_str(text).ok(),
        },
        Some(_) => None,
    };
    parsed.map(Some).ok_or_else(|| fail(name, "expected a number".into()))
}

/// serde_json keeps an integer above 64 bits as a floating-point number: `5.875e22`. All terminal total difficulties in
/// use are short enough in decimal to survive that exactly.
fn from_scientific(text: &str) -> Option<U256> {
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = U256::from_dec_str(&format!("{whole}{fraction}")).ok()?;
    let zeros = exponent.trim_start_matches('+').parse::<usize>().ok()?.checked_sub(fraction.len())?;
    (zeros < 77).then(|| digits.checked_mul(U256::exp10(zeros))).flatten()
}

fn number(object: &Map<String, Value>, name: &str) -> Result<Option<u64>, ChainConfigError> {
    match word(object, name)? {
        None => Ok(None),
        Some(word) => u64::try_from(word).map(Some).map_err(|_| fail(name, "expected a 64-bit number".into())),
    }
}

fn parse_address(text: &str) -> Option<H160> {
    let mut address = H160::zero();
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut address.0).ok()?;
    Some(address)
}
