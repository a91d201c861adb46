"""Bodies of parts (RFC 7578; RFC 2046, 5.1), and bytes in base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field

from . import serialization
from .serialization import Style

_ANY_FILE = "application/octet-stream"
_WHITE_SPACE = re.compile(r"[\t\n\f\r ]")


def base64_bytes(value: object) -> bytes:
    """The bytes of a text in base64 (RFC 4648, 4); padding may be left out."""
    if isinstance(value, str):
        text = _WHITE_SPACE.sub("", value).rstrip("=")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (ValueError, binascii.Error):
            pass
    raise ValueError("must be the bytes in base64 (RFC 4648, 4)")


@dataclass
class Part:
    """One part of a body. `disposition` is the value of `Content-Disposition`."""

    content: bytes
    media_type: str | None = None
    disposition: str | None = None
    headers: list[tuple[str, str]] = field(default_factory=list)

    @property
    def head(self) -> bytes:
        """The headers, each with its line end."""
        stated = [("Content-Disposition", self.disposition), ("Content-Type", self.media_type), *self.headers]
        return "".join(f"{name}: {value}\r\n" for name, value in stated if value is not None).encode()


@dataclass
class Multipart:
    """The parts of a body so far."""

    parts: list[Part] = field(default_factory=list)

    def add(self, name: str, value: object, *, file: bool = False, media_type: str | None = None) -> None:
        """Adds a value: text, a dict as JSON, a list as one part for each item, nothing for `None`.

        A file is its bytes in base64, or a dict with these as `data`, and `filename` and `contentType`
        where they matter.
        """
        json = media_type is not None and serialization.is_json(media_type)
        if isinstance(value, list) and not json:
            for item in value:
                if item is not None:
                    self.parts.append(_part(name, item, file, media_type))
        elif value is not None or json:
            self.parts.append(_part(name, value, file, media_type))

    def styled(self, name: str, value: object, style: Style, explode: bool) -> None:
        """Adds a value with a style of its own: text, as in a URL but for the escapes."""
        for key, text in serialization.pairs(name, value, style, explode, serialization.plain):
            self.parts.append(Part(text.encode(), disposition=_field(key)))

    def item(self, value: object, *, file: bool = False, media_type: str | None = None) -> None:
        """Adds an item of a list, which has no name; `None` is left out, but for JSON."""
        if value is not None or (media_type is not None and serialization.is_json(media_type)):
            self.parts.append(_part(None, value, file, media_type))

    def finish(self, media_type: str) -> tuple[str, bytes]:
        """The media type with the boundary, and the body.

        The boundary is made of a digest of the parts, which no part can hold, so that the same arguments
        are the same bytes.
        """
        digest = hashlib.sha256()
        for part in self.parts:
            digest.update(part.head)
            digest.update(part.content)
        boundary = digest.hexdigest()[:32]
        delimiter = f"--{boundary}\r\n".encode()
        body = b"".join(delimiter + part.head + b"\r\n" + part.content + b"\r\n" for part in self.parts)
        if media_type == "multipart/related":
            # RFC 2387, 3.1: what is related says what its root is.
            root = self.parts[0].media_type if self.parts else None
            media_type += f'; type="{_quoted(root or "text/plain")}"'
        return f"{media_type}; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def _part(name: str | None, value: object, file: bool, media_type: str | None) -> Part:
    if file:
        return _file(name, value, media_type or _ANY_FILE)
    disposition = None if name is None else _field(name)
    if media_type is not None and serialization.is_json(media_type):
        return Part(serialization.json_text(value).encode(), media_type, disposition)
    if media_type is None and isinstance(value, (dict, list)):
        return Part(serialization.json_text(value).encode(), "application/json", disposition)
    return Part(serialization.scalar(value).encode(), media_type, disposition)


def _file(name: str | None, value: object, media_type: str) -> Part:
    filename = name
    if isinstance(value, dict):
        if "data" not in value:
            raise ValueError("a file has its bytes in base64 as `data`")
        if value.get("contentType") is not None:
            media_type = serialization.scalar(value["contentType"])
        # RFC 9110, 5.5: CR and LF would add a header.
        if any((char < " " and char != "\t") or char == "\x7f" for char in media_type):
            raise ValueError("a header value cannot hold control characters")
        if value.get("filename") is not None:
            filename = serialization.scalar(value["filename"])
        value = value["data"]
    part = Part(base64_bytes(value), media_type, None if name is None else _field(name))
    if filename is not None:
        part.disposition = f'{part.disposition or "attachment"}; filename="{_quoted(filename)}"'
    return part


def _field(name: str) -> str:
    return f'form-data; name="{_quoted(name)}"'


def _quoted(text: str) -> str:
    """A name as browsers write it (WHATWG HTML, multipart/form-data encoding)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
