"""How values are written: the tables "Style Values" and "Style Examples" of OpenAPI 3.0.4, RFC 6570.

Where the tables say nothing:

- `None` and an empty list or dict are absent; an empty string is present and empty.
- A value that nests below a list's item or a dict's member is JSON text, except in `deepObject`,
  where members nest as `a[b][c]` and lists repeat their key.
- Exploded cookies are pairs of their own (`a=1; a=2`), not the `&` of the query.
- Parts of a multipart body that have a style are not percent-encoded.
- A float is written as ECMAScript does (`1`, `0.1`, `1e+21`), an int with all its digits.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

Style = Literal[
    "matrix", "label", "simple", "form", "spaceDelimited", "pipeDelimited", "tabDelimited", "deepObject", "cookie"
]
Escape = Callable[[str], str]
Pairs = list[tuple[str, str]]

# RFC 6570 reserved expansion, less what would end or split a query: `#`, `&`, `+`, `[`, `]`.
_RESERVED = ":/?@!$'()*,;="
# What stands between the items of a list, where it is no comma.
_DELIMITERS = {"spaceDelimited": " ", "pipeDelimited": "|", "tabDelimited": "\t"}
_TRIPLE = re.compile(r"(%[0-9A-Fa-f]{2})")


def plain(text: str) -> str:
    """As it is: headers, parts, cookies of the style `cookie`."""
    return text


def percent(text: str) -> str:
    """All but the unreserved characters of RFC 3986 are escaped: path, query, cookie, form."""
    return quote(text, safe="")


def reserved(text: str) -> str:
    """`allowReserved`: reserved characters and percent-encoded triples pass."""
    parts = _TRIPLE.split(text)
    return "".join(part if at % 2 else quote(part, safe=_RESERVED) for at, part in enumerate(parts))


def key(name: str, escape: Escape) -> str:
    """The name of a pair, in which nothing is reserved."""
    return name if escape is plain else percent(name)


def is_json(media_type: str) -> bool:
    """Whether a media type is `application/json` or has the suffix `+json` (RFC 6839)."""
    essence = media_type.split(";")[0].strip().lower()
    return essence == "application/json" or essence.endswith("+json")


def scalar(value: object) -> str:
    """The text of one value: a string's content, a number's digits, JSON for what nests."""
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        return _ecmascript(value)
    return json_text(value)


def json_text(value: object) -> str:
    """JSON on one line without white space."""
    if isinstance(value, dict):
        members = (f"{json_text(str(key))}:{json_text(member)}" for key, member in value.items())
        return "{" + ",".join(members) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, float):
        return _json_float(value)
    return json.dumps(value, ensure_ascii=False)


def content(media_type: str, value: object) -> str:
    """The value of a parameter with `content`: JSON text, or the bare text for other media types."""
    return json_text(value) if is_json(media_type) else scalar(value)


def single(name: str, value: object, style: Style, explode: bool, escape: Escape) -> str | None:
    """The value of a path or header parameter as one text; `None` when it is absent."""
    value = _without_none(value)
    if value is None or value in ([], {}):
        return None
    key = escape(name)
    if isinstance(value, list):
        items = [escape(scalar(item)) for item in value]
        if style == "label":
            return "." + ("." if explode else ",").join(items)
        if style == "matrix":
            return "".join(f";{key}={item}" for item in items) if explode else f";{key}={','.join(items)}"
        return _delimiter(style, escape).join(items)
    if isinstance(value, dict):
        between = "=" if explode else ","
        members = [f"{escape(member)}{between}{escape(scalar(item))}" for member, item in value.items()]
        if style == "label":
            return "." + ("." if explode else ",").join(members)
        if style == "matrix":
            return ";" + ";".join(members) if explode else f";{key}={','.join(members)}"
        return ",".join(members)
    text = escape(scalar(value))
    if style == "label":
        return f".{text}"
    if style == "matrix":
        return f";{key}={text}" if text else f";{key}"
    return text


def _delimiter(style: Style, escape: Escape) -> str:
    """What stands between the items of a list, as it travels."""
    delimiter = _DELIMITERS.get(style)
    return escape(delimiter) if delimiter else ","


def pairs(name: str, value: object, style: Style, explode: bool, escape: Escape) -> Pairs:
    """The value of a query, cookie or form parameter as escaped pairs of name and value."""
    wire_name = key(name, escape)
    if style == "deepObject":
        return _deep(wire_name, value, escape)
    delimiter = _delimiter(style, plain if escape is plain else percent)
    value = _without_none(value)
    if value is None or value in ([], {}):
        return []
    if isinstance(value, list):
        items = [escape(scalar(item)) for item in value]
        return [(wire_name, item) for item in items] if explode else [(wire_name, delimiter.join(items))]
    if isinstance(value, dict):
        members = [(key(member, escape), escape(scalar(item))) for member, item in value.items()]
        return members if explode else [(wire_name, delimiter.join(text for member in members for text in member))]
    return [(wire_name, escape(scalar(value)))]


def join(items: Pairs, separator: str) -> str:
    """`name=value` for each pair."""
    return separator.join(f"{name}={value}" for name, value in items)


def form(value: object) -> str:
    """The members of a dict as a form: a list repeats the name, a dict is JSON text."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    fields: Pairs = []
    for name, member in value.items():
        if isinstance(member, dict):
            fields.append((percent(str(name)), percent(json_text(member))))
        else:
            fields += pairs(str(name), member, "form", True, percent)
    return join(fields, "&")


def query_string(media_type: str, value: object) -> str:
    """The whole query as one value: a form, or the text of another media type."""
    if media_type.lower() == "application/x-www-form-urlencoded":
        return "" if value is None else form(value)
    return percent(content(media_type, value))


def _deep(name: str, value: object, escape: Escape) -> Pairs:
    if value is None:
        return []
    if isinstance(value, dict):
        before, after = ("[", "]") if escape is plain else ("%5B", "%5D")
        nested = (_deep(f"{name}{before}{key(str(at), escape)}{after}", item, escape) for at, item in value.items())
        return [pair for pairs_of_member in nested for pair in pairs_of_member]
    if isinstance(value, list):
        return [(name, escape(scalar(item))) for item in value if item is not None]
    return [(name, escape(scalar(value)))]


def _without_none(value: object) -> Any:
    if isinstance(value, list):
        return [item for item in value if item is not None]
    if isinstance(value, dict):
        return {str(name): item for name, item in value.items() if item is not None}
    return value


def _digits(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits, and where the point stands after the first of them."""
    if not math.isfinite(value):
        raise ValueError("must be a finite number")
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    assert isinstance(exponent, int)  # only infinities and NaN have another
    text = "".join(map(str, digits))
    return "-" if sign else "", text, exponent + len(text)


def _ecmascript(value: float) -> str:
    """ECMA-262, Number::toString."""
    sign, digits, point = _digits(value)
    if value == 0:
        return "0"
    if -6 < point <= 21:
        return sign + _decimal(digits, point)
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


def _json_float(value: float) -> str:
    sign, digits, point = _digits(value)
    if value == 0:
        return f"{sign}0.0"
    if -5 < point <= 16:
        text = _decimal(digits, point)
        return sign + (text if "." in text else f"{text}.0")
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1}"


def _decimal(digits: str, point: int) -> str:
    if point <= 0:
        return f"0.{'0' * -point}{digits}"
    if point >= len(digits):
        return digits.ljust(point, "0")
    return f"{digits[:point]}.{digits[point:]}"
