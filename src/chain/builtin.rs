//! The public networks.

use super::{Activation, ChainSpec};
use isolane_spec::{Fork, H160, U256};

/// The deposit contract of mainnet.
pub(super) const MAINNET_DEPOSIT_CONTRACT: H160 = H160([
    0x00, 0x00, 0x00, 0x00, 0x21, 0x9a, 0xb5, 0x40, 0x35, 0x6c, 0xbb, 0x83, 0x9c, 0xbe, 0x05, 0x30, 0x3d, 0x77, 0x05,
    0xfa,
]);
const SEPOLIA_DEPOSIT_CONTRACT: H160 = H160([
    0x7f, 0x02, 0xc3, 0xe3, 0xc9, 0x8b, 0x13, 0x30, 0x55, 0xb8, 0xb3, 0x48, 0xb2, 0xac, 0x62, 0x56, 0x69, 0xed, 0x29,
    0x5d,
]);

fn chain(name: &str, chain_id: u64, blocks: &[(Fork, u64)], times: &[(Fork, u64)]) -> ChainSpec {
    let mut chain = ChainSpec::new(name, chain_id);
    for (fork, block) in blocks {
        chain.activate(*fork, Activation::Block(*block));
    }
    for (fork, time) in times {
        chain.activate(*fork, Activation::Time(*time));
    }
    chain
}

/// Ethereum's main network.
#[must_use]
pub fn mainnet() -> ChainSpec {
    let mut chain = chain(
        "mainnet",
        1,
        &[
            (Fork::Homestead, 1_150_000),
            (Fork::Dao, 1_920_000),
            (Fork::TangerineWhistle, 2_463_000),
            (Fork::SpuriousDragon, 2_675_000),
            (Fork::Byzantium, 4_370_000),
            (Fork::Petersburg, 7_280_000),
            (Fork::Istanbul, 9_069_000),
            (Fork::MuirGlacier, 9_200_000),
            (Fork::Berlin, 12_244_000),
            (Fork::London, 12_965_000),
            (Fork::ArrowGlacier, 13_773_000),
            (Fork::GrayGlacier, 15_050_000),
            (Fork::Paris, 15_537_394),
        ],
        &[
            (Fork::Shanghai, 1_681_338_455),
            (Fork::Cancun, 1_710_338_135),
            (Fork::Prague, 1_746_612_311),
            (Fork::Osaka, 1_764_798_551),
            (Fork::Bpo1, 1_765_290_071),
            (Fork::Bpo2, 1_767_747_671),
        ],
    );
    // 58,750,000,000,000,000,000,000
    chain.terminal_total_difficulty = Some(U256::from(58_750) * U256::exp10(18));
    chain
}

/// The Sepolia test network.
#[must_use]
pub fn sepolia() -> ChainSpec {
    let mut chain = chain(
        "sepolia",
        11_155_111,
        // No Arrow or Gray Glacier: its difficulty bomb never mattered.
        &[(Fork::London, 0), (Fork::Paris, 1_450_409)],
        &[
            (Fork::Shanghai, 1_677_557_088),
            (Fork::Cancun, 1_706_655_072),
            (Fork::Prague, 1_741_159_776),
            (Fork::Osaka, 1_760_427_360),
            (Fork::Bpo1, 1_761_017_184),
            (Fork::Bpo2, 1_761_607_008),
        ],
    );
    chain.terminal_total_difficulty = Some(U256::from(17_000_000_000_000_000u64));
    chain.deposit_contract = SEPOLIA_DEPOSIT_CONTRACT;
    chain
}

/// The Holesky test network.
#[must_use]
pub fn holesky() -> ChainSpec {
    let mut chain = chain(
        "holesky",
        17_000,
        &[(Fork::Paris, 0)],
        &[
            (Fork::Shanghai, 1_696_000_704),
            (Fork::Cancun, 1_707_305_664),
            (Fork::Prague, 1_740_434_112),
            (Fork::Osaka, 1_759_308_480),
            (Fork::Bpo1, 1_759_800_000),
            (Fork::Bpo2, 1_760_389_824),
        ],
    );
    chain.terminal_total_difficulty = Some(U256::zero());
    chain.deposit_contract = H160::repeat_byte(0x42);
    chain
}

/// The Hoodi test network.
#[must_use]
pub fn hoodi() -> ChainSpec {
    let mut chain = chain(
        "hoodi",
        560_048,
        &[(Fork::Cancun, 0)],
        &[
            (Fork::Prague, 1_742_999_832),
            (Fork::Osaka, 1_761_677_592),
            (Fork::Bpo1, 1_762_365_720),
            (Fork::Bpo2, 1_762_955_544),
        ],
    );
    chain.terminal_total_difficulty = Some(U256::zero());
    chain
}
