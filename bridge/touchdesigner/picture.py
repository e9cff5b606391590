"""Draw the network build.py makes, from its own places and wires: python picture.py"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
KINDS = ("base", "oscin", "select", "null", "oscout", "chopexecute", "text", "script")
FILLS = {"CHOP": "#b5d6a7", "DAT": "#d6b5d6", "TOP": "#b5b5d6", "COMP": "#d0d0d0"}
WIDTH, HEIGHT, SCALE = 150, 60, 0.9


class Sketch:
    """An operator that remembers where it is and who feeds it, and lets all else pass."""

    def __init__(self, kind: str, name: str) -> None:
        self.kind, self.name, self.path, self.text = kind, name, f"/project1/{name}", ""
        self.children: list[Sketch] = []
        self.inputs: list[Sketch] = []
        self.par: Any = _Anything()
        self.outputConnectors = [self]

    def create(self, kind: str, name: str) -> Sketch:
        self.children.append(Sketch(kind, name))
        return self.children[-1]

    def op(self, name: str) -> None:
        return None

    def connect(self, other: Sketch) -> None:
        other.inputs.append(self)


class _Anything:
    def __getattr__(self, name: str) -> _Anything:
        return self

    def pulse(self) -> None:
        return None


def network() -> list[Any]:
    """What build.py creates."""
    space: dict[str, Any] = {f"{k}{family}": f"{k}{family}" for k in KINDS for family in FILLS}
    space["op"] = lambda path: Sketch("baseCOMP", path)
    exec((FOLDER / "build.py").read_text("utf-8"), space)
    with contextlib.redirect_stdout(io.StringIO()):
        return list(space["build"](str(FOLDER)).children)


def drawn(nodes: list[Any]) -> str:
    """The network as TouchDesigner would lay it out: y grows upwards."""
    left = min(node.nodeX for node in nodes) - 20
    top = max(node.nodeY for node in nodes) + HEIGHT + 20
    right = max(node.nodeX for node in nodes) + WIDTH + 20
    bottom = min(node.nodeY for node in nodes) - 30
    width, height = (right - left) * SCALE, (top - bottom) * SCALE
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {right - left} {top - bottom}" font-family="Arial" font-size="13">',
        '<rect width="100%" height="100%" fill="#3b3f42"/>',
    ]
    places = {id(node): (node.nodeX - left, top - node.nodeY - HEIGHT) for node in nodes}
    for node in nodes:
        x2, y2 = places[id(node)]
        for source in node.inputs:
            x1, y1 = places[id(source)]
            y1, y2m = y1 + HEIGHT / 2, y2 + HEIGHT / 2
            svg.append(
                f'<path d="M{x1 + WIDTH} {y1}C{x1 + WIDTH + 40} {y1} {x2 - 40} {y2m} {x2} {y2m}" '
                'fill="none" stroke="#9ccc8f" stroke-width="2"/>'
            )
    for node in nodes:
        x, y = places[id(node)]
        family = next(family for family in FILLS if node.kind.endswith(family))
        svg.append(
            f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="4" '
            f'fill="{FILLS[family]}" stroke="#222"/>'
            f'<text x="{x + 8}" y="{y + 22}" fill="#444" font-size="11">{node.kind}</text>'
            f'<text x="{x + 8}" y="{y + 44}">{node.name}</text>'
        )
    return "\n".join([*svg, "</svg>\n"])


if __name__ == "__main__":
    (FOLDER / "network.svg").write_text(drawn(network()), "utf-8")
