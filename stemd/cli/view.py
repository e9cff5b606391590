"""The terminal view of a running daemon, the same for `stemd run` and `stemd monitor`.

`Meters` remembers what meters must remember (falling levels, held peaks, lit lamps); everything
else on the screen is read from the newest status and nothing is kept.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from stemd.spec import FEATURES, SOURCES, STEMS

from .printing import decibels, note_name

FLOOR_DB = -60.0
FALL_DB_PER_S = 26.0  # between a VU's and a digital peak meter's: calm, yet follows a drum
HOLD_S = 1.5
LAMP_S = 0.15  # long enough to be seen at ten pictures a second
VOICED = 0.5  # below, a pitch is a guess and not shown

STATE_STYLES = {
    "RUNNING": "bold green",
    "STARTING": "bold yellow",
    "PAUSED": "bold yellow",
    "STALLED": "bold red",
    "FAILED": "bold white on red",
    "STOPPED": "dim",
    "GONE": "bold red",
}

_AT = {name: i for i, name in enumerate(FEATURES)}


@dataclass(frozen=True, slots=True)
class About:
    """What does not change while the daemon runs."""

    version: str
    profile: str
    feeds: tuple[str, ...]
    endpoints: tuple[tuple[str, str], ...] = field(default=())  # (what, where)


class Meters:
    """Levels, held peaks and onset lamps of every feed and source.

    Parameters
    ----------
    n_feeds : int
    """

    def __init__(self, n_feeds: int) -> None:
        shape = (n_feeds, len(SOURCES))
        self.level_db = np.full(shape, FLOOR_DB)
        self.held_db = np.full(shape, FLOOR_DB)
        self.onsets = np.zeros(shape, np.int64)
        self.notes = [[""] * shape[1] for _ in range(n_feeds)]
        self._held_at_s = np.full(shape, -np.inf)
        self._lit_at_s = np.full(shape, -np.inf)
        self._fallen_at_s: float | None = None

    def hear(self, features: npt.NDArray[np.float32], now_s: float) -> None:
        """Take the features of one hop, (b, source, feature)."""
        for feed, sources in enumerate(features):
            for source, row in enumerate(sources):
                self.hear_source(feed, source, row, now_s)

    def hear_source(
        self, feed: int, source: int, row: npt.NDArray[np.float32], now_s: float
    ) -> None:
        """Take one row of features."""
        at = feed, source
        self.level_db[at] = max(self.level_db[at], decibels(row[_AT["rms"]]))
        peak_db = decibels(row[_AT["peak"]])
        if peak_db >= self.held_db[at]:
            self.held_db[at] = peak_db
            self._held_at_s[at] = now_s
        count = int(row[_AT["onset_count"]])
        if row[_AT["onset"]] > 0 or count > self.onsets[at]:
            self._lit_at_s[at] = now_s
        self.onsets[at] = count
        voiced = row[_AT["voicing"]] >= VOICED
        self.notes[feed][source] = note_name(float(row[_AT["f0_hz"]])) if voiced else ""

    def fall(self, now_s: float) -> None:
        """Let levels sink, and peaks that were held long enough."""
        passed_s = 0.0 if self._fallen_at_s is None else max(now_s - self._fallen_at_s, 0.0)
        self._fallen_at_s = now_s
        fallen_db = passed_s * FALL_DB_PER_S
        self.level_db = np.maximum(self.level_db - fallen_db, FLOOR_DB)
        tired = now_s - self._held_at_s > HOLD_S
        self.held_db = np.where(tired, np.maximum(self.held_db - fallen_db, FLOOR_DB), self.held_db)

    def lit(self, feed: int, source: int, now_s: float) -> bool:
        """Whether an onset was declared a moment ago."""
        return bool(now_s - self._lit_at_s[feed, source] < LAMP_S)


def picture(
    status: dict[str, Any], meters: Meters, about: About, now_s: float, width: int = 80
) -> RenderableType:
    """One picture of the daemon.

    Parameters
    ----------
    status : dict
        `Status.snapshot()`, or the same as it came over the wire.
    now_s : float
        On the clock `meters` hears with.
    width : int
        Columns of the terminal.
    """
    parts: list[RenderableType] = [_headline(status, about)]
    inserts = status["inserts"]
    if inserts["alone"]:
        parts += [_pairs(_inserts(inserts)), Text(), _insert_counters(inserts)]
    else:
        parts += [_facts(status, about), Text()]
        feeds = range(len(about.feeds))
        parts += [_feed(status, meters, about, feed, now_s, width) for feed in feeds]
        parts += [Text(), _counters(status)]
        parts += [_insert_counters(inserts)] if inserts["hellos"] else []
    if about.endpoints:
        parts.append(_pairs(list(about.endpoints)))
    return Group(*parts)


def _headline(status: dict[str, Any], about: About) -> Text:
    state = status["state"]
    line = Text.assemble(
        ("stemd ", "bold"), (about.version, "dim"), "  ", (state, STATE_STYLES.get(state, "bold"))
    )
    if status["reason"]:
        line.append(f"  {status['reason']}")
    elif state == "STARTING":
        line.append("  the first time, kernels are compiled", "dim")
    started_s = status["daemon"]["started_utc_ns"] / 1e9
    if started_s > 0:
        up_s = max(int(time.time() - started_s), 0)
        line.append(f"  up {up_s // 3600}:{up_s // 60 % 60:02}:{up_s % 60:02}", "dim")
    return line


def _facts(status: dict[str, Any], about: About) -> Table:
    capture, separate = status["capture"], status["separate"]
    rate = separate["samplerate"] or capture["samplerate"]
    facts = [("input", f"{capture['source'] or 'opening'}  {_shape(capture)}")]
    if separate["provider"] or separate["model"]:
        facts.append(("model", f"{separate['model']} on {separate['provider']}"))
    if rate:
        latency, early = separate["latency"], separate["feature_latency"]
        hop_ms = 1e3 * separate["hop_length"] / rate
        step = separate["step_us"]
        facts += [
            (
                "latency",
                f"{latency} samples = {1e3 * latency / rate:.1f} ms, "
                f"features {1e3 * early / rate:.1f} ms  ({about.profile})",
            ),
            (
                "load",
                f"{_bar(separate['load'])} {separate['load']:4.0%}  step p50 "
                f"{step['0.5'] / 1e3:.2f} p99 {step['0.99'] / 1e3:.2f} of {hop_ms:.2f} ms",
            ),
        ]
        facts += _listeners(status, 1e3 * latency / rate)
    facts += _senders(status.get("network", {}))
    facts += _inserts(status["inserts"])
    return _pairs(facts)


def _senders(network: dict[str, Any]) -> list[tuple[str, str]]:
    """Who sends, how long is waited for it, and what had to be invented; nothing without a door."""
    if not network.get("endpoint"):
        return []
    rows = [
        f"{name}  buffer {network['buffer_ms'][i]:.0f} ms, invented {network['concealed'][i]}, "
        f"late {network['late'][i]}{'' if network['sealed'][i] else ', in clear'}"
        for i, name in enumerate(network["sender"])
        if network["present"][i]
    ]
    return [("senders", rows[0] if rows else "nobody yet"), *(("", row) for row in rows[1:])]


def _listeners(status: dict[str, Any], method_ms: float) -> list[tuple[str, str]]:
    """When stems leave, to whom, and what else is fed by them; of a daemon that tells it."""
    publish, play, record = status["publish"], status["play"], status["record"]
    rows = []
    if "delay_us" in publish and publish["hops"]:
        p50, p99 = (method_ms + publish["delay_us"][q] / 1e3 for q in ("0.5", "0.99"))
        rows.append(
            (
                "sent",
                f"{p50:.1f} ms after the input came, p99 {p99:.1f}; "
                f"{publish['subscribers']} subscriptions, {publish['osc_clients']} OSC clients",
            )
        )
    if play["device"]:
        rows.append(
            (
                "output",
                f"{play['device']}  {play['samplerate']} Hz, {play['ppm']:+.0f} ppm, "
                f"{play['fill']:.0f} samples waiting",
            )
        )
    if record.get("held") and not record["recording"] and status["separate"]["samplerate"]:
        held_s = record["held"] / status["separate"]["samplerate"]
        rows.append(("record", f"not now; the last {held_s:.0f} s are kept"))
    return rows


def _inserts(inserts: dict[str, Any]) -> list[tuple[str, str]]:
    """Who is there of the DAW plugins, and what they cost; nothing where they are not served."""
    if not inserts["endpoint"]:
        return []
    step = inserts["step_us"]
    offline = f", {inserts['offline']} of them offline" if inserts["offline"] else ""
    return [
        ("inserts", f"{inserts['instances']} of {inserts['limit']}{offline}"),
        (
            "",
            f"{_bar(inserts['load'])} {inserts['load']:4.0%}  step p50 "
            f"{step['0.5'] / 1e3:.2f} p99 {step['0.99'] / 1e3:.2f} ms, "
            f"{inserts['model']} on {inserts['provider']}",
        ),
        ("", inserts["endpoint"]),
        *([("", inserts["names"])] if inserts["names"] else []),
    ]


def _shape(capture: dict[str, Any]) -> str:
    if not capture["samplerate"]:
        return ""
    return f"{capture['samplerate']} Hz, {capture['channels']} ch, blocks of {capture['blocksize']}"


def _pairs(rows: list[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", min_width=8)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(value))
    return table


def _bar(share: float, width: int = 12) -> str:
    full = round(min(max(share, 0.0), 1.0) * width)
    return "█" * full + "░" * (width - full)


def _feed(
    status: dict[str, Any], meters: Meters, about: About, feed: int, now_s: float, width: int
) -> Table:
    name = about.feeds[feed]
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=8)
    table.add_column()
    table.add_column(justify="right", min_width=9)
    table.add_column(justify="right", min_width=8)
    table.add_column(min_width=7)
    table.add_column(style="yellow")
    columns = max(width - 52, 10)
    for i, source in enumerate(SOURCES):
        lit = meters.lit(feed, i, now_s)
        onsets = Text(f"{meters.onsets[feed, i]} ")
        onsets.append("●" if lit else "·", "bold magenta" if lit else "dim")
        table.add_row(
            Text(name if source == "mix" and len(about.feeds) > 1 else source),
            _meter(meters.level_db[feed, i], meters.held_db[feed, i], columns),
            f"{meters.level_db[feed, i]:.1f} dB" if meters.level_db[feed, i] > FLOOR_DB else "",
            onsets,
            Text(meters.notes[feed][i], "cyan"),
            _mixer(status.get("mixer", {}), feed, source),
        )
    return table


def _meter(level_db: float, held_db: float, columns: int) -> Text:
    """A bar from -60 to 0 dBFS in half-cell steps, and a tick where the held peak is."""

    def at(db: float) -> float:
        return (min(max(db, FLOOR_DB), 0.0) - FLOOR_DB) / -FLOOR_DB * columns

    cells = at(level_db)
    bar = list("█" * int(cells) + ("▌" if cells % 1 >= 0.5 else ""))
    bar += [" "] * (columns - len(bar))
    hold = min(int(at(held_db)), columns - 1)
    if held_db > FLOOR_DB and bar[hold] == " ":
        bar[hold] = "│"
    text = Text("".join(bar[:columns]))
    text.stylize("green")
    text.stylize("yellow", round(at(-12.0)))  # usual headroom of a live desk
    text.stylize("red", round(at(-3.0)))
    return text


def _mixer(mixer: dict[str, Any], feed: int, source: str) -> str:
    """What a client changed on this stem; empty at unity."""
    if not mixer:
        return ""
    if source == "mix":
        return "bypass" if mixer["bypass"][feed] else ""
    stem = STEMS.index(source)
    words = [word for word in ("mute", "solo") if mixer[word][feed][stem]]
    gain = mixer["gain"][feed][stem]
    if gain != 1.0:
        words.append(f"{decibels(gain):+.1f} dB")
    return " ".join(words)


def _counters(status: dict[str, Any]) -> Text:
    """What was late, lost or dropped; what is not zero stands out."""
    capture, separate, publish = status["capture"], status["separate"], status["publish"]
    play, record = status["play"], status["record"]
    counts = {
        "late": separate["late"],
        "misses": separate["misses"],
        "overruns": separate["overruns"],
        "lost": separate["lost_input"],
        "gaps": separate["discontinuities"],
        "host flags": capture["host_flags"],
        "restarts": sum(status["daemon"]["restarts"].values()),
    }
    if play["device"]:
        counts["underruns"] = play["underruns"]
    line = _counted(counts)
    line.append("subscribers ", "dim").append(f"{publish['subscribers']}")
    if record["recording"]:
        line.append("  ● recording ", "bold red").append(record["path"])
    return line


def _insert_counters(inserts: dict[str, Any]) -> Text:
    """What of the DAW plugins' audio was late, lost or refused."""
    names = ("late", "gaps", "overflows", "dropped", "refused", "evicted", "bad")
    return _counted({f"insert {names[0]}": inserts["late"]} | {n: inserts[n] for n in names[1:]})


def _counted(counts: dict[str, int]) -> Text:
    line = Text()
    for name, count in counts.items():
        line.append(f"{name} ", "dim")
        line.append(f"{count}", "bold red" if count else "")
        line.append("  ")
    return line
