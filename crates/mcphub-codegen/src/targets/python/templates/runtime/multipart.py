"""Bodies of `multipart/form-data` (RFC 7578), and bytes in base64."""

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
class _Part:
    name: str
    content: bytes
    media_type: str | None = None
    filename: str | None = None

    @property
    def head(self) -> bytes:
        text = f'Content-Disposition: form-data; name="{_quoted(self.name)}"'
        if self.filename is not None:
            text += f'; filename="{_quoted(self.filename)}"'
        text += "\r\n"
        if self.media_type is not None:
            text += f"Content-Type: {self.media_type}\r\n"
        return text.encode()


@dataclass
class Multipart:
    """The parts of a form so far."""

    parts: list[_Part] = field(default_factory=list)

    def add(self, name: str, value: object, *, file: bool = False, media_type: str | None = None) -> None:
        """Adds a value: text, a dict as JSON, a list as one part for each item, nothing for `None`.

        A file is its bytes in base64, or a dict with these as `data`, and `filename` and `contentType`
        where they matter.
        """
        json = media_type is not None and serialization.is_json(media_type)
        if isinstance(value, list) and not json:
            for item in value:
                if item is not None:
                    self._item(name, item, file, media_type)
        elif value is not None or json:
            self._item(name, value, file, media_type)

    def styled(self, name: str, value: object, style: Style, explode: bool) -> None:
        """Adds a value with a style of its own: text, as in a URL but for the escapes."""
        for key, text in serialization.pairs(name, value, style, explode, serialization.plain):
            self.parts.append(_Part(key, text.encode()))

    def finish(self) -> tuple[str, bytes]:
        """The boundary and the body.

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
        return boundary, body + f"--{boundary}--\r\n".encode()

    def _item(self, name: str, value: object, file: bool, media_type: str | None) -> None:
        if file:
            self.parts.append(_file(name, value, media_type))
        elif media_type is not None and serialization.is_json(media_type):
            self.parts.append(_Part(name, serialization.json_text(value).encode(), media_type))
        elif media_type is None and isinstance(value, (dict, list)):
            self.parts.append(_Part(name, serialization.json_text(value).encode(), "application/json"))
        else:
            self.parts.append(_Part(name, serialization.scalar(value).encode(), media_type))


def _file(name: str, value: object, media_type: str | None) -> _Part:
    media_type = media_type or _ANY_FILE
    if not isinstance(value, dict):
        return _Part(name, base64_bytes(value), media_type, name)
    if "data" not in value:
        raise ValueError("a file has its bytes in base64 as `data`")
    stated, filename = value.get("contentType"), value.get("filename")
    media_type = media_type if stated is None else serialization.scalar(stated)
    # RFC 9110, 5.5: CR and LF would add a header.
    if any((char < " " and char != "\t") or char == "\x7f" for char in media_type):
        raise ValueError("a header value cannot hold control characters")
    filename = name if filename is None else serialization.scalar(filename)
    return _Part(name, base64_bytes(value["data"]), media_type, filename)


def _quoted(text: str) -> str:
    """A name as browsers write it (WHATWG HTML, multipart/form-data encoding)."""
    return text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
