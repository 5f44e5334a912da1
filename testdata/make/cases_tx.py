"""State tests of transactions: types, fees, access lists, blobs, delegations, floors, limits, and what must be refused."""

from ethereum.crypto.hash import keccak256

from eels import hexraw
from statetest import ALL, COINBASE, MAIN, SENDER, address_of, asm, at, authorization, deployer, since, words

COSTS = f"GAS 0 SLOAD POP GAS SWAP1 SUB 0 MSTORE GAS 1 SLOAD POP GAS SWAP1 SUB 32 MSTORE GAS {at(2)} BALANCE POP GAS SWAP1 SUB 64 MSTORE GAS COINBASE BALANCE POP GAS SWAP1 SUB 96 MSTORE GAS 3 BALANCE POP GAS SWAP1 SUB 128 MSTORE " \
        "GAS 0 0 0 0 0 {t} 0 CALL POP GAS SWAP1 SUB 160 MSTORE 192 0 LOG0 GASPRICE 7 SSTORE STOP".replace("{t}", at(2))
SLOTS = {MAIN: {"storage": {0: 5, 7: 1}}}
KEYS = [keccak256(b"isolane authority %d" % i) for i in range(4)]
AUTHORITIES = [address_of(key) for key in KEYS]
FEES = {"maxFeePerGas": "0x14", "maxPriorityFeePerGas": "0x3"}


def entry(address, *slots):
    return {"address": address, "storageKeys": [words(slot) for slot in slots]}


def typed(case):
    berlin, london = since("Berlin"), since("London")
    lists = [None, [], [entry(MAIN, 0)], [entry(MAIN, 0, 1), entry(at(2))], [entry(MAIN, 0, 0), entry(MAIN, 0)], [entry(COINBASE), entry("0x0000000000000000000000000000000000000003", 1)], [entry(at(9), 5)]]
    case("eip2930", "what_a_list_warms", code=COSTS, pre=SLOTS, data=["0x"] * len(lists), accessLists=lists, forks=berlin)
    case("eip2930", "in_a_creation", to="", data=[asm("0 SLOAD 0 MSTORE 32 0 RETURN")], accessLists=[[entry(at(2)), entry(MAIN, 1)]], forks=berlin)
    case("eip2930", "before_Berlin", code="STOP", accessLists=[[]], forks=["Istanbul"], reject="TYPE_1_TX_PRE_FORK")
    case("eip2930", "gas_below_the_list", code="STOP", accessLists=[[entry(MAIN, 0)]], gas=[21000 + 2400 + 1899], forks=berlin, reject="INTRINSIC_GAS_TOO_LOW")
    case("eip2930", "gas_just_enough", code="STOP", accessLists=[[entry(MAIN, 0)]], gas=[21000 + 2400 + 1900], forks=berlin)
    for name, fees in (("tip", FEES), ("no_tip", {"maxFeePerGas": "0x7", "maxPriorityFeePerGas": "0x0"}), ("tip_is_cut", {"maxFeePerGas": "0x9", "maxPriorityFeePerGas": "0x9"})):
        case("eip1559", name, code=COSTS, pre=SLOTS, value=[0, 4], forks=london, **fees)
    case("eip1559", "with_a_list", code=COSTS, pre=SLOTS, accessLists=[[entry(MAIN, 0)]], forks=london, **FEES)
    case("eip1559", "creation", to="", data=[deployer(asm("STOP"))], forks=london, **FEES)
    case("eip1559", "before_London", code="STOP", forks=["Berlin"], reject="TYPE_2_TX_PRE_FORK", **FEES)
    case("eip1559", "max_fee_below_base_fee", code="STOP", forks=london, reject="INSUFFICIENT_MAX_FEE_PER_GAS", maxFeePerGas="0x6", maxPriorityFeePerGas="0x0")
    case("eip1559", "tip_above_max_fee", code="STOP", forks=london, reject="PRIORITY_GREATER_THAN_MAX_FEE_PER_GAS", maxFeePerGas="0x8", maxPriorityFeePerGas="0x9")
    case("eip1559", "balance_pays_not_the_max_fee", code="STOP", gas=[100_000], pre={SENDER: {"balance": hex(100_000 * 20 - 1)}}, forks=london, reject="INSUFFICIENT_ACCOUNT_FUNDS", **FEES)
    case("eip1559", "balance_pays_exactly_the_max_fee", code="STOP", gas=[100_000], pre={SENDER: {"balance": hex(100_000 * 20)}}, forks=london, **FEES)
    case("eip1559", "legacy_below_base_fee", code="STOP", forks=london, reject="INSUFFICIENT_MAX_FEE_PER_GAS", gasPrice="0x6")


def blobs(case):
    cancun = since("Cancun")
    hashes = [f"0x01{i:062x}" for i in range(1, 10)]
    code = " ".join(f"{i} BLOBHASH {i} SSTORE" for i in (0, 1, 2, 5, 6)) + " 0xffffffffffffffffff BLOBHASH 9 SSTORE BLOBBASEFEE 10 SSTORE STOP"
    base = {**FEES, "maxFeePerBlobGas": "0x10"}
    for n in (1, 2, 6):
        case("eip4844", f"{n}_blobs", code=code, forks=cancun, blobVersionedHashes=hashes[:n], **base)
    case("eip4844", "9_blobs", code=code, forks=["Prague"], blobVersionedHashes=hashes, **base)
    case("eip4844", "excess_raises_the_fee", code=code, forks=cancun, env={"currentExcessBlobGas": "0x2000000"}, blobVersionedHashes=hashes[:2], **(base | {"maxFeePerBlobGas": "0xffffffff"}))
    case("eip4844", "reverted", code="0 0 REVERT", forks=cancun, blobVersionedHashes=hashes[:1], ends="halt", **base)
    refused = {"none": ([], {}, "TYPE_3_TX_ZERO_BLOBS", cancun), "version_0": (["0x00" + "11" * 31], {}, "TYPE_3_TX_INVALID_BLOB_VERSIONED_HASH", cancun), "7": (hashes[:7], {}, "TYPE_3_TX_BLOB_COUNT_EXCEEDED", ["Cancun", "Osaka"]),
               "fee_too_low": (hashes[:1], {"maxFeePerBlobGas": "0x0"}, "INSUFFICIENT_MAX_FEE_PER_BLOB_GAS", cancun), "before_Cancun": (hashes[:1], {}, "TYPE_3_TX_PRE_FORK", ["Shanghai"])}
    for name, (list_, change, reason, forks) in refused.items():
        case("eip4844", f"refused_{name}", code="STOP", forks=forks, reject=reason, blobVersionedHashes=list_, **(base | change))
    case("eip4844", "refused_creation", to="", data=["0x"], forks=cancun, reject="TYPE_3_TX_CONTRACT_CREATION", blobVersionedHashes=hashes[:1], **base)
    case("eip4844", "refused_balance_pays_not_the_blobs", code="STOP", gas=[100_000], pre={SENDER: {"balance": hex(100_000 * 20 + 16 * 131072 - 1)}}, forks=cancun, reject="INSUFFICIENT_ACCOUNT_FUNDS", blobVersionedHashes=hashes[:1], **base)


def delegations(case):
    prague, writer, nobody = since("Prague"), at(2), "0x" + "00" * 20
    a, b, c, _ = AUTHORITIES
    pre = {writer: {"code": "CALLER 0 SSTORE ADDRESS 1 SSTORE CALLVALUE 2 SSTORE CODESIZE 3 SSTORE STOP", "nonce": 1}}
    look = f"{a} EXTCODESIZE 0 SSTORE {a} EXTCODEHASH 1 SSTORE 30 0 0 {a} EXTCODECOPY 0 MLOAD 2 SSTORE GAS 0 0 0 0 0 {a} 200000 CALL 3 SSTORE GAS SWAP1 SUB 4 SSTORE STOP"
    auth = lambda i, target, nonce=0, **more: authorization(KEYS[i], target, nonce, **more)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    lists = {
        "set": [auth(0, writer)], "any_chain": [auth(0, writer, chain_id=0)], "wrong_chain": [auth(0, writer, chain_id=2)], "wrong_nonce": [auth(0, writer, 1)], "twice": [auth(0, at(9)), auth(0, writer, 1)],
        "set_and_cleared": [auth(0, writer), auth(0, nobody, 1)], "to_itself": [auth(0, a)], "chain_of_two": [auth(0, b), auth(1, writer)], "loop": [auth(0, b), auth(1, a)], "to_a_precompile": [auth(0, "0x0000000000000000000000000000000000000004")],
        "to_nothing": [auth(0, at(77))], "bad_parity": [auth(0, writer, yParity=2)], "s_too_high": [auth(0, writer, s=order - 5)], "r_zero": [auth(0, writer, r=0)], "nonce_at_its_limit": [auth(0, writer, 2**64 - 1)],
        "wrong_signature_is_another": [auth(0, writer, r=int(auth(0, writer)["r"], 16) ^ 1)], "three": [auth(0, writer), auth(1, writer), auth(2, b)],
    }
    for name, entries in lists.items():
        case("eip7702", name, code=look, pre=pre, forks=prague, authorizationList=entries, **FEES)
        case("eip7702", f"{name}_called_directly", to=a, value=[3], data=["0x01"], pre=pre | {a: {"balance": "0x5"}}, forks=prague, ends="any", authorizationList=entries, **FEES)
    delegated = lambda target: {"code": "0xef0100" + target[2:], "nonce": 1}
    for name, accounts in (("cleared_later", {a: delegated(writer)}), ("authority_has_code", {a: {"code": "0x00", "nonce": 1}}), ("authority_exists", {a: {"balance": "0x1"}})):
        target = nobody if name == "cleared_later" else writer
        case("eip7702", name, code=look, pre=pre | accounts, forks=prague, authorizationList=[auth(0, target, accounts[a].get("nonce", 0))], **FEES)
    from statetest import KEY
    case("eip7702", "sender_is_authority", code="STOP", pre=pre, forks=prague, authorizationList=[authorization(KEY, writer, 1)], **FEES)
    case("eip7702", "sender_is_authority_with_old_nonce", code="STOP", pre=pre, forks=prague, authorizationList=[authorization(KEY, writer, 0)], **FEES)
    case("eip7702", "kept_when_reverted", code="0 0 REVERT", pre=pre, forks=prague, ends="halt", authorizationList=[auth(0, writer)], **FEES)
    case("eip7702", "sender_is_delegated", code="1 0 SSTORE STOP", pre=pre | {SENDER: {"code": "0xef0100" + writer[2:]}}, forks=prague, **FEES)
    for op in ("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"):
        value = "0" if op in ("CALL", "CALLCODE") else ""
        case("eip7702", f"{op}_to_a_delegated_account", code=f"GAS 0 0 0 0 {value} {a} 100000 {op} 0 MSTORE GAS SWAP1 SUB 32 MSTORE GAS 0 0 0 0 {value} {a} 100000 {op} 64 MSTORE GAS SWAP1 SUB 96 MSTORE 128 0 LOG0 STOP",
             pre=pre | {a: delegated(writer), writer: {"code": "GAS POP STOP"}}, forks=prague)
    case("eip7702", "refused_empty_list", code="STOP", forks=prague, reject="TYPE_4_EMPTY_AUTHORIZATION_LIST", authorizationList=[], **FEES)
    case("eip7702", "refused_creation", to="", data=["0x"], forks=prague, reject="TYPE_4_TX_CONTRACT_CREATION", authorizationList=[auth(0, writer)], **FEES)
    case("eip7702", "refused_before_Prague", code="STOP", forks=["Cancun"], reject="TYPE_4_TX_PRE_FORK", authorizationList=[auth(0, writer)], **FEES)
    case("eip7702", "refused_gas_below_the_list", code="STOP", gas=[45_999], forks=prague, reject="INTRINSIC_GAS_TOO_LOW", authorizationList=[auth(0, writer)], **FEES)


def floors_and_limits(case):
    data = ["0x", "0x" + "00" * 100, "0x" + "ff" * 100, "0x" + "00ff" * 500, "0x" + "ff" * 4000]
    for fork_list, name in ((since("Cancun"), "EIP-7623"),):
        case("eip7623", "calldata_floor", code="STOP", data=data, forks=fork_list, gas=[400_000])
        case("eip7623", "execution_above_the_floor", code="1 0 SSTORE 1 1 SSTORE STOP", data=data, forks=fork_list, gas=[400_000])
        case("eip7623", "refund_down_to_the_floor", code=" ".join(f"0 {i} SSTORE" for i in range(5)) + " STOP", pre={MAIN: {"storage": {i: 1 for i in range(5)}}}, data=data, forks=fork_list, gas=[400_000])
    case("eip7623", "floor_exactly", code="STOP", data=["0x" + "ff" * 100], gas=[21_000 + 40 * 100], forks=since("Prague"))
    case("eip7623", "below_the_floor", code="STOP", data=["0x" + "ff" * 100], gas=[21_000 + 40 * 100 - 1], forks=since("Prague"), reject="INTRINSIC_GAS_BELOW_FLOOR_GAS_COST")
    case("eip7623", "below_the_later_floor_before_Prague", code="STOP", data=["0x" + "ff" * 100], gas=[21_000 + 40 * 100 - 1], forks=["Cancun"])
    case("eip7825", "at_the_limit", code="GAS 0 SSTORE STOP", gas=[16_777_216], forks=since("Prague"))
    case("eip7825", "above_the_limit", code="STOP", gas=[16_777_217], forks=["Osaka"], reject="GAS_LIMIT_EXCEEDS_MAXIMUM")
    case("eip7825", "above_the_later_limit_before_Osaka", code="GAS 0 SSTORE STOP", gas=[16_777_217], forks=["Prague"])
    code = deployer("0x00")
    case("eip3860", "init_code_words_cost", to="", data=[code + "00" * n for n in (0, 31, 32, 33, 1000)], forks=since("Paris"))
    case("eip3860", "init_code_too_large", to="", data=["0x" + "00" * 49_153], gas=[3_000_000], forks=since("Shanghai"), reject="INITCODE_SIZE_EXCEEDED")
    case("eip3860", "gas_below_the_words", to="", data=["0x" + "01" * 64], gas=[21_000 + 32_000 + 16 * 64 + 3], forks=since("Shanghai"), reject="INTRINSIC_GAS_TOO_LOW")
    case("eip3860", "gas_just_enough", to="", data=["0x" + "01" * 64], gas=[21_000 + 32_000 + 40 * 64 + 4], forks=since("Shanghai"), ends="any")


def plain(case):
    case("transactions", "transfer_to_someone_new", to=at(0x50), value=[0, 1, 10**18], gas=[21_000], ends="any")
    case("transactions", "transfer_to_an_account", to=at(0x50), pre={at(0x50): {"balance": "0x7"}}, value=[0, 5], gas=[21_000], ends="any")
    case("transactions", "transfer_to_oneself", to=SENDER, value=[0, 5], gas=[21_000], ends="any")
    case("transactions", "transfer_to_the_coinbase", to=COINBASE, value=[5], gas=[21_000], ends="any")
    case("transactions", "sender_is_the_coinbase", to=at(0x50), value=[5], gas=[30_000], env={"currentCoinbase": SENDER})
    # EIP-7523: no state has empty accounts since the Merge.
    case("transactions", "empty_account_is_touched", to=at(0x50), pre={at(0x50): {"balance": "0x0"}}, gas=[21_000], ends="any", forks=since("Frontier", "London"))
    case("transactions", "everything_is_sent", to=at(0x50), value=[10**18], gas=[21_000], pre={SENDER: {"balance": hex(10**18 + 210_000)}}, ends="any")
    case("transactions", "intrinsic_gas", code="STOP", data=["0x" + "00" * 10 + "ff" * 10], gas=[21_000 + 40 + 680], ends="any")
    reject = {
        "nonce_too_high": ({"nonce": "0x1"}, {}, "NONCE_MISMATCH_TOO_HIGH", ALL), "nonce_too_low": ({}, {SENDER: {"nonce": 1}}, "NONCE_MISMATCH_TOO_LOW", ALL),
        "cannot_pay": ({"gas": [100_000]}, {SENDER: {"balance": hex(999_999)}}, "INSUFFICIENT_ACCOUNT_FUNDS", ALL), "cannot_pay_the_value": ({"gas": [100_000], "value": [1]}, {SENDER: {"balance": hex(1_000_000)}}, "INSUFFICIENT_ACCOUNT_FUNDS", ALL),
        "sender_does_not_exist": ({"gas": [100_000]}, {SENDER: {"balance": "0x0"}}, "INSUFFICIENT_ACCOUNT_FUNDS", ALL), "intrinsic_gas": ({"gas": [20_999]}, {}, "INTRINSIC_GAS_TOO_LOW", ALL),
        "intrinsic_gas_with_data": ({"gas": [21_000 + 3], "data": ["0x00"]}, {}, "INTRINSIC_GAS_TOO_LOW", ALL), "above_the_block_limit": ({"gas": [100_000_001]}, {}, "GAS_ALLOWANCE_EXCEEDED", since("Frontier", "Prague")),
        "sender_has_code": ({}, {SENDER: {"code": "0x00"}}, "SENDER_NOT_EOA", since("London")), "nonce_at_its_limit": ({"nonce": hex(2**64 - 1)}, {SENDER: {"nonce": 2**64 - 1}}, "NONCE_IS_MAX", since("London")),
        "another_chain": ({"_chain": 2}, {}, "INVALID_CHAINID", since("EIP158")), "creation_intrinsic_gas": ({"to": "", "gas": [52_999]}, {}, "INTRINSIC_GAS_TOO_LOW", since("Homestead")),
    }
    for name, (fields, pre, reason, forks) in reject.items():
        case("transactions", f"refused_{name}", code="STOP", pre=pre, forks=forks, reject=reason, **fields)
    case("transactions", "creation_costs_no_more_in_Frontier", to="", gas=[21_000], forks=["Frontier"], ends="any")


def add(case):
    typed(case)
    blobs(case)
    delegations(case)
    floors_and_limits(case)
    plain(case)
