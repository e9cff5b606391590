"""Write the Max patcher, the Max for Live device and their pictures.

    python bridge/max/make.py

A patcher is JSON: boxes with a place, an id and so many inlets and outlets, and lines between them.
It is written here because it can be read, compared and tested here, and in a patcher it cannot.
"""

from __future__ import annotations

import html
import itertools
import json
import struct
import sys
from pathlib import Path
from typing import Any

BRIDGE = Path(__file__).parents[1]
STEMS = ("vocals", "drums", "bass", "other")
DRUMS = ("kick", "snare", "hihat")
# Not 9701, where stemd sends unasked, nor 9702, where configs/touchdesigner.toml sends words:
# somebody else may listen there.
MAX_PORT, LIVE_PORT = 9703, 9704
# No chroma, bands, beat counts and the like.
PATTERN = "/stemd/{*/[!bc]*,beat,tempo,state,alive,latency_ms,load,bypass}"

# What a slot of the Live device can follow: name, address, and what of it is 0…1.
FOLLOWED = (
    *((f"{stem} level", f"/stemd/{stem}/level", (0.0, 1.0)) for stem in (*STEMS, "mix")),
    *((f"{stem} onsets", f"/stemd/{stem}/onset/env", (0.0, 1.0)) for stem in STEMS),
    *((drum, f"/stemd/drums/{drum}/env", (0.0, 1.0)) for drum in DRUMS),
    ("vocals pitch", "/stemd/vocals/pitch", (36.0, 84.0)),
    ("bass pitch", "/stemd/bass/pitch", (24.0, 60.0)),
    ("beat", "/stemd/beat/phase", (0.0, 1.0)),
    ("mix width", "/stemd/mix/width", (0.0, 1.0)),
)
SLOTS = 8

# Inlets and outlets of what is used; functions of the number of arguments where they vary.
SHAPES: dict[str, Any] = {
    "udpreceive": (1, 1),
    "udpsend": (1, 0),
    "route": lambda n: (n + 1, n + 1),
    "switch": (17, 1),  # with 16 inputs
    "scale": (6, 1),
    "clip": (3, 1),
    "loadbang": (1, 1),
    "metro": (2, 1),
    "+": (2, 1),
    "sel": lambda n: (2 if n == 1 else 1, n + 1),
    "t": lambda n: (1, n),
    "gate": (2, 1),
    "prepend": (1, 1),
    "int": (2, 1),
    "live.thisdevice": (1, 3),
    "live.path": (1, 3),
    "live.remote~": (2, 1),
    "plugin~": (2, 2),
    "plugout~": (2, 2),
    # boxes that are no text
    "message": (2, 1),
    "comment": (1, 0),
    "toggle": (1, 1),
    "button": (1, 1),
    "slider": (1, 1),
    "number": (1, 2),
    "flonum": (1, 2),
    "textbutton": (1, 3),
    "live.dial": (1, 2),
    "live.menu": (1, 3),
    "live.numbox": (1, 2),
}


class Patcher:
    """Boxes and lines in the making."""

    def __init__(self, width: float, height: float) -> None:
        self.size = (width, height)
        self.boxes: list[dict[str, Any]] = []
        self.lines: list[dict[str, Any]] = []

    def box(self, kind: str, x: float, y: float, text: str = "", **more: Any) -> str:
        """Add one box; `kind` is a maxclass, or `newobj` for an object made of text."""
        words = text.split()
        shape = SHAPES[words[0] if kind == "newobj" else kind]
        n_in, n_out = shape(len(words) - 1) if callable(shape) else shape
        width, height = more.pop("size", (max(30.0, 7.0 * len(text) + 12.0), 22.0))
        name = f"obj-{len(self.boxes) + 1}"
        box: dict[str, Any] = {
            "id": name,
            "maxclass": kind,
            "numinlets": n_in,
            "numoutlets": n_out,
            "outlettype": [""] * n_out,
            "patching_rect": [float(x), float(y), float(width), float(height)],
            **more,
        }
        if text:
            box["text"] = text
        self.boxes.append({"box": box})
        return name

    def obj(self, x: float, y: float, text: str, **more: Any) -> str:
        """An object made of text."""
        return self.box("newobj", x, y, text, **more)

    def parameter(self, kind: str, x: float, y: float, name: str, **more: Any) -> str:
        """A control Live knows by name and saves with the set."""
        values = {"parameter_longname": name, "parameter_shortname": name, **more.pop("values")}
        return self.box(
            kind,
            x,
            y,
            parameter_enable=1,
            varname=name,
            saved_attribute_attributes={"valueof": values},
            **more,
        )

    def wire(self, source: str, outlet: int, target: str, inlet: int = 0) -> None:
        """Connect two boxes."""
        ends = {"source": [source, outlet], "destination": [target, inlet]}
        self.lines.append({"patchline": ends})

    def chain(self, *names: str) -> None:
        """Connect first outlets with first inlets."""
        for source, target in itertools.pairwise(names):
            self.wire(source, 0, target)

    def to_dict(self, **more: Any) -> dict[str, Any]:
        """As Max reads it."""
        parameters = {
            box["box"]["id"]: [box["box"]["varname"], box["box"]["varname"], 0]
            for box in self.boxes
            if box["box"].get("parameter_enable")
        }
        version = {"major": 8, "minor": 5, "revision": 0, "architecture": "x64", "modernui": 1}
        return {
            "patcher": {
                "fileversion": 1,
                "appversion": version,
                "classnamespace": "box",
                "rect": [60.0, 90.0, *self.size],
                "default_fontsize": 12.0,
                "default_fontname": "Arial",
                "gridsize": [15.0, 15.0],
                "boxes": self.boxes,
                "lines": self.lines,
                **({"parameters": parameters} if parameters else {}),
                "dependency_cache": [],
                "autosave": 0,
                **more,
            }
        }


def link(patcher: Patcher, x: float, y: float, start: str, port: int) -> tuple[str, str, str]:
    """The way in and the way out; returns the receiver, the sender and what takes a new port.

    Max sends from one socket and hears on another, so the subscription names the port to answer to.
    """
    receive = patcher.obj(x, y + 150, f"udpreceive {port}")
    send = patcher.obj(x + 260, y + 150, "udpsend 127.0.0.1 9700")
    metro = patcher.obj(x + 260, y + 30, "metro 5000")
    on = patcher.box("message", x + 260, y, "1")
    named = patcher.obj(x + 260, y + 60, f"int {port}")
    wish = f'/stemd/subscribe "{PATTERN}" 60. 10. $1'
    subscribe = patcher.box("message", x + 260, y + 90, wish, size=(470.0, 22.0))
    change = patcher.box("message", x, y + 110, "port $1")
    patcher.wire(start, 0, on)
    patcher.chain(on, metro, named, subscribe, send)
    patcher.chain(change, receive)
    patcher.box(
        "comment", x, y - 26,
        f"the subscription is repeated every 5 s; the daemon answers to port {port} here",
        size=(560.0, 20.0),
    )  # fmt: skip
    return receive, send, change


def max_patch() -> Patcher:
    """Levels, onsets, hits, notes, beat and the mixer."""
    p = Patcher(1200.0, 800.0)
    p.box("comment", 20, 12, "stemd: what the stems of a running daemon do, and their knobs",
          size=(560.0, 24.0), fontsize=16.0)  # fmt: skip
    start = p.obj(20, 60, "loadbang")
    receive, send, _ = link(p, 20, 110, start, MAX_PORT)
    addresses = [f"/stemd/{name}" for name in ("state", "alive", "tempo", "beat")]
    first = p.obj(20, 300, "route " + " ".join(addresses), size=(330.0, 22.0))
    p.wire(receive, 0, first)
    for k, (kind, label) in enumerate(
        (("number", "state"), ("number", "s up"), ("flonum", "bpm"), ("button", "beat"))
    ):
        shown = p.box(kind, 20 + 80 * k, 335, size=(50.0, 22.0) if k < 3 else (24.0, 24.0))
        p.wire(first, k, shown)
        p.box("comment", 20 + 80 * k, 360, label, size=(60.0, 20.0))
    hits = p.obj(
        370, 300, "route " + " ".join(f"/stemd/drums/{drum}" for drum in DRUMS), size=(330.0, 22.0)
    )
    p.wire(receive, 0, hits)
    for k, drum in enumerate(DRUMS):
        flash = p.box("button", 370 + 80 * k, 335, size=(40.0, 40.0))
        p.wire(hits, k, flash)
        p.box("comment", 370 + 80 * k, 378, drum, size=(60.0, 20.0))
    for s, stem in enumerate(STEMS):
        stem_strip(p, 20 + 290 * s, 420, stem, receive, send)
    return p


def stem_strip(p: Patcher, x: float, y: float, stem: str, receive: str, send: str) -> None:
    """One stem: level, onset, note; gain, mute and solo."""
    p.box("comment", x, y, stem, size=(120.0, 24.0), fontsize=16.0)
    third = "onset/count" if stem == "drums" else "note"  # drums play no notes
    heard = ("level", "onset", third, "gain", "mute", "solo")
    route = p.obj(
        x, y + 28, "route " + " ".join(f"/stemd/{stem}/{name}" for name in heard),
        size=(225.0, 36.0), linecount=2,
    )  # fmt: skip
    p.wire(receive, 0, route)
    to_slider = p.obj(x, y + 76, "scale 0. 1. 0. 127.", size=(110.0, 22.0))
    meter = p.box("slider", x, y + 108, size=(20.0, 110.0), ignoreclick=1)
    p.wire(route, 0, to_slider)
    p.chain(to_slider, meter)
    flash = p.box("button", x + 120, y + 76, size=(24.0, 24.0))
    p.wire(route, 1, flash)
    p.box("comment", x + 146, y + 78, "onset", size=(50.0, 20.0))
    note = p.box("number", x + 120, y + 108, size=(50.0, 22.0))
    p.wire(route, 2, note)
    p.box("comment", x + 172, y + 110, third.rpartition("/")[2], size=(50.0, 20.0))
    fader = p.box("slider", x + 30, y + 108, size=(20.0, 110.0), floatoutput=1)
    knob_out(p, x + 56, y + 262, stem, "gain", fader, route, 3, send)
    for k, name in enumerate(("mute", "solo")):
        box = p.box("toggle", x + 120 + 50 * k, y + 142, size=(24.0, 24.0))
        p.box("comment", x + 114 + 50 * k, y + 168, name, size=(44.0, 20.0))
        knob_out(p, x + 56, y + 292 + 30 * k, stem, name, box, route, 4 + k, send)


def knob_out(
    p: Patcher, x: float, y: float, stem: str, name: str, box: str, route: str, n: int, send: str
) -> None:
    """A knob that sends when it is turned here and only shows when it was turned elsewhere."""
    fader = name == "gain"
    shown = p.box("message", x - 56, y, "set $1", size=(50.0, 22.0))
    say = p.obj(x + 60, y, f"prepend /stemd/{stem}/{name}", size=(150.0, 22.0))
    if fader:  # a slider counts to 127
        up = p.obj(x, y - 24, "scale 0. 1. 0. 127.", size=(110.0, 22.0))
        down = p.obj(x + 112, y - 24, "scale 0. 127. 0. 1.", size=(110.0, 22.0))
        p.wire(route, n, up)
        p.wire(up, 0, shown)
        p.wire(box, 0, down)
        p.wire(down, 0, say)
    else:
        p.wire(route, n, shown)
        p.wire(box, 0, say)
    p.wire(shown, 0, box)
    p.wire(say, 0, send)


def live_device() -> Patcher:
    """Eight slots, each follows one value and moves one parameter of Live."""
    p = Patcher(1500.0, 900.0)
    inside = p.obj(20, 20, "plugin~")
    outside = p.obj(20, 50, "plugout~")
    p.wire(inside, 0, outside, 0)
    p.wire(inside, 1, outside, 1)
    start = p.obj(120, 20, "live.thisdevice")
    receive, _, change = link(p, 300, 60, start, LIVE_PORT)
    port = p.parameter(
        "live.numbox", 120, 170, "Port", size=(50.0, 15.0),
        presentation=1, presentation_rect=[6.0, 148.0, 50.0, 15.0],
        # A float that shows as an int: Live's own ints have at most 256 values.
        values={"parameter_type": 0, "parameter_mmin": 1024, "parameter_mmax": 65535,
                "parameter_initial_enable": 1, "parameter_initial": [LIVE_PORT],
                "parameter_unitstyle": 0},
    )  # fmt: skip
    whole = p.obj(120, 200, "int")
    p.chain(port, whole, change)
    # The subscription must name the port that is heard on.
    (kept,) = [b["box"]["id"] for b in p.boxes if b["box"].get("text") == f"int {LIVE_PORT}"]
    p.wire(whole, 0, kept, 1)
    alive = p.obj(20, 260, "route /stemd/alive", size=(130.0, 22.0))
    heart = p.box("button", 20, 290, size=(20.0, 20.0),
                  presentation=1, presentation_rect=[6.0, 6.0, 18.0, 18.0])  # fmt: skip
    p.wire(receive, 0, alive)
    p.chain(alive, heart)
    p.box("comment", 50, 290, "stemd", size=(60.0, 20.0),
          presentation=1, presentation_rect=[26.0, 6.0, 50.0, 20.0])  # fmt: skip
    addresses = [address for _, address, _ in FOLLOWED]
    route = p.obj(180, 260, "route " + " ".join(addresses), size=(1280.0, 22.0))
    p.wire(receive, 0, route)
    values = []
    for k, (_, _, (low, high)) in enumerate(FOLLOWED):
        x = 180 + 80 * k
        scale = p.obj(x, 290, f"scale {low:g}. {high:g}. 0. 1.", size=(76.0, 22.0))
        clip = p.obj(x, 316, "clip 0. 1.", size=(60.0, 22.0))
        p.wire(route, k, scale)
        p.chain(scale, clip)
        values.append(clip)
    selected = p.obj(20, 360, "live.path")
    path = p.box("message", 20, 330, "path live_set view selected_parameter", size=(250.0, 22.0))
    p.wire(start, 0, path)
    p.chain(path, selected)
    for slot in range(SLOTS):
        live_slot(p, slot, values, selected)
    return p


def live_slot(p: Patcher, slot: int, values: list[str], selected: str) -> None:
    """Choose what to follow, say how, press Map and click a parameter anywhere in Live."""
    x, y = 20.0 + 182 * slot, 420.0
    across, down = 84.0 + 92 * slot, 6.0

    def shown(dy: float, width: float, height: float, dx: float = 0.0) -> dict[str, Any]:
        return {
            "presentation": 1,
            "presentation_rect": [across + dx, down + dy, width, height],
            "size": (width, height),
        }

    names = [name for name, _, _ in FOLLOWED]
    menu = p.parameter(
        "live.menu", x, y, f"Follow {slot + 1}", **shown(0, 86, 15),
        values={"parameter_type": 2, "parameter_enum": names, "parameter_mmax": len(names) - 1,
                "parameter_initial_enable": 1, "parameter_initial": [slot]},
    )  # fmt: skip
    plus = p.obj(x, y + 30, "+ 1")
    switch = p.obj(x, y + 70, "switch 16 1", size=(150.0, 22.0))
    p.chain(menu, plus, switch)
    for k, value in enumerate(values):
        p.wire(value, 0, switch, k + 1)
    limits = []
    for k, (name, start) in enumerate((("Min", 0.0), ("Max", 100.0))):
        dial = p.parameter(
            "live.dial", x + 80 * k, y + 100, f"{name} {slot + 1}", **shown(18, 41, 48, 44.0 * k),
            values={"parameter_type": 0, "parameter_mmin": 0.0, "parameter_mmax": 100.0,
                    "parameter_unitstyle": 5, "parameter_initial_enable": 1,
                    "parameter_initial": [start]},
        )  # fmt: skip
        percent = p.obj(x + 80 * k, y + 152, "scale 0. 100. 0. 1.", size=(78.0, 22.0))
        p.chain(dial, percent)
        limits.append(percent)
    scale = p.obj(x, y + 184, "scale 0. 1. 0. 1.", size=(120.0, 22.0))
    p.chain(switch, scale)
    p.wire(limits[0], 0, scale, 3)
    p.wire(limits[1], 0, scale, 4)
    lag = p.parameter(
        "live.dial", x + 130, y + 184, f"Lag {slot + 1}", **shown(68, 41, 48),
        values={"parameter_type": 0, "parameter_mmin": 1.0, "parameter_mmax": 1000.0,
                "parameter_exponent": 3.0, "parameter_unitstyle": 2,
                "parameter_initial_enable": 1, "parameter_initial": [20.0]},
    )  # fmt: skip
    smoothing = p.box("message", x + 70, y + 236, "smoothing $1", size=(90.0, 22.0))
    remote = p.obj(x, y + 400, "live.remote~ @normalized 1", size=(160.0, 22.0),
                   saved_object_attributes={"_persistence": 1, "normalized": 1})  # fmt: skip
    p.chain(scale, remote)
    p.chain(lag, smoothing, remote)
    # Map: the next parameter that is clicked. The button is none itself, or it would be that one.
    mapping = p.box(
        "textbutton", x, y + 236, "Map", texton="click one", mode=1, parameter_enable=0,
        **shown(120, 41, 20),
    )  # fmt: skip
    gate = p.obj(x, y + 262, "gate")
    number = p.obj(x, y + 288, "route id", size=(60.0, 22.0))
    some = p.obj(x, y + 314, "sel 0", size=(50.0, 22.0))  # nothing was clicked: wait on
    again = p.obj(x, y + 340, "prepend id", size=(70.0, 22.0))
    once = p.obj(x, y + 366, "t b l", size=(50.0, 22.0))
    off = p.box("message", x + 66, y + 262, "0")
    p.wire(mapping, 0, gate)
    p.wire(selected, 1, gate, 1)
    p.chain(gate, number, some)
    p.wire(some, 1, again)
    p.chain(again, once)
    p.wire(once, 1, remote, 1)
    p.wire(once, 0, off)
    p.wire(off, 0, mapping)
    free = p.box(
        "textbutton", x + 110, y + 266, "Free", parameter_enable=0, **shown(120, 41, 20, 44.0)
    )
    nothing = p.box("message", x + 110, y + 296, "id 0")
    p.chain(free, nothing)
    p.wire(nothing, 0, remote, 1)


def amxd(patcher: dict[str, Any], kind: bytes = b"aaaa") -> bytes:
    """A device as Live reads it: chunks of a name, a little-endian size and so many bytes.

    kind : aaaa is an audio effect, mmmm a MIDI effect, iiii an instrument
    """
    chunks = [
        (b"ampf", kind),
        (b"meta", struct.pack("<I", 0)),
        (b"ptch", json.dumps(patcher, indent=1).encode() + b"\n\0"),
    ]
    return b"".join(name + struct.pack("<I", len(data)) + data for name, data in chunks)


def picture(patcher: Patcher, presentation: bool = False) -> str:
    """The boxes and lines, drawn where they are."""
    key = "presentation_rect" if presentation else "patching_rect"
    places = {b["box"]["id"]: b["box"] for b in patcher.boxes if key in b["box"]}
    right = max(b[key][0] + b[key][2] for b in places.values()) + 12
    bottom = max(b[key][1] + b[key][3] for b in places.values()) + 12
    svg = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right:g} {bottom:g}" '
        f'width="{right:g}" height="{bottom:g}" font-family="Arial" font-size="11">',
        '<rect width="100%" height="100%" fill="#e6e6e6"/>',
    ]
    if not presentation:
        for line in patcher.lines:
            (a, outlet), (b, inlet) = (
                line["patchline"]["source"],
                line["patchline"]["destination"],
            )
            x1, y1, w1, h1 = places[a][key]
            x2, y2, w2, _ = places[b][key]
            x1 += 5 + outlet * max(w1 - 10, 0) / max(places[a]["numoutlets"] - 1, 1)
            x2 += 5 + inlet * max(w2 - 10, 0) / max(places[b]["numinlets"] - 1, 1)
            svg.append(
                f'<path d="M{x1:.0f} {y1 + h1:.0f}L{x2:.0f} {y2:.0f}" stroke="#8a8a8a" '
                'stroke-width="0.7"/>'
            )
    svg += [_drawn(box, box[key]) for box in places.values()]
    return "\n".join([*svg, "</svg>\n"])


def _drawn(box: dict[str, Any], place: list[float]) -> str:
    x, y, width, height = place
    kind = box["maxclass"]
    label = box.get("text", "")
    shape = ""
    if kind in ("button", "live.dial"):
        radius = min(width, height) / 2 - 1
        middle = f'cx="{x + width / 2:g}" cy="{y + height / 2:g}"'
        shape = f'<circle {middle} r="{radius:g}" fill="#fff" stroke="#555"/>'
        label = box.get("varname", "")
    elif kind != "comment":
        fill = {"message": "#dcdcdc", "newobj": "#fafafa"}.get(kind, "#ffffff")
        shape = (
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="3" '
            f'fill="{fill}" stroke="#777"/>'
        )
        values = box.get("saved_attribute_attributes", {}).get("valueof", {})
        chosen = values.get("parameter_initial", [""])[0]
        names = values.get("parameter_enum")
        label = label or (names[chosen] if names else str(chosen))
    room = int(width / 5.6)
    label = label if len(label) <= room or kind == "comment" else label[: max(room - 1, 1)] + "…"
    size = 9 if kind.startswith("live.") or kind == "textbutton" else box.get("fontsize", 11)
    return shape + (
        f'<text x="{x + 3:g}" y="{y + height / 2 + size * 0.36:g}" font-size="{size:g}">'
        f"{html.escape(label)}</text>"
        if label
        else ""
    )


def files() -> dict[Path, bytes]:
    """Everything that is written, by place."""
    patch, device = max_patch(), live_device()
    live = device.to_dict(
        openinpresentation=1, devicewidth=826.0, latency=0, platform_compatibility=0
    )
    return {
        BRIDGE / "max/stemd.maxpat": json.dumps(patch.to_dict(), indent=1).encode() + b"\n",
        BRIDGE / "max/stemd.svg": picture(patch).encode(),
        BRIDGE / "ableton/stemd.maxpat": json.dumps(live, indent=1).encode() + b"\n",
        BRIDGE / "ableton/stemd.amxd": amxd(live),
        BRIDGE / "ableton/stemd.svg": picture(device, presentation=True).encode(),
    }


def main() -> int:
    """Write them."""
    for path, content in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        print(path.relative_to(BRIDGE))
    return 0


if __name__ == "__main__":
    sys.exit(main())
