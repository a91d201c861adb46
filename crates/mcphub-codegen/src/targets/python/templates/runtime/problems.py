"""What is wrong with a value, in words that a model can act on.

No value of a call is ever repeated: it may be a secret, or long.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from jsonschema.exceptions import ValidationError

from .serialization import json_text

MAX_PROBLEMS = 10
"""The most problems that one answer lists."""
MAX_SHOWN = 200
"""The longest text from a schema or a call that is repeated, in characters."""

_TYPES = {
    "array": "an array",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}


def describe(error: ValidationError, schema: Mapping[str, Any] | None = None) -> list[str]:
    """A line for each problem: `ARGUMENT: what is expected`. `schema` is that of a tool's arguments."""
    path = _path(error.absolute_path)
    if error.validator == "required":
        return [f"{_member(path, name)}: is required" for name in error.validator_value if name not in error.instance]
    if error.validator in ("additionalProperties", "unevaluatedProperties") and error.validator_value is False:
        unexpected = [name for name in error.instance if name not in _known(error.schema)]
        if schema is not None and not path:
            known = list(_known(schema))
            return [f"{_clip(name, 60)}: is not an argument of this tool{_instead(name, known)}" for name in unexpected]
        return [f"{_member(path, _clip(name, 60))}: is not possible here" for name in unexpected]
    if error.validator in ("anyOf", "oneOf") and error.context:
        branch = _nearest(error)
        if branch:
            return [line for nested in branch for line in describe(nested, schema)]
    expected = _expectation(error)
    return [f"{path}: {expected}" if path else expected]


def _instead(name: str, known: list[str]) -> str:
    """What to write in place of an unknown name."""
    if not known:
        return "; it has none"
    by_lower_case = {argument.lower(): argument for argument in known}
    near = difflib.get_close_matches(name[:128].lower(), by_lower_case, n=1)
    if near:
        return f"; did you mean {by_lower_case[near[0]]}?"
    return f"; its arguments are {_clip(', '.join(known))}"


def _known(schema: Mapping[str, Any]) -> Iterable[str]:
    properties = schema.get("properties", {})
    return properties if isinstance(properties, dict) else ()


def _branches(error: ValidationError) -> list[list[ValidationError]]:
    context = error.context or []
    return [list(branch) for _, branch in groupby(context, key=lambda nested: nested.schema_path[0])]


def _nearest(error: ValidationError) -> list[ValidationError] | None:
    """The branch of an `anyOf` or `oneOf` that was meant: the only one whose type the value has."""
    meant = [
        branch
        for branch in _branches(error)
        if not any(nested.validator == "type" and not nested.path for nested in branch)
    ]
    return meant[0] if len(meant) == 1 else None


def _expectation(error: ValidationError) -> str:
    limit = error.validator_value
    match error.validator:
        case "type":
            kinds = [limit] if isinstance(limit, str) else limit
            return f"must be {' or '.join(sorted(_TYPES.get(kind, kind) for kind in kinds))}"
        case "enum":
            return f"must be one of {_clip(', '.join(map(json_text, limit)))}"
        case "const":
            return f"must be {_clip(json_text(limit))}"
        case "minimum":
            return f"must be at least {limit}"
        case "maximum":
            return f"must be at most {limit}"
        case "exclusiveMinimum":
            return f"must be more than {limit}"
        case "exclusiveMaximum":
            return f"must be less than {limit}"
        case "multipleOf":
            return f"must be a multiple of {limit}"
        case "minLength" | "minItems" | "minProperties":
            return f"must have at least {_count(limit, error.validator)}"
        case "maxLength" | "maxItems" | "maxProperties":
            return f"must have at most {_count(limit, error.validator)}"
        case "pattern":
            return f"must match the pattern {_clip(limit)}"
        case "uniqueItems":
            return "must not have the same item twice"
        case "not":
            return "must not be what the schema excludes"
        case "oneOf" if not error.context:
            return "must fit exactly one of the alternatives, and fits more"
        case "anyOf" | "oneOf":
            expected = dict.fromkeys(_expectation(branch[0]) for branch in _branches(error))
            return _clip(", or ".join(expected))
        case "required":
            missing = next(name for name in limit if name not in error.instance)
            return f"must have {missing}"
        case None:
            return "is not possible here"
        case keyword:
            return f"does not fit the keyword {keyword} of its schema"


def _count(number: int, keyword: str) -> str:
    noun = {"Length": "character", "Items": "item", "Properties": "member"}[keyword[3:]]
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _path(segments: Sequence[str | int]) -> str:
    """`address.lines[0]`."""
    path = ""
    for segment in segments:
        path = f"{path}[{segment}]" if isinstance(segment, int) else _member(path, _clip(segment, 60))
    return _clip(path)


def _member(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _clip(text: str, limit: int = MAX_SHOWN) -> str:
    return text if len(text) <= limit else f"{text[:limit]}…"
