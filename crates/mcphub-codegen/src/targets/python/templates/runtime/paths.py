"""Paths into a JSON value as they are written: names with dots between them, and JSONPath (RFC 9535)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .steps import Filter, Looking, Query, Selector, Step, holds, length

MAX_NESTING = 16
"""How deep filters and what is in brackets may nest."""

_QUOTED = r"""'(?:[^'\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*'|"(?:[^"\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*\""""
_INTEGER = r"(?:0|-?[1-9][0-9]{0,14})(?![0-9])"
_SLICE = rf"(?:{_INTEGER})?\s*:\s*(?:{_INTEGER})?\s*(?::\s*(?:{_INTEGER})?)?"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![0-9])"
_NAME = r"[A-Za-z_\u0080-\U0010ffff][0-9A-Za-z_\u0080-\U0010ffff]*"
_BLANKS = r"[ \t\n\r]*"

Operand = Callable[[Any, Looking], Any]
"""What is compared: of a value, or `NOTHING`."""


class NoPathError(Exception):
    """A text is no path."""


def steps(text: str) -> tuple[Step, ...]:
    """The steps of a path. Raises `NoPathError` for what is none."""
    text = text.strip()
    rooted = text == "$" or text.startswith(("$.", "$["))
    reader = _Reader(text[1:] if rooted else text)
    made: list[Step] = []
    while not reader.ended:
        descends = rooted and reader.take(r"\.\.") is not None
        if reader.take(r"\[") is not None:
            made.append(Step(reader.bracketed(MAX_NESTING), descends))
            continue
        # Names have dots between them, and only between them.
        if not descends and (rooted or made):
            reader.expect(r"\.")
        name = reader.expect(r"[^.\[\]'\"*]+|\*")
        made.append(Step((None if name == "*" else name,), descends))
    if not made and not rooted:
        raise NoPathError
    return tuple(made)


class _Reader:
    """Reads a text from its beginning to its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def ended(self) -> bool:
        return self._at == len(self._text)

    def take(self, pattern: str) -> str | None:
        """What comes next, if it is that."""
        found = re.compile(pattern).match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def expect(self, pattern: str) -> str:
        found = self.take(pattern)
        if found is None:
            raise NoPathError
        return found

    def bracketed(self, nesting: int) -> tuple[Selector, ...]:
        """Selectors with commas between them and `]`. Filters in it nest so deep."""
        selectors: list[Selector] = []
        while True:
            self.take(r"\s*")
            selectors.append(self._selector(nesting))
            self.take(r"\s*")
            if self.take(",") is None:
                self.expect(r"\]")
                return tuple(selectors)

    def _selector(self, nesting: int) -> Selector:
        if self.take(r"\*") is not None:
            return None
        if self.take(r"\?") is not None:
            return self._filter(nesting)
        name = self.take(_QUOTED)
        if name is not None:
            return _unquoted(name)
        places = self.take(_SLICE)
        if places is None:
            return int(self.expect(_INTEGER))
        given = [int(part) if part.strip() else None for part in places.split(":")]
        return slice(*(given if len(given) == 3 else [*given, None]))

    def _filter(self, nesting: int) -> Filter:
        """A logical expression (RFC 9535, 2.3.5.1)."""
        if nesting == 0:
            raise NoPathError
        either = [self._conjunction(nesting - 1)]
        while self.take(rf"{_BLANKS}\|\|") is not None:
            either.append(self._conjunction(nesting - 1))
        return lambda value, looking: any(condition(value, looking) for condition in either)

    def _conjunction(self, nesting: int) -> Filter:
        both = [self._basic(nesting)]
        while self.take(rf"{_BLANKS}&&") is not None:
            both.append(self._basic(nesting))
        return lambda value, looking: all(condition(value, looking) for condition in both)

    def _basic(self, nesting: int) -> Filter:
        """A test, a comparison, or an expression in parentheses."""
        denied = self.take(rf"{_BLANKS}!") is not None
        self.take(_BLANKS)
        if self.take(r"\(") is not None:
            condition = self._filter(nesting)
            self.expect(rf"{_BLANKS}\)")
        else:
            start = self._at
            query = self._query(nesting)
            if denied and query is None:
                raise NoPathError
            if query is None or (not denied and self._compares()):
                self._at = start
                return self._comparison(nesting)
            found = query.found
            condition = lambda value, looking: bool(found(value, looking))  # noqa: E731
        return (lambda value, looking: not condition(value, looking)) if denied else condition

    def _compares(self) -> bool:
        return re.compile(rf"{_BLANKS}[=!<>]").match(self._text, self._at) is not None

    def _comparison(self, nesting: int) -> Filter:
        left = self._comparable(nesting)
        comparison = self.expect(rf"{_BLANKS}(?:==|!=|<=|>=|<|>)").strip()
        self.take(_BLANKS)
        right = self._comparable(nesting)
        return lambda value, looking: holds(left(value, looking), comparison, right(value, looking), looking)

    def _comparable(self, nesting: int) -> Operand:
        """A literal, a query for one value, or a function that gives a value."""
        if nesting == 0:
            raise NoPathError
        query = self._query(nesting - 1)
        if query is not None:
            if not query.singular:
                raise NoPathError
            return query.value
        word = self.take(r"[a-z]+")
        if word is None:
            text = self.take(_QUOTED)
            number = self.expect(_NUMBER) if text is None else ""
            literal: Any = _unquoted(text) if text is not None else json.loads(number)
            return lambda _value, _looking: literal
        if word in ("null", "true", "false"):
            known = json.loads(word)
            return lambda _value, _looking: known
        return self._function(word, nesting - 1)

    def _function(self, name: str, nesting: int) -> Operand:
        # RFC 9535, 2.4.4 to 2.4.8; no blank before the parenthesis.
        self.expect(rf"\({_BLANKS}")
        operand: Operand
        if name == "length":
            of = self._comparable(nesting)
            operand = lambda value, looking: length(of(value, looking))  # noqa: E731
        else:
            query = self._query(nesting)
            if query is None or name not in ("count", "value"):
                raise NoPathError
            found = query.found
            operand = query.value if name == "value" else lambda value, looking: len(found(value, looking))
        self.expect(rf"{_BLANKS}\)")
        return operand

    def _query(self, nesting: int) -> Query | None:
        """A query from the value itself or from the whole."""
        start = self.take("[@$]")
        if start is None:
            return None
        made: list[Step] = []
        while True:
            dots = self.take(rf"{_BLANKS}\.\.?")
            descends = dots is not None and dots.endswith("..")
            if dots is None or descends:
                if self.take(rf"{_BLANKS}\[" if dots is None else r"\[") is not None:
                    made.append(Step(self.bracketed(nesting), descends))
                    continue
                if dots is None:
                    return Query(start == "$", tuple(made))
            name = self.expect(rf"\*|{_NAME}")
            made.append(Step((None if name == "*" else name,), descends))


def _unquoted(text: str) -> str:
    """A text in quotes, as JSON writes it."""
    inner = re.sub(r"\\.|\"", lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]), text[1:-1])
    name: str = json.loads(f'"{inner}"', strict=False)
    return name
