"""What a client of the official Python SDK that can be asked everything sees of an MCP server.

    everything.py --mode auto|legacy|2026-07-28 --url URL
    everything.py --mode legacy --sse URL

Connects, lists everything and does what standard input asks for: a JSON array of steps, each with
one of the members

    {"call": TOOL, "arguments": {...}}     calls a tool
    {"read": URI}                          reads a resource
    {"prompt": NAME, "arguments": {...}}   gets a prompt
    {"complete": PROMPT, "argument": {"name", "value"}}
    {"watch": URI}                         waits until the resource is said to have changed

The report, a JSON object, has the members `protocolVersion`, `tools`, `prompts`, `resources` and
`templates` (their names or URIs), `steps` (for each its result, or `{"error": {"code", "message"}}`),
`asked` (the methods that the server asked with), `progress` (how often the progress of a call was
told) and `logs` (the data of log messages).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.client.client import Client
from mcp.client.sse import sse_client

CONNECT_SECONDS = 30
CHANGE_SECONDS = 60


def plain(model: Any) -> Any:
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


class Answering:
    """Answers what a server asks, and notes that it asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.progress = 0
        self.logs: list[Any] = []
        self.updated: asyncio.Queue[str] = asyncio.Queue()

    async def elicit(self, _: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        self.asked.append("elicitation/create")
        return types.ElicitResult(action="accept", content={"name": "Ada", "check": True})

    async def sample(self, _: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        self.asked.append("sampling/createMessage")
        content = types.TextContent(type="text", text="sampled text")
        return types.CreateMessageResult(role="assistant", content=content, model="none")

    async def roots(self, _: Any) -> types.ListRootsResult:
        self.asked.append("roots/list")
        return types.ListRootsResult(roots=[types.Root(uri="file:///the/root", name="root")])

    async def log(self, params: types.LoggingMessageNotificationParams) -> None:
        self.logs.append(params.data)

    async def hear(self, progress: float, total: float | None, message: str | None) -> None:
        self.progress += 1

    async def message(self, message: Any) -> None:
        if isinstance(message, types.ResourceUpdatedNotification):
            self.updated.put_nowait(str(message.params.uri))


async def watch(client: Client, answering: Answering, uri: str) -> Any:
    """The URI of an update that was told, by whichever means of the era."""
    if client.protocol_version == "2026-07-28":
        async with client.listen(resource_subscriptions=[uri]) as changes:
            async for change in changes:
                return {"updated": str(change.uri)}
    await client.subscribe_resource(uri)
    return {"updated": await asyncio.wait_for(answering.updated.get(), CHANGE_SECONDS)}


async def step(client: Client, answering: Answering, asked: dict[str, Any]) -> Any:
    arguments = asked.get("arguments", {})
    try:
        if "call" in asked:
            return plain(await client.call_tool(asked["call"], arguments, progress_callback=answering.hear))
        if "read" in asked:
            return plain(await client.read_resource(asked["read"]))
        if "prompt" in asked:
            return plain(await client.get_prompt(asked["prompt"], arguments))
        if "complete" in asked:
            reference = types.PromptReference(type="ref/prompt", name=asked["complete"])
            return plain(await client.complete(reference, asked["argument"]))
        return await asyncio.wait_for(watch(client, answering, asked["watch"]), CHANGE_SECONDS)
    except MCPError as error:
        return {"error": {"code": error.error.code, "message": error.error.message}}


async def run(options: argparse.Namespace, steps: list[dict[str, Any]]) -> dict[str, Any]:
    answering = Answering()
    server: Any = options.url or sse_client(options.sse)
    async with Client(
        server,
        mode=options.mode,
        elicitation_callback=answering.elicit,
        sampling_callback=answering.sample,
        list_roots_callback=answering.roots,
        logging_callback=answering.log,
        message_handler=answering.message,
        read_timeout_seconds=CONNECT_SECONDS,
    ) as client:
        report: dict[str, Any] = {"protocolVersion": client.protocol_version}
        report["tools"] = [tool.name for tool in (await client.list_tools()).tools]
        report["prompts"] = [prompt.name for prompt in (await client.list_prompts()).prompts]
        report["resources"] = [str(it.uri) for it in (await client.list_resources()).resources]
        templates = (await client.list_resource_templates()).resource_templates
        report["templates"] = [str(it.uri_template) for it in templates]
        report["steps"] = [await step(client, answering, asked) for asked in steps]
        report["asked"], report["progress"], report["logs"] = answering.asked, answering.progress, answering.logs
        return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mode", choices=["auto", "legacy", "2026-07-28"], required=True)
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--url", help="the endpoint of a server over streamable HTTP")
    target.add_argument("--sse", help="the stream of a server over HTTP+SSE")
    options = parser.parse_args()
    print(json.dumps(asyncio.run(run(options, json.load(sys.stdin)))))


if __name__ == "__main__":
    main()
