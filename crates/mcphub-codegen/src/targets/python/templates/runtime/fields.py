"""The fields of a JSON answer that a caller asks for."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from .request import ArgumentError, Unset

MAX_FIELDS = 64
"""The most fields that one call asks for."""
MAX_LENGTH = 512
"""The longest field, in bytes."""

MAX_STATES = 128
"""In how many ways fields may lead to one place: one for each, and one for each step from `..` on."""

_QUOTED = r"""(?:'(?:[^'\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*'|"(?:[^"\\]|\\(?:['"/\\bfnrt]|u[0-9A-Fa-f]{4}))*\")"""
_INTEGER = r"(?:0|-?[1-9][0-9]{0,14})"
_SLICE = rf"({_INTEGER}?)\s*:\s*({_INTEGER}?)\s*(?::\s*({_INTEGER}?))?"
_SELECTOR = rf"(?:{_QUOTED}|\*|{_INTEGER}?\s*:\s*{_INTEGER}?\s*(?::\s*{_INTEGER}?)?|{_INTEGER})"
_STEP = re.compile(rf"(\.\.|\.)?(?:([^.\[\]'\"*]+|\*)|\[\s*({_SELECTOR}(?:\s*,\s*{_SELECTOR})*)\s*\])")
_ABSENT: Any = object()

Selector = str | int | slice | None
"""A name, the place of an item, the places of several, or whatever there is."""


@dataclass(frozen=True)
class Step:
    """What a step of a field takes of a value."""

    selectors: tuple[Selector, ...]
    descends: bool
    """Whether it takes them of everything below, too (`..`)."""

    def takes_member(self, name: str) -> bool:
        """Whether it takes a member of an object."""
        return any(selector is None or selector == name for selector in self.selectors)

    def takes_item(self, place: int, length: int) -> bool:
        """Whether it takes an item of a list."""
        return any(_has(selector, place, length) for selector in self.selectors)

    @property
    def passes(self) -> bool:
        """Whether it looks into the items of a list as if there was none."""
        return any(isinstance(selector, str) for selector in self.selectors)


@dataclass(frozen=True)
class Picked:
    """What fields leave of a value."""

    value: Any
    absent: list[str]
    """The fields that the value does not have."""


class Fields:
    """Fields of a JSON value: what they name stays, with what stands around it, and nothing else.

    A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its
    items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read but
    for filters: `$.items[*]['id','name']`, `$.items[-1]`, `$.items[:10]`, `$..id`.
    """

    def __init__(self, *fields: str, argument: str = "fields") -> None:
        if not 1 <= len(fields) <= MAX_FIELDS:
            raise ArgumentError(argument, f"has 1 to {MAX_FIELDS} fields")
        self._fields = [(field, _steps(field, argument)) for field in fields]
        if sum(_ways(steps) for _, steps in self._fields) > MAX_STATES:
            raise ArgumentError(argument, f"has more than {MAX_STATES} steps from `..` on")

    @classmethod
    def asked(cls, fields: Sequence[str] | Unset, argument: str = "fields") -> Fields | None:
        """Those that a caller asks for; `None` for all."""
        return None if isinstance(fields, Unset) else cls(*fields, argument=argument)

    def of(self, value: Any) -> Picked:
        """What they leave of a value."""
        found: set[int] = set()
        left = self._pick(value, [(field, 0) for field in range(len(self._fields))], found)
        if left is _ABSENT:
            left = {} if isinstance(value, dict) else [] if isinstance(value, list) else None
        absent = [text for field, (text, _) in enumerate(self._fields) if field not in found]
        return Picked(left, absent)

    def _pick(self, value: Any, states: list[tuple[int, int]], found: set[int]) -> Any:
        if any(step == len(self._fields[field][1]) for field, step in states):
            has_more = isinstance(value, dict | list)
            found.update(field for field, step in states if has_more or step == len(self._fields[field][1]))
            return value
        left: dict[str, Any] | list[Any]
        if isinstance(value, dict):
            left = {}
            for name, member in value.items():
                inner = self._below(states, partial(Step.takes_member, name=name))
                picked = self._pick(member, inner, found) if inner else _ABSENT
                if picked is not _ABSENT:
                    left[name] = picked
        elif isinstance(value, list):
            left = []
            for place, item in enumerate(value):
                inner = self._below(states, partial(Step.takes_item, place=place, length=len(value)), in_list=True)
                picked = self._pick(item, inner, found) if inner else _ABSENT
                if picked is not _ABSENT:
                    left.append(picked)
        else:
            return _ABSENT
        # Of what is only looked through nothing stays but what it has.
        looking = all(self._fields[field][1][step].descends for field, step in states)
        return _ABSENT if looking and not left else left

    def _below(
        self, states: list[tuple[int, int]], takes: Callable[[Step], bool], in_list: bool = False
    ) -> list[tuple[int, int]]:
        """Which step of which field comes next for what is in a value."""
        inner: dict[tuple[int, int], None] = {}
        for field, at in states:
            step = self._fields[field][1][at]
            taken = takes(step)
            if taken:
                inner[field, at + 1] = None
            if step.descends or (in_list and not taken and step.passes):
                inner[field, at] = None
        return list(inner)


def _steps(field: str, argument: str) -> list[Step]:
    text = field.strip()
    rooted = text == "$" or text.startswith(("$.", "$["))
    rest = text[1:] if rooted else text
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        # Names have dots between them, and only between them.
        usual = "." if step is not None and step[2] is not None and (rooted or at > 0) else None
        if step is None or (step[1] != usual and not (rooted and step[1] == "..")):
            break
        names = (_selector(selector[0]) for selector in re.finditer(_SELECTOR, step[3] or ""))
        plain = None if step[2] == "*" else step[2]
        steps.append(Step(tuple(names) if step[2] is None else (plain,), step[1] == ".."))
        at = step.end()
    if at < len(rest) or (not steps and not rooted) or len(field.encode(errors="replace")) > MAX_LENGTH:
        shown = f'"{field[:80]}"'
        how = "write names with dots between them, such as owner.name, or a JSONPath without filters"
        raise ArgumentError(argument, f"{shown} is no field; {how}")
    return steps


def _ways(steps: list[Step]) -> int:
    first = next((at for at, step in enumerate(steps) if step.descends), len(steps) - 1)
    return max(len(steps) - first, 1)


def _selector(text: str) -> Selector:
    if text == "*":
        return None
    if text[0] in "'\"":
        # As JSON writes it.
        inner = re.sub(r"\\.|\"", lambda found: {"\\'": "'", '"': '\\"'}.get(found[0], found[0]), text[1:-1])
        name: str = json.loads(f'"{inner}"', strict=False)
        return name
    parts = re.fullmatch(_SLICE, text)
    return int(text) if parts is None else slice(*(int(part) if part else None for part in parts.groups()))


def _has(selector: Selector, place: int, length: int) -> bool:
    if isinstance(selector, int):
        return selector in (place, place - length)
    if isinstance(selector, slice):
        # RFC 9535, 2.3.4.2.2: a step of 0 takes nothing.
        return selector.step != 0 and place in range(*selector.indices(length))
    return selector is None
