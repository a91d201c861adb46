#!/usr/bin/env python3
"""Runs the README's quick start as it is written, calls a tool as a client would, and stops it with Ctrl-C.

Takes the first `cargo run` line of README.md, so that what is tested is what people read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import threading
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
REVISION = "2026-07-28"
TOOL = "bookshop_listBooks"
BUILD_SECONDS = 30 * 60
STOP_SECONDS = 20


def quick_start() -> list[str]:
    """The command that the README gives to newcomers."""
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        command = line.strip().removeprefix("$ ")
        if command.startswith("cargo run "):
            return shlex.split(command, comments=True)
    raise SystemExit("error: README.md has no line with `cargo run`")


def endpoint(program: subprocess.Popen[str]) -> str:
    """Reads what the program prints until it is ready; returns the address it gave."""
    address = None
    for line in program.stdout:
        print(f"  | {line}", end="")
        address = address or re.search(r"http://[0-9.:]+/mcp\b", line)
        if line.startswith("Ready") and address:
            return address[0]
    raise SystemExit("error: the quick start ended before it was ready")


def call(url: str) -> Any:
    """One tool call in the newest revision."""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {
            "name": TOOL,
            "arguments": {"limit": 1},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": REVISION,
                "io.modelcontextprotocol/clientCapabilities": {},
            },
        },
    }
    headers = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": REVISION,
        "Mcp-Method": "tools/call",
        "Mcp-Name": TOOL,
    }
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def main() -> None:
    command = quick_start()
    print(f"$ {shlex.join(command)}")
    # A group of its own: Ctrl-C in a terminal reaches cargo and what it runs.
    program = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
    bound = threading.Timer(BUILD_SECONDS, os.killpg, (program.pid, signal.SIGKILL))
    bound.start()
    try:
        url = endpoint(program)
        result = call(url)["result"]
        if result.get("isError") or not result["structuredContent"]["items"]:
            raise SystemExit(f"error: {TOOL} answered {result}")
        rest = threading.Thread(target=program.stdout.read)  # a full pipe must not stop the program
        rest.start()
        os.killpg(program.pid, signal.SIGINT)
        code = program.wait(STOP_SECONDS)
        if code != 0:
            raise SystemExit(f"error: after Ctrl-C the quick start ended with {code}")
    finally:
        bound.cancel()
        if program.poll() is None:
            os.killpg(program.pid, signal.SIGKILL)
            program.wait()
    print(f"{TOOL} answered at {url}, and Ctrl-C ended it")


if __name__ == "__main__":
    main()
