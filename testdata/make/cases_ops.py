"""State tests of opcodes that compute, read and write: one test per opcode or group."""

from statetest import ALL, FEW, MAIN, OPCODES, SENDER, asm, at, since, words

EDGES = sorted({0, 1, 2, 3, 5, 7, 8, 30, 31, 32, 33, 63, 64, 127, 128, 255, 256, 257, 2**16, 2**31, 2**32 - 1, 2**32, 2**63, 2**64 - 1, 2**64, 2**128 - 1, 2**128, 2**254, 2**255 - 1,
                2**255, 2**255 + 1, 2**256 - 256, 2**256 - 2, 2**256 - 1, 0x0123456789ABCDEF << 96, (2**256 - 1) // 3})
FEW_EDGES = [0, 1, 2, 3, 2**64 - 1, 2**64, 2**128, 2**255 - 1, 2**255, 2**255 + 1, 2**256 - 2, 2**256 - 1]
FINISH = "0 MLOAD 0 SSTORE 32 0 LOG0 STOP"
FOLD = "32 MSTORE 64 0 KECCAK256 0 MSTORE"
NEXT = "32 ADD DUP1 CALLDATASIZE GT"


def unary(op):
    return f"0 a: DUP1 CALLDATALOAD {op} {FOLD} {NEXT} @a JUMPI {FINISH}"


def binary(op):
    return f"0 a: 0 b: DUP1 CALLDATALOAD DUP3 CALLDATALOAD {op} {FOLD} {NEXT} @b JUMPI POP {NEXT} @a JUMPI {FINISH}"


def ternary(op):
    return (f"0 a: 0 b: 0 c: DUP1 CALLDATALOAD DUP3 CALLDATALOAD DUP5 CALLDATALOAD {op} {FOLD} {NEXT} @c JUMPI POP {NEXT} @b JUMPI POP {NEXT} @a JUMPI {FINISH}")


def computing(case):
    gas = [3_000_000]
    for file, ops, forks in (("arithmetic", "ADD MUL SUB DIV SDIV MOD SMOD EXP SIGNEXTEND", FEW), ("comparison", "LT GT SLT SGT EQ", FEW), ("bitwise", "AND OR XOR BYTE", FEW),
                             ("shifts", "SHL SHR SAR", since("ConstantinopleFix"))):
        for op in ops.split():
            case(file, f"{op}_edges", code=binary(op), data=[words(*EDGES)], gas=gas, forks=forks)
    for op in ("ADDMOD", "MULMOD"):
        case("arithmetic", f"{op}_edges", code=ternary(op), data=[words(*FEW_EDGES)], gas=gas, forks=FEW)
    for file, op, forks in (("comparison", "ISZERO", FEW), ("bitwise", "NOT", FEW), ("clz", "CLZ", ["Osaka"])):
        case(file, f"{op}_edges", code=unary(op), data=[words(*EDGES)], gas=gas, forks=forks)
    case("clz", "CLZ_every_bit", code=f"256 a: 1 SWAP1 SUB 1 DUP2 SHL DUP1 CLZ {FOLD} 1 SWAP1 SUB CLZ {FOLD} DUP1 @a JUMPI {FINISH}", gas=gas, forks=["Osaka"])
    case("clz", "CLZ_before_Osaka", code="1 CLZ STOP", forks=["Cancun", "Prague"], ends="halt")
    case("shifts", "before_Constantinople", code="1 CALLDATASIZE SHL STOP", forks=["Homestead", "Byzantium"], ends="halt")
    case("arithmetic", "EXP_gas_by_exponent_size", code="0 a: DUP1 8 MUL 2 EXP 3 EXP 0 SSTORE GAS 0 MSTORE 1 ADD 33 DUP2 LT @a JUMPI 32 0 LOG0 STOP", gas=gas, forks=ALL)
    lengths = [0, 1, 31, 32, 33, 55, 56, 135, 136, 137, 271, 272, 273, 1000, 4096, 10_000]
    case("keccak", "lengths", code="0 a: DUP1 CALLDATALOAD 64 KECCAK256 32 MSTORE 64 0 KECCAK256 0 MSTORE 1 2000 MSTORE8 " + NEXT + " @a JUMPI " + FINISH, data=[words(*lengths)], forks=FEW, gas=gas)
    case("keccak", "huge_offset_of_nothing", code="0 0xffffffffffffffffffffffffffffffff KECCAK256 0 SSTORE STOP", forks=FEW)
    case("keccak", "huge_length", code="0xffffffffffffffff 0 KECCAK256 0 SSTORE STOP", forks=FEW, ends="halt")


def environment(case):
    eoa, empty, code_at = at(0x20), at(0x21), at(0x22)
    pre = {eoa: {"balance": "0x9"}, code_at: {"code": "0x6001600255", "balance": "0x3", "nonce": 1}, MAIN: {"balance": "0x1234"}}
    names = "ADDRESS ORIGIN CALLER CALLVALUE CALLDATASIZE CODESIZE GASPRICE COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT PC MSIZE GAS"
    store = lambda ops, first=0: " ".join(f"{op} {i} SSTORE" for i, op in enumerate(ops, first)) + " STOP"
    simple = names.split() + [f"{t} BALANCE" for t in (eoa, empty, MAIN, SENDER)] + [f"{t} EXTCODESIZE" for t in (eoa, empty, code_at, MAIN, "1")]
    case("environment", "values", code=store(simple), pre=pre, data=["0x", words(1, 2)], value=[0, 5], gas=[2_000_000])
    case("environment", "EXTCODEHASH", code=store([f"{t} EXTCODEHASH" for t in (eoa, empty, code_at, MAIN, "1", "9", "0xffffffff")]), pre=pre, forks=since("ConstantinopleFix"))
    case("environment", "CHAINID_SELFBALANCE", code=store(["CHAINID", "SELFBALANCE"]), pre=pre, value=[0, 7], forks=since("Istanbul"))
    case("environment", "SELFBALANCE_in_delegatecall", pre=pre | {at(0x30): {"code": store(["SELFBALANCE", "ADDRESS BALANCE"])}}, code=f"0 0 0 0 {at(0x30)} 100000 DELEGATECALL 5 SSTORE STOP", value=[3],
         forks=since("Istanbul"))
    case("environment", "BASEFEE_GASPRICE", code=store(["BASEFEE", "GASPRICE"]), forks=since("London"))
    for op, forks in (("CHAINID", ["ConstantinopleFix"]), ("BASEFEE", ["Berlin"]), ("PUSH0", ["Paris"]), ("BLOBBASEFEE", ["Shanghai"]), ("0 EXTCODEHASH", ["Byzantium"]), ("RETURNDATASIZE", ["EIP158"])):
        case("environment", f"{op.split()[-1]}_before_its_fork", code=f"{op} 0 SSTORE STOP", forks=forks, ends="halt")
    big = "0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff"
    case("environment", "CALLDATALOAD_bounds", code=store([f"{o} CALLDATALOAD" for o in (0, 1, 31, 32, 33, 63, 64, "0xffffffff", "0x10000000000000000", big)]), data=["0x", "0x01", words(2**256 - 1, 5)], forks=FEW)
    copies = [(0, 0, 5), (3, 1, 40), (64, 30, 10), (7, 1000, 33), (9, big, 32), (200, "0x10000000000000000", 8), (0, 0, 0)]
    for op, head in (("CALLDATACOPY", ""), ("CODECOPY", ""), ("EXTCODECOPY", code_at)):
        body = " ".join(f"{n} {src} {dst} {head} {op}" for dst, src, n in copies)
        case("environment", f"{op}_bounds", code=f"1 0 NOT 0 MSTORE {body} MSIZE 0 SSTORE MSIZE 0 KECCAK256 1 SSTORE MSIZE 0 LOG0 STOP", pre=pre, data=[words(2**256 - 1, 5)], forks=FEW)
        case("environment", f"{op}_length_too_large", code=f"0xffffffff 0 0 {head} {op} STOP", pre=pre, forks=["Frontier", "Osaka"], ends="halt")
    number = 1000
    ask = [number - 1, number - 2, number - 255, number - 256, number - 257, 0, number, number + 1, "0xffffffffffffffffffffffffffffffffffff"]
    case("block", "BLOCKHASH", code=store([f"{n} BLOCKHASH" for n in ask]), forks=ALL)
    case("block", "values", code=store("COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT".split() + ["COINBASE BALANCE"]), forks=ALL, env={"currentNumber": "0x7", "currentTimestamp": "0xffffffffffff"})
    case("block", "BLOBBASEFEE", code=store(["BLOBBASEFEE", "0 BLOBHASH", "1 BLOBHASH"]), forks=since("Cancun"), env={"currentExcessBlobGas": "0x3000000"})


def memory(case):
    case("memory", "MSTORE_MLOAD_MSIZE", code="0x1122334455667788 3 MSTORE 0xff 70 MSTORE8 MSIZE 100 MLOAD POP MSIZE 0 SSTORE 1 SSTORE 0 MLOAD 2 SSTORE 31 MLOAD 3 SSTORE 0x1ff 200 MSTORE8 MSIZE 0 LOG0 STOP", forks=FEW)
    case("memory", "expansion_gas", code="32 a: GAS 0 MSTORE DUP1 MLOAD POP GAS 32 MSTORE 64 0 LOG0 2 MUL 2000000 DUP2 LT @a JUMPI STOP", gas=[12_000_000], forks=FEW)
    for name, body in (("MLOAD", "0xffffffffffffffff MLOAD STOP"), ("MSTORE", "1 0x7fffffffffffffffffffffff MSTORE STOP"), ("MSTORE8", "1 0xffffffffff MSTORE8 STOP"), ("RETURN", "0xffffffffff 0 RETURN"),
                       ("LOG0", "1 0xffffffffffffffff LOG0 STOP"), ("wraps_256_bits", f"32 {2**256 - 31} RETURN")):
        case("memory", f"{name}_too_far", code=body, forks=["Frontier", "Byzantium", "Osaka"], ends="halt")
    fill = " ".join(f"{0x0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20 + i * 7} {i * 32} MSTORE" for i in range(4))
    moves = [(0, 1, 31), (1, 0, 31), (0, 32, 32), (5, 5, 60), (10, 0, 100), (0, 10, 100), (300, 0, 1), (0, 500, 40), (96, 33, 63)]
    for i, (dst, src, n) in enumerate(moves):
        case("memory", f"MCOPY_{i}_{dst}_{src}_{n}", code=f"{fill} {n} {src} {dst} MCOPY MSIZE 0 SSTORE MSIZE 0 LOG0 STOP", forks=since("Cancun"))
    case("memory", "MCOPY_nothing_far_away", code="0 0xffffffffffffffffffff 0xffffffffffffffffffff MCOPY MSIZE 0 SSTORE STOP", forks=since("Cancun"))
    case("memory", "MCOPY_source_too_far", code="1 0xffffffffffffffffffff 0 MCOPY STOP", forks=since("Cancun"), ends="halt")
    case("memory", "MCOPY_before_Cancun", code="0 0 0 MCOPY STOP", forks=["Shanghai"], ends="halt")
    for n in range(1, 17):
        pushes = " ".join(str(100 + i) for i in range(17))
        case("stack", f"DUP{n}_SWAP{n}", code=f"{pushes} DUP{n} 0 SSTORE SWAP{n} 1 SSTORE " + " ".join(f"{i} SSTORE" for i in range(2, 18)) + " STOP", forks=["Frontier", "Osaka"])
    case("stack", "PUSH_all_widths", code=" ".join(f"PUSH{n}:0x{'a5' * n} {n} SSTORE" for n in range(1, 33)) + " STOP", forks=["Frontier", "Osaka"], gas=[2_000_000])
    case("stack", "PUSH_past_the_end", code="0x600160005560016000557f1122", forks=FEW)
    case("stack", "PUSH0", code="PUSH0 PUSH0 SSTORE 7 PUSH0 SSTORE STOP", forks=since("Shanghai"))
    case("stack", "depth_1024", code="1021 a: 7 SWAP1 1 SWAP1 SUB DUP1 @a JUMPI 0 SSTORE 1 SSTORE STOP", forks=["Frontier", "Osaka"])
    case("stack", "overflow", code="a: 1 @a JUMP", forks=["Frontier", "Byzantium", "Osaka"], ends="halt")
    case("stack", "underflow", to="", data=[asm(o) for o in ("POP", "ADD", "1 ADD", "1 SSTORE", "DUP1", "1 DUP2", "SWAP1", "1 SWAP1", "1 1 1 1 1 1 CALL", "JUMP", "0 LOG0", "0 RETURN", "0 0 CREATE", "SELFDESTRUCT")],
         forks=["Frontier", "Byzantium", "Osaka"], ends="halt")


def storage(case):
    # EIP-2200's sequences: (value before the transaction, values written).
    table = [(0, (0, 0)), (0, (0, 1)), (0, (1, 0)), (0, (1, 2)), (0, (1, 1)), (1, (0, 0)), (1, (0, 1)), (1, (0, 2)), (1, (2, 0)), (1, (2, 3)), (1, (2, 1)), (1, (2, 2)), (1, (1, 0)), (1, (1, 2)), (1, (1, 1)),
             (0, (1, 0, 1)), (1, (0, 1, 0))]
    for i, (before, values) in enumerate(table):
        case("storage", f"SSTORE_{before}_" + "_".join(map(str, values)), code=" ".join(f"{v} 0 SSTORE" for v in values) + " STOP", pre={MAIN: {"storage": {0: before} if before else {}}},
             forks=["EIP158", "ConstantinopleFix", "Istanbul", "Berlin", "London", "Osaka"])
    all_three = [(o, a, b, c) for o in range(3) for a in range(3) for b in range(3) for c in range(3)]
    case("storage", "SSTORE_all_sequences", code=" ".join(f"{v} {s} SSTORE GAS {s * 32} MSTORE" for s, (_, *values) in enumerate(all_three) for v in values) + " MSIZE 0 LOG0 STOP",
         pre={MAIN: {"storage": {s: o for s, (o, *_) in enumerate(all_three) if o}}}, gas=[8_000_000])
    case("storage", "SSTORE_with_gas", pre={at(2): {"code": "1 0 SSTORE STOP"}}, code=" ".join(f"0 0 0 0 0 {at(2)} {g} CALL {i} SSTORE" for i, g in enumerate((2305, 2306, 2307, 5005, 5006, 20005, 20006, 22105, 22106))) + " STOP")
    case("storage", "SLOAD_cold_warm", pre={MAIN: {"storage": {1: 5}}}, code="GAS 0 SLOAD POP GAS 0 SLOAD POP GAS 1 SLOAD POP GAS 0 MSTORE 32 MSTORE 64 MSTORE 96 MSTORE 128 0 LOG0 STOP")
    case("storage", "reverted_call_keeps_nothing", pre={at(2): {"code": "1 0 SSTORE 2 1 SSTORE 0 SLOAD POP 0 0 REVERT"}}, code=f"0 0 0 0 0 {at(2)} 60000 CALL 0 SSTORE 0 0 0 0 {at(2)} 60000 DELEGATECALL 1 SSTORE GAS 2 SSTORE STOP",
         forks=since("Byzantium"))
    case("storage", "refund_cap", code=" ".join(f"0 {i} SSTORE" for i in range(20)) + " STOP", pre={MAIN: {"storage": {i: 1 for i in range(20)}}})
    one = "1 0 TSTORE 0 TLOAD 0 SSTORE 1 TLOAD 1 SSTORE 2 0 TSTORE 0 TLOAD 2 SSTORE "
    inner = at(2)
    cancun = since("Cancun")
    case("transient", "TSTORE_TLOAD", code=one + "STOP", forks=cancun)
    case("transient", "before_Cancun", code="0 TLOAD STOP", forks=["Shanghai"], ends="halt")
    case("transient", "per_account", pre={inner: {"code": "0 TLOAD 0 SSTORE 9 0 TSTORE STOP"}}, code=f"5 0 TSTORE 0 0 0 0 0 {inner} 60000 CALL POP 0 TLOAD 0 SSTORE 0 0 0 0 {inner} 60000 DELEGATECALL POP 0 TLOAD 1 SSTORE STOP", forks=cancun)
    case("transient", "revert_restores", pre={inner: {"code": "7 0 TSTORE 0 0 REVERT"}}, code=f"5 0 TSTORE 0 0 0 0 {inner} 60000 DELEGATECALL 1 SSTORE 0 TLOAD 0 SSTORE STOP", forks=cancun)
    case("transient", "halt_restores", pre={inner: {"code": "7 0 TSTORE INVALID"}}, code=f"5 0 TSTORE 0 0 0 0 {inner} 60000 DELEGATECALL 1 SSTORE 0 TLOAD 0 SSTORE STOP", forks=cancun)
    case("transient", "static_may_read_not_write", pre={inner: {"code": "0 TLOAD 0 MSTORE 32 0 RETURN"}, at(3): {"code": "1 0 TSTORE STOP"}},
         code=f"32 0 0 0 {inner} 60000 STATICCALL 0 SSTORE 0 0 0 0 {at(3)} 60000 STATICCALL 1 SSTORE STOP", forks=cancun)
    case("transient", "TSTORE_with_stipend", pre={inner: {"code": "1 0 TSTORE STOP"}, MAIN: {"balance": "0x9"}}, code=f"0 0 0 0 1 {inner} 0 CALL 0 SSTORE STOP", forks=cancun)
    case("transient", "reentry", code="CALLER ADDRESS EQ @inside JUMPI 1 0 TSTORE 0 0 0 0 0 ADDRESS 100000 CALL 1 SSTORE 0 TLOAD 0 SSTORE STOP inside: 0 TLOAD 5 ADD 0 TSTORE STOP", forks=cancun)


def control(case):
    good = {"JUMP": "@x JUMP INVALID x: 1 0 SSTORE STOP", "JUMPI_taken": "5 @x JUMPI INVALID x: 1 0 SSTORE STOP", "JUMPI_not_taken": "0 9999 JUMPI 1 0 SSTORE STOP", "PC": "PC 0 SSTORE PC PC 1 SSTORE 2 SSTORE STOP",
            "loop": "100 a: 1 SWAP1 SUB DUP1 @a JUMPI 0 SSTORE GAS 1 SSTORE STOP", "RETURN": "1 0 SSTORE 32 0 RETURN", "runs_off_the_end": "1 0 SSTORE", "empty": "0x", "GAS": "GAS 0 SSTORE GAS 1 SSTORE STOP"}
    for name, code in good.items():
        case("control", name, code=code, forks=["Frontier", "Byzantium", "Berlin", "Osaka"])
    bad = {"into_push_data": "PUSH2:0x5b5b 1 JUMP STOP", "not_a_jumpdest": "0 JUMP STOP", "past_the_end": "1000 JUMP STOP", "beyond_64_bits": "0x1000000000000000d JUMP PC PC PC JUMPDEST STOP",
           "INVALID": "1 0 SSTORE INVALID", "unassigned": "%0c", "out_of_gas": "a: @a JUMP", "JUMPI_taken_badly": "1 2 JUMPI STOP", "jumpdest_is_data_at_the_end": "4 JUMP %605b"}
    for name, code in bad.items():
        case("control", "bad_" + name, code=code, forks=["Frontier", "Byzantium", "Osaka"], ends="halt", gas=[100_000])
    case("control", "REVERT", code="1 0 SSTORE 0xabcd 0 MSTORE 32 0 REVERT", forks=["Byzantium", "Berlin", "Osaka"], ends="halt")
    # Every byte as an opcode: eight operands, the opcode, and then what it left on the stack into storage.
    pre = {at(0x1000 + op): {"code": asm(" ".join(f"PUSH1:{v}" for v in (1, 1, 32, 32, 0, 64, 33, 2)) + f" %{op:02x} " + " 0 SSTORE STOP"), "nonce": 1} for op in range(256) if op != OPCODES["SELFDESTRUCT"]}
    body = f"0 a: GAS 0 0 0 0 0 DUP7 {int(at(0x1000), 16)} ADD 60000 CALL DUP3 64 MUL MSTORE GAS SWAP1 SUB DUP2 64 MUL 32 ADD MSTORE 1 ADD 255 DUP2 LT @a JUMPI MSIZE 0 KECCAK256 0 SSTORE MSIZE 0 LOG0 STOP"
    case("control", "every_byte_as_opcode", code=body, pre=pre, gas=[16_000_000], forks=ALL)
    topics = " ".join(str(n) for n in (4, 3, 2, 1))
    case("logs", "LOG0_to_LOG4", code="0x1122 0 MSTORE " + " ".join(f"{topics} {size} {offset} LOG{n}" for n in range(5) for size, offset in ((0, 0), (1, 31), (64, 500), (0, "0xffffffffffffff"))) + " STOP", forks=FEW)
    case("logs", "order_over_calls_and_reverts", pre={at(2): {"code": "2 0 0 LOG1 STOP"}, at(3): {"code": "3 0 0 LOG1 INVALID"}},
         code=f"1 0 0 LOG1 0 0 0 0 0 {at(2)} 9000 CALL POP 0 0 0 0 0 {at(3)} 9000 CALL POP 0 0 0 0 0 {at(2)} 9000 CALLCODE POP 4 0 0 LOG1 STOP", forks=FEW)
    case("logs", "in_static_call", pre={at(2): {"code": "0 0 LOG0 STOP"}}, code=f"0 0 0 0 {at(2)} 9000 STATICCALL 0 SSTORE STOP", forks=since("Byzantium"))
    case("logs", "dropped_with_the_transaction", code="1 0 0 LOG1 INVALID", forks=FEW, ends="halt")


def add(case):
    computing(case)
    environment(case)
    memory(case)
    storage(case)
    control(case)
