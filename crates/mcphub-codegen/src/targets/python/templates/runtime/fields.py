"""The fields of a JSON answer that a caller asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .request import ArgumentError, Unset

MAX_FIELDS = 64
"""The most fields that one call asks for."""
MAX_LENGTH = 512
"""The longest field, in bytes."""

_QUOTED = r"""'(?:[^'\\]|\\['"/\\])*'|"(?:[^"\\]|\\['"/\\])*\""""
_STEP = re.compile(rf"\.?([^.\[\]'\"*]+|\*)|\[\s*(\*|(?:{_QUOTED})(?:\s*,\s*(?:{_QUOTED}))*)\s*\]")
_ABSENT: Any = object()

Step = tuple[str, ...]
"""The names that a step takes; none takes all."""


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
    far as it says the same: `$.items[*]['id','name']`.
    """

    def __init__(self, *fields: str, argument: str = "fields") -> None:
        if not 1 <= len(fields) <= MAX_FIELDS:
            raise ArgumentError(argument, f"has 1 to {MAX_FIELDS} fields")
        self._fields = [(field, _steps(field, argument)) for field in fields]

    @classmethod
    def asked(cls, fields: Sequence[str] | Unset, argument: str = "fields") -> Fields | None:
        """Those that a caller asks for; `None` for all."""
        return None if isinstance(fields, Unset) else cls(*fields, argument=argument)

    def of(self, value: Any) -> Picked:
        """What they leave of a value."""
        found: set[int] = set()
        left = self._pick(value, [(field, 0) for field in range(len(self._fields))], found)
        absent = [text for field, (text, _) in enumerate(self._fields) if field not in found]
        return Picked(None if left is _ABSENT else left, absent)

    def _pick(self, value: Any, states: list[tuple[int, int]], found: set[int]) -> Any:
        if any(step == len(self._fields[field][1]) for field, step in states):
            found.update(field for field, _ in states)
            return value
        if isinstance(value, dict):
            members = {
                name: self._pick(member, next_states, found)
                for name, member in value.items()
                if (next_states := [(field, step + 1) for field, step in states if self._takes(field, step, name)])
            }
            return {name: member for name, member in members.items() if member is not _ABSENT}
        if isinstance(value, list):
            inner = [(field, step + (not self._fields[field][1][step])) for field, step in states]
            items = (self._pick(item, inner, found) for item in value)
            return [item for item in items if item is not _ABSENT]
        return _ABSENT

    def _takes(self, field: int, step: int, name: str) -> bool:
        names = self._fields[field][1][step]
        return not names or name in names


def _steps(field: str, argument: str) -> list[Step]:
    text = field.strip()
    rooted = text == "$" or text.startswith(("$.", "$["))
    rest = text[1:] if rooted else text
    steps: list[Step] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        # Names have dots between them, and only between them.
        dotted = step is not None and step[2] is None
        if step is None or (dotted and rest[at].startswith(".") != (rooted or at > 0)):
            break
        names = step[1] or step[2]
        steps.append(() if names == "*" else _names(names) if step[2] else (names,))
        at = step.end()
    if at < len(rest) or (not steps and not rooted) or len(field.encode(errors="replace")) > MAX_LENGTH:
        shown = f'"{field[:80]}"'
        how = "write names with dots between them, such as owner.name, or a JSONPath of names and wildcards"
        raise ArgumentError(argument, f"{shown} is no field; {how}")
    return steps


def _names(quoted: str) -> Step:
    return tuple(re.sub(r"\\(.)", r"\1", name[1:-1]) for name in re.findall(_QUOTED, quoted))
