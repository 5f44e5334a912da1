//! The forks of Ethereum, in order.
//!
//! A fork is the previous fork plus its changes: code asks `fork >= Fork::Berlin`, never for a list of forks.

use std::fmt;
use std::str::FromStr;

/// An Ethereum fork. The order of the variants is the order of activation on mainnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Fork {
    /// The first release, July 2015.
    Frontier,
    /// EIP-2, EIP-7, EIP-8.
    Homestead,
    /// EIP-779: the irregular state change at block 1,920,000. No rule of execution changes.
    Dao,
    /// EIP-150.
    TangerineWhistle,
    /// EIP-155, 160, 161, 170.
    SpuriousDragon,
    /// EIP-100, 140, 196, 197, 198, 211, 214, 649, 658.
    Byzantium,
    /// EIP-145, 1014, 1052, 1234, 1283.
    Constantinople,
    /// Constantinople without EIP-1283.
    Petersburg,
    /// EIP-152, 1108, 1344, 1884, 2028, 2200.
    Istanbul,
    /// EIP-2384.
    MuirGlacier,
    /// EIP-2565, 2718, 2929, 2930.
    Berlin,
    /// EIP-1559, 3198, 3529, 3541, 3554.
    London,
    /// EIP-4345.
    ArrowGlacier,
    /// EIP-5133.
    GrayGlacier,
    /// EIP-3675, 4399 (The Merge).
    Paris,
    /// EIP-3651, 3855, 3860, 4895.
    Shanghai,
    /// EIP-1153, 4788, 4844, 5656, 6780, 7516.
    Cancun,
    /// EIP-2537, 2935, 6110, 7002, 7251, 7623, 7691, 7702.
    Prague,
    /// EIP-7594, 7823, 7825, 7883, 7918, 7934, 7939, 7951.
    Osaka,
    /// EIP-7892: blob parameters only.
    Bpo1,
    /// EIP-7892: blob parameters only.
    Bpo2,
    /// EIP-7892: blob parameters only; not scheduled on mainnet.
    Bpo3,
    /// EIP-7892: blob parameters only; not scheduled on mainnet.
    Bpo4,
    /// EIP-7892: blob parameters only; not scheduled on mainnet.
    Bpo5,
    /// The fork after the BPO forks, as far as the fixtures of April 2026 define it.
    Amsterdam,
}

impl Fork {
    /// All forks, oldest first.
    pub const ALL: [Self; 25] = [
        Self::Frontier,
        Self::Homestead,
        Self::Dao,
        Self::TangerineWhistle,
        Self::SpuriousDragon,
        Self::Byzantium,
        Self::Constantinople,
        Self::Petersburg,
        Self::Istanbul,
        Self::MuirGlacier,
        Self::Berlin,
        Self::London,
        Self::ArrowGlacier,
        Self::GrayGlacier,
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
        Self::Bpo1,
        Self::Bpo2,
        Self::Bpo3,
        Self::Bpo4,
        Self::Bpo5,
        Self::Amsterdam,
    ];

    /// The name that execution-specs and its fixtures use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontier => "Frontier",
            Self::Homestead => "Homestead",
            Self::Dao => "DAO",
            Self::TangerineWhistle => "TangerineWhistle",
            Self::SpuriousDragon => "SpuriousDragon",
            Self::Byzantium => "Byzantium",
            Self::Constantinople => "Constantinople",
            Self::Petersburg => "Petersburg",
            Self::Istanbul => "Istanbul",
            Self::MuirGlacier => "MuirGlacier",
            Self::Berlin => "Berlin",
            Self::London => "London",
            Self::ArrowGlacier => "ArrowGlacier",
            Self::GrayGlacier => "GrayGlacier",
            Self::Paris => "Paris",
            Self::Shanghai => "Shanghai",
            Self::Cancun => "Cancun",
            Self::Prague => "Prague",
            Self::Osaka => "Osaka",
            Self::Bpo1 => "BPO1",
            Self::Bpo2 => "BPO2",
            Self::Bpo3 => "BPO3",
            Self::Bpo4 => "BPO4",
            Self::Bpo5 => "BPO5",
            Self::Amsterdam => "Amsterdam",
        }
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A fork name that no fork has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedFork(pub String);

impl fmt::Display for UnsupportedFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsupported fork {:?}: expected one of Frontier to Amsterdam", self.0)
    }
}

impl std::error::Error for UnsupportedFork {}

impl FromStr for Fork {
    type Err = UnsupportedFork;

    /// Accepts the names of execution-specs, of the official fixtures (`EIP150`, `ConstantinopleFix`, `Merge`, …) and
    /// of this crate, in any case.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let lower = name.to_ascii_lowercase();
        let alias = match lower.as_str() {
            "daofork" | "dao_fork" => Some(Self::Dao),
            "eip150" | "tangerine" => Some(Self::TangerineWhistle),
            "eip158" | "spurious" => Some(Self::SpuriousDragon),
            "constantinoplefix" => Some(Self::Petersburg),
            "merge" => Some(Self::Paris),
            _ => None,
        };
        alias
            .or_else(|| Self::ALL.into_iter().find(|fork| fork.name().eq_ignore_ascii_case(name)))
            .ok_or_else(|| UnsupportedFork(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_names_round_trip() {
        for pair in Fork::ALL.windows(2) {
            assert!(pair[0] < pair[1]);
        }
        for fork in Fork::ALL {
            assert_eq!(fork.name().parse::<Fork>(), Ok(fork));
        }
        assert_eq!("EIP158".parse(), Ok(Fork::SpuriousDragon));
        assert!("Atlantis".parse::<Fork>().is_err());
    }
}
