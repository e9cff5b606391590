"""Ten thousand feeds on boxes: where they go, what flows, what a dead box costs. On paper, in code.

    python benchmarks/placement.py
    python benchmarks/placement.py --feeds 10000 --per-box 256 --network-gbit 10 --listeners 1

Nothing is separated here. A day of venues is played through: shows begin and end, boxes die and
come back; each show's feeds (a *group*: one daemon, one pod) stay together, go to the fullest box
that has room (best fit) and, when that dies, to another, after the time a daemon takes to start.

Assumptions, all options: how many feeds a box carries (measure: `python benchmarks/feeds.py`), its
network, mean time between failures, time to start a daemon elsewhere (detect, load, first session).
Bandwidth is computed from the wire's own sizes.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
from dataclasses import dataclass, field

import numpy as np

from stemd.spec import N_FEATURES, N_STEMS, PROFILES, SOURCES
from stemd.wire.header import HEADER_BYTES
from stemd.wire.uplink import ENCODINGS, TAG_BYTES, largest_block, payload_bytes
from stemd.wire.uplink import HEADER_BYTES as UPLINK_BYTES

RATE = 48_000
UDP_BYTES = 42  # Ethernet, IPv4, UDP
TCP_BYTES = 54
DAY_S = 86_400


def up_bits(encoding: str, redundancy: int) -> float:
    """One stereo feed from its sender, bit/s on the wire."""
    kind = ENCODINGS[encoding]
    frames = largest_block(2, kind, redundancy, 128)
    size = payload_bytes(frames, 2, kind, redundancy) + UPLINK_BYTES + TAG_BYTES + UDP_BYTES
    return 8 * size * RATE / frames


def down_bits(profile: str, stems: bool) -> float:
    """What one listener takes of one feed: features of all sources, and the stems if wanted."""
    hop = PROFILES[profile].hop_length
    rows = len(SOURCES) * (HEADER_BYTES + 4 * N_FEATURES + TCP_BYTES)
    audio = N_STEMS * 2 * 4 * hop + HEADER_BYTES + TCP_BYTES if stems else 0
    return 8 * (rows + audio) * RATE / hop


@dataclass
class Box:
    """A machine."""

    room: int
    groups: dict[int, int] = field(default_factory=dict)  # group: feeds
    up: bool = True

    @property
    def used(self) -> int:
        return sum(self.groups.values())


class Engine:
    """Best fit, groups whole: what Kubernetes does with MostAllocated, Nomad with binpack."""

    def __init__(self, n_boxes: int, per_box: int) -> None:
        self.boxes = [Box(per_box) for _ in range(n_boxes)]
        self.home: dict[int, Box] = {}

    def place(self, group: int, feeds: int) -> bool:
        fits = [b for b in self.boxes if b.up and b.room - b.used >= feeds]
        if not fits:
            return False
        box = max(fits, key=lambda b: b.used)
        box.groups[group] = feeds
        self.home[group] = box
        return True

    def remove(self, group: int) -> None:
        if box := self.home.pop(group, None):
            box.groups.pop(group)


def day(options: argparse.Namespace, n_boxes: int, seed: int) -> dict[str, float]:
    """Play a day through; what was seen of it."""
    random = np.random.default_rng(seed)
    engine = Engine(n_boxes, options.per_box)
    events: list[tuple[float, int, str, int]] = []
    order = itertools.count()

    def at(time_s: float, what: str, which: int) -> None:
        heapq.heappush(events, (time_s, next(order), what, which))

    sizes: list[int] = []
    while sum(sizes) < options.feeds:  # a solo act has one feed, a festival stage 32
        sizes.append(min(int(1 + random.geometric(1 / 6)), 32, options.per_box))
    for group in range(len(sizes)):
        begin_s = float(np.clip(random.normal(19.5, 0.5), 0, 23) * 3600)
        at(begin_s, "begin", group)
        at(begin_s + random.uniform(2.5, 4) * 3600, "end", group)
    for box in range(n_boxes):
        dies_s = float(random.exponential(options.mtbf_days)) * DAY_S
        if dies_s < DAY_S:
            at(dies_s, "die", box)
            at(dies_s + 600, "back", box)
    waiting: list[int] = []
    live: set[int] = set()
    seen = dict.fromkeys(("peak", "refused", "moved", "died", "silent", "full", "boxes"), 0.0)
    while events:
        now_s, _, what, which = heapq.heappop(events)
        if what in ("begin", "again") and (what == "begin" or which in live):
            live.add(which)
            if not engine.place(which, sizes[which]):
                waiting.append(which)
                seen["refused"] += sizes[which]
        elif what == "end":
            live.discard(which)
            engine.remove(which)
        elif what == "die":
            box = engine.boxes[which]
            box.up = False
            seen["died"] += 1
            for group, feeds in list(box.groups.items()):
                engine.remove(group)
                seen["moved"] += feeds
                seen["silent"] += feeds * options.restart_s
                at(now_s + options.restart_s, "again", group)
        elif what == "back":
            engine.boxes[which].up = True
        if what in ("end", "back"):
            waiting = [g for g in waiting if g in live and not engine.place(g, sizes[g])]
        used = [box.used for box in engine.boxes]
        seen["peak"] = max(seen["peak"], sum(used))
        seen["full"] = max(seen["full"], max(used))
        seen["boxes"] = max(seen["boxes"], sum(u > 0 for u in used))
    seen["groups"] = len(sizes)
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feeds", type=int, default=10_000)
    parser.add_argument("--per-box", type=int, default=64, help="feeds a box separates in time")
    parser.add_argument("--network-gbit", type=float, default=10.0, help="of each box")
    parser.add_argument("--encoding", choices=tuple(ENCODINGS), default="s24")
    parser.add_argument("--redundancy", type=int, default=1)
    parser.add_argument("--profile", choices=tuple(PROFILES), default="live")
    parser.add_argument("--listeners", type=int, default=1, help="that take stems, of each feed")
    parser.add_argument("--watchers", type=int, default=1, help="that take features, of each feed")
    parser.add_argument("--mtbf-days", type=float, default=90.0, help="of a box")
    parser.add_argument("--restart-s", type=float, default=25.0, help="until audio flows elsewhere")
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    up = up_bits(options.encoding, options.redundancy)
    down = options.listeners * down_bits(options.profile, True)
    down += options.watchers * down_bits(options.profile, False)
    by_network = int(0.7e9 * options.network_gbit / max(up, down))
    print(f"one feed: {up / 1e6:.2f} Mbit/s up, {down / 1e6:.2f} Mbit/s down")
    print(f"a box: {options.per_box} feeds by its processor, {by_network} by 70 % of its network")
    options.per_box = min(options.per_box, by_network)
    least = -(-options.feeds // options.per_box)
    print(f"{options.feeds} feeds on {options.per_box} each: {least} boxes if nothing were lost\n")
    print(f"means of {options.days} days; refused: feeds that found no room, of the worst day")
    print("spare   boxes  groups  peak feeds  fullest  refused  died  moved  silent, feed s")
    for spare in (0, 1, 2, 5, 10):
        n_boxes = least + -(-least * spare // 100)
        days = [day(options, n_boxes, options.seed + i) for i in range(options.days)]
        it = {key: float(np.mean([one[key] for one in days])) for key in days[0]}
        it["refused"] = max(one["refused"] for one in days)
        print(
            f"{spare:4d} %{n_boxes:7d}{it['groups']:8.0f}{it['peak']:12.0f}{it['full']:9.0f}"
            f"{it['refused']:9.0f}{it['died']:6.1f}{it['moved']:7.0f}{it['silent']:12.0f}"
        )
    peak = day(options, least + -(-least // 20), options.seed)["peak"]
    print(f"\nat the peak: {peak * up / 1e9:.1f} Gbit/s in, {peak * down / 1e9:.1f} Gbit/s out;")
    full = options.per_box
    print(f"of a full box: {full * up / 1e9:.2f} Gbit/s in, {full * down / 1e9:.2f} Gbit/s out")


if __name__ == "__main__":
    main()
