#!/usr/bin/env python3
"""Writes the tables of the store and of shared state under faults in docs/reliability.md.

Runs crates/mcphub-store/tests/faults and shared_faults.rs, which start, kill, stop, empty and cut
servers of their own: `scripts/test-servers.sh` says what they need.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "reliability.md"
COMMAND = [
    str(ROOT / "scripts" / "test-servers.sh"), "run",
    "cargo", "test", "-q", "-p", "mcphub-store", "--features", "redis,postgres",
    "--test", "TEST", "--", "--nocapture", "--test-threads=1",
]
ROW = re.compile(r"\| (?:Redis|PostgreSQL) \|.*\|$", re.MULTILINE)

# The place in the guide, the test whose rows go there, and the head of the table.
TABLES = [
    ("store", "faults", [
        "| server | what happens to it | acknowledged | failed | longest call "
        "| all works again after | lost |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]),
    ("shared", "shared_faults", [
        "| server | what happens to it | calls | failed | longest call | all works again after |",
        "|---|---|---:|---:|---:|---:|",
    ]),
]


def rows_of(test: str) -> list[str]:
    """The rows that a test prints; Redis first. Ends the program when the test fails."""
    command = [test if word == "TEST" else word for word in COMMAND]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    rows = sorted(ROW.findall(run.stdout), key=lambda row: not row.startswith("| Redis"))
    if run.returncode != 0 or not rows:
        print(run.stdout, file=sys.stderr)
        sys.exit(run.returncode or 1)
    return rows


def main() -> int:
    wanted = sys.argv[1:] or [place for place, _, _ in TABLES]
    for place, test, head in TABLES:
        if place not in wanted:
            continue
        rows = rows_of(test)
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
