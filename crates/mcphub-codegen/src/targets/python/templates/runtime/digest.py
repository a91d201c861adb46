"""HTTP digest: answers to what the API asks, from a user and a password (RFC 7616)."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

MAX_QUESTION = 4096
"""The longest question that is read, in characters; it comes back with every request."""

_HASHES = {"MD5": "md5", "SHA-256": "sha256", "SHA-512-256": "sha512_256"}
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_WORD = re.compile(rf'[\s,]*({_TOKEN})(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))|(?=\s|$))')


@dataclass(frozen=True)
class _Question:
    """RFC 7616, 3.3."""

    realm: str
    nonce: str
    opaque: str | None
    algorithm: str | None
    """As the server writes it."""
    hash: str
    session: bool
    """Whether the algorithm ends in `-sess`."""
    quality: Literal["auth", "auth-int"] | None
    userhash: bool
    """Whether the server wants the hash of the user in place of the name."""
    stale: bool
    """Whether the last answer was right and its question too old."""


class Digest:
    """The answers of one user. What was asked last is answered ahead of the next request."""

    def __init__(self, login: str) -> None:
        """The login is `user:password`."""
        self._user, _, self._password = login.partition(":")
        self._question: _Question | None = None
        self._count = 0
        self._cnonce = ""

    def answer(self, method: str, uri: str, body: bytes | None) -> str | None:
        """The value of `Authorization` for a request, when there was a question."""
        asked = self._question
        if asked is None:
            return None
        self._count += 1
        count, cnonce = f"{self._count:08x}", self._cnonce

        def hashed(content: str | bytes) -> str:
            content = content if isinstance(content, bytes) else content.encode()
            return hashlib.new(asked.hash, content, usedforsecurity=False).hexdigest()

        first = hashed(f"{self._user}:{asked.realm}:{self._password}")
        if asked.session:
            first = hashed(f"{first}:{asked.nonce}:{cnonce}")
        second = f"{method}:{uri}"
        if asked.quality == "auth-int":
            second += f":{hashed(body or b'')}"
        middle = "" if asked.quality is None else f":{count}:{cnonce}:{asked.quality}"
        if asked.userhash:
            name = f'username="{hashed(f"{self._user}:{asked.realm}")}", userhash=true'
        elif self._user.isascii():
            name = f"username={_quoted(self._user)}"
        else:
            # RFC 7616, 3.4, `username*`.
            name = f"username*=UTF-8''{quote(self._user, safe='')}"
        fields = [
            name,
            f"realm={_quoted(asked.realm)}",
            f"nonce={_quoted(asked.nonce)}",
            f"uri={_quoted(uri)}",
            f'response="{hashed(f"{first}:{asked.nonce}{middle}:{hashed(second)}")}"',
        ]
        if asked.algorithm is not None:
            fields.append(f"algorithm={asked.algorithm}")
        if asked.opaque is not None:
            fields.append(f"opaque={_quoted(asked.opaque)}")
        if asked.quality is not None:
            fields += [f"qop={asked.quality}", f"nc={count}", f'cnonce="{cnonce}"']
        elif asked.session:
            fields.append(f'cnonce="{cnonce}"')
        return f"Digest {', '.join(fields)}"

    def ask(self, header: str, answered: str | None) -> bool:
        """Takes the question of a refusal over.

        Returns whether the request is worth another try: it was made without an answer, or with one to
        an older question.
        """
        question = _read(header)
        if question is None:
            return False
        again = question.stale or answered is None or f"nonce={_quoted(question.nonce)}," not in answered
        self._question, self._count, self._cnonce = question, 0, secrets.token_hex(16)
        return again

    def forget(self) -> None:
        """Forgets the last question: its answer was wrong."""
        self._question = None


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _read(header: str) -> _Question | None:
    """The first question of a header that can be answered: servers put what they prefer first."""
    if len(header) > MAX_QUESTION:
        return None
    for scheme, parameters in _challenges(header):
        algorithm = parameters.get("algorithm")
        name = (algorithm or "MD5").upper()
        known = _HASHES.get(name.removesuffix("-SESS"))
        realm, nonce = parameters.get("realm"), parameters.get("nonce")
        offered = [offer.strip() for offer in parameters.get("qop", "").lower().split(",")]
        quality: Literal["auth", "auth-int"] | None = None
        if "auth" in offered:
            quality = "auth"
        elif "auth-int" in offered:
            quality = "auth-int"
        elif "qop" in parameters:
            continue
        if scheme != "digest" or realm is None or nonce is None or known is None:
            continue
        return _Question(
            realm=realm,
            nonce=nonce,
            opaque=parameters.get("opaque"),
            algorithm=algorithm,
            hash=known,
            session=name.endswith("-SESS"),
            quality=quality,
            userhash=parameters.get("userhash", "").lower() == "true",
            stale=parameters.get("stale", "").lower() == "true",
        )
    return None


def _challenges(header: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Schemes in lower case, with parameters (RFC 9110, 11.6.1). What follows a mistake is not read."""
    found: list[tuple[str, dict[str, str]]] = []
    at = 0
    while word := _WORD.match(header, at):
        at = word.end()
        name, text, bare = word.groups()
        if text is None and bare is None:
            found.append((name.lower(), {}))
        elif found:
            found[-1][1][name.lower()] = re.sub(r"\\(.)", r"\1", text) if bare is None else bare
    return iter(found)
