#!/usr/bin/env python3
"""CPU time from a document to its tools: mcphub beside FastMCP, on the same documents.

    benches/fastmcp.py DOCUMENT...

Each side reads the document and writes every tool with its schemas: FastMCP with `from_openapi`, mcphub
with the example `tools` of mcphub-codegen, which is built for it as it is shipped (profile `dist`). The
time is that of the whole process, user and system, the median of three runs; of FastMCP, less what its
imports alone take. FastMCP is installed under target/test-env/fastmcp, once.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FASTMCP = "fastmcp==4.1.2"
RUNS = 3

IMPORTS = "import asyncio, json, sys, httpx2, yaml; from fastmcp import FastMCP"
LIST = IMPORTS + """
text = open(sys.argv[1], encoding="utf-8").read()
document = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, yaml.CSafeLoader)
server = FastMCP.from_openapi(document, client=httpx2.AsyncClient(base_url="http://127.0.0.1:9"))
tools = asyncio.run(server.list_tools())
print(json.dumps([tool.to_mcp_tool().model_dump(mode="json", by_alias=True) for tool in tools]))
"""


def environment() -> Path:
    """An interpreter that has FastMCP."""
    folder = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "test-env/fastmcp"
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", FASTMCP, "pyyaml"], check=True)
    return python


def seconds(*command: object) -> tuple[float, int] | None:
    """CPU seconds, and bytes that were written; none where the program fails."""
    measured = []
    size = 0
    for _ in range(RUNS):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([str(part) for part in command], capture_output=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode != 0:
            return None
        size = len(done.stdout)
        measured.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    return statistics.median(measured), size


def table(documents: list[str]) -> str:
    """The table in Markdown."""
    python = environment()
    build = ["cargo", "build", "--locked", "--profile", "dist", "--quiet", "--package", "mcphub-codegen", "--example", "tools"]
    subprocess.run(build, cwd=ROOT, check=True)
    mcphub = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "dist/examples/tools"
    imports, _ = seconds(python, "-c", IMPORTS) or (0.0, 0)
    lines = [
        f"FastMCP {FASTMCP.partition('==')[2]}, without the {imports:.2f} s of its imports; CPU time, median of {RUNS} runs.",
        "",
        "| document | KiB | FastMCP | mcphub | times less | tools/list of FastMCP | of mcphub |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    for document in documents:
        path = Path(document)
        ours = seconds(mcphub, path)
        theirs = seconds(python, "-c", LIST, path)
        if ours is None:
            sys.exit(f"{path.name} cannot be read")
        own = ours[0]
        cells = [path.stem, str(path.stat().st_size // 1024), "fails", f"{own * 1e3:.0f} ms", "", "", f"{ours[1] // 1024} KiB"]
        if theirs:
            needed = max(theirs[0] - imports, 0.0)
            cells[2], cells[4], cells[5] = f"{needed:.2f} s", f"{needed / own:.0f}", f"{theirs[1] // 1024} KiB"
        lines.append(f"| {' | '.join(cells)} |")
        print(lines[-1], file=sys.stderr)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    print(table(sys.argv[1:]))
