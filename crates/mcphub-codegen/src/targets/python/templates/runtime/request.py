"""Arguments become an HTTP request."""

from __future__ import annotations

import enum
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from . import multipart, serialization, xml
from .serialization import Escape, Pairs, Style

Value = TypeVar("Value")


IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"})
"""The methods whose requests are as good twice as once (RFC 9110, 9.2.2)."""


class Unset(enum.Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""An argument that was left out, which `None` is not: an API may tell null from nothing."""


class ArgumentError(ValueError):
    """An argument cannot be sent; the message says what is expected of it."""

    def __init__(self, argument: str, expected: str) -> None:
        super().__init__(f"{argument}: {expected}")
        self.argument = argument
        self.expected = expected


class Request:
    """One HTTP request in the making. Values that are `UNSET` are left out.

    `path` is a template whose fixed text is escaped already. `server` is a base URL of this
    operation alone. Of the alternatives in `security`, each a list of schemes that are needed
    together, the first that is configured is used. `repeatable` says whether the request twice is as
    good as once; the method does where nothing is said.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        accept: str,
        server: str | None = None,
        security: Sequence[Sequence[str]] = (),
        repeatable: bool | None = None,
    ) -> None:
        self.method = method
        self.repeatable = method in IDEMPOTENT if repeatable is None else repeatable
        self.server = server
        self.security = security
        self.headers: list[tuple[str, str]] = [("accept", accept)]
        self.body: bytes | None = None
        self.login: str | None = None
        """`user:password`, with which a question of the API is answered (HTTP digest)."""
        self.certified = False
        """Whether the connection shows the client certificate, where there is one."""
        self._media_type = ""
        self._template = path
        self._path = path
        self._path_arguments: dict[str, str] = {}
        self._query: Pairs = []
        self._secrets: Pairs = []
        self.arguments: dict[str, str] = {}
        """The arguments of the tool by the name of their query parameter."""
        self._query_string = ""
        self._cookies: Pairs = []
        self._form: Form | None = None
        self._multipart: MultipartForm | None = None

    def path(
        self,
        name: str,
        value: object,
        *,
        style: Style = "simple",
        explode: bool = False,
        content: str | None = None,
        argument: str | None = None,
    ) -> None:
        """A part of the path."""
        argument = argument or name
        text = _text(argument, name, value, style, explode, content, serialization.percent)
        if text is None:
            raise ArgumentError(argument, "a required argument is missing")
        self._path = self._path.replace(f"{{{name}}}", text)
        self._path_arguments[name] = argument

    def query(
        self,
        name: str,
        value: object,
        *,
        style: Style = "form",
        explode: bool = True,
        allow_reserved: bool = False,
        content: str | None = None,
        argument: str | None = None,
    ) -> None:
        """A query parameter."""
        self.arguments[name] = argument or name
        self._query += _pairs(argument or name, name, value, style, explode, allow_reserved, content)

    def query_string(self, name: str, value: object, *, content: str, argument: str | None = None) -> None:
        """The whole query (OpenAPI 3.2.0, Parameter Locations, `querystring`)."""
        if value is not UNSET:
            self._query_string = _checked(argument or name, lambda: serialization.query_string(content, value))

    def header(
        self,
        name: str,
        value: object,
        *,
        style: Style = "simple",
        explode: bool = False,
        content: str | None = None,
        argument: str | None = None,
    ) -> None:
        """A header."""
        text = _text(argument or name, name, value, style, explode, content, serialization.plain)
        if text is not None:
            self.headers.append((name.lower(), _header_text(argument or name, text)))

    def cookie(
        self,
        name: str,
        value: object,
        *,
        style: Style = "form",
        explode: bool = True,
        allow_reserved: bool = False,
        content: str | None = None,
        argument: str | None = None,
    ) -> None:
        """A cookie."""
        pairs = _pairs(argument or name, name, value, style, explode, allow_reserved, content)
        if style == "cookie":
            for key, text in pairs:
                # RFC 6265, 4.1.1: what is sent as it is must not become two cookies.
                if not key or "=" in key or ";" in key + text:
                    raise ArgumentError(argument or name, "a cookie cannot hold a semicolon")
                _header_text(argument or name, key + text)
        self._cookies += pairs

    def json(self, value: object, *, argument: str, media_type: str = "application/json") -> None:
        """The body as one JSON value."""
        self._media_type = media_type
        if value is not UNSET:
            self._set_body(_checked(argument, lambda: serialization.json_text(value)), media_type)

    def json_members(
        self, members: Mapping[str, object], *, required: bool = True, media_type: str = "application/json"
    ) -> None:
        """The body as a JSON object; none at all when no member is set, unless it is required."""
        self._media_type = media_type
        present = {name: value for name, value in members.items() if value is not UNSET}
        if present or required:
            written = (
                f"{serialization.json_text(name)}:{_checked(name, partial(serialization.json_text, value))}"
                for name, value in present.items()
            )
            self._set_body("{" + ",".join(written) + "}", media_type)

    def text(self, value: object, *, argument: str, media_type: str) -> None:
        """The body as plain text."""
        if value is not UNSET:
            self._set_body(_checked(argument, lambda: serialization.scalar(value)), media_type)

    def binary(self, value: object, *, argument: str, media_type: str) -> None:
        """The body as bytes, which come in base64."""
        if value is not UNSET:
            self._set_body(_checked(argument, lambda: multipart.base64_bytes(value)), media_type)

    def json_lines(self, value: object, *, argument: str, media_type: str) -> None:
        """The body as one JSON value a line; with record separators where the media type says so (RFC 7464)."""
        if value is not UNSET:
            separator = "\x1e" if media_type.endswith("json-seq") else ""
            items = value if isinstance(value, list) else [value]
            lines = _checked(argument, lambda: [f"{separator}{serialization.json_text(item)}\n" for item in items])
            self._set_body("".join(lines), media_type)

    def xml_value(self, value: object, *, argument: str, shape: xml.Shape, media_type: str = "application/xml") -> None:
        """The body as XML."""
        if value is not UNSET:
            self._set_body(_checked(argument, lambda: xml.document(shape, value)), media_type)

    def xml_members(
        self,
        members: Mapping[str, object],
        *,
        shape: xml.Shape,
        required: bool = True,
        media_type: str = "application/xml",
    ) -> None:
        """The body as XML of an object; none at all when no member is set, unless it is required."""
        present = {name: value for name, value in members.items() if value is not UNSET}
        if present or required:
            self._set_body(_checked("body", lambda: xml.document(shape, present)), media_type)

    def multipart(self, *, required: bool = True, media_type: str = "multipart/form-data") -> MultipartForm:
        """The body as parts, to be filled; none at all when no field is set, unless it is required."""
        self._multipart = MultipartForm(required, media_type)
        return self._multipart

    def multipart_value(self, value: object, *, argument: str, media_type: str = "multipart/form-data") -> None:
        """The body as parts that are the members of one value, or its items, which a form does not have."""
        if value is UNSET:
            return
        if isinstance(value, list) and media_type != "multipart/form-data":
            self.multipart_list(value, argument=argument, media_type=media_type).rest()
            return
        if not isinstance(value, dict):
            raise ArgumentError(argument, "must be an object")
        form = self.multipart(media_type=media_type)
        for name, member in value.items():
            form.field(str(name), member, argument=argument)

    def multipart_list(self, value: object, *, argument: str, media_type: str) -> PartList:
        """The body as parts in order, of which `next` and `rest` say how they are written.

        The members of a dict are parts with names.
        """
        if isinstance(value, list):
            return PartList(self.multipart(media_type=media_type).parts, value, argument)
        self.multipart_value(value, argument=argument, media_type=media_type)
        return PartList(multipart.Multipart(), [], argument)

    def form(self, *, required: bool = True, media_type: str = "application/x-www-form-urlencoded") -> Form:
        """The body as a form, to be filled; none at all when no field is set, unless it is required."""
        self._form = Form(required, media_type)
        return self._form

    def form_value(
        self, value: object, *, argument: str, media_type: str = "application/x-www-form-urlencoded"
    ) -> None:
        """The body as a form whose fields are the members of one value."""
        if value is not UNSET:
            self._set_body(_checked(argument, lambda: serialization.form(value)), media_type)

    def finish(self) -> None:
        """Puts the parts together; nothing can be added afterwards.

        Raises `ArgumentError` when a value would add, remove or empty a part of the path: RFC 3986,
        5.2.4 removes `.` and `..`, and an empty part is taken for the collection above.
        """
        for template, segment in zip(self._template.split("/"), self._path.split("/"), strict=False):
            if template != segment and segment in ("", ".", ".."):
                named = (argument for name, argument in self._path_arguments.items() if f"{{{name}}}" in template)
                shown = segment or "an empty value"
                raise ArgumentError(next(named, template), f"{shown} is not possible here: it would change the path")
        if self._cookies:
            self.headers.append(("cookie", serialization.join(self._cookies, "; ")))
        if self._form is not None and (self._form.fields or self._form.required or self._form.touched):
            self._set_body(serialization.join(self._form.fields, "&"), self._form.media_type)
        if self._multipart is not None and (self._multipart.touched or self._multipart.required):
            media_type, body = self._multipart.parts.finish(self._multipart.media_type)
            self._set_body(body, media_type)
        if self.body is not None:
            self.headers.append(("content-type", self._media_type))

    @property
    def target(self) -> str:
        """Path and query, escaped."""
        parts = (serialization.join(self._query, "&"), self._query_string, self.secrets)
        # Of the reserved characters, a URL's query escapes the apostrophe (WHATWG URL,
        # special-query percent-encode set).
        query = "&".join(part for part in parts if part).replace("'", "%27")
        if not query:
            return self._path
        # Some APIs have a fixed query in the path.
        return f"{self._path}{'&' if '?' in self._path else '?'}{query}"

    @property
    def secrets(self) -> str:
        """What the query has of credentials, escaped."""
        return serialization.join(self._secrets, "&").replace("'", "%27")

    def set_header(self, name: str, value: str) -> None:
        """Sets a header, in place of others with that name."""
        name = name.lower()
        self.headers = [header for header in self.headers if header[0] != name]
        self.headers.append((name, value))

    def add_query(self, name: str, value: str) -> None:
        """Adds one pair with a secret to the query."""
        self._secrets.append((serialization.percent(name), serialization.percent(value)))

    def add_cookie(self, name: str, value: str) -> None:
        """Adds one cookie to those of the request."""
        pair = f"{name}={serialization.percent(value)}"
        cookies = [text for header, text in self.headers if header == "cookie"]
        if cookies:
            at = self.headers.index(("cookie", cookies[0]))
            self.headers[at] = ("cookie", f"{cookies[0]}; {pair}")
        else:
            self.headers.append(("cookie", pair))

    def member(self, name: str) -> Any:
        """A member of a JSON body, once that is finished; `None` where there is none."""
        body = json.loads(self.body or b"{}")
        return body.get(name) if isinstance(body, dict) else None

    def set_member(self, name: str, value: object) -> None:
        """Changes a member of a JSON body, once that is finished."""
        if self.body is None:
            self.headers.append(("content-type", self._media_type))
        body = json.loads(self.body or b"{}")
        if isinstance(body, dict):
            self._set_body(serialization.json_text({**body, name: value}), self._media_type)

    def _set_body(self, content: str | bytes, media_type: str) -> None:
        self.body = content if isinstance(content, bytes) else content.encode()
        self._media_type = media_type


class Form:
    """The fields of a form body."""

    def __init__(self, required: bool, media_type: str) -> None:
        self.required = required
        self.media_type = media_type
        self.fields: Pairs = []
        self.touched = False

    def field(
        self,
        name: str,
        value: object,
        *,
        style: Style | None = None,
        explode: bool = True,
        allow_reserved: bool = False,
        content: str | None = None,
        argument: str | None = None,
    ) -> None:
        """A field. Without a style, a list repeats the name and a dict is JSON text (OpenAPI 3.0.4, Encoding Object)."""
        self.touched = self.touched or value is not UNSET
        if style is None and isinstance(value, dict):
            content = content or "application/json"
        self.fields += _pairs(argument or name, name, value, style or "form", explode, allow_reserved, content)


class Parts:
    """Parts that were just added to a body."""

    def __init__(self, parts: Sequence[multipart.Part]) -> None:
        self._parts = parts

    def header(
        self, name: str, value: object, *, argument: str, required: bool = False, explode: bool = False
    ) -> Parts:
        """A header of each of these parts."""
        if not self._parts:
            return self
        text = _text(argument, name, value, "simple", explode, None, serialization.plain)
        if text is None:
            if required:
                raise ArgumentError(argument, "a required argument is missing")
            return self
        _header_text(argument, text)
        for part in self._parts:
            if name.lower() == "content-disposition":
                part.disposition = text
            else:
                part.headers.append((name, text))
        return self


class PartList:
    """The items of a list, which become parts of a body."""

    def __init__(self, parts: multipart.Multipart, items: list[object], argument: str) -> None:
        self._parts = parts
        self._items = items
        self._argument = argument
        self._at = 0

    def next(self, *, file: bool = False, media_type: str | None = None) -> Parts:
        """The next item as a part."""
        return self._add(self._items[self._at : self._at + 1], file, media_type)

    def rest(self, *, file: bool = False, media_type: str | None = None) -> Parts:
        """The items that are left, as a part each."""
        return self._add(self._items[self._at :], file, media_type)

    def _add(self, items: list[object], file: bool, media_type: str | None) -> Parts:
        self._at += len(items)
        before = len(self._parts.parts)
        for item in items:
            _checked(self._argument, partial(self._parts.item, item, file=file, media_type=media_type))
        return Parts(self._parts.parts[before:])


class MultipartForm:
    """The fields of a multipart body."""

    def __init__(self, required: bool, media_type: str) -> None:
        self.required = required
        self.media_type = media_type
        self.parts = multipart.Multipart()
        self.touched = False

    def field(
        self,
        name: str,
        value: object,
        *,
        file: bool = False,
        media_type: str | None = None,
        style: Style | None = None,
        explode: bool = True,
        argument: str | None = None,
    ) -> Parts:
        """A field; one with a style is text, as in a URL but for the escapes."""
        if value is UNSET:
            return Parts([])
        self.touched = True
        before = len(self.parts.parts)
        if style is not None:
            _checked(argument or name, partial(self.parts.styled, name, value, style, explode))
        else:
            _checked(argument or name, partial(self.parts.add, name, value, file=file, media_type=media_type))
        return Parts(self.parts.parts[before:])


def _text(
    argument: str, name: str, value: object, style: Style, explode: bool, content: str | None, escape: Escape
) -> str | None:
    if value is UNSET:
        return None
    if content is not None:
        return escape(_checked(argument, lambda: serialization.content(content, value)))
    return _checked(argument, lambda: serialization.single(name, value, style, explode, escape))


def _pairs(
    argument: str,
    name: str,
    value: object,
    style: Style,
    explode: bool,
    allow_reserved: bool,
    content: str | None,
) -> Pairs:
    if value is UNSET:
        return []
    escape = serialization.reserved if allow_reserved else serialization.percent
    if style == "cookie":
        escape = serialization.plain
    if content is not None:
        text = _checked(argument, lambda: serialization.content(content, value))
        return [(serialization.key(name, escape), escape(text))]
    return _checked(argument, lambda: serialization.pairs(name, value, style, explode, escape))


def _header_text(argument: str, text: str) -> str:
    # RFC 9110, 5.5: CR and LF would add a header.
    if any((char < " " and char != "\t") or char == "\x7f" for char in text):
        raise ArgumentError(argument, "a header value cannot hold control characters")
    return text


def _checked(argument: str, write: Callable[[], Value]) -> Value:
    try:
        return write()
    except (ValueError, RecursionError) as error:
        expected = "nests too deeply" if isinstance(error, RecursionError) else str(error)
        raise ArgumentError(argument, expected) from None
