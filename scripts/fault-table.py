#!/usr/bin/env python3
"""Writes the table of shared state under faults in docs/reliability.md.

Runs crates/mcphub-store/tests/shared_faults.rs, which starts, kills, stops, empties and cuts servers
of its own: `scripts/test-servers.sh` says what it needs.
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
    "--test", "shared_faults", "--", "--nocapture", "--test-threads=1",
]
HEAD = [
    "| server | what happens to it | calls | failed | longest call | all works again after |",
    "|---|---|---:|---:|---:|---:|",
]
PLACE = re.compile(r"(<!-- shared -->\n).*?(<!-- /shared -->)", re.DOTALL)
ROW = re.compile(r"\| (?:Redis|PostgreSQL) \|.*\|$", re.MULTILINE)


def main() -> int:
    run = subprocess.run(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    rows = sorted(ROW.findall(run.stdout), key=lambda row: not row.startswith("| Redis"))
    if run.returncode != 0 or not rows:
        print(run.stdout, file=sys.stderr)
        return run.returncode or 1
    table = "\n".join(HEAD + rows)
    text, count = PLACE.subn(lambda place: f"{place[1]}{table}\n{place[2]}", GUIDE.read_text())
    if count != 1:
        print(f"{GUIDE} has no place for the table", file=sys.stderr)
        return 1
    GUIDE.write_text(text)
    print(f"{len(rows)} faults")
    return 0


if __name__ == "__main__":
    sys.exit(main())
