"""Values become XML as the XML Objects of the API's document say (OpenAPI 3.0.4, 3.1.1 and 3.2.0).

A shape is a dict with the node `root` and the nodes `types`, by name. A node may have `name`,
`namespace`, `prefix`, `kind` (`attribute`, `text`, `cdata`), `wrapped`, `members`, `items`, and `types`,
which say what it does not. `None` has no element; a value without a node is an element named by its
member; lists repeat it; nothing is indented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from . import serialization

Shape = Mapping[str, Any]
Node = Mapping[str, Any]

_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_MAX_DEPTH = 128
_MAX_TYPES = 32
# XML 1.0, 2.3; all beyond Latin-1 signs counts as a letter.
_NAME = re.compile("[A-Za-z_\u00c0-\U0010ffff][A-Za-z0-9_.:\u00b7\u00c0-\U0010ffff-]*")
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


@cache
def shape(function: str) -> Shape:
    """How the body of a function becomes XML: `xml` in its file of schemas."""
    file = resources.files(__package__) / "schemas" / f"{function}.json"
    made: Shape = json.loads(file.read_text(encoding="utf-8"))["xml"]
    return made


def document(shape: Shape, value: object) -> bytes:
    """A whole document. Raises `ValueError` for what XML cannot hold."""
    writer = _Writer(shape)
    node = writer.node(shape.get("root", {}))
    writer.element(node.get("name", "root"), node, value)
    return writer.document()


class _Writer:
    def __init__(self, shape: Shape) -> None:
        self._types = shape.get("types", {})
        self._out = [_DECLARATION]
        self._depth = 0

    def document(self) -> bytes:
        return "".join(self._out).encode()

    def node(self, node: Node) -> dict[str, Any]:
        """A node together with its types."""
        nodes = [node]
        for known in nodes:
            room = max(_MAX_TYPES - len(nodes), 0)
            nodes += [self._types[name] for name in known.get("types", [])[:room] if name in self._types]
        whole: dict[str, Any] = {"members": {}}
        for known in reversed(nodes):
            members = {**whole["members"], **known.get("members", {})}
            whole |= {key: value for key, value in known.items() if key != "types"}
            whole["members"] = members
        return whole

    def element(self, name: str, node: Node, value: object) -> None:
        qualified = _qualified(name, node)
        attributes: dict[str, str] = {}
        _declare(attributes, node)
        children: list[tuple[str, dict[str, Any], object]] = []
        if isinstance(value, dict):
            for key, item in value.items():
                inner = self.node(node["members"].get(str(key), {}))
                if inner.get("kind") != "attribute":
                    children.append((str(key), inner, item))
                elif item is not None:
                    attribute = _qualified(inner.get("name", str(key)), inner)
                    _declare(attributes, inner)
                    attributes[attribute] = serialization.scalar(item)
        written = (f' {key}="{_legal(text).translate(_ATTRIBUTE)}"' for key, text in attributes.items())
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise ValueError("the value nests too deeply")
        self._out.append(f"<{qualified}{''.join(written)}>")
        for key, inner, item in children:
            self._child(key, inner, item)
        if isinstance(value, list):
            self._items(name, node, value)
        elif value is not None and not isinstance(value, dict):
            self._text(value)
        self._out.append(f"</{qualified}>")
        self._depth -= 1

    def _child(self, member: str, node: Node, value: object) -> None:
        kind = node.get("kind")
        if value is None:
            return
        if kind == "text":
            self._text(value)
        elif kind == "cdata":
            text = _legal(serialization.scalar(value)).replace("]]>", "]]]]><![CDATA[>")
            self._out.append(f"<![CDATA[{text}]]>")
        elif isinstance(value, list) and not node.get("wrapped"):
            # 3.0.4, XML Object: without `wrapped`, the name of an array has no effect.
            self._items(member, node, value)
        else:
            self.element(node.get("name", member), node, value)

    def _items(self, name: str, array: Node, items: list[Any]) -> None:
        node = self.node(array.get("items", {}))
        for item in items:
            self._child(node.get("name", name), node, item)

    def _text(self, value: object) -> None:
        self._out.append(_legal(serialization.scalar(value)).translate(_TEXT))


def _declare(attributes: dict[str, str], node: Node) -> None:
    if node.get("namespace"):
        attributes.setdefault(f"xmlns:{node['prefix']}" if node.get("prefix") else "xmlns", node["namespace"])


def _qualified(name: str, node: Node) -> str:
    qualified = f"{node['prefix']}:{name}" if node.get("prefix") else name
    if not _NAME.fullmatch(qualified):
        raise ValueError(f"`{qualified[:64]}` cannot be the name of an XML element or attribute")
    return qualified


def _legal(text: str) -> str:
    if _ILLEGAL.search(text):
        raise ValueError("it has characters that XML cannot hold")
    return text
