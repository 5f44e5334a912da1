"""State tests of calls, return data, creation, self-destruction and precompiles."""

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from ethereum.crypto.hash import keccak256

from py_ecc.optimized_bls12_381 import G1, G2, curve_order, multiply, neg, normalize
from py_ecc import optimized_bn128 as bn

from eels import hexraw
from statetest import ALL, FEW, KEY, MAIN, SENDER, asm, assembled, at, deployer, since, sign, words

BEYOND = 2**256 - 1
WRITER, REVERTER, HALTER, ECHO, EOA, NOBODY, NESTED = (at(0x100 + i) for i in range(7))
TARGETS = {
    WRITER: {"code": "CALLER 0 SSTORE CALLVALUE 1 SSTORE ADDRESS 2 SSTORE GAS 3 SSTORE 0xaa 0 MSTORE 32 0 RETURN", "nonce": 1}, REVERTER: {"code": "7 0 SSTORE 0xbb 0 MSTORE 32 0 REVERT", "nonce": 1},
    HALTER: {"code": "7 0 SSTORE INVALID", "nonce": 1}, ECHO: {"code": "CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 RETURN", "nonce": 1}, EOA: {"balance": "0x5"},
    NESTED: {"code": f"0 0 0 0 0 {WRITER} GAS CALL 0 0 0 0 {WRITER} GAS DELEGATECALL 9 SSTORE 8 SSTORE STOP", "nonce": 1},
}
RICH = {MAIN: {"balance": "0x100000"}}

def calls(case):
    # Calldata: triples (gas, target, value). Each is called with 5 bytes of input and 40 bytes of room; everything that shows is logged.
    triples = [(g, t, v) for t in (WRITER, REVERTER, HALTER, ECHO, EOA, NOBODY, NESTED, "0x4", "0x2") for g, v in ((0, 0), (0, 1), (2300, 0), (90_000, 0), (90_000, 3))]
    data = [words(*(w for triple in triples for w in triple))]
    for op in ("CALL", "CALLCODE", "DELEGATECALL", "STATICCALL"):
        first = {"CALL": "Frontier", "CALLCODE": "Frontier", "DELEGATECALL": "Homestead", "STATICCALL": "Byzantium"}[op]
        value = "DUP6 64 ADD CALLDATALOAD DUP7 32 ADD CALLDATALOAD DUP8 CALLDATALOAD" if "L" in op and op in ("CALL", "CALLCODE") else "DUP6 32 ADD CALLDATALOAD DUP7 CALLDATALOAD"
        # Stack at the arguments: [i gas outSize outOffset inSize inOffset].
        body = f"0 a: GAS 40 64 5 30 {value} {op} 0 MSTORE GAS SWAP1 SUB 32 MSTORE 104 0 LOG0 0 64 MSTORE 0 96 MSTORE 96 ADD DUP1 CALLDATASIZE GT @a JUMPI GAS 0 SSTORE STOP"
        case("calls", f"{op}_matrix", code=body, pre=TARGETS | RICH, data=data, gas=[9_000_000], forks=since(first))
        case("calls", f"{op}_with_all_gas", code=f"0 0 0 0 {'0' if op in ('CALL', 'CALLCODE') else ''} {WRITER} 0 NOT {op} 5 SSTORE STOP", pre=TARGETS, forks=since("EIP150") if op != "STATICCALL" else since(first))
        case("calls", f"{op}_with_too_much_gas", code=f"0 0 0 0 {'0' if op in ('CALL', 'CALLCODE') else ''} {WRITER} 999999999 {op} 5 SSTORE STOP", pre=TARGETS, ends="halt" if first != "Byzantium" else "ok",
             forks=["Homestead"] if first != "Byzantium" else ["Byzantium"])
        case("calls", f"{op}_huge_output", code=f"0xffffffffff 0 0 0 {'0' if op in ('CALL', 'CALLCODE') else ''} {WRITER} 1 {op} 5 SSTORE STOP", pre=TARGETS, ends="halt", forks=["Byzantium", "Osaka"])
    case("calls", "depth_limit_1024", code="0 CALLDATALOAD 1 ADD 0 MSTORE 0 0 32 0 0 ADDRESS 21000 GAS SUB CALL ISZERO @deepest JUMPI STOP deepest: 0 MLOAD 0 SSTORE STOP", gas=[50_000_000],
         forks=["Frontier", "Homestead"])
    case("calls", "depth_limit_1024_63_64", code="0 CALLDATALOAD 1 ADD 0 MSTORE 0 0 32 0 0 ADDRESS GAS CALL ISZERO @deepest JUMPI STOP deepest: 0 MLOAD 0 SSTORE STOP", gas=[10**12],
         env={"currentGasLimit": hex(10**13)}, pre={SENDER: {"balance": hex(10**24)}}, forks=["EIP150", "Byzantium", "Berlin", "Prague"])
    case("calls", "all_but_one_64th", code="0 CALLDATALOAD 1 ADD 0 MSTORE 0 0 32 0 0 ADDRESS GAS CALL POP GAS 0 CALLDATALOAD SSTORE STOP", gas=[400_000], forks=since("EIP150"), ends="any")
    case("calls", "more_value_than_there_is", code=f"0 0 0 0 99 {WRITER} 90000 CALL 0 SSTORE 0 0 0 0 99 {WRITER} 90000 CALLCODE 1 SSTORE GAS 2 SSTORE STOP", pre=TARGETS)
    case("calls", "value_to_oneself", code="CALLER ADDRESS EQ @x JUMPI 0 0 0 0 5 ADDRESS 90000 CALL 0 SSTORE x: ADDRESS BALANCE 1 SSTORE STOP", pre=RICH)
    for i, body in enumerate(("1 0 SSTORE", "0 0 LOG0", "0 0 0 CREATE", "0 0 0 0 CREATE2", f"0 0 0 0 1 {EOA} 9000 CALL", "0 SELFDESTRUCT", f"0 0 0 0 0 {WRITER} 90000 CALL", f"0 0 0 0 0 {EOA} 9000 CALL",
                              f"0 0 0 0 1 {EOA} 9000 CALLCODE", f"0 0 0 0 {WRITER} 90000 DELEGATECALL")):
        case("calls", f"static_{i}_" + body.split()[-1], code=f"0 0 0 0 {at(0x200)} 200000 STATICCALL 0 SSTORE GAS 1 SSTORE STOP", pre=TARGETS | RICH | {at(0x200): {"code": body + " STOP", "balance": "0x9"}},
             forks=["Byzantium", "ConstantinopleFix", "Istanbul", "Berlin", "Osaka"])
    # Return data.
    first = since("Byzantium")
    shows = "RETURNDATASIZE DUP1 0 0 RETURNDATACOPY DUP1 {n} SSTORE 0 KECCAK256 {m} SSTORE "
    show = lambda i: shows.format(n=2 * i, m=2 * i + 1)
    steps = [f"0 0 0 0 0 {WRITER} 90000 CALL POP", f"0 0 0 0 0 {REVERTER} 90000 CALL POP", f"0 0 0 0 0 {HALTER} 90000 CALL POP", f"0 0 0 0 0 {EOA} 90000 CALL POP", f"0 0 40 0 0 {ECHO} 90000 CALL POP",
             f"0 0 0 0 99999999 {ECHO} 90000 CALL POP", "0 0 0 CREATE POP", f"0 0 33 0 {ECHO} 90000 STATICCALL POP", "0 0 77 0 0 4 90000 CALL POP"]
    case("returndata", "after_each_kind", code=" ".join(s + " " + show(i) for i, s in enumerate(steps)) + " STOP", pre=TARGETS | RICH, forks=first)
    case("returndata", "insufficient_balance_clears", code=f"0 0 40 0 0 {ECHO} 90000 CALL POP 0 0 0 0 0x1000000 {ECHO} 9000 CALL POP RETURNDATASIZE 0 SSTORE 1 0 0 CREATE POP RETURNDATASIZE 1 SSTORE STOP", pre=TARGETS, forks=first)
    case("returndata", "reverted_creation_has_data", code=f"{int(asm('0xcafe 0 MSTORE 32 0 REVERT').ljust(66, '0'), 16)} 0 MSTORE 32 0 0 CREATE 9 SSTORE " + show(0) + "STOP", forks=first)
    for name, body in (("one_too_many", "33 0 0 RETURNDATACOPY"), ("offset_wraps", f"2 {BEYOND} 0 RETURNDATACOPY"), ("nothing_past_the_end", "0 33 0 RETURNDATACOPY")):
        case("returndata", f"bad_{name}", code=f"0 0 0 0 0 {WRITER} 90000 CALL POP {body} STOP", pre=TARGETS, forks=["Byzantium", "Berlin", "Osaka"], ends="halt")
    case("returndata", "nothing_at_the_end_is_fine", code=f"0 0 0 0 0 {WRITER} 90000 CALL POP 0 32 0xffffffffffff RETURNDATACOPY MSIZE 0 SSTORE STOP", pre=TARGETS, forks=first)
    fill = f"{0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20} 0 MSTORE "
    case("returndata", "identity_does_not_alias", code=fill + "32 3 32 0 0 4 9000 CALL POP 0xff 0 MSTORE 32 0 64 RETURNDATACOPY 96 0 LOG0 STOP", forks=first)
    case("returndata", "overlapping_output_of_a_call", code=fill + f"20 5 32 0 0 {ECHO} 9000 CALL POP 7 1 9 RETURNDATACOPY 64 0 LOG0 RETURNDATASIZE 0 SSTORE STOP", pre=TARGETS, forks=first)
    case("returndata", "output_shorter_than_room", code=fill + f"64 0 3 0 0 {ECHO} 9000 CALL POP 64 0 LOG0 STOP", pre=TARGETS, forks=ALL)

INITS = {
    "stores": "1 0 SSTORE 0x00 0 MSTORE 1 31 RETURN", "empty": "0x", "reverts": "1 0 SSTORE 0xee 0 MSTORE 32 0 REVERT", "halts": "1 0 SSTORE INVALID", "size_24576": "24576 0 RETURN", "size_24577": "24577 0 RETURN",
    "starts_with_ef": "0xef 0 MSTORE8 1 0 RETURN", "stops": "7 0 SSTORE STOP", "sees_its_environment": "ADDRESS 0 SSTORE CALLER 1 SSTORE CALLVALUE 2 SSTORE CODESIZE 3 SSTORE CALLDATASIZE 4 SSTORE ADDRESS EXTCODESIZE 5 SSTORE 0 0 RETURN",
    "ends_itself": "CALLER SELFDESTRUCT", "creates": "0 0 0 CREATE 0 SSTORE 0 0 0 CREATE 1 SSTORE 0 0 RETURN", "memory_too_far": "1 0xffffffffffff RETURN",
}

def creation(case):
    inits = [assembled(code) for code in INITS.values()]
    main = "CALLDATASIZE 0 0 CALLDATACOPY {salt} CALLDATASIZE 0 {value} {op} DUP1 0 SSTORE EXTCODESIZE 1 SSTORE GAS 2 SSTORE RETURNED 3 SSTORE STOP"
    for op, salt, first in (("CREATE", "", "Frontier"), ("CREATE2", "0x5a17", "ConstantinopleFix")):
        for kind, forks in (("old", since(first, "EIP158")), ("new", since(max(first, "Byzantium", key=ALL.index)))):
            if forks:
                code = main.format(salt=salt, value=2, op=op).replace("RETURNED", "RETURNDATASIZE" if kind == "new" else "MSIZE")
                case("create", f"{op}_init_codes_{kind}", code=code, pre=RICH, data=inits, gas=[6_000_000], forks=forks, ends="any")
    case("create", "transaction_init_codes", to="", data=inits, gas=[6_000_000], value=[3], ends="any")
    case("create", "transaction_without_gas_for_the_code", to="", data=[deployer("0x" + "00" * 100)], gas=[53_000 + 4_000, 90_000], ends="any", forks=["Frontier", "Homestead", "Byzantium", "Osaka"])
    address = hexraw(keccak256(bytes.fromhex("d694" + SENDER[2:] + "80"))[12:])
    for name, account in (("code", {"code": "0x00"}), ("nonce", {"nonce": 1}), ("balance_only", {"balance": "0x7"})):
        case("create", f"transaction_onto_{name}", to="", data=[assembled(INITS["stores"])], pre={address: account}, forks=["Frontier", "Byzantium", "London", "Osaka"], ends="ok" if "balance" in name else "halt")
    own = hexraw(keccak256(bytes.fromhex("d694" + MAIN[2:] + "01"))[12:])
    for name, account in (("code", {"code": "0x00"}), ("nonce", {"nonce": 1}), ("balance_only", {"balance": "0x7"})):
        case("create", f"CREATE_onto_{name}", code=f"{int(asm('1 0 SSTORE STOP').ljust(66, '0'), 16)} 0 MSTORE 6 0 0 CREATE 0 SSTORE GAS 1 SSTORE 6 0 0 CREATE 2 SSTORE STOP", pre={own: account}, forks=FEW, gas=[3_000_000], ends="any")
    case("create", "CREATE_more_value_than_there_is", code="0 0 99 CREATE 0 SSTORE 0 0 0 CREATE 1 SSTORE GAS 2 SSTORE STOP")
    case("create", "CREATE_nonce_at_its_limit", code="0 0 0 CREATE 0 SSTORE GAS 1 SSTORE STOP", pre={MAIN: {"nonce": 2**64 - 1}}, forks=FEW)
    twice = "CALLDATASIZE 0 0 CALLDATACOPY 1 CALLDATASIZE 0 0 CREATE2 0 SSTORE 1 CALLDATASIZE 0 0 CREATE2 1 SSTORE GAS 2 SSTORE 2 CALLDATASIZE 0 0 CREATE2 3 SSTORE STOP"
    case("create", "CREATE2_twice_at_one_address", code=twice, data=[assembled(INITS["stores"]), assembled(INITS["halts"])], forks=since("ConstantinopleFix"), gas=[16_000_000], ends="any")
    case("create", "CREATE2_before_Constantinople", code="0 0 0 0 CREATE2 STOP", forks=["Byzantium"], ends="halt")
    for op, salt in (("CREATE", ""), ("CREATE2", "0")):
        for size in (49152, 49153):
            case("create", f"{op}_init_code_of_{size}", code=f"{salt} {size} 0 0 {op} 0 SSTORE GAS 1 SSTORE STOP", forks=since("London"), gas=[3_000_000], ends="any")
    case("create", "transaction_init_code_of_49152", to="", data=["0x" + "00" * 49152], forks=["London", "Shanghai", "Osaka"], gas=[3_000_000])
    case("create", "memory_before_balance", code="0xffffffffffffff 0 99 CREATE STOP", forks=["Frontier", "London", "Osaka"], ends="halt")
    # Self-destruction.
    cases = {"to_another": f"{EOA} SELFDESTRUCT", "to_itself": "ADDRESS SELFDESTRUCT", "to_nobody": f"{NOBODY} SELFDESTRUCT", "to_a_precompile": "1 SELFDESTRUCT", "to_the_origin": "ORIGIN SELFDESTRUCT",
             "to_the_coinbase": "COINBASE SELFDESTRUCT"}
    victim = at(0x300)
    for name, code in cases.items():
        for money in (0, 9):
            case("selfdestruct", f"{name}_with_{money}", code=f"0 0 0 0 0 {victim} 90000 CALL 0 SSTORE {victim} BALANCE 1 SSTORE {victim} EXTCODESIZE 2 SSTORE GAS 3 SSTORE STOP",
                 pre={victim: {"code": code, "balance": hex(money), "storage": {1: 1}, "nonce": 1}, EOA: {"balance": "0x5"}}, forks=["Frontier", "EIP150", "EIP158", "Istanbul", "Berlin", "London", "Cancun", "Osaka"])
    case("selfdestruct", "twice_and_paid_after", code=f"0 0 0 0 0 {victim} 90000 CALL POP 0 0 0 0 4 {victim} 90000 CALL POP 0 0 0 0 0 {victim} 90000 CALL POP {victim} BALANCE 0 SSTORE STOP",
         pre=RICH | {victim: {"code": f"{EOA} SELFDESTRUCT", "balance": "0x9", "nonce": 1}})
    case("selfdestruct", "in_a_reverted_call", code=f"0 0 0 0 0 {at(0x301)} 90000 CALL 0 SSTORE {victim} BALANCE 1 SSTORE STOP",
         pre={victim: {"code": f"{EOA} SELFDESTRUCT", "balance": "0x9", "nonce": 1}, at(0x301): {"code": f"0 0 0 0 0 {victim} 50000 CALL INVALID"}})
    case("selfdestruct", "by_delegate", code=f"0 0 0 0 {victim} 90000 DELEGATECALL 0 SSTORE STOP", pre=RICH | {victim: {"code": f"{EOA} SELFDESTRUCT", "nonce": 1}}, forks=since("Homestead"))
    program = int(asm(f"{EOA} SELFDESTRUCT").ljust(66, "0"), 16)
    case("selfdestruct", "in_the_creating_transaction", code=f"{program} 0 MSTORE 22 0 5 CREATE DUP1 0 SSTORE DUP1 BALANCE 1 SSTORE 0 0 0 0 3 DUP6 9000 CALL POP BALANCE 2 SSTORE STOP", pre=RICH)
    runtime = deployer(asm("ADDRESS SELFDESTRUCT"))
    body = f"{int(runtime.ljust(66, '0'), 16)} 0 MSTORE {len(runtime) // 2 - 1} 0 5 CREATE DUP1 0 SSTORE 0 0 0 0 0 DUP6 9000 CALL 1 SSTORE DUP1 EXTCODESIZE 2 SSTORE BALANCE 3 SSTORE STOP"
    case("selfdestruct", "created_then_burns_its_balance", code=body, pre=RICH)
    case("selfdestruct", "not_enough_gas_for_a_new_account", code=f"0 0 0 0 0 {victim} 20000 CALL 0 SSTORE STOP", pre={victim: {"code": f"{NOBODY} SELFDESTRUCT", "balance": "0x9", "nonce": 1}}, forks=["Homestead", "EIP150", "EIP158", "Osaka"])

def g1(point):
    x, y = normalize(point)
    return "".join(f"{int(v):0128x}" for v in (x, y))

def g2(point):
    x, y = normalize(point)
    return "".join(f"{int(v):0128x}" for pair in (x.coeffs, y.coeffs) for v in pair)

def bn1(point):
    x, y = bn.normalize(point)
    return f"{int(x):064x}{int(y):064x}"

def bn2(point):
    x, y = bn.normalize(point)
    return "".join(f"{int(v):064x}" for pair in (x.coeffs, y.coeffs) for v in reversed(pair))

def modexp(base, exponent, modulus):
    return "".join(f"{len(v) // 2:064x}" for v in (base, exponent, modulus)) + base + exponent + modulus

def precompile_inputs():
    digest = keccak256(b"message")
    v, r, s = sign(KEY, digest)
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    good = [int.from_bytes(digest, "big"), v + 27, r, s]
    yield 1, "ecrecover", "Frontier", [words(*good)[2:], words(good[0], 27 + 1 - v, r, s)[2:], words(good[0], v + 27, r, order - s)[2:], words(good[0], 29, r, s)[2:], words(good[0], v, r, s)[2:], words(good[0], v + 27, 0, s)[2:],
                                       words(good[0], v + 27, order, s)[2:], words(good[0], v + 27, r, 0)[2:], words(good[0], 2**255 + v + 27, r, s)[2:], words(*good)[2:-10], words(*good)[2:] + "ffff", ""]
    texts = [b"a" * n for n in (0, 1, 31, 32, 33, 55, 56, 63, 64, 65, 119, 128, 1000)]
    for number, name in ((2, "sha256"), (3, "ripemd160"), (4, "identity")):
        yield number, name, "Frontier", [t.hex() for t in texts]
    prime = f"{2**255 - 19:064x}"
    yield 5, "modexp", "Byzantium", ["", modexp("03", "05", "07"), modexp("03" * 32, "ff" * 32, prime), modexp("", "", "05"), modexp("02", "", "01"), modexp("02", "05", "00"), modexp("", "02", "09"), modexp("ff" * 64, "03", "fe" * 64),
                                     modexp("ab" * 33, "00" * 31 + "02", "cd" * 33), modexp("02", "01" + "00" * 40, "0f" * 16), modexp("03", "05", "07")[:-2], modexp("0" * 200 + "05", "11", "0" * 100 + "17"),
                                     words(2**64, 1, 1)[2:], words(0, 2**64, 0)[2:], words(1025, 1, 1)[2:] + "01" * 1027, words(1024, 1, 1)[2:] + "01" * 1026, words(0, 0, 1025)[2:], modexp("07" * 200, "03", "0b" * 200)]
    p, q = bn.G1, bn.G2
    field = 21888242871839275222246405745257275088696311157297823662689037894645226208583
    yield 6, "bn254_add", "Byzantium", ["", bn1(p) + bn1(p), bn1(p) + bn1(bn.neg(p)), bn1(p) + "0" * 128, bn1(bn.multiply(p, 5)) + bn1(bn.multiply(p, 9)), words(1, 1)[2:] + bn1(p), words(field, 0)[2:], bn1(p), bn1(p) + bn1(p) + "ff"]
    yield 7, "bn254_mul", "Byzantium", ["", bn1(p) + words(0)[2:], bn1(p) + words(2)[2:], bn1(p) + words(2**256 - 1)[2:], bn1(p) + words(bn.curve_order)[2:], words(0, 0, 5)[2:], words(2, 2, 2)[2:], bn1(p) + "01"]
    off = bn2(q)[:-2] + "00"
    yield 8, "bn254_pairing", "Byzantium", ["", bn1(p) + bn2(q), bn1(p) + bn2(q) + bn1(bn.neg(p)) + bn2(q), bn1(bn.multiply(p, 6)) + bn2(q) + bn1(bn.neg(bn.multiply(p, 2))) + bn2(bn.multiply(q, 3)), "0" * 384, bn1(p) + off,
                                            bn1(p) + bn2(q) + "00", "0" * 128 + bn2(q)]
    state = "".join(f"{i:02x}" for i in range(64)) + "61626300" + "00" * 124 + "0300000000000000" + "00" * 8
    yield 9, "blake2f", "Istanbul", [f"{rounds:08x}" + state + flag for rounds in (0, 1, 12, 13, 100) for flag in ("00", "01")] + ["0000000c" + state + "02", "0000000c" + state, "0000000c" + state + "0100", ""]
    infinity = "c0" + "00" * 47
    versioned = "01" + hashlib.sha256(bytes.fromhex(infinity)).hexdigest()[2:]
    zero = words(5, 0)[2:] + infinity + infinity
    yield 10, "point_evaluation", "Cancun", [versioned + zero, "02" + versioned[2:] + zero, versioned + words(5, 1)[2:] + infinity * 2, versioned + zero[:-2], versioned + words(curve_order, 0)[2:] + infinity * 2,
                                             versioned + words(5, 0)[2:] + infinity + "80" + "00" * 47, ""]
    a, b = G1, G2
    bad = g1(a)[:-2] + "00"
    high = f"{0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB:0128x}"
    yield 11, "bls12_g1add", "Prague", [g1(a) + g1(a), g1(a) + g1(neg(a)), g1(a) + "0" * 256, bad + g1(a), high + "0" * 128 + g1(a), "01" + g1(a)[2:] + g1(a), g1(a), ""]
    yield 12, "bls12_g1msm", "Prague", [g1(a) + words(2)[2:], g1(a) + words(0)[2:], g1(a) + words(curve_order)[2:], g1(a) + words(3)[2:] + g1(multiply(a, 7)) + words(2**255)[2:], "0" * 256 + words(9)[2:], bad + words(1)[2:], g1(a)]
    yield 13, "bls12_g2add", "Prague", [g2(b) + g2(b), g2(b) + g2(neg(b)), g2(b) + "0" * 512, g2(b)[:-2] + "00" + g2(b), g2(b)]
    yield 14, "bls12_g2msm", "Prague", [g2(b) + words(2)[2:], g2(b) + words(curve_order)[2:], g2(b) + words(3)[2:] + g2(multiply(b, 5)) + words(4)[2:], g2(b)[:-2] + "00" + words(1)[2:]]
    yield 15, "bls12_pairing", "Prague", [g1(a) + g2(b), g1(a) + g2(b) + g1(neg(a)) + g2(b), g1(multiply(a, 6)) + g2(b) + g1(neg(multiply(a, 3))) + g2(multiply(b, 2)), "0" * 256 + g2(b), bad + g2(b), g1(a), ""]
    yield 16, "bls12_map_fp_to_g1", "Prague", [f"{5:0128x}", f"{0:0128x}", high, f"{5:0126x}"]
    yield 17, "bls12_map_fp2_to_g2", "Prague", [f"{5:0128x}{7:0128x}", "0" * 256, high + "0" * 128]
    private = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
    r, s = decode_dss_signature(private.sign(b"message", ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    public = private.public_key().public_numbers()
    message = int.from_bytes(hashlib.sha256(b"message").digest(), "big")
    n = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    fields = [message, r, s, public.x, public.y]
    spoiled = [fields[:i] + [value] + fields[i + 1:] for i, value in ((0, message + 1), (1, 0), (1, n), (2, 0), (2, n), (2, n - s), (3, public.x + 1), (4, 0), (3, 2**256 - 1))]
    yield 256, "p256verify", "Osaka", [words(*fields)[2:], *(words(*f)[2:] for f in spoiled), words(*fields)[2:-2], words(*fields)[2:] + "00", ""]

def precompiles(case):
    # Calldata: the precompile, the gas, then its input. 640 bytes of output are hashed: enough for all but identity.
    old = "64 CALLDATASIZE SUB 64 1000 CALLDATACOPY GAS 640 0 64 CALLDATASIZE SUB 1000 0 0 CALLDATALOAD 32 CALLDATALOAD CALL 0 SSTORE GAS SWAP1 SUB 1 SSTORE 640 0 KECCAK256 2 SSTORE"
    for number, name, first, inputs in precompile_inputs():
        code = old + (" RETURNDATASIZE 3 SSTORE STOP" if first not in ("Frontier",) else " STOP")
        data = [words(number, 2_000_000) + text for text in inputs]
        forks = [f for f in ("Frontier", "EIP158", "Byzantium", "Istanbul", "Berlin", "Cancun", "Prague", "Osaka") if f in since(first)]
        case("precompiles", name, code=code, data=data, gas=[5_000_000], forks=forks)
        price = [words(number, gas) + inputs[0] for gas in (0, 14, 15, 59, 60, 149, 150, 200, 500, 700, 2999, 3000, 3449, 3450, 6900)]
        case("precompiles", f"{name}_gas_limit", code=code, data=price, gas=[5_000_000], forks=forks[-1:])
        before = ALL[ALL.index(first) - 1] if first != "Frontier" else None
        if before and before not in ("Homestead", "EIP150", "EIP158"):
            case("precompiles", f"{name}_before_its_fork", code=code, data=data[:2], gas=[5_000_000], forks=[before])
    case("precompiles", "called_by_transaction", to="0x0000000000000000000000000000000000000002", data=["0x", "0x616263"], gas=[30_000], value=[0, 1], forks=FEW)
    case("precompiles", "value_is_kept_on_failure", code="0 0 0 0 5 9 100000 CALL 0 SSTORE 9 BALANCE 1 SSTORE STOP", pre=RICH, forks=["Istanbul", "Osaka"])

def add(case):
    calls(case)
    creation(case)
    precompiles(case)
