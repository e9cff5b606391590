"""OSCQuery: the address space as JSON, for programs that browse it.

Source: OSCQuery proposal, Vidvox, third revision. Its WebSocket part is in `osc_listen`.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any

from ..wire.directory import READ, Node
from ..wire.messages import encode_json

# Attributes of ours; HOST_INFO is the server's.
ATTRIBUTES = ("FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION")
EXTENSIONS = {
    "ACCESS": True,
    "VALUE": True,
    "RANGE": True,
    "DESCRIPTION": True,
    "TAGS": False,
    "EXTENDED_TYPE": False,
    "UNIT": False,
    "CRITICAL": False,
    "CLIPMODE": False,
    "OVERLOADS": False,
    "LISTEN": True,
    "PATH_CHANGED": False,
}
OK, NO_CONTENT, BAD_REQUEST, NOT_FOUND = 200, 204, 400, 404

Read = Callable[[str], float | None]  # None: no value yet


class _Place:
    """A part of the tree: a container, a method, or both."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.children: dict[str, _Place] = {}
        self.node: Node | None = None
        self.facts: dict[str, Any] = {}
        self.start = ""  # its JSON without VALUE and CONTENTS, and without the last brace

    def settle(self) -> None:
        """Write down what does not change."""
        facts: dict[str, Any] = {"FULL_PATH": self.path, "ACCESS": 0}
        if self.node:
            facts |= {"ACCESS": self.node.access, "DESCRIPTION": self.node.text}
            if self.node.tags:
                facts |= {"TYPE": self.node.tags, "RANGE": _ranges(self.node)}
        self.facts = facts
        self.start = json.dumps(facts, separators=(",", ":"), ensure_ascii=False)[:-1]


class OscQuery:
    """Answers what browsers ask.

    Parameters
    ----------
    nodes : mapping of address to Node
    read : callable
        Value of an address now.
    host : mapping
        What HOST_INFO says besides the extensions.
    """

    def __init__(self, nodes: Mapping[str, Node], read: Read, host: Mapping[str, Any]) -> None:
        self._read = read
        self._host = {**host, "EXTENSIONS": EXTENSIONS}
        self._root = _Place("/")
        self._places = {"/": self._root}
        for address, node in nodes.items():
            self._place(address).node = node
        for place in self._places.values():
            place.settle()

    def answer(self, target: str) -> tuple[int, bytes]:
        """Status code and JSON for the target of a GET request."""
        target = target.partition("#")[0]
        path, _, query = target.partition("?")
        if query == "HOST_INFO":
            return OK, encode_json(self._host)
        place = self._places.get("/" + urllib.parse.unquote(path).strip("/"))
        if place is None:
            return NOT_FOUND, b""
        if not query:
            return OK, "".join(self._pieces(place)).encode()
        if query not in ATTRIBUTES:
            return BAD_REQUEST, b""
        if query == "VALUE" and place.node and place.node.access & READ:
            return OK, f"{{{self._value(place)}}}".encode()
        if query == "CONTENTS" and place.children:
            return OK, ("{" + "".join(self._contents(place)) + "}").encode()
        if query in place.facts:
            return OK, encode_json({query: place.facts[query]})
        return NO_CONTENT, b""

    def _place(self, address: str) -> _Place:
        place = self._root
        for part in address.strip("/").split("/"):
            if part not in place.children:
                path = f"{place.path.rstrip('/')}/{part}"
                place.children[part] = self._places[path] = _Place(path)
            place = place.children[part]
        return place

    def _pieces(self, place: _Place) -> list[str]:
        pieces = [place.start]
        if place.node and place.node.access & READ and (value := self._value(place)):
            pieces += [",", value]
        if place.children:
            pieces += [",", *self._contents(place)]
        pieces.append("}")
        return pieces

    def _contents(self, place: _Place) -> list[str]:
        pieces = ['"CONTENTS":{']
        for i, (name, child) in enumerate(place.children.items()):
            pieces.append(f'{"," if i else ""}"{name}":')
            pieces += self._pieces(child)
        pieces.append("}")
        return pieces

    def _value(self, place: _Place) -> str:
        value = self._read(place.path)
        return "" if value is None else f'"VALUE":[{value!r}]'


def _ranges(node: Node) -> list[Any]:
    ranges: list[dict[str, Any]] = [
        {key: end for key, end in zip(("MIN", "MAX"), limits, strict=True) if end is not None}
        for limits in node.limits
    ]
    if node.choices:
        ranges[0]["VALS"] = list(node.choices)
    return [one or None for one in ranges]
