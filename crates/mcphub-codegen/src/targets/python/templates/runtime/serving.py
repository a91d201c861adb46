"""The server over stdio and over streamable HTTP, in both eras of the protocol."""

from __future__ import annotations

import hmac
import sys
from typing import Any

import uvicorn
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .settings import Settings


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
    app = server.streamable_http_app(
        host=settings.host,
        # No state in the process: any number of copies can stand behind a load balancer.
        stateless_http=True,
        json_response=True,
        custom_starlette_routes=[Route("/healthz", _healthz)],
    )
    return app if settings.server_token is None else TokenCheck(app, settings.server_token)


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
