"""The fields of a JSON answer that a caller asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .paths import NoPathError, steps
from .request import ArgumentError, Unset
from .steps import Looking, Step, TooMuchError, parts

__all__ = ["Fields", "Picked", "TooMuchError"]

MAX_FIELDS = 64
"""The most fields that one call asks for."""
MAX_LENGTH = 512
"""The longest field, in bytes."""

MAX_STATES = 128
"""In how many ways fields may lead to one place: one for each, and one for each step from `..` on."""

_ABSENT: Any = object()


@dataclass(frozen=True)
class Picked:
    """What fields leave of a value."""

    value: Any
    absent: list[str]
    """The fields that the value does not have."""


class Fields:
    """Fields of a JSON value: what they name stays, with what stands around it, and nothing else.

    A field is a path of names, `owner.name`. A name that meets a list is looked up in each of its
    items; `*` is every member of an object or every item of a list. JSONPath (RFC 9535) is read as
    well: `$.items[*]['id','name']`, `$.items[-1]`, `$.items[:10]`, `$..id`, `$.items[?@.open].id`; but
    for the functions `match` and `search`, which may take very long.
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
        """What they leave of a value. Raises `TooMuchError` where filters look at too much."""
        found: set[int] = set()
        left = self._pick(value, [(field, 0) for field in range(len(self._fields))], found, Looking(value))
        if left is _ABSENT:
            left = {} if isinstance(value, dict) else [] if isinstance(value, list) else None
        absent = [text for field, (text, _) in enumerate(self._fields) if field not in found]
        return Picked(left, absent)

    def _pick(self, value: Any, states: list[tuple[int, int]], found: set[int], looking: Looking) -> Any:
        if any(step == len(self._fields[field][1]) for field, step in states):
            has_more = isinstance(value, dict | list)
            found.update(field for field, step in states if has_more or step == len(self._fields[field][1]))
            return value
        if not isinstance(value, dict | list):
            return _ABSENT
        picked: list[tuple[Any, Any]] = []
        for place, part in parts(value):
            inner = self._below(states, place, len(value), part, looking)
            left = self._pick(part, inner, found, looking) if inner else _ABSENT
            if left is not _ABSENT:
                picked.append((place, left))
        # Of what is only looked through nothing stays but what it has.
        if not picked and all(self._fields[field][1][step].descends for field, step in states):
            return _ABSENT
        return dict(picked) if isinstance(value, dict) else [item for _, item in picked]

    def _below(
        self, states: list[tuple[int, int]], place: str | int, length: int, part: Any, looking: Looking
    ) -> list[tuple[int, int]]:
        """Which step of which field comes next for what is in a value."""
        inner: dict[tuple[int, int], None] = {}
        for field, at in states:
            step = self._fields[field][1][at]
            taken = step.takes(place, length, part, looking)
            if taken:
                inner[field, at + 1] = None
            if step.descends or (isinstance(place, int) and not taken and step.passes):
                inner[field, at] = None
        return list(inner)


def _steps(field: str, argument: str) -> tuple[Step, ...]:
    try:
        if len(field.encode(errors="replace")) <= MAX_LENGTH:
            return steps(field)
    except NoPathError:
        pass
    shown = f'"{field[:80]}"'
    how = "write names with dots between them, such as owner.name, or a JSONPath without match and search"
    raise ArgumentError(argument, f"{shown} is no field; {how}")


def _ways(steps: tuple[Step, ...]) -> int:
    first = next((at for at, step in enumerate(steps) if step.descends), len(steps) - 1)
    return max(len(steps) - first, 1)
