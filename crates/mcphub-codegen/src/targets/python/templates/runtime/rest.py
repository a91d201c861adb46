"""The rest of an answer that is too long for one result.

Nothing is kept for it. A piece of an answer names the place where the next one begins; the same call with that place
makes the request again, and passes over what was given before, held against its digest.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from .request import ArgumentError, Unset

_PLACE = re.compile(r"([0-9]{1,18})\.([A-Za-z0-9_-]{22})")
_BEGINNING = "0"
_DIGEST = 16


@dataclass(frozen=True)
class Rest:
    """Where an answer begins that a call asks for."""

    argument: str
    """The tool's argument for it."""
    offset: int = 0
    """How many bytes were given before."""
    digest: bytes = b""
    """The beginning of the SHA-256 of these."""

    @classmethod
    def asked(cls, place: str | Unset, argument: str = "rest") -> Rest:
        """The place that an argument has; the beginning without it.

        Raises `ArgumentError` for what no answer named.
        """
        if isinstance(place, Unset) or place == _BEGINNING:
            return cls(argument)
        found = _PLACE.fullmatch(place)
        try:
            digest = base64.urlsafe_b64decode(f"{found[2]}==") if found else b""
        except binascii.Error:
            digest = b""
        if found is None or len(digest) != _DIGEST:
            raise ArgumentError(argument, "is none that an answer named; ask anew without it, from the beginning")
        return cls(argument, int(found[1]), digest)

    async def read(self, chunks: AsyncIterator[bytes], most: int, length: int | None, text: bool) -> Piece | None:
        """The bytes from the place on, at most so many. `None` where the answer is not what it was."""
        before = hashlib.sha256()
        left, body, more = self.offset, bytearray(), False
        async for chunk in chunks:
            before.update(chunk[:left])
            body += chunk[left:]
            left -= min(left, len(chunk))
            if len(body) > most:
                more = True
                break
        if left or (self.offset and before.digest()[:_DIGEST] != self.digest):
            return None
        if not more:
            end = self.offset + len(body)
            note = f"[bytes {self.offset} to {end} of {end} are given: this is the end]"
            return Piece(bytes(body), note if self.offset else None)
        del body[most:]
        if text:
            del body[_whole_characters(body) :]
        before.update(body)
        end = self.offset + len(body)
        digest = base64.urlsafe_b64encode(before.digest()[:_DIGEST]).decode().rstrip("=")
        given = f"bytes {self.offset} to {end} of {'more' if length is None else length} are given"
        how = f"for the rest call again with the same arguments and {self.argument}={end}.{digest}"
        return Piece(bytes(body), f"[cut: {given}; {how}]")


@dataclass(frozen=True)
class Piece:
    """What was read of an answer."""

    body: bytes
    note: str | None
    """One line for the model where it is not all of it."""


def _whole_characters(body: bytearray) -> int:
    """How many bytes a text has without a character that is cut at its end."""
    for size in range(1, min(4, len(body)) + 1):
        first = body[-size]
        if first & 0xC0 != 0x80:
            length = 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
            return len(body) - size if length > size else len(body)
    return len(body)
