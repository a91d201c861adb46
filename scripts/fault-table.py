#!/usr/bin/env python3
"""Writes the tables of faults in docs/reliability.md: all, or those that are named.

`store` and `shared` run crates/mcphub-store/tests/faults and shared_faults.rs, which start, kill, stop,
empty and cut servers of their own: `scripts/test-servers.sh` says what they need. `servers`, `requests` and
`clients` run the gateway's tests/protocol/faults.rs, which needs nothing. As root, `store` has faults
of disks of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "reliability.md"
SHOWN = ["--nocapture", "--test-threads=1"]
ROW = re.compile(r"\| .* \|$", re.MULTILINE)


def store(test: str) -> list[str]:
    run = [str(ROOT / "scripts" / "test-servers.sh"), "run"]
    return [*run, "cargo", "test", "-q", "-p", "mcphub-store", "--features", "redis,postgres", "--test", test, "--", *SHOWN]


def gateway(test: str) -> list[str]:
    return ["cargo", "test", "-q", "-p", "mcphub-gateway", "--test", "protocol", f"faults::{test}", "--", *SHOWN]


# The place in the guide, the test whose rows go there, and the head of the table.
TABLES = [
    ("store", store("faults"), [
        "| store | what happens to it | acknowledged | found again | half written | failed | longest call "
        "| what these calls are told | try again | all works again after |",
        "|---|---|---:|---:|---:|---:|---:|---|---|---:|",
    ]),
    ("shared", store("shared_faults"), [
        "| server | what happens to it | calls | failed | longest call | all works again after |",
        "|---|---|---:|---:|---:|---:|",
    ]),
    ("servers", gateway("what_a_server_does_wrong"), [
        "| on a call, the server | longest answer | calls of another meanwhile | failed | longest of these "
        "| called again after |",
        "|---|---:|---:|---:|---:|---:|",
    ]),
    ("requests", gateway("what_a_client_does_wrong"), [
        "| a request with | HTTP status | after |",
        "|---|---|---:|",
    ]),
    ("clients", gateway("clients_that_stay_or_go"), [
        "| clients | for | calls of others meanwhile | failed | longest of these |",
        "|---|---:|---:|---:|---:|",
    ]),
]


def rows_of(command: list[str]) -> list[str]:
    """The rows that a test prints; those of Redis first. Ends the program when the test fails."""
    mount = {"MCPHUB_TEST_MOUNT": "1"} if os.geteuid() == 0 else {}
    run = subprocess.run(command, cwd=ROOT, env=os.environ | mount, stdout=subprocess.PIPE, text=True, check=False)
    rows = sorted(ROW.findall(run.stdout), key=lambda row: row.startswith("| PostgreSQL"))
    if run.returncode != 0 or not rows:
        print(run.stdout, file=sys.stderr)
        sys.exit(run.returncode or 1)
    return rows


def main() -> int:
    wanted = sys.argv[1:] or [place for place, _, _ in TABLES]
    for place, command, head in TABLES:
        if place not in wanted:
            continue
        rows = rows_of(command)
        table = "\n".join(head + rows)
        marks = re.compile(rf"(<!-- {place} -->\n).*?(<!-- /{place} -->)", re.DOTALL)
        text = GUIDE.read_text()
        text, count = marks.subn(lambda found: f"{found[1]}{table}\n{found[2]}", text)
        if count != 1:
            print(f"{GUIDE} has no place for the table", file=sys.stderr)
            return 1
        GUIDE.write_text(text)
        print(f"{place}: {len(rows)} faults")
    return 0


if __name__ == "__main__":
    sys.exit(main())
