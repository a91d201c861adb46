#!/usr/bin/env python3
"""Runs the official conformance suite through the gateway, and writes docs/conformance.md.

    scripts/conformance.py           runs all four pairs of eras and writes the page
    scripts/conformance.py --check   fails where a required scenario fails, or the page says otherwise

The server behind the gateway is tests/conformance/server.mjs, once for each era. The suite and Node come
from scripts/install-test-clients.sh.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ENVIRONMENT = TARGET / "test-env"
SUITE = ENVIRONMENT / "conformance/node_modules/@modelcontextprotocol/conformance"
PAGE = ROOT / "docs/conformance.md"

MODERN, OLD = "2026-07-28", "2025-11-25"
# The revision of the suite's client, and the era of the server.
PAIRS = [(MODERN, "modern"), (MODERN, "old"), (OLD, "modern"), (OLD, "old")]
SPOKEN = {"modern": MODERN, "old": OLD}
LINE = re.compile(r"^\s*[✓✗] ([a-z0-9/-]+): (\d+) passed, (\d+) failed", re.MULTILINE)


def node() -> str:
    path = ENVIRONMENT / "node/node"
    if not path.exists() or not SUITE.exists():
        sys.exit("the suite is not installed: run scripts/install-test-clients.sh")
    return str(path.resolve())


def start(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def fixture(era: str) -> tuple[subprocess.Popen, str]:
    """The server of an era, and its URL."""
    process = start([node(), "tests/conformance/server.mjs", era, "0"])
    assert process.stdout
    url = process.stdout.readline().strip()
    if not url.startswith("http"):
        sys.exit(f"the {era} server did not start")
    return process, url


def gateway(servers: dict[str, str]) -> tuple[subprocess.Popen, str]:
    """A gateway in front of these servers, and its address."""
    build = ["cargo", "build", "--quiet", "--locked", "--package", "mcphub-gateway", "--example", "front"]
    subprocess.run(build, cwd=ROOT, check=True)
    address = "127.0.0.1:7823"
    named = [f"{name}={url}" for name, url in servers.items()]
    process = start([str(TARGET / "debug/examples/front"), address, *named])
    for _ in range(200):
        if process.poll() is not None:
            sys.exit("the gateway ended")
        try:
            with urllib.request.urlopen(f"http://{address}/healthz") as answer:
                if b'"listing"' not in answer.read():
                    return process, address
        except OSError:
            pass
        time.sleep(0.05)
    sys.exit("the gateway is not ready")


def run(url: str, revision: str) -> dict[str, tuple[int, int]]:
    """Passed and failed checks of each scenario."""
    with tempfile.TemporaryDirectory() as folder:
        command = [node(), str(SUITE / "dist/index.js"), "server", "--url", url, "--requirements", revision, "-o", folder]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=900)
    results = {name: (int(passed), int(failed)) for name, passed, failed in LINE.findall(answer.stdout)}
    if not results:
        sys.exit(f"the suite said nothing of {url}:\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}")
    return results


def requirements(revision: str) -> tuple[list[str], list[str]]:
    """The scenarios that a revision requires of a server, and those that run unscored."""
    text = (SUITE / "requirements" / f"{revision}.yaml").read_text()
    required = text.split("\nserver:\n")[1].split("\n\n")[0]
    rest = text.split("\nnot_scored:\n")[1]
    unscored = [
        entry.split("\n")[0].strip()
        for entry in rest.split("- scenario: ")[1:]
        if "leg: server" in entry
    ]
    return re.findall(r"- (\S+)", required), unscored


def cell(result: tuple[int, int] | None) -> str:
    if result is None:
        return "–"
    passed, failed = result
    return "✓" if failed == 0 else f"{passed} of {passed + failed}"


def table(direct: dict, through: dict, revision: str, names: list[str]) -> list[str]:
    lines = ["| scenario | server alone | gateway, modern server | gateway, old server |", "|---|---|---|---|"]
    for name in names:
        cells = [direct[revision].get(name), *(through[revision, era].get(name) for era in ("modern", "old"))]
        lines.append(f"| {name} | {' | '.join(map(cell, cells))} |")
    return lines


def page(direct: dict, through: dict) -> str:
    version = re.search(r'"version": "([^"]+)"', (SUITE / "package.json").read_text())
    assert version
    lines = [
        "# Conformance",
        "",
        f"`scripts/conformance.py` made this page: the official suite, `@modelcontextprotocol/conformance` {version[1]}, run",
        "against `/mcp/{server}` of a gateway in front of [a server of one era](../tests/conformance/server.mjs).",
        "",
        "| the suite's client | server behind the gateway | required scenarios that pass |",
        "|---|---|---|",
    ]
    for revision, era in PAIRS:
        required, _ = requirements(revision)
        good = sum(through[revision, era].get(name, (0, 1))[1] == 0 for name in required)
        lines.append(f"| {revision} | {SPOKEN[era]} | {good} of {len(required)} |")
    lines += [
        "",
        "Where client and server are of different eras the gateway translates. What does not pass there asks a server for",
        "something that its era does not have, such as names for its questions. The server has no tasks, so the scenarios of",
        "the tasks extension fail with and without a gateway.",
    ]
    for revision in (MODERN, OLD):
        required, unscored = requirements(revision)
        lines += ["", f"## {revision}", "", *table(direct, through, revision, required)]
        lines += ["", "Run, but not required:", "", *table(direct, through, revision, unscored)]
    return "\n".join(lines) + "\n"


def main() -> None:
    check = sys.argv[1:] == ["--check"]
    processes = []
    try:
        urls = {}
        for era in SPOKEN:
            process, urls[era] = fixture(era)
            processes.append(process)
        process, address = gateway(urls)
        processes.append(process)
        direct = {SPOKEN[era]: run(url, SPOKEN[era]) for era, url in urls.items()}
        through = {(revision, era): run(f"http://{address}/mcp/{era}", revision) for revision, era in PAIRS}
    finally:
        for process in processes:
            process.terminate()
    made = page(direct, through)
    failures = [
        f"{name} fails at {revision}"
        for era, revision in SPOKEN.items()
        for name in requirements(revision)[0]
        if through[revision, era].get(name, (0, 1))[1] > 0
    ]
    if check:
        if PAGE.read_text() != made:
            failures.append(f"{PAGE.relative_to(ROOT)} says otherwise: run scripts/conformance.py")
    else:
        PAGE.write_text(made)
    print(made.split("## ")[0])
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
