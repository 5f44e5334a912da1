use super::*;

#[test]
fn mainnet_forks_begin_where_history_says() {
    let chain = mainnet();
    let at = |number, timestamp| chain.fork_at(number, timestamp, None);
    assert_eq!(at(1, 1_438_269_988), Fork::Frontier);
    assert_eq!(at(1_149_999, 0), Fork::Frontier);
    assert_eq!(at(1_150_000, 0), Fork::Homestead);
    assert_eq!(at(1_920_000, 0), Fork::Dao);
    assert_eq!(at(7_280_000, 0), Fork::Petersburg);
    assert_eq!(at(15_537_393, 0), Fork::GrayGlacier);
    assert_eq!(at(15_537_394, 1_663_224_179), Fork::Paris);
    assert_eq!(at(19_426_586, 1_710_338_123), Fork::Shanghai);
    assert_eq!(at(19_426_587, 1_710_338_135), Fork::Cancun);
    assert_eq!(at(24_000_000, 1_767_747_671), Fork::Bpo2);
    assert_eq!(chain.rules_at(24_000_000, 1_765_290_071, None).blob_schedule.max, 15);
    assert_eq!(chain.terminal_total_difficulty, U256::from_dec_str("58750000000000000000000").ok());
    assert_eq!(chain.dao_block(), Some(1_920_000));
}

#[test]
fn fixture_networks() {
    let chain = ChainSpec::from_network("FrontierToHomesteadAt5").expect("a known name");
    assert_eq!((chain.fork_at(4, 0, None), chain.fork_at(5, 0, None)), (Fork::Frontier, Fork::Homestead));
    let chain = ChainSpec::from_network("ShanghaiToCancunAtTime15k").expect("a known name");
    assert_eq!((chain.fork_at(9, 14_999, None), chain.fork_at(9, 15_000, None)), (Fork::Shanghai, Fork::Cancun));
    let chain = ChainSpec::from_network("ArrowGlacierToParisAtDiffC0000").expect("a known name");
    let at = |total: u64| chain.fork_at(1, 1, Some(U256::from(total)));
    assert_eq!((at(0xb_ffff), at(0xc_0000)), (Fork::ArrowGlacier, Fork::Paris));
    let chain = ChainSpec::from_network("HomesteadToDaoAt5").expect("a known name");
    assert_eq!(chain.dao_block(), Some(5));
    assert_eq!(ChainSpec::from_network("EIP158").expect("a known name").fork_at(0, 0, None), Fork::SpuriousDragon);
    for wrong in ["", "To", "AToBAt5", "CancunToPrague", "CancunToPragueAtTimek", "CancunToPragueAt-1"] {
        assert_eq!(ChainSpec::from_network(wrong), Err(UnknownNetwork(wrong.to_owned())));
    }
}

#[test]
fn geth_configuration() {
    let text = r#"{"config": {"chainId": 3151908, "homesteadBlock": 0, "eip150Block": 0, "eip155Block": 0,
        "eip158Block": 0, "byzantiumBlock": 0, "constantinopleBlock": 0, "petersburgBlock": 0, "istanbulBlock": 0,
        "berlinBlock": 0, "londonBlock": 7, "terminalTotalDifficulty": 58750000000000000000000, "shanghaiTime": 100,
        "cancunTime": 200, "pragueTime": 300, "bpo1Time": 400, "daoForkBlock": 3, "daoForkSupport": false,
        "depositContractAddress": "0x4242424242424242424242424242424242424242",
        "blobSchedule": {"cancun": {"target": 1, "max": 2, "baseFeeUpdateFraction": 5}}}, "alloc": {}}"#;
    let chain = ChainSpec::from_config_json(text).expect("a valid configuration");
    assert_eq!(chain.chain_id, 3_151_908);
    assert_eq!(chain.fork_at(6, 0, None), Fork::Berlin);
    assert_eq!(chain.fork_at(7, 0, None), Fork::London);
    assert_eq!(chain.fork_at(8, 0, mainnet().terminal_total_difficulty), Fork::Paris);
    assert_eq!(chain.fork_at(8, 399, None), Fork::Prague);
    assert_eq!(chain.dao_block(), None);
    assert_eq!(chain.rules(Fork::Cancun).blob_schedule.max, 2);
    assert_eq!(chain.rules(Fork::Prague).blob_schedule.max, 9);
    assert_eq!(chain.deposit_contract, H160::repeat_byte(0x42));
}

#[test]
fn unusable_configurations_are_refused() {
    for (text, field) in [
        ("[]", "config"),
        ("{}", "chainId"),
        (r#"{"chainId": -1}"#, "chainId"),
        (r#"{"chainId": 1, "bogotaTime": 5}"#, "bogotaTime"),
        (r#"{"chainId": 1, "londonBlock": "x"}"#, "londonBlock"),
        (r#"{"chainId": 1, "blobSchedule": {"cancun": {"target": 3}}}"#, "blobSchedule.cancun.max"),
        ("{", "file"),
    ] {
        assert_eq!(ChainSpec::from_config_json(text).expect_err(text).field, field);
    }
}
