"""Values are held against JSON Schema 2020-12."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry

from .problems import MAX_PROBLEMS, describe


class Check:
    """A schema, ready to hold values against. Formats are not asserted, and nothing is fetched."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._validator: Validator = _Validator(schema, registry=Registry())

    def problems(self, value: object) -> list[str]:
        """What is wrong: `ARGUMENT: what is expected`, at most 10; none when the value fits."""
        lines: list[str] = []
        try:
            for error in self._validator.iter_errors(value):
                lines += [line for line in describe(error, self._schema) if line not in lines]
                if len(lines) > MAX_PROBLEMS:
                    return [*lines[: MAX_PROBLEMS - 1], "and more"]
        except RecursionError:
            lines.append("a value nests too deeply to be checked")
        return lines

    def first_problem(self, value: object) -> str | None:
        """The first of the problems. What nests too deeply to be checked passes."""
        try:
            error = next(self._validator.iter_errors(value), None)
        except RecursionError:
            return None
        return None if error is None else describe(error)[0]


def _pattern(checker: Validator, pattern: str, value: object, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if isinstance(value, str):
        compiled = _compile(pattern)
        if compiled is not None and not compiled.search(value):
            yield ValidationError("does not match")


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> re.Pattern[str] | None:
    """An ECMA-262 pattern; `None` for one that Python cannot read, and then the API decides."""
    try:
        return re.compile(_from_ecma(pattern))
    except (re.error, OverflowError, RecursionError):
        return None


def _from_ecma(pattern: str) -> str:
    """Python's `$` also matches before a last line break, and its `\\d` and `\\w` take every script."""
    parts: list[str] = []
    in_class = False
    for token in re.findall(r"\\.|.", pattern, re.DOTALL):
        if in_class:
            parts.append(_IN_CLASS.get(token, token))
            in_class = token != "]"
        else:
            parts.append(_OUTSIDE.get(token, token))
            in_class = token == "["
    return "".join(parts)


_OUTSIDE = {"$": r"\Z", r"\d": "[0-9]", r"\D": "[^0-9]", r"\w": "[A-Za-z0-9_]", r"\W": "[^A-Za-z0-9_]"}
_IN_CLASS = {r"\d": "0-9", r"\w": "A-Za-z0-9_", "[": r"\["}

_Validator: Any = extend(Draft202012Validator, {"pattern": _pattern})
