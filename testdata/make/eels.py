"""The execution specs (PyPI `ethereum-execution`) behind one small interface: states from JSON, blocks from packs."""

import dataclasses
import importlib
import json
import sys

import zstandard
from ethereum.crypto.hash import keccak256
from ethereum_rlp import rlp
from ethereum_types.bytes import Bytes, Bytes32
from ethereum_types.numeric import U64, U256, Uint

# Pack name, execution-specs module, name that anvil takes (None: it has no such fork).
FORKS = [
    ("Frontier", "frontier", "frontier"), ("Homestead", "homestead", "homestead"), ("Tangerine", "tangerine_whistle", "tangerine"),
    ("Spurious", "spurious_dragon", "spuriousdragon"), ("Byzantium", "byzantium", "byzantium"), ("Constantinople", "constantinople", None),
    ("Petersburg", "constantinople", "petersburg"), ("Istanbul", "istanbul", "istanbul"), ("Berlin", "berlin", "berlin"), ("London", "london", "london"),
    ("Paris", "paris", "paris"), ("Shanghai", "shanghai", "shanghai"), ("Cancun", "cancun", "cancun"), ("Prague", "prague", "prague"), ("Osaka", "osaka", "osaka"),
]
NAMES = [name for name, _, _ in FORKS]
EMPTY_CODE_HASH = keccak256(b"")

# Thousands of nested EVM calls are tens of thousands of Python frames.
sys.setrecursionlimit(200_000)


def since(fork, name):
    return NAMES.index(fork) >= NAMES.index(name)


def num(text):
    return int(text, 16) if isinstance(text, str) else int(text)


def raw(text):
    text = text.removeprefix("0x")
    return bytes.fromhex("0" * (len(text) % 2) + text)


def hexnum(value):
    return hex(int(value))


def hexraw(value):
    return "0x" + bytes(value).hex()


def scalar(text):
    """Big-endian without leading zeros, as RLP writes numbers."""
    value = num(text)
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def read_pack(path):
    with open(path, "rb") as file:
        return json.loads(zstandard.ZstdDecompressor().decompress(file.read(), max_output_size=1 << 30))


def write_pack(path, pack):
    data = json.dumps(pack, separators=(",", ":")).encode()
    with open(path, "wb") as file:
        file.write(zstandard.ZstdCompressor(level=19, write_content_size=True).compress(data))


class Spec:
    """One fork of the execution specs."""

    def __init__(self, fork):
        self.fork = fork
        self.module = next(module for name, module, _ in FORKS if name == fork)
        self.rules = importlib.import_module(f"ethereum.forks.{self.module}.fork")
        for part in ("state", "trie", "vm", "blocks", "fork_types", "transactions", "bloom"):
            setattr(self, part, importlib.import_module(f"ethereum.forks.{self.module}.{part}"))
        self.legacy = getattr(self.transactions, "LegacyTransaction", self.transactions.Transaction)

    # State.
    def make_state(self, accounts):
        state = self.state.State()
        for address, account in accounts.items():
            address = self.fork_types.Address(raw(address))
            fields = {"nonce": Uint(num(account.get("nonce", 0))), "balance": U256(num(account.get("balance", "0x0"))), "code": Bytes(raw(account.get("code", "0x")))}
            self.state.set_account(state, address, self.fork_types.Account(**fields))
            for slot, value in account.get("storage", {}).items():
                self.state.set_storage(state, address, Bytes32(raw(slot).rjust(32, b"\0")), U256(num(value)))
        return state

    def dump(self, state):
        accounts = {}
        for address, account in state._main_trie._data.items():
            if account is None:
                continue
            entry = {"balance": hexnum(account.balance)}
            if account.nonce:
                entry["nonce"] = int(account.nonce)
            if account.code:
                entry["code"] = hexraw(account.code)
            trie = state._storage_tries.get(address)
            storage = {hexraw(k): "0x%064x" % int(v) for k, v in sorted(trie._data.items()) if int(v)} if trie else {}
            if storage:
                entry["storage"] = storage
            accounts[hexraw(address)] = entry
        return dict(sorted(accounts.items()))

    # Transactions.
    def access_list(self, tx):
        return [[raw(e["address"]), [raw(k) for k in e["storageKeys"]]] for e in tx.get("accessList") or []]

    def raw_transaction(self, tx):
        """The bytes that are signed and hashed, from the RPC object."""
        kind = num(tx.get("type", "0x0"))
        to = raw(tx["to"]) if tx.get("to") else b""
        sign = [scalar(tx.get("yParity", tx["v"]) if kind else tx["v"]), scalar(tx["r"]), scalar(tx["s"])]
        body = [scalar(tx["gas"]), to, scalar(tx["value"]), raw(tx["input"])]
        if kind == 0:
            return rlp.encode([scalar(tx["nonce"]), scalar(tx["gasPrice"]), *body, *sign])
        head = [scalar(tx["chainId"]), scalar(tx["nonce"])]
        price = [scalar(tx["gasPrice"])] if kind == 1 else [scalar(tx["maxPriorityFeePerGas"]), scalar(tx["maxFeePerGas"])]
        fields = [*head, *price, *body, self.access_list(tx)]
        if kind == 3:
            fields += [scalar(tx["maxFeePerBlobGas"]), [raw(h) for h in tx["blobVersionedHashes"]]]
        if kind == 4:
            fields.append([[scalar(a["chainId"]), raw(a["address"]), scalar(a["nonce"]), scalar(a["yParity"]), scalar(a["r"]), scalar(a["s"])] for a in tx["authorizationList"]])
        return bytes([kind]) + rlp.encode([*fields, *sign])

    def transaction(self, data):
        """What `apply_body` takes: a decoded legacy transaction, or the bytes of a typed one."""
        return rlp.decode_to(self.legacy, Bytes(data)) if data[0] >= 0xC0 else Bytes(data)

    # Blocks.
    def header_fields(self, block):
        fork, h = self.fork, block
        fields = [raw(h["parentHash"]), raw(h["sha3Uncles"]), raw(h["miner"]), raw(h["stateRoot"]), raw(h["transactionsRoot"]), raw(h["receiptsRoot"]), raw(h["logsBloom"]),
                  scalar(h["difficulty"]), scalar(h["number"]), scalar(h["gasLimit"]), scalar(h["gasUsed"]), scalar(h["timestamp"]), raw(h["extraData"]), raw(h["mixHash"]), raw(h["nonce"]).rjust(8, b"\0")]
        if since(fork, "London"):
            fields.append(scalar(h["baseFeePerGas"]))
        if since(fork, "Shanghai"):
            fields.append(raw(h["withdrawalsRoot"]))
        if since(fork, "Cancun"):
            fields += [scalar(h["blobGasUsed"]), scalar(h["excessBlobGas"]), raw(h["parentBeaconBlockRoot"])]
        if since(fork, "Prague"):
            fields.append(raw(h["requestsHash"]))
        return fields

    def block_hash(self, block):
        return hexraw(keccak256(rlp.encode(self.header_fields(block))))

    def block_env(self, chain_id, block, state, hashes):
        """`hashes`: the ancestors' hashes, oldest first, the parent's last."""
        values = {
            "chain_id": U64(chain_id), "state": state, "block_gas_limit": Uint(num(block["gasLimit"])), "block_hashes": [Bytes32(raw(h)) for h in hashes],
            "coinbase": self.fork_types.Address(raw(block["miner"])), "number": Uint(num(block["number"])), "time": U256(num(block["timestamp"])),
            "difficulty": Uint(num(block.get("difficulty", "0x0"))), "base_fee_per_gas": Uint(num(block.get("baseFeePerGas") or "0x0")),
            "prev_randao": Bytes32(raw(block.get("mixHash", "0x")).rjust(32, b"\0")), "excess_blob_gas": U64(num(block.get("excessBlobGas") or "0x0")),
            "parent_beacon_block_root": Bytes32(raw(block.get("parentBeaconBlockRoot") or "0x").rjust(32, b"\0")),
        }
        names = [field.name for field in dataclasses.fields(self.vm.BlockEnvironment)]
        return self.vm.BlockEnvironment(**{name: values[name] for name in names})

    def header(self, header):
        """A header object for an uncle, from the RPC fields."""
        return rlp.decode_to(self.blocks.Header, rlp.encode(self.header_fields(header)))

    def execute(self, chain_id, block, state, hashes, ommers=()):
        """Runs the block's body on `state` and returns the header fields that follow from it, and the receipts."""
        env = self.block_env(chain_id, block, state, hashes)
        transactions = tuple(self.transaction(self.raw_transaction(tx)) for tx in block["transactions"])
        arguments = [env, transactions]
        if since(self.fork, "Shanghai"):
            withdrawal = self.blocks.Withdrawal
            arguments.append(tuple(withdrawal(U64(num(w["index"])), U64(num(w["validatorIndex"])), self.fork_types.Address(raw(w["address"])), U256(num(w["amount"]))) for w in block["withdrawals"]))
        elif not since(self.fork, "Paris"):
            arguments.append(tuple(self.header(o) for o in ommers))
        output = self.rules.apply_body(*arguments)
        root = lambda trie: hexraw(self.trie.root(trie))
        found = {
            "gasUsed": hexnum(output.block_gas_used), "stateRoot": hexraw(self.state.state_root(state)), "transactionsRoot": root(output.transactions_trie),
            "receiptsRoot": root(output.receipts_trie), "logsBloom": hexraw(self.bloom.logs_bloom(output.block_logs)),
        }
        if since(self.fork, "Shanghai"):
            found["withdrawalsRoot"] = root(output.withdrawals_trie)
        if since(self.fork, "Cancun"):
            found["blobGasUsed"] = hexnum(output.blob_gas_used)
        if since(self.fork, "Prague"):
            found["requestsHash"] = hexraw(importlib.import_module(f"ethereum.forks.{self.module}.requests").compute_requests_hash(output.requests))
        return found, self.receipts(output)

    def receipts(self, output):
        trie = output.receipts_trie._data
        found, before = [], 0
        for index in range(len(trie)):
            receipt = trie[Bytes(rlp.encode(Uint(index)))]
            if isinstance(receipt, bytes):
                receipt = self.blocks.decode_receipt(receipt)
            gas = int(receipt.cumulative_gas_used)
            entry = {"cumulativeGasUsed": hexnum(gas), "gasUsed": hexnum(gas - before), "logsBloom": hexraw(receipt.bloom),
                     "logs": [{"address": hexraw(log.address), "topics": [hexraw(t) for t in log.topics], "data": hexraw(log.data)} for log in receipt.logs]}
            if hasattr(receipt, "post_state"):
                entry["root"] = hexraw(receipt.post_state)
            else:
                entry["status"] = "0x1" if receipt.succeeded else "0x0"
            before = gas
            found.append(entry)
        return found


def difference(before, after):
    """What changed between two dumps, in the form of the packs' `poststate`."""
    changes = {}
    for address in sorted(before.keys() | after.keys()):
        old, new = before.get(address), after.get(address)
        if new is None:
            changes[address] = {"deleted": True}
            continue
        old = old or {}
        entry = {k: new.get(k, default) for k, default in (("balance", "0x0"), ("nonce", 0), ("code", "0x")) if new.get(k, default) != old.get(k, default)}
        slots = {}
        for slot in sorted(old.get("storage", {}).keys() | new.get("storage", {}).keys()):
            value = new.get("storage", {}).get(slot, "0x" + "0" * 64)
            if value != old.get("storage", {}).get(slot, "0x" + "0" * 64):
                slots[slot] = value
        if slots:
            entry["storage"] = slots
        if entry or address not in before:
            changes[address] = entry
    return changes
