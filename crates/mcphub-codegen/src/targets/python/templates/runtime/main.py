"""`python -m` starts the server."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace

import anyio

from . import __version__
from .api import Api
from .server import create_server
from .serving import serve_http, serve_stdio
from .settings import Settings, SettingsError


def main() -> None:
    """Reads options and environment, and serves until told to stop."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}",
        description="An MCP server. Options come before the environment variables that README.md lists.",
    )
    parser.add_argument("--transport", choices=["stdio", "http"], help="default: MCP_TRANSPORT, or stdio")
    parser.add_argument("--host", help="where HTTP listens; default: MCP_HOST, or 127.0.0.1")
    parser.add_argument("--port", type=int, help="where HTTP listens; default: MCP_PORT, or 8000")
    parser.add_argument("--version", action="version", version=__version__)
    given = {name: value for name, value in vars(parser.parse_args()).items() if value is not None}
    try:
        settings = replace(Settings.from_environment(os.environ), **given)
    except SettingsError as error:
        sys.exit(f"{__package__}: {error}")
    try:
        anyio.run(run, settings)
    except KeyboardInterrupt:
        sys.exit(130)


async def run(settings: Settings) -> None:
    """Serves over the transport of the settings."""
    async with Api(settings) as api:
        server = create_server(api)
        if settings.transport == "http":
            await serve_http(server, settings)
        else:
            await serve_stdio(server)


if __name__ == "__main__":
    main()
