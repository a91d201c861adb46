"""The server over stdio and over streamable HTTP, in both eras of the protocol."""

from __future__ import annotations

import hmac
import sys
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .settings import Settings

MAX_MESSAGE = 4 * 1024 * 1024
"""The largest message that is read over HTTP, in bytes."""

_LOOPBACK = ["127.0.0.1", "localhost", "[::1]"]


async def serve_stdio(server: Server[Any]) -> None:
    """Serves one client over standard input and output until its end closes."""
    async with stdio_server() as (reader, writer):
        await server.run(reader, writer, server.create_initialization_options())


async def serve_http(server: Server[Any], settings: Settings) -> None:
    """Serves clients at `/mcp` until the process is told to stop; `/healthz` answers while it does."""
    app = http_app(server, settings)
    config = uvicorn.Config(
        app, host=settings.host, port=settings.port, log_level="warning", timeout_graceful_shutdown=5
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(f"{server.name}: serving MCP at http://{host}:{settings.port}/mcp", file=sys.stderr, flush=True)
    await uvicorn.Server(config).serve()


def http_app(server: Server[Any], settings: Settings) -> ASGIApp:
    """The ASGI application. On a loopback address it checks `Host` and `Origin` (DNS rebinding)."""
    security = None
    if settings.host in ("127.0.0.1", "localhost", "::1"):
        security = TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=[f"{host}:*" for host in _LOOPBACK],
            allowed_origins=[f"http://{host}:*" for host in _LOOPBACK],
        )

    def manager(json_response: bool) -> StreamableHTTPSessionManager:
        return StreamableHTTPSessionManager(
            server,
            # No state in the process: any number of copies can stand behind a load balancer.
            stateless=True,
            json_response=json_response,
            security_settings=security,
            max_request_body_size=MAX_MESSAGE,
        )

    plain, streaming = manager(json_response=True), manager(json_response=False)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with plain.run(), streaming.run():
            yield

    routes = [Route("/mcp", endpoint=Endpoint(plain, streaming)), Route("/healthz", _healthz)]
    app = Starlette(routes=routes, lifespan=lifespan)
    return app if settings.server_token is None else TokenCheck(app, settings.server_token)


class Endpoint:
    """Answers in JSON, and those who ask for the progress of a call with an event stream."""

    def __init__(self, plain: StreamableHTTPSessionManager, streaming: StreamableHTTPSessionManager) -> None:
        self._plain = plain
        self._streaming = streaming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        manager = self._plain
        accepts = any(b"text/event-stream" in value for name, value in scope["headers"] if name == b"accept")
        if scope["method"] == "POST" and accepts:
            body, receive = await _begun(receive)
            if b'"progressToken"' in body:
                manager = self._streaming
        await manager.handle_request(scope, receive, send)


async def _begun(receive: Receive) -> tuple[bytes, Receive]:
    """A body, as far as it may be read, and what receives it again."""
    body, more = bytearray(), True
    messages: deque[Message] = deque()
    while more and len(body) <= MAX_MESSAGE:
        message = await receive()
        messages.append(message)
        body += message.get("body", b"")
        more = message.get("more_body", False)

    async def again() -> Message:
        return messages.popleft() if messages else await receive()

    return bytes(body), again


class TokenCheck:
    """Lets in who sends `Authorization: Bearer TOKEN`; `/healthz` is open."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 401, or passes the request on."""
        if scope["type"] == "http" and scope["path"] != "/healthz" and not self._admits(scope):
            refusal = PlainTextResponse("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})
            return await refusal(scope, receive, send)
        await self._app(scope, receive, send)

    def _admits(self, scope: Scope) -> bool:
        shown = b"".join(value for name, value in scope["headers"] if name == b"authorization")
        return hmac.compare_digest(shown, self._expected)


async def _healthz(_: Request) -> Response:
    return PlainTextResponse("ok")
