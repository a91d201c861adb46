#!/usr/bin/env python3
"""Writes the table of real documents in docs/openapi.md.

MCPHUB_CORPUS names the folder with the documents and their MANIFEST.tsv. The table is what
crates/mcphub-codegen/tests/corpus.rs prints; that test also checks every document.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs" / "openapi.md"
COMMAND = ["cargo", "test", "-q", "-p", "mcphub-codegen", "--test", "corpus", "--", "--nocapture"]
PLACE = re.compile(r"(<!-- corpus -->\n).*?(<!-- /corpus -->)", re.DOTALL)


def main() -> int:
    if "MCPHUB_CORPUS" not in os.environ:
        print("MCPHUB_CORPUS names no folder", file=sys.stderr)
        return 2
    run = subprocess.run(COMMAND, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if run.returncode != 0:
        print(run.stdout, file=sys.stderr)
        return run.returncode
    rows = [line for line in run.stdout.splitlines() if line.startswith("|")]
    text, count = PLACE.subn(lambda place: place[1] + "\n".join(rows) + "\n" + place[2], GUIDE.read_text())
    if count != 1:
        print(f"{GUIDE} has no place for the table", file=sys.stderr)
        return 1
    GUIDE.write_text(text)
    print(f"{len(rows) - 2} documents")
    return 0


if __name__ == "__main__":
    sys.exit(main())
