"""What the steps of a path take of a JSON value (RFC 9535, 2.3 to 2.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MAX_LOOKS = 1_000_000
"""At how many values the filters of all fields look together."""
MAX_DEPTH = 128
"""How deep they look."""
NOTHING: Any = object()
"""What a value is compared with that is not there."""


class TooMuchError(Exception):
    """Filters look at too much; the message says at what."""


class Looking:
    """What filters have in common over one value."""

    def __init__(self, whole: Any) -> None:
        self.whole = whole
        self._left = MAX_LOOKS

    def look(self, count: int = 1) -> None:
        """Counts the values that are looked at."""
        self._left -= count
        if self._left < 0:
            raise TooMuchError(f"the filters look at more than {MAX_LOOKS} values")


Filter = Callable[[Any, Looking], bool]
Selector = str | int | slice | Filter | None
"""A name, the place of an item, the places of several, a condition, or whatever there is."""


@dataclass(frozen=True)
class Step:
    """What a step of a path takes of a value."""

    selectors: tuple[Selector, ...]
    descends: bool
    """Whether it takes them of everything below, too (`..`)."""

    def takes(self, place: str | int, length: int, part: Any, looking: Looking) -> bool:
        """Whether it takes what is in an object, or in a list of that length."""
        return any(_takes(selector, place, length, part, looking) for selector in self.selectors)

    @property
    def passes(self) -> bool:
        """Whether it looks into the items of a list as if there was none."""
        return any(isinstance(selector, str) for selector in self.selectors)


@dataclass(frozen=True)
class Query:
    """A path in a filter, whose names do not look into lists."""

    absolute: bool
    """Whether it begins at the whole rather than at what is filtered."""
    steps: tuple[Step, ...]

    @property
    def singular(self) -> bool:
        """Whether it finds one value at most, whatever it looks at."""
        return all(
            len(step.selectors) == 1 and isinstance(step.selectors[0], str | int) and not step.descends
            for step in self.steps
        )

    def found(self, value: Any, looking: Looking) -> list[Any]:
        """The values that it finds."""
        found = [looking.whole if self.absolute else value]
        for step in self.steps:
            following: list[Any] = []
            for each in found:
                _select(step, each, looking, following, MAX_DEPTH)
            found = following
        return found

    def value(self, value: Any, looking: Looking) -> Any:
        """What it finds, where that is one value."""
        found = self.found(value, looking)
        return found[0] if len(found) == 1 else NOTHING


def parts(value: Any) -> list[tuple[str | int, Any]]:
    """The members of an object or the items of a list, with their places."""
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def holds(one: Any, comparison: str, two: Any, looking: Looking) -> bool:
    """Whether two values compare so (RFC 9535, 2.3.5.2.2)."""
    order = _order(one, two, looking)
    if comparison == "!=":
        return order != 0
    return order in {"==": (0,), "<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (0, 1)}[comparison]


def length(value: Any) -> Any:
    """How many characters, items or members."""
    return len(value) if isinstance(value, str | list | dict) else NOTHING


def _order(one: Any, two: Any, looking: Looking) -> int | None:
    if one is NOTHING or two is NOTHING:
        return 0 if one is two else None
    if _is_number(one) and _is_number(two):
        return _numbers(one, two)
    if isinstance(one, str) and isinstance(two, str):
        return (one > two) - (one < two)
    return 0 if _same(one, two, looking, MAX_DEPTH) else None


def _same(one: Any, two: Any, looking: Looking, depth: int) -> bool:
    if depth == 0:
        raise TooMuchError(f"the filters look deeper than {MAX_DEPTH} levels")
    if _is_number(one) and _is_number(two):
        return _numbers(one, two) == 0
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        looking.look(len(one))
        return all(_same(*pair, looking, depth - 1) for pair in zip(one, two, strict=True))
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        looking.look(len(one))
        return all(_same(member, two[name], looking, depth - 1) for name, member in one.items())
    return type(one) is type(two) and not isinstance(one, list | dict) and bool(one == two)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(one: float, two: float) -> int:
    """Integers of 64 bits are exact, other numbers the nearest double."""
    exact = (isinstance(it, int) and -(2**63) <= it < 2**64 for it in (one, two))
    if not all(exact):
        one, two = float(str(one)), float(str(two))
    return (one > two) - (one < two)


def _takes(selector: Selector, place: str | int, length: int, part: Any, looking: Looking) -> bool:
    if selector is None or isinstance(selector, str):
        return selector is None or selector == place
    if callable(selector):
        return selector(part, looking)
    if isinstance(place, str):
        return False
    if isinstance(selector, int):
        return selector in (place, place - length)
    # RFC 9535, 2.3.4.2.2: a step of 0 takes nothing.
    return selector.step != 0 and place in range(*selector.indices(length))


def _select(step: Step, value: Any, looking: Looking, found: list[Any], depth: int) -> None:
    if depth == 0:
        raise TooMuchError(f"the filters look deeper than {MAX_DEPTH} levels")
    inner = parts(value)
    for place, part in inner:
        looking.look()
        for selector in step.selectors:
            if _takes(selector, place, len(inner), part, looking):
                looking.look()
                found.append(part)
        if step.descends:
            _select(step, part, looking, found, depth - 1)
