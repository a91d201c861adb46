"""Requests go to the API, and its answers come back as tool results."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from copy import copy
from dataclasses import replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType

import anyio
import httpx2

from . import __version__
from .cause import cause
from .certificates import tls
from .digest import Digest
from .fields import Fields, TooMuchError
from .pages import MAX_PAGES, NextPage, PageRequest, Pages
from .request import UNSET, ArgumentError, Request, Unset
from .rest import Piece, Rest
from .result import Answer, Output, ToolResult, error_text, is_text, read_json
from .retry import MAX_RETRIES, wait_for
from .serialization import is_json, json_text
from .settings import SCHEMES, Settings
from .streams import Stream, Tell, kind_of

CONNECT_TIMEOUT = 5.0
"""The longest wait for a connection, in seconds."""
TIMEOUT = 30.0
"""The longest wait for a whole answer, in seconds."""
MAX_ANSWER = 10 * 1024 * 1024
"""The largest answer that is read, in bytes after decompression."""
MAX_REDIRECTS = 5
"""How many redirects are followed, always to the same origin: credentials never leave it."""

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_HEADERS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

# At its usual level the client logs URLs, and a URL can hold an API key.
logging.getLogger("httpx2").setLevel(logging.WARNING)


class Api:
    """A connection pool to the API. Use it as an async context manager."""

    def __init__(self, settings: Settings, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        """Raises `ValueError` when the certificates of the settings cannot be used."""
        self._settings = settings
        self._digests: dict[str, Digest] = {}
        self._tell: Tell | None = None
        authorities, identity = settings.credentials.authorities, settings.credentials.identity
        self._client = _client(transport, tls(authorities, None))
        # Connections that have shown a certificate serve no call that should show none.
        self._certified = self._client if identity is None else _client(transport, tls(authorities, identity))

    async def __aenter__(self) -> Api:
        await self._client.__aenter__()
        if self._certified is not self._client:
            await self._certified.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._certified is not self._client:
            await self._certified.__aexit__(kind, error, trace)
        await self._client.__aexit__(kind, error, trace)

    def telling(self, tell: Tell) -> Api:
        """The same API over the same connections. While a stream of it comes, `tell` hears of what it has."""
        api = copy(self)
        api._tell = tell
        return api

    async def call(
        self,
        request: Request,
        output: Output = "none",
        *,
        pages: int | Unset = UNSET,
        items: Sequence[str] = (),
        next_page: NextPage | None = None,
        fields: Fields | None = None,
        rest: Rest | None = None,
    ) -> ToolResult:
        """Sends a request; whatever goes wrong is a tool error.

        Of a list whose next page is known, several `pages` are read and joined, all within the time
        and the size of one answer. Of a JSON answer, only the `fields` stay. A longer answer comes in
        pieces where `rest` says how to ask for the next one.

        Raises `ArgumentError` when an argument cannot be sent.
        """
        if rest is not None and fields is not None:
            if rest.offset:
                raise ArgumentError(rest.argument, "an answer of which fields are chosen has no rest")
            rest = None
        if not isinstance(pages, Unset) and not 1 <= pages <= MAX_PAGES:
            raise ArgumentError("pages", f"must be 1 to {MAX_PAGES}")
        request.finish()
        base = httpx2.URL(self._settings.base_url)
        end = anyio.current_time() + TIMEOUT
        try:
            if request.server is not None:
                base = base.join(request.server)
            url = _url(base, request.target)
            uri = str(url.copy_with(username=None, password=None))
            self._settings.credentials.authorize(request, SCHEMES)
            with anyio.fail_after(TIMEOUT):
                answer = await self._patiently(request, _url(base, request.target), rest)
        except _FAILURES as error:
            return ToolResult.error(_failure(error, base, request))
        notes = []
        if answer.note is not None:
            notes.append(answer.note)
        elif next_page is not None and not isinstance(pages, Unset) and pages > 1:
            read = Pages(items, next_page, _secrets(), request.arguments)
            member = None if read.member is None else request.member(read.member)
            if read.add(PageRequest(url, member), answer):
                notes.append(await self._follow(read, request, pages, end))
                answer = replace(answer, body=read.merged())
        if fields is not None:
            answer, note = _picked(answer, fields)
            notes += note
        return ToolResult.from_answer(answer, output, uri).noted(*notes)

    async def _follow(self, pages: Pages, request: Request, wanted: int, end: float) -> str:
        """Reads the pages after the first one; returns a line about them."""
        while len(pages) < wanted and pages.next is not None:
            page = pages.next
            url = page.url
            if pages.member is not None:
                request.set_member(pages.member, page.member)
            query = "&".join(part for part in (url.query.decode("ascii"), request.secrets) if part)
            path = url.raw_path.split(b"?")[0]
            target = url.copy_with(raw_path=path + (f"?{query}".encode() if query else b""))
            try:
                with anyio.fail_after(end - anyio.current_time()):
                    answer = await self._send(request, target)
            except _FAILURES as error:
                return pages.note(f"the next one failed: {_failure(error, url, request)}; ")
            if pages.size + len(answer.body) > MAX_ANSWER:
                return pages.note(f"more would be over {MAX_ANSWER >> 20} MiB; ")
            if not pages.add(page, answer):
                why = "its answer has no list" if 200 <= answer.status < 300 else error_text(answer).splitlines()[0]
                return pages.note(f"the next one failed: {why}; ")
        return pages.note()

    async def _patiently(self, request: Request, url: httpx2.URL, rest: Rest | None) -> Answer:
        """Sends a request again for as long as the API says when to come back."""
        end = anyio.current_effective_deadline()
        for _ in range(MAX_RETRIES if request.repeatable else 0):
            answer = await self._send(request, url, rest)
            wait = wait_for(answer)
            if wait is None or anyio.current_time() + wait >= end:
                return answer
            await anyio.sleep(wait)
        return await self._send(request, url, rest)

    async def _send(self, request: Request, url: httpx2.URL, rest: Rest | None = None) -> Answer:
        headers = _headers(request)
        method, body = request.method, request.body
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._exchange(request, httpx2.Request(method, url, headers=headers, content=body))
            try:
                if not response.has_redirect_location:
                    return await _read(response, url, rest, self._tell)
                target = _redirect(response, url)
            finally:
                await response.aclose()
            # RFC 9110, 15.4: 307 and 308 repeat the request; a POST that moved, and every 303, becomes a GET.
            if response.status_code == 303 and method != "HEAD" or response.status_code < 303 and method == "POST":
                method, body = "GET", None
                headers = [(name, value) for name, value in headers if name != b"content-type"]
            url = target
        raise _Refused(f"The API at {_host(url)} redirected more than {MAX_REDIRECTS} times; the call was given up")

    async def _exchange(self, request: Request, message: httpx2.Request) -> httpx2.Response:
        """Sends a message, and once more with the answer to what the API asks."""
        client = self._certified if request.certified else self._client
        if request.login is None:
            return await client.send(message, stream=True)
        digest = self._digests.setdefault(request.login, Digest(request.login))
        answer = _answer(digest, message)
        response = await client.send(message, stream=True)
        asked = ", ".join(response.headers.get_list("www-authenticate")) if response.status_code == 401 else ""
        if not asked or not digest.ask(asked, answer):
            return response
        await response.aclose()
        _answer(digest, message)
        response = await client.send(message, stream=True)
        if response.status_code == 401:
            digest.forget()
        return response


class _Refused(Exception):
    """The API answered with something that is not read or followed; the message says what."""


_FAILURES = (_Refused, TimeoutError, httpx2.InvalidURL, httpx2.HTTPError)


def _failure(error: Exception, base: httpx2.URL, request: Request) -> str:
    """Why there is no answer."""
    host = _host(base)
    if isinstance(error, _Refused):
        return str(error)
    if isinstance(error, httpx2.ConnectTimeout):
        return f"The API at {host} could not be reached: no connection within {CONNECT_TIMEOUT:g} s"
    if isinstance(error, TimeoutError | httpx2.TimeoutException):
        return f"The API at {host} did not answer within {TIMEOUT:g} s{_doubt(request)}"
    if isinstance(error, httpx2.ConnectError):
        return f"The API at {host} could not be reached: {cause(error)}"
    if isinstance(error, httpx2.InvalidURL):
        return f"The request cannot be made: {error}"
    return f"The API at {host} did not answer as HTTP asks: {cause(error)}{_doubt(request)}"


def _client(transport: httpx2.AsyncBaseTransport | None, context: ssl.SSLContext) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=transport,
        verify=context,
        timeout=httpx2.Timeout(TIMEOUT, connect=CONNECT_TIMEOUT),
        # A cookie of one call never goes with another.
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    )


def _answer(digest: Digest, message: httpx2.Request) -> str | None:
    """Puts the answer to what was asked last into a message, and returns it."""
    answer = digest.answer(message.method, message.url.raw_path.decode("ascii"), message.content)
    if answer is not None:
        message.headers["authorization"] = answer
    return answer


def _picked(answer: Answer, fields: Fields) -> tuple[Answer, list[str]]:
    """The answer with only these fields, and a line about those that it does not have."""
    essence = answer.content_type.split(";")[0].strip().lower()
    if not 200 <= answer.status < 300 or not is_json(essence):
        return answer, []
    try:
        picked = fields.of(read_json(answer.body))
    except ValueError:
        return answer, []
    except TooMuchError as error:
        return answer, [f"[all fields are given: {error}]"]
    note = [f"[the answer has no {', '.join(picked.absent)}]"] if picked.absent else []
    return replace(answer, body=json_text(picked.value).encode()), note


def _secrets() -> list[str]:
    """The names of query parameters that hold credentials."""
    schemes = SCHEMES.values()
    return [scheme.name for scheme in schemes if scheme.kind == "apiKey" and scheme.location == "query"]


def _headers(request: Request) -> list[tuple[bytes, bytes]]:
    present = {name for name, _ in request.headers}
    usual = {"user-agent": f"{__package__}/{__version__}", "accept-encoding": "gzip, deflate"}
    headers = request.headers + [(name, value) for name, value in usual.items() if name not in present]
    for name, value in headers:
        if not _HEADER_NAME.fullmatch(name):
            raise _Refused(f"`{name}` cannot be the name of an HTTP header")
        # The value may be a secret: it is not repeated.
        if _NOT_IN_HEADERS.search(value):
            raise _Refused(f"The value for the HTTP header `{name}` has characters that a header cannot hold")
    return [(name.encode(), value.strip().encode()) for name, value in headers]


def _url(base: httpx2.URL, target: str) -> httpx2.URL:
    path = base.raw_path.split(b"?")[0].rstrip(b"/")
    return base.copy_with(raw_path=path + target.encode("ascii"), fragment=None)


def _host(url: httpx2.URL) -> str:
    return url.netloc.decode("ascii")


def _doubt(request: Request) -> str:
    safe = request.method in ("GET", "HEAD", "OPTIONS", "TRACE", "QUERY")
    return "" if safe else ". The request may have been carried out all the same"


def _redirect(response: httpx2.Response, url: httpx2.URL) -> httpx2.URL:
    try:
        target = url.join(response.headers["location"]).copy_with(fragment=None)
    except httpx2.InvalidURL:
        raise _Refused(f"The API at {_host(url)} redirected to an address that cannot be read") from None
    if (target.scheme, target.host, target.port) != (url.scheme, url.host, url.port):
        origin = f"{target.scheme}://{target.netloc.decode('ascii').rpartition('@')[2]}"
        raise _Refused(
            f"The API at {_host(url)} answered HTTP {response.status_code} with a redirect to another origin, "
            f"{origin}, which is not followed"
        )
    return target


async def _read(response: httpx2.Response, url: httpx2.URL, rest: Rest | None, tell: Tell | None) -> Answer:
    headers = response.headers
    content_type = headers.get("content-type", "")
    # The length of what is read is known where nothing was compressed.
    length = headers.get("content-length", "") if "content-encoding" not in headers else ""
    stated = int(length) if length.isdecimal() else None
    if not response.is_success:
        rest = None
    kind = kind_of(content_type) if rest is None or rest.offset == 0 else None
    chunks: AsyncIterator[bytes] = response.aiter_bytes()
    stream: Stream | None = None
    if kind is not None:
        stream = Stream(kind, tell, TIMEOUT, MAX_ANSWER if rest is None else None)
        chunks = stream.read(chunks)
    if rest is not None:
        found = await rest.read(chunks, MAX_ANSWER, stated, is_text(content_type))
        if found is None:
            raise _Refused(
                f"The answer of the API at {_host(url)} is not what it was before, so that it has no rest; "
                f"ask anew without `{rest.argument}`"
            )
        piece = found
    elif stream is not None:
        piece = Piece(b"".join([chunk async for chunk in chunks]), None)
    else:
        piece = Piece(await _whole(chunks, url, stated), None)
    if stream is not None:
        piece = stream.cut(piece)
    return Answer(
        status=response.status_code,
        content_type=content_type,
        retry_after=headers.get("retry-after"),
        link=headers.get("link"),
        body=piece.body,
        note=piece.note,
    )


async def _whole(chunks: AsyncIterator[bytes], url: httpx2.URL, stated: int | None) -> bytes:
    too_large = _Refused(f"The API at {_host(url)} answered more than {MAX_ANSWER >> 20} MiB; ask for less")
    if stated is not None and stated > MAX_ANSWER:
        raise too_large
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > MAX_ANSWER:
            raise too_large
    return bytes(body)
