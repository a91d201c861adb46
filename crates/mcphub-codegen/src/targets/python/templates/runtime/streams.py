"""Streams of the API: server-sent events and lines of JSON.

They may go on for longer than a call. Who asks for progress hears of each event or line while it comes; the result has
all that came in time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Literal

import anyio
import httpx2

from .cause import cause
from .rest import Piece

MARGIN = 0.2
"""How long before the end of a call reading ends, in seconds, so that what came is still given."""
MAX_TOLD = 4 * 1024
"""As much of a line or an event as is told, in bytes."""

Kind = Literal["events", "lines"]
"""What is told apart: server-sent events (HTML, 9.2), or lines that stand for themselves."""

Tell = Callable[[str], Awaitable[None]]
"""Tells somebody what came."""

_LINES = {
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-seq",
}


def kind_of(content_type: str) -> Kind | None:
    """The kind of a media type; `None` for what is no stream."""
    essence = content_type.split(";")[0].strip().lower()
    if essence == "text/event-stream":
        return "events"
    return "lines" if essence in _LINES else None


class Stream:
    """A stream while it is read. It ends early where it would be too much or too late."""

    def __init__(self, kind: Kind, tell: Tell | None, timeout: float, most: int | None) -> None:
        """`timeout` is the time for the call, which ends by the scope around; `most` the bytes to read."""
        self._told = Told(kind)
        self._tell = tell
        self._timeout = timeout
        self._most = most
        self._why: str | None = None

    async def read(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The bytes as they come."""
        end = anyio.current_effective_deadline() - MARGIN
        size = 0
        while True:
            chunk: bytes | None = None
            try:
                with anyio.move_on_after(end - anyio.current_time()) as scope:
                    chunk = await anext(chunks, None)
                    if chunk is not None and self._tell is not None:
                        for message in self._told.take(chunk):
                            await self._tell(message)
            except httpx2.HTTPError as error:
                self._why = f"broke off: {cause(error)}"
                return
            if chunk is not None:
                size += len(chunk)
                if self._most is not None and size > self._most:
                    self._why = f"is over {self._most >> 20} MiB"
                    yield chunk[: len(chunk) - (size - self._most)]
                    return
                yield chunk
            if scope.cancelled_caught:
                self._why = f"went on after {self._timeout:g} s"
                return
            if chunk is None:
                return

    def cut(self, piece: Piece) -> Piece:
        """What was read of it: all, or whole lines with a line for the model that says why."""
        if self._why is None:
            return piece
        body = piece.body[: piece.body.rfind(b"\n") + 1]
        return Piece(body, f"[cut: the stream {self._why}; {len(body)} bytes of it are given]")


class Told:
    """What was told of a stream."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._line = bytearray()
        self._event: list[str] = []
        self._size = 0

    def take(self, chunk: bytes) -> list[str]:
        """What ended with these bytes."""
        *ended, rest = chunk.split(b"\n")
        told = []
        for end in ended:
            self._add(end)
            line = self._line.decode(errors="replace").removesuffix("\r")
            self._line.clear()
            message = self._lines(line) if self._kind == "lines" else self._events(line)
            if message:
                told.append(_short(message))
        self._add(rest)
        return told

    def _add(self, part: bytes) -> None:
        # One more than is told, which shows that it was cut.
        self._line += part[: MAX_TOLD + 64 - len(self._line)]

    def _lines(self, line: str) -> str:
        # RFC 7464, 2.2: a text sequence has a separator before each text.
        return line.lstrip("\x1e")

    def _events(self, line: str) -> str | None:
        if line:
            field, _, value = line.partition(":")
            if field == "data" and self._size <= MAX_TOLD:
                self._event.append(value.removeprefix(" "))
                self._size += len(value) + 1
            return None
        event = "\n".join(self._event)
        self._event, self._size = [], 0
        return event


def _short(message: str) -> str:
    encoded = message.encode()
    if len(encoded) <= MAX_TOLD:
        return message
    return encoded[:MAX_TOLD].decode(errors="ignore") + "…"
