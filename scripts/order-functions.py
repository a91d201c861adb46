#!/usr/bin/env python3
"""Writes the order in which a linker puts the functions of mcphub, those that a gateway runs first.

    cargo build --profile dist -p mcphub-cli
    scripts/order-functions.py target/dist/mcphub target/functions.order
    MCPHUB_FUNCTION_ORDER=$PWD/target/functions.order cargo build --profile dist -p mcphub-cli

A gateway runs functions of a tenth of its program, a few of each page of it, and the kernel maps sixteen pages
for each that is touched. Side by side they take a third of the memory. The gateway is run by valgrind, which
says what it ran: it starts, meets servers, starts again, and answers clients of both eras, with keys and without.

The file is good for the compiler, the profile and the dependencies that it was written with. A build that has none of its
functions is linked as without it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODERN, OLD = "2026-07-28", "2025-11-25"
# Under valgrind a start takes some fifty times as long.
PATIENCE = 300
SERVERS = 4
CALLS = 20
FUNCTION = re.compile(r"^fn=\((\d+)\)(?: (.*))?$")
# What valgrind adds to a function that calls itself.
RECURSION = re.compile(r"'\d+$")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def said(process: subprocess.Popen[str], what: str) -> str:
    assert process.stdout
    for line in process.stdout:
        found = re.search(what, line)
        if found:
            return found[1]
    sys.exit(f"error: a program ended before it said {what}")


def stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    process.wait(PATIENCE)


def ask(url: str, method: str, params: dict, token: str | None, session: str | None = None) -> tuple[dict, str | None]:
    modern = session is None and method != "initialize"
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers["MCP-Protocol-Version"] = MODERN if modern else OLD
    if modern:
        meta = {"protocolVersion": MODERN, "clientCapabilities": {}}
        params = params | {"_meta": {f"io.modelcontextprotocol/{name}": value for name, value in meta.items()}}
        headers["Mcp-Method"] = method
        if "name" in params:
            headers["Mcp-Name"] = params["name"]
    if session:
        headers["Mcp-Session-Id"] = session
    if token:
        headers["Authorization"] = f"Bearer {token}"
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    request = urllib.request.Request(url, body.encode(), headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        result = json.load(answer)
        if "result" not in result:
            sys.exit(f"error: {method} was answered {result}")
        return result["result"], answer.headers.get("Mcp-Session-Id")


def use(url: str, token: str | None) -> None:
    """What clients of both eras do."""
    hello = {"protocolVersion": OLD, "capabilities": {}, "clientInfo": {"name": "order", "version": "1"}}
    _, session = ask(url, "initialize", hello, token)
    for session in (None, session):
        tools = ask(url, "tools/list", {}, token, session)[0]["tools"]
        names = [tool["name"] for tool in tools if tool["name"].endswith("listBooks")]
        if len(names) != SERVERS + 1:
            sys.exit(f"error: of {SERVERS + 1} servers there are {names}")
        for call in range(CALLS):
            named = {"name": names[call % len(names)], "arguments": {"limit": 1}}
            ask(url, "tools/call", named, token, session)


def run(mcphub: Path, folder: Path, settings: str, token: str | None) -> Path:
    """Serves with valgrind looking on. Gives what it saw."""
    (folder / "mcphub.toml").write_text(settings, encoding="utf-8")
    out = folder / f"callgrind.{time.monotonic_ns()}"
    watch = ["valgrind", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={out}"]
    serve = [str(mcphub), "serve", "--listen", f"127.0.0.1:{free_port()}"]
    process = subprocess.Popen([*watch, *serve], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        use(said(process, r"Serving MCP at (http://\S+)"), token)
    finally:
        stop(process)
    return out


def functions(out: Path, costs: dict[str, int]) -> None:
    """Adds what each function cost by itself."""
    names: dict[str, str] = {}
    function, called = "", False
    for line in out.read_text(encoding="utf-8").splitlines():
        if found := FUNCTION.match(line):
            if found[2]:
                names[found[1]] = RECURSION.sub("", found[2])
            function, called = names.get(found[1], ""), False
        elif line.startswith("cfn="):
            if found := FUNCTION.match(line[1:]):
                if found[2]:
                    names[found[1]] = RECURSION.sub("", found[2])
        elif line.startswith("calls="):
            called = True
        elif line[:1].isdigit() or line.startswith(("+", "-", "*")):
            # The line after `calls=` has what was spent in another function.
            if not called and function:
                costs[function] = costs.get(function, 0) + int(line.split()[-1])
            called = False


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    if not shutil.which("valgrind"):
        sys.exit("error: this needs valgrind")
    mcphub, order = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
    costs: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        demo = subprocess.Popen([mcphub, "demo", "--listen", f"127.0.0.1:{free_port()}"], stdout=subprocess.PIPE, text=True)
        try:
            api = said(demo, r"A bookshop API listens on (\S+)")
            endpoint = said(demo, r"The gateway serves them at (\S+)")
            said(demo, "(Ready)")
            servers = "".join(
                f'[servers.s{number}]\nurl = "{endpoint}/bookshop"\n' + ('era = "legacy"\n' if number % 2 else "")
                for number in range(SERVERS)
            )
            open_to_all = f'metrics_listen = "127.0.0.1:{free_port()}"\n'
            with_keys = open_to_all + 'auth = "keys"\nrate_limit = "100000/s"\n[audit]\ncalls = "all"\n'
            command = dict(cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
            document = [str(ROOT / "examples/specs/bookshop.yaml"), "--base-url", api]
            up = [mcphub, "up", *document, "--listen", f"127.0.0.1:{free_port()}"]
            up = subprocess.Popen(up, cwd=folder, stdout=subprocess.PIPE, text=True)
            said(up, "(Serving MCP)")
            stop(up)
            made = subprocess.run([mcphub, "key", "create", "order", "--allow", "*"], **command)
            # The second start finds the servers that the first one met.
            for settings, token in ((open_to_all, None), (open_to_all, None), (with_keys, made.stdout.strip())):
                functions(run(mcphub, folder, settings + servers, token), costs)
        finally:
            stop(demo)
    dearest = sorted(costs, key=lambda function: (-costs[function], function))
    order.write_text("".join(f"{function}\n" for function in dearest), encoding="utf-8")
    print(f"{len(dearest)} functions in {os.path.relpath(order)}")


if __name__ == "__main__":
    main()
