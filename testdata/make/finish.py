"""Usage: finish.py RUN_FOLDER OUT_FOLDER

Turns one fork's raw recording (genesis.json, run.json, raw/*.json.zst made by `isolane fetch`) into packs with a complete pre-state.

The execution specs run the whole chain from the genesis allocation, block after block. A pack's `prestate` is their whole state before
the block. Where the node's header or receipts are not what they compute, theirs are written, and `source.recorded` keeps the node's.
"""

import json
import os
import sys
import time

from ethereum.crypto.hash import keccak256

from ethereum_rlp import rlp

from eels import FORKS, Spec, difference, hexraw, num, read_pack, since, write_pack

EMPTY_LIST = hexraw(keccak256(rlp.encode([])))
LICENCE = "MIT OR Apache-2.0; contracts: see testdata/README.md"


def complete(raw, complete_state):
    """Compares what the tracer reported with the whole state; returns the differences as texts."""
    wrong = []
    for address, account in raw.items():
        have = complete_state.get(address, {})
        for key, default in (("balance", "0x0"), ("nonce", 0), ("code", "0x")):
            if account.get(key, default) != have.get(key, default):
                wrong.append(f"{address}.{key}")
        for slot, value in account.get("storage", {}).items():
            if num(value) != num(have.get("storage", {}).get(slot, "0x0")):
                wrong.append(f"{address}.storage.{slot}")
    return wrong


def enrich(spec, run, number, pack):
    """Adds what anvil never has; returns the recorded values of what was changed. All that follows from it is computed by the specs."""
    block, made = pack["block"], {}

    def change(key, value):
        made[key] = block.get(key)
        block[key] = value

    if not since(spec.fork, "Paris"):
        # anvil writes 0. Proof of work has at least 131072, and with it rewards.
        change("difficulty", "0x20000")
        if number == run["transfers"]:
            ommer = {k: v for k, v in block.items() if k not in ("transactions", "uncles", "withdrawals", "size", "totalDifficulty")}
            ommer |= {"number": hex(number - 2), "parentHash": "0x" + "22" * 32, "miner": "0x00000000000000000000000000000000000add0e", "extraData": "0x6f6d6d6572", "sha3Uncles": EMPTY_LIST, "gasUsed": "0x0"}
            ommer["hash"] = spec.block_hash(ommer)
            pack["ommers"] = [ommer]
            change("uncles", [ommer["hash"]])
            change("sha3Uncles", hexraw(keccak256(rlp.encode([spec.header_fields(ommer)]))))
    if number == run["edges"]:
        if since(spec.fork, "Shanghai"):
            amounts = [("0x00000000000000000000000000000000000a11ce", 32_000_000_000), ("0x00000000000000000000000000000000000a11ce", 1), (block["miner"], 77), ("0x000000000000000000000000000000000000dead", 0)]
            change("withdrawals", [{"index": hex(9000 + i), "validatorIndex": hex(100 + i), "address": address, "amount": hex(amount)} for i, (address, amount) in enumerate(amounts)])
        if since(spec.fork, "Cancun"):
            change("parentBeaconBlockRoot", hexraw(keccak256(b"beacon root")))
        if since(spec.fork, "Paris"):
            change("mixHash", hexraw(keccak256(b"randao")))
    return made


def main(folder, out):
    with open(os.path.join(folder, "run.json")) as file:
        run = json.load(file)
    with open(os.path.join(folder, "genesis.json")) as file:
        genesis = json.load(file)
    fork = next(name for name, _, anvil in FORKS if anvil == run["fork"])
    spec = Spec(fork)
    chain_id = genesis["config"]["chainId"]
    path = lambda number: os.path.join(folder, "raw", f"{chain_id}-{number}.json.zst")
    alloc = {address: {**account, "nonce": num(account.get("nonce", "0x0"))} for address, account in genesis["alloc"].items()}
    state = spec.make_state(alloc)
    first = read_pack(path(0))["block"]
    # anvil gives its genesis block an empty state root; that the allocation is complete shows in the roots of the later blocks.
    hashes = [first["hash"]]
    os.makedirs(out, exist_ok=True)
    for number in range(1, run["last"] + 1):
        pack = read_pack(path(number))
        block = pack["block"]
        if spec.block_hash(block) != block["hash"]:
            sys.exit(f"{fork} block {number}: the header's hash is {spec.block_hash(block)}, the node says {block['hash']}")
        for tx in block["transactions"]:
            computed = hexraw(keccak256(spec.raw_transaction(tx)))
            if computed != tx["hash"]:
                sys.exit(f"{fork} block {number}: the transaction {tx['hash']} hashes to {computed}")
        hashes.append(block["hash"])
        made = enrich(spec, run, number, pack)
        before = spec.dump(state)
        start = time.time()
        found, receipts = spec.execute(chain_id, block, state, hashes[max(0, number - 256):number], pack.get("ommers", ()))
        after = spec.dump(state)
        recorded = made | {key: block.get(key) for key in found if block.get(key) != found[key]}
        shown = len(pack["receipts"])
        if len(receipts) != shown:
            sys.exit(f"{fork} block {number}: {len(receipts)} receipts computed, {shown} recorded")
        odd = []
        for index, (mine, theirs) in enumerate(zip(receipts, pack["receipts"])):
            logs = [{"address": log["address"].lower(), "topics": log["topics"], "data": log["data"]} for log in theirs["logs"]]
            same = {k: theirs.get(k) for k in mine if k not in ("logs", "root")} == {k: v for k, v in mine.items() if k not in ("logs", "root")}
            if not same or logs != mine["logs"]:
                odd.append(index)
        print(f"{fork} {number}: {len(receipts)} transactions, {num(found['gasUsed'])} gas, {time.time() - start:.1f} s"
              + (f", node differs in {', '.join(recorded)}" if recorded else "") + (f", {len(odd)} receipts differ" if odd else ""), flush=True)
        if str(number) not in run["keep"]:
            continue
        tracer = complete(pack["prestate"], before)
        if recorded:
            recorded["hash"] = hashes[number]
            block.update(found)
            block["hash"] = spec.block_hash(block)
        for tx in block["transactions"]:
            tx["blockHash"] = block["hash"]
        for mine, theirs in zip(receipts, pack["receipts"]):
            theirs.update({k: v for k, v in mine.items() if k != "logs"})
            theirs["blockHash"] = block["hash"]
            if "root" in mine:
                theirs.pop("status", None)
            # Logs keep the node's positions where the node had them; contents are the computed ones.
            position = {"blockHash": block["hash"], "blockNumber": block["number"], "transactionHash": theirs["transactionHash"], "transactionIndex": theirs["transactionIndex"]}
            theirs["logs"] = [{**log, **position, "removed": False} for log in mine["logs"]]
        index = 0
        for receipt in pack["receipts"]:
            for log in receipt["logs"]:
                log["logIndex"] = hex(index)
                index += 1
        source = {
            "client": pack["source"]["client"], "licence": LICENCE, "shows": run["keep"][str(number)],
            "method": "recorded from anvil with `isolane fetch`; complete pre-state, post-state, receipts and header roots computed with ethereum-execution 2.20.0 from the genesis allocation",
            "tracer": "agrees with the complete pre-state" if not tracer else f"differs in {len(tracer)} places: " + ", ".join(tracer[:5]),
        }
        if recorded:
            source["recorded"] = recorded
            source["rewritten"] = "the fields of the block that `recorded` lists are not the node's, which `recorded` holds: difficulty, uncles, withdrawals, mixHash and parentBeaconBlockRoot are the maker's, all else is the specs' result"
        if odd:
            source["receiptsRewritten"] = f"{len(odd)} of {len(receipts)}: anvil charges some later forks' gas in forks before Berlin, and has no state roots in receipts"
        final = {
            "format": "evm-block-replay/1", "chainId": chain_id, "fork": fork, "prestateComplete": True, "block": block, "prestate": before, "poststate": difference(before, after),
            "receipts": pack["receipts"], "blockHashes": pack["blockHashes"], "validated": {"gasUsed": True, "logsBloom": True, "receiptsRoot": True, "stateRoot": True}, "source": source,
        }
        if "ommers" in pack:
            final["ommers"] = pack["ommers"]
        write_pack(os.path.join(out, f"{chain_id}-{number}.json.zst"), final)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
