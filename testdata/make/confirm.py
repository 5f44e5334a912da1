"""Usage: confirm.py BLOCKS_FOLDER [PACK …]

Re-executes packs with the execution specs from nothing but the pack, and writes one line each into BLOCKS_FOLDER/CONFIRMED.csv.
Ends with status 1 if any pack is not confirmed.
"""

import csv
import importlib.metadata
import os
import sys

from eels import Spec, difference, num, read_pack

FIELDS = ["gasUsed", "receiptsRoot", "logsBloom", "stateRoot", "transactionsRoot"]


def confirm(path):
    pack = read_pack(path)
    spec = Spec(pack["fork"])
    block = pack["block"]
    number = num(block["number"])
    # BLOCKHASH of an ancestor that the pack lacks must not look like a hash: the list stops at the first gap.
    hashes = []
    for n in range(number - 1, max(-1, number - 257), -1):
        if hex(n) not in pack["blockHashes"]:
            break
        hashes.insert(0, pack["blockHashes"][hex(n)])
    state = spec.make_state(pack["prestate"])
    before = spec.dump(state)
    found, receipts = spec.execute(pack["chainId"], block, state, hashes, pack.get("ommers", ()))
    result = {field: found[field] == block[field] for field in FIELDS}
    result["hash"] = spec.block_hash(block) == block["hash"]
    result["receipts"] = len(receipts) == len(pack["receipts"]) and all(
        all(theirs.get(k) == v for k, v in mine.items() if k != "logs") and [{k: log[k] for k in ("address", "topics", "data")} for log in theirs["logs"]] == mine["logs"]
        for mine, theirs in zip(receipts, pack["receipts"]))
    result["poststate"] = difference(before, spec.dump(state)) == pack["poststate"]
    for field in ("withdrawalsRoot", "blobGasUsed", "requestsHash"):
        if field in found and found[field] != block[field]:
            result["hash"] = False
    return pack, block, result


def main(folder, only):
    packs = only or sorted(os.path.join(base, name) for base, _, names in os.walk(folder) for name in names if name.endswith(".json.zst"))
    version = "ethereum-execution " + importlib.metadata.version("ethereum-execution")
    rows, good = [], True
    columns = [*FIELDS, "receipts", "poststate", "hash"]
    for path in packs:
        pack, block, result = confirm(path)
        good = good and all(result.values())
        recorded = pack["source"].get("recorded", {})
        rows.append([os.path.relpath(path, folder), pack["fork"], len(block["transactions"]), num(block["gasUsed"]), version,
                     *("yes" if result[c] else "NO" for c in columns), " ".join(sorted(set(recorded) - {"hash"})), pack["source"].get("shows", "")])
        print(rows[-1][0], "confirmed" if all(result.values()) else result, flush=True)
    if not only:
        with open(os.path.join(folder, "CONFIRMED.csv"), "w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["pack", "fork", "transactions", "gas", "confirmed_by", *columns, "node_differed_in", "shows"])
            writer.writerows(rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
