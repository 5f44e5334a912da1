"""Compares the Parquet tables of a folder with the receipts of packs, field by field, by pyarrow alone."""

import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def table(folder, name):
    files = sorted(Path(folder).glob(f"*__{name}__*.parquet"))
    assert files, f"no files of {name}"
    return pa.concat_tables([pq.read_table(file) for file in files])


def number(text):
    return None if text is None else int(text, 16)


def data(text):
    return None if text is None else bytes.fromhex(text[2:])


def main():
    packs = [json.loads(path.read_text()) for path in sorted(Path(sys.argv[1]).glob("*.json"))]
    schema = table(sys.argv[2], "receipts").schema
    assert schema.field("block_number").type == pa.uint32(), schema
    assert schema.field("gas_used").type == pa.uint64(), schema
    assert schema.field("transaction_hash").type == pa.binary(), schema
    receipts = iter(table(sys.argv[2], "receipts").to_pylist())
    logs = iter(table(sys.argv[2], "logs").to_pylist())
    transactions = iter(table(sys.argv[2], "transactions").to_pylist())
    compared, compared_logs = 0, 0
    for pack in packs:
        log_index = 0
        for sent, expected in zip(pack["block"]["transactions"], pack["receipts"], strict=True):
            got = next(receipts)
            want = {
                "block_number": number(expected["blockNumber"]),
                "block_hash": data(expected["blockHash"]),
                "transaction_index": number(expected["transactionIndex"]),
                "transaction_hash": data(expected["transactionHash"]),
                "transaction_type": number(expected.get("type", "0x0")),
                "from_address": data(expected["from"]),
                "to_address": data(expected.get("to")),
                "contract_address": data(expected.get("contractAddress")),
                "gas_used": number(expected["gasUsed"]),
                "cumulative_gas_used": number(expected["cumulativeGasUsed"]),
                "effective_gas_price": number(expected["effectiveGasPrice"]),
                "logs_bloom": data(expected["logsBloom"]),
                "n_logs": len(expected["logs"]),
                "chain_id": number(pack["chainId"]) if isinstance(pack["chainId"], str) else pack["chainId"],
            }
            if "status" in expected:
                want["success"] = number(expected["status"]) == 1
            for name, value in want.items():
                assert got[name] == value, (expected["transactionHash"], name, got[name], value)
            row = next(transactions)
            want = {
                "transaction_hash": data(sent["hash"]),
                "nonce": number(sent["nonce"]),
                "input": data(sent["input"]),
                "gas_limit": number(sent["gas"]),
                "value_binary": number(sent["value"]).to_bytes(32, "big"),
                "value_string": str(number(sent["value"])),
                "value_f64": float(number(sent["value"])),
                "r": number(sent["r"]).to_bytes(32, "big"),
                "s": number(sent["s"]).to_bytes(32, "big"),
            }
            for name, value in want.items():
                assert row[name] == value, (sent["hash"], name, row[name], value)
            compared += 1
            for log in expected["logs"]:
                row = next(logs)
                topics = [data(topic) for topic in log["topics"]] + [None] * (4 - len(log["topics"]))
                assert [row[f"topic{index}"] for index in range(4)] == topics, log
                assert row["address"] == data(log["address"]) and row["data"] == data(log["data"]), log
                assert row["log_index"] == log_index, log
                log_index += 1
                compared_logs += 1
    assert next(receipts, None) is None and next(logs, None) is None and next(transactions, None) is None
    print(f"{compared} receipts and {compared_logs} logs are equal, read by pyarrow {pa.__version__}")


main()
