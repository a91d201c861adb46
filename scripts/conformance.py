#!/usr/bin/env python3
"""Runs the official conformance suite through the gateway, and writes docs/conformance.md.

    scripts/conformance.py           runs all four pairs of eras, open and with keys, and writes the page
    scripts/conformance.py --check   fails where a required scenario fails, or the page says otherwise

The server behind the gateway is tests/conformance/server.mjs, a new one for each run. The suite and Node come
from scripts/install-test-clients.sh.
"""

import os
import re
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
ENVIRONMENT = TARGET / "test-env"
SUITE = ENVIRONMENT / "conformance/node_modules/@modelcontextprotocol/conformance"
FRONT = TARGET / "debug/examples/front"
BEARER = ROOT / "tests/conformance/bearer.mjs"
PAGE = ROOT / "docs/conformance.md"

MODERN, OLD = "2026-07-28", "2025-11-25"
# The revision of the suite's client, and the era of the server.
PAIRS = [(MODERN, "modern"), (MODERN, "old"), (OLD, "modern"), (OLD, "old")]
SPOKEN = {"modern": MODERN, "old": OLD}
LINE = re.compile(r"^\s*[✓✗] ([a-z0-9/-]+): (\d+) passed, (\d+) failed", re.MULTILINE)
# Most of a run is waiting.
AT_ONCE = 4

Results = dict[str, tuple[int, int]]


def node() -> str:
    path = ENVIRONMENT / "node/node"
    if not path.exists() or not SUITE.exists():
        sys.exit("the suite is not installed: run scripts/install-test-clients.sh")
    return str(path.resolve())


def start(command: list[str], **environment: str) -> subprocess.Popen:
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | environment)


def fixture(era: str) -> tuple[subprocess.Popen, str]:
    """The server of an era, and its URL."""
    process = start([node(), "tests/conformance/server.mjs", era, "0"])
    assert process.stdout
    url = process.stdout.readline().strip()
    if not url.startswith("http"):
        raise RuntimeError(f"the {era} server did not start")
    return process, url


def gateway(port: int, server: str, token: str | None) -> tuple[subprocess.Popen, str]:
    """A gateway in front of this server, and the URL of the server there."""
    address = f"127.0.0.1:{port}"
    process = start([str(FRONT), address, f"server={server}"], **({"FRONT_TOKEN": token} if token else {}))
    request = urllib.request.Request(f"http://{address}/healthz")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    for _ in range(400):
        if process.poll() is not None:
            raise RuntimeError("the gateway ended")
        try:
            with urllib.request.urlopen(request) as answer:
                if b'"ready"' in answer.read():
                    return process, f"http://{address}/mcp/server"
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError("the gateway is not ready")


def suite(url: str, revision: str, token: str | None) -> Results:
    """Passed and failed checks of each scenario."""
    show = ["--import", BEARER.as_uri()] if token else []
    environment = os.environ | ({"BEARER_TOKEN": token} if token else {})
    with tempfile.TemporaryDirectory() as folder:
        command = [node(), *show, str(SUITE / "dist/index.js"), "server", "--url", url]
        command += ["--requirements", revision, "-o", folder]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    results = {name: (int(passed), int(failed)) for name, passed, failed in LINE.findall(answer.stdout)}
    if not results:
        raise RuntimeError(f"the suite said nothing of {url}:\n{answer.stdout[-2000:]}\n{answer.stderr[-2000:]}")
    return results


def run(number: int, revision: str, era: str, through: bool, keys: bool) -> Results:
    """One run against a server of its own, alone or behind a gateway."""
    processes = []
    token = secrets.token_hex(16) if keys else None
    try:
        process, url = fixture(era)
        processes.append(process)
        if through:
            process, url = gateway(7823 + number, url, token)
            processes.append(process)
        return suite(url, revision, token)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


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
        cells = [direct[revision].get(name), *(through[revision, era, False].get(name) for era in ("modern", "old"))]
        lines.append(f"| {name} | {' | '.join(map(cell, cells))} |")
    return lines


def good(results: Results, revision: str) -> str:
    required, _ = requirements(revision)
    passed = sum(results.get(name, (0, 1))[1] == 0 for name in required)
    return f"{passed} of {len(required)}"


def page(direct: dict, through: dict) -> str:
    version = re.search(r'"version": "([^"]+)"', (SUITE / "package.json").read_text())
    assert version
    lines = [
        "# Conformance",
        "",
        f"`scripts/conformance.py` made this page: the official suite, `@modelcontextprotocol/conformance` {version[1]}, run",
        "against `/mcp/{server}` of a gateway in front of [a server of one era](../tests/conformance/server.mjs), open to all and",
        "asking for keys.",
        "",
        "| the suite's client | server behind the gateway | required scenarios that pass | with keys |",
        "|---|---|---|---|",
    ]
    for revision, era in PAIRS:
        cells = [good(through[revision, era, keys], revision) for keys in (False, True)]
        lines.append(f"| {revision} | {SPOKEN[era]} | {' | '.join(cells)} |")
    lines += WHY
    differing = sorted(
        f"{name} at {revision} with the {era} server"
        for revision, era in PAIRS
        for name in set(through[revision, era, False]) | set(through[revision, era, True])
        if through[revision, era, False].get(name) != through[revision, era, True].get(name)
    )
    if differing:
        lines += ["", f"With keys another result have: {', '.join(differing)}."]
    for revision in (MODERN, OLD):
        required, unscored = requirements(revision)
        lines += ["", f"## {revision}", "", *table(direct, through, revision, required)]
        lines += ["", "Run, but not required:", "", *table(direct, through, revision, unscored)]
    return "\n".join(lines) + "\n"


WHY = [
    "",
    "Where client and server are of different eras the gateway translates. What does not pass there asks a server of before",
    "for what its era does not have: names for its questions, and several of them in one answer. The server has no tasks, so",
    "the scenarios of the tasks extension fail with and without a gateway.",
]


def main() -> None:
    check = sys.argv[1:] == ["--check"]
    node()
    build = ["cargo", "build", "--quiet", "--locked", "--package", "mcphub-gateway", "--example", "front"]
    subprocess.run(build, cwd=ROOT, check=True)
    alone = [(revision, era, False, False) for era, revision in SPOKEN.items()]
    behind = [(revision, era, True, keys) for keys in (False, True) for revision, era in PAIRS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = {wanted: pool.submit(run, number, *wanted) for number, wanted in enumerate(alone + behind)}
    results = {wanted: job.result() for wanted, job in jobs.items()}
    direct = {wanted[0]: results[wanted] for wanted in alone}
    through = {(revision, era, keys): results[revision, era, True, keys] for revision, era, _, keys in behind}
    made = page(direct, through)
    failures = [
        f"{name} fails at {revision}{' with keys' if keys else ''}"
        for era, revision in SPOKEN.items()
        for keys in (False, True)
        for name in requirements(revision)[0]
        if through[revision, era, keys].get(name, (0, 1))[1] > 0
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
