"""The engine that fills state tests with the execution specs: an assembler, transactions, signatures, expectations."""

import itertools
import re

from coincurve import PrivateKey
from ethereum.crypto.hash import keccak256
from ethereum.exceptions import EthereumException, InvalidTransaction
from ethereum_rlp import rlp
from ethereum_rlp.exceptions import RLPException
from ethereum_types.bytes import Bytes
from ethereum_types.numeric import Uint

from eels import Spec, hexraw, num, raw, scalar

# Fixture name -> pack name of the fork. ConstantinopleFix is what the specs call Constantinople.
FORKS = {
    "Frontier": "Frontier", "Homestead": "Homestead", "EIP150": "Tangerine", "EIP158": "Spurious", "Byzantium": "Byzantium", "ConstantinopleFix": "Petersburg",
    "Istanbul": "Istanbul", "Berlin": "Berlin", "London": "London", "Paris": "Paris", "Shanghai": "Shanghai", "Cancun": "Cancun", "Prague": "Prague", "Osaka": "Osaka",
}
ALL = list(FORKS)
FEW = ["Frontier", "EIP158", "Byzantium", "Istanbul", "London", "Osaka"]


def since(first, last="Osaka"):
    return ALL[ALL.index(first):ALL.index(last) + 1]


OPCODES = {name: code for code, names in {
    0x00: "STOP ADD MUL SUB DIV SDIV MOD SMOD ADDMOD MULMOD EXP SIGNEXTEND", 0x10: "LT GT SLT SGT EQ ISZERO AND OR XOR NOT BYTE SHL SHR SAR CLZ", 0x20: "KECCAK256",
    0x30: "ADDRESS BALANCE ORIGIN CALLER CALLVALUE CALLDATALOAD CALLDATASIZE CALLDATACOPY CODESIZE CODECOPY GASPRICE EXTCODESIZE EXTCODECOPY RETURNDATASIZE RETURNDATACOPY EXTCODEHASH",
    0x40: "BLOCKHASH COINBASE TIMESTAMP NUMBER PREVRANDAO GASLIMIT CHAINID SELFBALANCE BASEFEE BLOBHASH BLOBBASEFEE",
    0x50: "POP MLOAD MSTORE MSTORE8 SLOAD SSTORE JUMP JUMPI PC MSIZE GAS JUMPDEST TLOAD TSTORE MCOPY PUSH0", 0xA0: "LOG0 LOG1 LOG2 LOG3 LOG4",
    0xF0: "CREATE CALL CALLCODE RETURN DELEGATECALL CREATE2", 0xFA: "STATICCALL", 0xFD: "REVERT INVALID SELFDESTRUCT",
}.items() for code, name in enumerate(names.split(), code)}
OPCODES |= {f"DUP{i}": 0x7F + i for i in range(1, 17)} | {f"SWAP{i}": 0x8F + i for i in range(1, 17)}


def asm(text):
    """Mnemonics and numbers (the shortest PUSH); `PUSH5:0x01` a fixed width; `@x` pushes label `x:`; `%ab` a raw byte."""
    out, labels, uses = bytearray(), {}, []
    for word in text.split():
        if word.startswith("PUSH") and ":" in word:
            width, value = word[4:].split(":")
            out += bytes([0x5F + int(width)]) + num(value if value.startswith("0x") else int(value)).to_bytes(int(width), "big")
        elif word.endswith(":"):
            labels[word[:-1]] = len(out)
            out.append(0x5B)
        elif word.startswith("@"):
            uses.append((len(out) + 1, word[1:]))
            out += b"\x61\0\0"
        elif word.startswith("%"):
            out += bytes.fromhex(word[1:])
        elif re.fullmatch(r"0x[0-9a-fA-F]+|\d+", word):
            value = int(word, 0)
            size = max(1, (value.bit_length() + 7) // 8)
            out += bytes([0x5F + size]) + value.to_bytes(size, "big")
        else:
            out.append(OPCODES[word])
    for at, name in uses:
        out[at:at + 2] = labels[name].to_bytes(2, "big")
    return "0x" + out.hex()


def assembled(text):
    """Code as hex stays, a program is assembled."""
    return text if text.startswith("0x") and " " not in text else asm(text)


def deployer(runtime):
    """Init code that returns `runtime`."""
    body = runtime.removeprefix("0x")
    size = len(body) // 2
    return asm(f"PUSH3:{size} PUSH1:14 0 CODECOPY PUSH3:{size} 0 RETURN") + body


def words(*values):
    return "0x" + "".join(f"{int(v, 16) if isinstance(v, str) else v % 2**256:064x}" for v in values)


def at(number):
    """A contract's address: outside of every precompile range."""
    return f"0xc0de{number:036x}"


KEY = keccak256(b"isolane state test sender")
MAIN, COINBASE = at(1), "0x2adc25665018aa1fe0e6bc666dac8fc2697ff9ba"


def address_of(key):
    return hexraw(keccak256(PrivateKey(bytes(key)).public_key.format(compressed=False)[1:])[12:])


SENDER = address_of(KEY)
ENV = {"currentCoinbase": COINBASE, "currentDifficulty": "0x20000", "currentRandom": hexraw(keccak256(b"random")), "currentGasLimit": "0x5f5e100", "currentNumber": "0x3e8",
       "currentTimestamp": "0x65f00000", "currentBaseFee": "0x7", "currentExcessBlobGas": "0x0"}


def sign(key, digest):
    signature = PrivateKey(bytes(key)).sign_recoverable(bytes(digest), hasher=None)
    return signature[64], int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")


def authorization(key, address, nonce, chain_id=1, **changes):
    """A signed EIP-7702 tuple; `changes` spoil it after signing."""
    v, r, s = sign(key, keccak256(b"\x05" + rlp.encode([scalar(chain_id), raw(address), scalar(nonce)])))
    entry = {"chainId": hex(chain_id), "address": address, "nonce": hex(nonce), "v": hex(v), "yParity": hex(v), "r": hex(r), "s": hex(s), "signer": address_of(key)}
    return entry | {k: hex(x) for k, x in changes.items()} | ({"v": hex(changes["yParity"])} if "yParity" in changes else {})


def signed(spec, tx, index):
    """The transaction's bytes. Legacy ones are bound to the chain where the fork knows that (EIP-155)."""
    data, gas, value = (tx[k][index[{"data": "data", "gasLimit": "gas", "value": "value"}[k]]] for k in ("data", "gasLimit", "value"))
    one = {"nonce": tx["nonce"], "gas": gas, "to": tx["to"], "value": value, "input": data, "type": "0x0", "chainId": hex(tx.get("_chain", 1))}
    lists = tx.get("accessLists")
    if lists and lists[index["data"]] is not None:
        one |= {"type": "0x1", "accessList": lists[index["data"]]}
    if "gasPrice" in tx:
        one["gasPrice"] = tx["gasPrice"]
    else:
        one |= {"type": "0x2", "maxFeePerGas": tx["maxFeePerGas"], "maxPriorityFeePerGas": tx["maxPriorityFeePerGas"]}
    if "blobVersionedHashes" in tx:
        one |= {"type": "0x3", "maxFeePerBlobGas": tx["maxFeePerBlobGas"], "blobVersionedHashes": tx["blobVersionedHashes"]}
    if "authorizationList" in tx:
        one |= {"type": "0x4", "authorizationList": tx["authorizationList"]}
    kind = num(one["type"])
    if kind == 0:
        fields = [scalar(one["nonce"]), scalar(one["gasPrice"]), scalar(gas), raw(one["to"]), scalar(value), raw(data)]
        protected = spec.fork not in ("Frontier", "Homestead", "Tangerine")
        chain = num(one["chainId"])
        v, r, s = sign(raw(tx["secretKey"]), keccak256(rlp.encode(fields + ([scalar(chain), b"", b""] if protected else []))))
        one |= {"v": hex(v + (35 + 2 * chain if protected else 27)), "r": hex(r), "s": hex(s)}
    else:
        unsigned = rlp.decode(spec.raw_transaction(one | {"v": "0x0", "yParity": "0x0", "r": "0x0", "s": "0x0"})[1:])[:-3]
        v, r, s = sign(raw(tx["secretKey"]), keccak256(bytes([kind]) + rlp.encode(unsigned)))
        one |= {"v": hex(v), "yParity": hex(v), "r": hex(r), "s": hex(s)}
    return spec.raw_transaction(one)


class Filler:
    def __init__(self):
        self.specs = {name: Spec(fork) for name, fork in FORKS.items()}
        self.files, self.entries, self.wrong = {}, 0, []

    def run(self, fork, env, pre, data):
        """(state root, logs hash, whether it succeeded, the exception that refused it)."""
        spec = self.specs[fork]
        state = spec.make_state(pre)
        number = num(env["currentNumber"])
        block = {"gasLimit": env["currentGasLimit"], "miner": env["currentCoinbase"], "number": env["currentNumber"], "timestamp": env["currentTimestamp"], "difficulty": env["currentDifficulty"],
                 "baseFeePerGas": env["currentBaseFee"], "mixHash": env["currentRandom"], "excessBlobGas": env["currentExcessBlobGas"]}
        hashes = [hexraw(keccak256(str(n).encode())) for n in range(max(0, number - 256), number)]
        block_env = spec.block_env(1, block, state, hashes)
        output = spec.vm.BlockOutput()
        before = spec.state.state_root(state)
        try:
            transaction = spec.transaction(data)
            decode = getattr(spec.transactions, "decode_transaction", None)
            if decode:
                transaction = decode(transaction)
            elif isinstance(transaction, bytes):
                raise InvalidTransaction("the fork has no typed transactions")
            spec.rules.process_transaction(block_env, output, transaction, Uint(0))
        except (EthereumException, RLPException) as error:
            if spec.state.state_root(state) != before:
                raise RuntimeError(f"{fork}: a refused transaction changed the state") from error
            return hexraw(before), None, False, type(error).__name__ + (f": {error}" if str(error) else "")
        receipt = output.receipts_trie._data[Bytes(rlp.encode(Uint(0)))]
        if isinstance(receipt, bytes):
            receipt = spec.blocks.decode_receipt(receipt)
        # Before Byzantium receipts do not tell: then a failure is that all gas is gone.
        good = getattr(receipt, "succeeded", int(output.block_gas_used) < int(transaction.gas))
        logs = rlp.encode([[log.address, list(log.topics), log.data] for log in output.block_logs])
        return hexraw(spec.state.state_root(state)), hexraw(keccak256(logs)), good, None

    def case(self, file, name, *, code=None, pre=None, data=("0x",), gas=(1_000_000,), value=(0,), to=MAIN, forks=ALL, env=None, ends="ok", reject=None, **tx):
        """One test. `ends`: ok, halt (every entry fails), any. `reject`: the exception's name: every entry must be refused."""
        env = ENV | (env or {})
        accounts = {SENDER: {"balance": hex(10**21)}}
        if code is not None:
            accounts[MAIN] = {"code": assembled(code), "nonce": 1}
        for address, account in (pre or {}).items():
            accounts[address] = accounts.get(address, {}) | {k: (assembled(v) if k == "code" else v) for k, v in account.items()}
        filled = {a: {"balance": c.get("balance", "0x0"), "nonce": hex(num(c.get("nonce", 0))), "code": c.get("code", "0x"),
                      "storage": {words(num(k)): words(num(v)) for k, v in c.get("storage", {}).items()}} for a, c in accounts.items()}
        price = {} if "maxFeePerGas" in tx else {"gasPrice": "0xa"}
        transaction = {"nonce": "0x0", "to": to, "data": list(data), "gasLimit": [hex(g) for g in gas], "value": [hex(v) for v in value], "secretKey": hexraw(KEY), "sender": SENDER, **price, **tx}
        post, problems = {}, set()
        for fork in forks:
            entries = post[fork] = []
            for d, g, v in itertools.product(range(len(data)), range(len(gas)), range(len(value))):
                index = {"data": d, "gas": g, "value": v}
                encoded = signed(self.specs[fork], transaction, index)
                root, logs, good, refused = self.run(fork, env, filled, encoded)
                where = f"{file} {name} {fork} {d}/{g}/{v}"
                if (refused is not None) != (reject is not None):
                    self.wrong.append(f"{where}: refused: {refused}, expected: {reject}")
                if refused is None and ends != "any" and good != (ends == "ok"):
                    self.wrong.append(f"{where}: ended {'well' if good else 'badly'}, expected {ends}")
                if refused:
                    problems.add(refused)
                entry = {"indexes": {"data": d, "gas": g, "value": v}, "hash": root, "logs": logs or hexraw(keccak256(rlp.encode([])))}
                if reject:
                    entry["expectException"] = "TransactionException." + reject
                if len(encoded) <= 400:
                    entry["txbytes"] = hexraw(encoded)
                entries.append(entry)
                self.entries += 1
        if reject:
            print(f"  {name}: {reject}: the specs say {sorted(problems)}")
        tests = self.files.setdefault(file, {})
        if name in tests:
            raise RuntimeError(f"two tests named {name} in {file}")
        public = {k: v for k, v in transaction.items() if not k.startswith("_")}
        tests[name] = {"env": env, "pre": filled, "transaction": public, "post": post, "config": {"chainid": "0x01"}}
