"""Usage: fill.py STATE_FOLDER. Writes the project's own state tests, filled with the execution specs."""

import json
import os
import sys

import cases_calls
import cases_ops
import cases_tx
from statetest import Filler


def main(folder):
    filler = Filler()
    for module in (cases_ops, cases_calls, cases_tx):
        module.add(filler.case)
    if filler.wrong:
        sys.exit("\n".join(filler.wrong))
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        if name.endswith(".json"):
            os.remove(os.path.join(folder, name))
    for file, tests in sorted(filler.files.items()):
        # One test a line: small, and a change shows as the tests it concerns.
        lines = ",\n".join(json.dumps(name) + ":" + json.dumps(test, separators=(",", ":")) for name, test in tests.items())
        with open(os.path.join(folder, file + ".json"), "w") as out:
            out.write("{\n" + lines + "\n}\n")
    print(f"{sum(map(len, filler.files.values()))} tests, {filler.entries} entries, {len(filler.files)} files")


if __name__ == "__main__":
    main(sys.argv[1])
