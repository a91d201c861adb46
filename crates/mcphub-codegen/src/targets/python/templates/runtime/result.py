"""The answer of the API becomes a tool result that a model can act on."""

from __future__ import annotations

import base64
import http
import json
from dataclasses import dataclass, replace
from typing import Any, Literal, NoReturn

from mcp_types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
)

from .serialization import is_json

Output = Literal["none", "object", "wrapped"]
"""How a JSON answer becomes `structuredContent`: not at all, as it is, or as `{"result": ...}`."""

MAX_ERROR_BODY = 16 * 1024
"""The most of an error's body that is shown to the model, in bytes."""

MAX_TWICE = 64 * 1024
"""A longer answer, in bytes, is not there twice, as text and as structure."""

SHOWN = 1024
"""How much of it the text shows then, in bytes."""

_TEXT_TYPES = {
    "",
    "application/xml",
    "application/yaml",
    "application/javascript",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/json-seq",
}
# Deeper structures cannot be written by the SDK.
_MAX_DEPTH = 128


@dataclass(frozen=True)
class Answer:
    """What the API answered."""

    status: int
    content_type: str
    retry_after: str | None
    body: bytes
    link: str | None = None
    note: str | None = None
    """That the body is a piece of the answer: one line for the model."""


@dataclass(frozen=True)
class ToolResult:
    """What a tool gives back."""

    content: list[ContentBlock]
    """For the model."""
    structured: dict[str, Any] | None = None
    """The answer as an object, where the API describes one."""
    is_error: bool = False
    """Whether the call failed."""
    status: int = 200
    """What the API answered, if it did."""
    size: int = 0
    """The size of the answer in bytes."""

    @classmethod
    def error(cls, text: str) -> ToolResult:
        """A failure that the model can read and act on."""
        return cls([TextContent(type="text", text=text)], is_error=True)

    @classmethod
    def invalid_arguments(cls, tool: str, problems: list[str]) -> ToolResult:
        """A call with arguments that do not fit the tool; one line for each problem."""
        lines = "".join(f"\n- {problem}" for problem in problems)
        return cls.error(f"Invalid arguments for {tool}:{lines}")

    @classmethod
    def from_answer(cls, answer: Answer, output: Output, uri: str) -> ToolResult:
        """The result of a call that was answered.

        - A status outside 2xx is an error with status, reason and body, cut at 16 KiB.
        - JSON and text come as they were sent; images and audio as their content types; other bytes
          as an embedded resource with `uri`.
        - With an output, JSON also becomes `structured`. `null` and an empty answer become `{}` or
          `{"result": null}`. An answer of another shape is returned whole and flagged, and so is a
          piece of one.
        """
        if not 200 <= answer.status < 300:
            return cls.error(error_text(answer))
        essence = answer.content_type.split(";")[0].strip().lower()
        result = cls([_content(answer, essence, uri)], status=answer.status, size=len(answer.body))
        if output == "none":
            return result
        if answer.note is not None:
            return result.mismatched("that is too long for one result")
        try:
            value = read_json(answer.body) if is_json(essence) and answer.body else None
            return replace(result, structured=_structured(value, output))
        except ValueError as error:
            return result.mismatched(str(error))

    def noted(self, *notes: str) -> ToolResult:
        """The result with more lines for the model."""
        return replace(self, content=[*self.content, *(TextContent(type="text", text=note) for note in notes)])

    def mismatched(self, why: str) -> ToolResult:
        """The result of an answer that is not as promised: whole, after a text that says why, and flagged."""
        remark = TextContent(type="text", text=f"The API answered {self.status}, but {why}. Its answer:")
        return ToolResult([remark, *self.content], is_error=True, status=self.status, size=self.size)

    def to_mcp(self) -> CallToolResult:
        """The result as MCP has it, a large answer once."""
        # What stands in for an answer that is no JSON has nothing of it.
        whole = self.structured not in (None, {}, {"result": None})
        content = [_once(item) for item in self.content] if whole else self.content
        return CallToolResult(content=content, structured_content=self.structured, is_error=self.is_error)


def _once(content: ContentBlock) -> ContentBlock:
    """The beginning of a long text whose whole is in the structure."""
    if not isinstance(content, TextContent):
        return content
    whole = content.text.encode()
    if len(whole) <= MAX_TWICE:
        return content
    shown = whole[:SHOWN].decode(errors="ignore")
    note = f"[cut: {len(shown.encode())} of {len(whole)} bytes shown; `structuredContent` has all of them]"
    return TextContent(type="text", text=f"{shown}\n{note}")


def _content(answer: Answer, essence: str, uri: str) -> ContentBlock:
    if not answer.body:
        return TextContent(type="text", text=_status_line(answer.status))
    if is_text(essence):
        try:
            return TextContent(type="text", text=answer.body.decode())
        except UnicodeDecodeError:
            pass  # Not text after all: it goes as bytes.
    data = base64.b64encode(answer.body).decode()
    mime_type = essence or "application/octet-stream"
    if essence.startswith("image/") and answer.note is None:
        return ImageContent(type="image", data=data, mime_type=mime_type)
    if essence.startswith("audio/") and answer.note is None:
        return AudioContent(type="audio", data=data, mime_type=mime_type)
    return EmbeddedResource(type="resource", resource=BlobResourceContents(uri=uri, mime_type=mime_type, blob=data))


def is_text(content_type: str) -> bool:
    """Whether answers of a kind are text that a model can read."""
    essence = content_type.split(";")[0].strip().lower()
    return is_json(essence) or essence.startswith("text/") or essence.endswith("+xml") or essence in _TEXT_TYPES


def _structured(value: Any, output: Output) -> dict[str, Any]:
    if output == "wrapped":
        return {"result": value}
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    raise ValueError("its document promises a JSON object")


def read_json(body: bytes) -> Any:
    """Reads JSON; a `ValueError` completes "The API answered 200, but ..."."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if _depth(value) > _MAX_DEPTH:
        raise ValueError(f"its JSON nests deeper than {_MAX_DEPTH} levels")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level and depth <= _MAX_DEPTH:
        nested = (item.values() if isinstance(item, dict) else item for item in level if isinstance(item, (dict, list)))
        level = [item for items in nested for item in items]
        depth += 1
    return depth


def error_text(answer: Answer) -> str:
    """What is told of an answer that is no success."""
    text = _status_line(answer.status)
    if answer.retry_after is not None:
        text += f" (Retry-After: {answer.retry_after})"
    if not answer.body:
        return text
    text += "\n" + answer.body[:MAX_ERROR_BODY].decode(errors="replace")
    if len(answer.body) > MAX_ERROR_BODY:
        text += f"\n[cut: {MAX_ERROR_BODY} of {len(answer.body)} bytes shown]"
    return text


# Names of RFC 9110 where Python's own are older.
_REASONS = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def _status_line(status: int) -> str:
    try:
        reason = _REASONS.get(status) or http.HTTPStatus(status).phrase
    except ValueError:
        reason = ""
    return f"HTTP {status} {reason}".rstrip()
