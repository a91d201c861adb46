"""Pages of a list: what leads to the next one, and all of them as one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

import httpx2

from .result import Answer, read_json
from .serialization import json_text, percent

MAX_PAGES = 20
"""The most pages that one call reads."""
MAX_LINK = 8192
"""The longest `Link` that is read, in characters."""


@dataclass(frozen=True)
class Link:
    """`Link: <...>; rel="next"` (RFC 8288, 3) leads to the next page."""


@dataclass(frozen=True)
class Url:
    """A URL in the page does; there is none on the last one."""

    at: Sequence[str]


@dataclass(frozen=True)
class Cursor:
    """A value in the page does, which a parameter takes; there is none on the last page."""

    at: Sequence[str]
    parameter: str
    body: str | None = None
    """The parameter is a member of a JSON body: the name of its argument, if it has one. Else it is in the query."""


@dataclass(frozen=True)
class Page:
    """A parameter with the number of the page does. The page after the last has no items."""

    parameter: str
    first: int = 1
    body: str | None = None
    """As that of a `Cursor`."""


@dataclass(frozen=True)
class Offset:
    """A parameter with the number of the first item of the page does. The page after the last has none."""

    parameter: str
    first: int = 0
    body: str | None = None
    """As that of a `Cursor`."""


NextPage = Link | Url | Cursor | Page | Offset
"""What leads from one page to the next."""


@dataclass(frozen=True)
class PageRequest:
    """What asks for a page, beside what asks for all of them alike."""

    url: httpx2.URL
    """Without credentials."""
    member: Any = None
    """The member of a JSON body that says which page it is, where one does."""


class Pages:
    """Pages read so far.

    `items` says where the list is in a page. `secrets` are the query parameters that hold
    credentials, `arguments` those of the tool by the name of their query parameter.
    """

    def __init__(
        self, items: Sequence[str], next_page: NextPage, secrets: Sequence[str], arguments: Mapping[str, str]
    ) -> None:
        self._at = items
        self._next_page = next_page
        self._secrets = secrets
        self._arguments = arguments
        self._seen: list[PageRequest] = []
        self._items: list[Any] = []
        self._last: Any = None
        self.size = 0
        """How many bytes the pages take."""
        self.next: PageRequest | None = None
        """What may ask for the next page."""
        self.astray = ""
        """Why the next page is not read."""

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def member(self) -> str | None:
        """The name of the member of a JSON body that says which page is asked for, where one does."""
        by = self._next_page
        return None if isinstance(by, Link | Url) or by.body is None else by.parameter

    def add(self, asked: PageRequest, answer: Answer) -> bool:
        """Adds a page. Whether it is one."""
        try:
            page = read_json(answer.body) if 200 <= answer.status < 300 else None
        except ValueError:
            page = None
        items = _at(page, self._at)
        if not isinstance(items, list):
            return False
        self._seen.append(asked)
        self._items += items
        self._last = page
        self.size += len(answer.body)
        self.next, self.astray = None, ""
        self._find_next(asked, answer, page, len(items))
        if self.next in self._seen:
            self.next, self.astray = None, "it was read already"
        return True

    def merged(self) -> bytes:
        """The pages as one: the last of them with the items of all."""
        return json_text(_with(self._last, self._at, self._items)).encode()

    def note(self, stop: str = "") -> str:
        """How many pages these are, why there are no more of them, and how to go on: one line for the model."""
        read = f"{len(self)} page{'' if len(self) == 1 else 's'} read"
        if self.astray:
            return f"[{read}; the next one is not read: {self.astray}]"
        if self.next is None:
            return f"[{read}; there are no more]"
        more = "there may be more" if isinstance(self._next_page, Page | Offset) else "there are more"
        arguments = self._changed(self.next)
        how = f"call again with {arguments}" if arguments else f"up to {MAX_PAGES} can be read at once"
        return f"[{read}; {stop}{more}: {how}]"

    def _find_next(self, asked: PageRequest, answer: Answer, page: Any, count: int) -> None:
        by = self._next_page
        if isinstance(by, Link):
            self._follow(asked.url, next_link(answer.link or ""))
        elif isinstance(by, Url):
            self._follow(asked.url, _text(_at(page, by.at)))
        elif isinstance(by, Cursor):
            cursor = _at(page, by.at)
            if _text(cursor) is not None and not _is_last(_at(page, by.at[:-1])):
                self.next = self._with(asked, by.parameter, cursor)
        elif count > 0:
            number = _number(asked, by.parameter, by.first) + (1 if isinstance(by, Page) else count)
            self.next = self._with(asked, by.parameter, number)

    def _with(self, asked: PageRequest, parameter: str, value: Any) -> PageRequest:
        # In the body a value stays what it is in the page.
        if self.member is not None:
            return PageRequest(asked.url, value)
        return PageRequest(_with_query(asked.url, parameter, str(value)))

    def _follow(self, url: httpx2.URL, target: str | None) -> None:
        """Another origin gets neither the request nor its credentials."""
        if target is None:
            return
        try:
            found = url.join(target)
        except httpx2.InvalidURL:
            self.astray = "its address is no URL"
            return
        if (found.scheme, found.host, found.port) != (url.scheme, url.host, url.port):
            self.astray = "it is at another origin"
            return
        query = "&".join(_without(found, self._secrets))
        next_url = url.copy_with(raw_path=_path(found) + (f"?{query}".encode() if query else b""), fragment=None)
        self.next = PageRequest(next_url)

    def _changed(self, page: PageRequest) -> str | None:
        by = self._next_page
        if not isinstance(by, Link | Url) and by.body is not None:
            return f"{by.body}={str(page.member)[:512]}" if by.body else None
        first, url = self._seen[0].url, page.url
        if _path(first) != _path(url):
            return None
        new = [pair for pair in _pairs(url) if pair not in _pairs(first)]
        if any(name not in self._arguments for name, _ in new):
            return None
        return " and ".join(f"{self._arguments[name]}={value[:512]}" for name, value in new)


_HAS_MORE = ("has_more", "hasMore", "has_next", "hasNext", "has_next_page", "hasNextPage")
_PARAMETER = r"\s*;\s*([^=;,<>\s]*)\s*(?:=\s*(\"(?:[^\"\\]|\\.)*\"|[^;,]*))?"
_LINK = re.compile(rf"<([^>]*)>((?:{_PARAMETER})*)")


def next_link(header: str) -> str | None:
    """The target of the first link with the relation `next` (RFC 8288, 3)."""
    for link in _LINK.finditer(header[:MAX_LINK]):
        parameters = re.findall(_PARAMETER, link[2])
        relation = next((value for name, value in parameters if name.lower() == "rel"), "")
        if "next" in relation.strip('" ').lower().split():
            return link[1].strip()
    return None


def _at(value: Any, names: Sequence[str]) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _with(value: Any, names: Sequence[str], items: list[Any]) -> Any:
    if not names:
        return items
    return {**value, names[0]: _with(value[names[0]], names[1:], items)}


def _is_last(around: Any) -> bool:
    """Whether a page says, beside its cursor, that there is none after it."""
    return isinstance(around, dict) and any(around.get(name) is False for name in _HAS_MORE)


def _text(value: object) -> str | None:
    """The text of a string or number that says something."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value) if str(value) not in ("", "0") else None


def _path(url: httpx2.URL) -> bytes:
    return url.raw_path.split(b"?")[0]


def _pairs(url: httpx2.URL) -> list[tuple[str, str]]:
    return parse_qsl(url.query.decode("ascii"), keep_blank_values=True)


def _without(url: httpx2.URL, names: Sequence[str]) -> list[str]:
    """The pairs of the query but for those of these names."""
    pairs = url.query.decode("ascii").split("&")
    named = [parse_qsl(pair, keep_blank_values=True) for pair in pairs]
    return [pair for pair, read in zip(pairs, named, strict=True) if read and read[0][0] not in names]


def _with_query(url: httpx2.URL, parameter: str, value: str) -> httpx2.URL:
    """The URL with another value of one parameter; the others stay as they are."""
    query = "&".join([*_without(url, [parameter]), f"{percent(parameter)}={percent(value)}"])
    return url.copy_with(raw_path=_path(url) + f"?{query}".encode())


def _number(asked: PageRequest, parameter: str, first: int) -> int:
    numbers = [value for name, value in [(parameter, str(asked.member)), *_pairs(asked.url)] if name == parameter]
    numbers = [value for value in numbers if value.isdecimal()]
    return int(numbers[0]) if numbers else first
