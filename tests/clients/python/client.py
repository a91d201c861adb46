"""What the official Python SDK sees of an MCP server, as one JSON object.

    client.py --mode auto|legacy|2026-07-28 [--watch] [--bearer TOKEN] --url URL
    client.py --mode auto|legacy|2026-07-28 [--watch] --stdio COMMAND [ARGUMENT ...]

Connects, lists the tools and makes the calls that standard input asks for: a JSON array of
`{"tool", "arguments", "progress"}`, the last whether to ask for the progress of the call. The report has the members

    protocolVersion   the revision that was negotiated
    tools             the tools as the server listed them
    calls             for each call `{"result"}`, or `{"error": {"code", "message"}}` for a protocol error
    progress          the messages of all progress that was heard of
    toolsAfter        with --watch: the tools after the list changed

With `--watch` it prints the line `READY` before the report, once it is subscribed to list changes,
and waits at most two minutes for one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import mcp_types as types
from mcp import MCPError, StdioServerParameters
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

MODERN = "2026-07-28"
CONNECT_SECONDS = 30
CHANGE_SECONDS = 120


def plain(model: Any) -> Any:
    """A model of the SDK as the JSON that was on the wire, without what belongs to the protocol."""
    value = model.model_dump(mode="json", by_alias=True, exclude_none=True)
    for member in ("_meta", "resultType"):
        value.pop(member, None)
    return value


async def list_tools(client: Client) -> list[Any]:
    """Every page of the tool list."""
    tools: list[Any] = []
    cursor: str | None = None
    while True:
        page = await client.list_tools(cursor=cursor)
        tools.extend(plain(tool) for tool in page.tools)
        cursor = page.next_cursor
        if cursor is None:
            return tools


async def call(client: Client, asked: dict[str, Any], heard: list[str | None]) -> dict[str, Any]:
    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(message)

    callback = hear if asked.get("progress") else None
    try:
        result = await client.call_tool(asked["tool"], asked["arguments"], progress_callback=callback)
        return {"result": plain(result)}
    except MCPError as error:
        return {"error": {"code": error.error.code, "message": error.error.message}}


class ListChanges:
    """Hears of list changes in either era."""

    def __init__(self) -> None:
        self._listening = asyncio.Event()
        self._changed = asyncio.Event()

    async def on_response(self, response: httpx2.Response) -> None:
        """Notes that the stream is open on which a server of the handshake era announces changes."""
        if response.request.method == "GET" and response.status_code == 200:
            self._listening.set()

    async def on_message(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._changed.set()

    @asynccontextmanager
    async def subscribed(self, client: Client, *, http: bool) -> AsyncIterator[None]:
        """Holds a subscription; when it is entered, no later change is missed."""
        if client.protocol_version == MODERN:
            async with client.listen(tools_list_changed=True) as changes:
                if not changes.honored.tools_list_changed:
                    raise RuntimeError("the server does not announce changes of its tools")
                hearing = asyncio.create_task(self._hear(changes))
                try:
                    yield
                finally:
                    hearing.cancel()
            return
        capability = client.server_capabilities.tools
        if capability is None or not capability.list_changed:
            raise RuntimeError("the server does not announce changes of its tools")
        if http:
            await asyncio.wait_for(self._listening.wait(), CONNECT_SECONDS)
        yield

    async def _hear(self, changes: Any) -> None:
        async for _ in changes:
            self._changed.set()

    async def next_change(self) -> None:
        await asyncio.wait_for(self._changed.wait(), CHANGE_SECONDS)


async def run(options: argparse.Namespace, calls: list[dict[str, Any]]) -> dict[str, Any]:
    changes = ListChanges()
    headers = {"Authorization": f"Bearer {options.bearer}"} if options.bearer else {}
    async with httpx2.AsyncClient(
        headers=headers,
        timeout=httpx2.Timeout(CONNECT_SECONDS, read=None),
        event_hooks={"response": [changes.on_response]},
    ) as http_client:
        if options.url:
            server: Any = streamable_http_client(options.url, http_client=http_client)
        else:
            command, *arguments = options.stdio
            server = StdioServerParameters(command=command, args=arguments, env=dict(os.environ))
        async with Client(
            server,
            mode=options.mode,
            message_handler=changes.on_message,
            read_timeout_seconds=CONNECT_SECONDS,
        ) as client:
            heard: list[str | None] = []
            report = {
                "protocolVersion": client.protocol_version,
                "tools": await list_tools(client),
                "calls": [await call(client, one, heard) for one in calls],
                "progress": heard,
            }
            if options.watch:
                async with changes.subscribed(client, http=bool(options.url)):
                    print("READY", flush=True)
                    await changes.next_change()
                    report["toolsAfter"] = await list_tools(client)
            return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mode", choices=["auto", "legacy", MODERN], required=True)
    parser.add_argument("--watch", action="store_true", help="wait for a change of the tool list")
    parser.add_argument("--bearer", help="a token to show to a server over streamable HTTP")
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--url", help="the endpoint of a server over streamable HTTP")
    target.add_argument("--stdio", nargs=argparse.REMAINDER, help="the command of a server over stdio")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options, json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
