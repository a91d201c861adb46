#!/usr/bin/env python3
"""Asks an MCP server over HTTP for its tools and calls one, in both eras, with nothing but the standard library.

    scripts/call-server.py URL TOKEN TOOLS TOOL

Fails unless there are so many tools, the one that is called without arguments gives something, and a
wrong token nothing.
"""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request

MODERN = "2026-07-28"


def post(url: str, token: str, message: dict[str, object], headers: dict[str, str]) -> tuple[int, object, str | None]:
    """The status, the answer and the session of a request."""
    request = urllib.request.Request(url, json.dumps(message).encode(), method="POST")
    for name, value in {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **headers,
    }.items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            status, text, session = answer.status, answer.read().decode(), answer.headers.get("Mcp-Session-Id")
    except urllib.error.HTTPError as error:
        return error.code, None, None
    data = [line[5:].strip() for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
    text = data[-1] if data else text
    return status, json.loads(text) if text else None, session


def result(answer: tuple[int, object, str | None]) -> dict[str, object]:
    """The result of an answer that has one."""
    status, body, _ = answer
    if status != 200 or not isinstance(body, dict) or "result" not in body:
        sys.exit(f"no result: {status} {body}")
    return body["result"]


def called(answer: tuple[int, object, str | None], tool: str) -> None:
    """Fails unless a call gave something."""
    given = result(answer)
    if given.get("isError") or not given.get("structuredContent"):
        sys.exit(f"{tool} gave {given}")


def main(url: str, token: str, expected: int, tool: str) -> None:
    """One conversation of each era."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "check", "version": "1"},
    }
    modern = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": meta}}
    headers = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
    found = {MODERN: len(result(post(url, token, modern, headers))["tools"])}
    call = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": tool, "arguments": {}}}
    named = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    called(post(url, token, call | {"params": call["params"] | {"_meta": meta}}, named), tool)

    client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": meta["io.modelcontextprotocol/clientInfo"]}
    begun = post(url, token, {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}, {})
    version = str(result(begun)["protocolVersion"])
    session = {"MCP-Protocol-Version": version} | ({"Mcp-Session-Id": begun[2]} if begun[2] else {})
    post(url, token, {"jsonrpc": "2.0", "method": "notifications/initialized"}, session)
    listed = post(url, token, {"jsonrpc": "2.0", "id": 3, "method": "tools/list"}, session)
    found[version] = len(result(listed)["tools"])
    called(post(url, token, call, session), tool)
    if set(found.values()) != {expected}:
        sys.exit(f"tools by revision: {found}, expected {expected}")
    if post(url, "wrong", modern, headers)[0] != 401:
        sys.exit("a wrong token is let in")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
