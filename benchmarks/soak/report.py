"""The page of a soak: a verdict, a table of faults, counts, and plots where matplotlib is there."""

from __future__ import annotations

import itertools
import json
import os
import platform
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

ROLES = ("daemon", "capture", "separate", "publish", "record", "metrics")
WARM_S = 300.0  # memory grows while things are done for the first time; of a long life a sixth
SETTLED_S = 5.0  # after a fault: queues are empty again
LONG = 300  # samples that tell a slope
NEAR_S = 0.02  # from the end of a stop to the miss it caused: a hop, and until it was seen


def write_report(result: dict[str, Any], out: Path) -> None:
    """`soak.md`, `soak.json` and `soak.png` in `out`."""
    (out / "soak.json").write_text(json.dumps({**result, "series": len(result["series"])}))
    drawn = _plots(result, out / "soak.png")
    (out / "soak.md").write_text("\n".join(_page(result, drawn)) + "\n")


def outside(result: dict[str, Any]) -> dict[str, float]:
    """Of the seconds outside all faults: how many, hops, misses, those of them just after the
    machine had stood still, stops, and the seconds in and just after one (of whose share of all so
    many misses would be there by chance)."""
    inside = [(event["at_s"], event["until_s"]) for event in result["events"]]
    stops = np.array(result["stops"]).reshape(-1, 2)
    found = dict.fromkeys(("seconds", "hops", "misses", "explained", "stops", "near_s"), 0.0)
    rows = [row for row in result["series"] if "stemd_hops_total" in row]
    for old, new in itertools.pairwise(rows):
        if any(a < new["t"] and old["t"] < b for a, b in inside):
            continue
        made = new["stemd_hops_total"] - old["stemd_hops_total"]
        if made >= 0:
            found["seconds"] += new["t"] - old["t"]
            found["hops"] += made
            here = stops[(stops[:, 0] >= old["t"]) & (stops[:, 0] < new["t"])]
            found["stops"] += len(here)
            found["near_s"] += (np.diff(here)[:, 0] + NEAR_S).sum()
            for t, n in result["missed"]:
                if old["t"] <= t < new["t"]:
                    near = ((stops[:, 0] < t) & (stops[:, 1] > t - NEAR_S)).any()
                    found["misses"] += n
                    found["explained"] += n * near
    return found


def slope(result: dict[str, Any], name: str, role: str) -> float | None:
    """Growth an hour within the lives of a process, bytes or counts; None: they were too short.

    One slope is fitted to all lives, each at its own height, and once more at its own height after
    the first time of each kind of fault in it: what is done for the first time takes memory.
    """
    key, restarts = f"{name}[{role}]", f"stemd_restarts_total[{role}]"
    rows = [row for row in result["series"] if key in row]
    starts = [e["at_s"] for e in result["events"] if role == "separate" and "model" in e["name"]]
    for old, new in itertools.pairwise(rows):
        if old.get(restarts) != new.get(restarts):
            starts.append(new["t"])
    warm_s = WARM_S if starts else max(WARM_S, result["minutes"] * 10)
    edges = [rows[0]["t"] if rows else 0.0, *sorted(starts), np.inf]
    along = squared = n = 0.0
    for life in itertools.pairwise(edges):
        for a, b in _even(result["events"], *life, warm_s):
            part = np.array([(row["t"], row[key]) for row in rows if a < row["t"] < b])
            if len(part) > 1:
                t, value = (part - part.mean(axis=0)).T
                along, squared, n = along + t @ value, squared + t @ t, n + len(part)
    return float(along / squared) * 3600 if n > LONG else None


def _even(
    events: list[dict[str, Any]], begin: float, end: float, warm_s: float
) -> list[tuple[float, float]]:
    """Stretches of a life, warm, without the first fault of each kind in it."""
    a, known, found = begin + warm_s, set(), []
    for event in events:
        if begin < event["at_s"] < end and event["name"] not in known:
            known.add(event["name"])
            found.append((a, event["at_s"]))
            a = max(a, event["until_s"] + SETTLED_S)
    return [*found, (a, end)]


def _page(result: dict[str, Any], drawn: bool) -> list[str]:
    separate = result["final"]["separate"]
    calm = outside(result)
    loads = [row["machine_load"] for row in result["series"]] or [0.0]
    lines = [
        "# Soak",
        "",
        f"`{result['command']}`, {result['minutes']:g} minutes, profile `{result['profile']}`, "
        f"{os.cpu_count()} processors ({platform.machine()}), whose own load average was "
        f"{min(loads):.0f} to {max(loads):.0f}.",
        "",
        f"**{'Something is wrong' if result['wrong'] else 'Everything recovered in time'}**: "
        f"{len(result['events'])} faults, {separate['hops']} hops, "
        f"{separate['lost_input']} samples of input lost in all, "
        f"{result['recordings']} takes at the end, "
        f"{sum(result['final']['daemon']['restarts'].values())} restarts counted "
        f"({result['expected_restarts']} caused).",
        "",
        *[f"- {line}" for line in result["wrong"]],
        "",
        f"Outside all faults: {calm['misses']:.0f} of {calm['hops']:.0f} hops missed "
        f"({100 * calm['misses'] / max(calm['hops'], 1):.4f} %) in {calm['seconds']:.0f} s, "
        f"{calm['explained']:.0f} of them within {1e3 * NEAR_S:.0f} ms of a moment at which the "
        f"machine stood still: {calm['stops']:.0f} such moments, and {1e3 * NEAR_S:.0f} ms after "
        f"each, are {100 * calm['near_s'] / max(calm['seconds'], 1e-9):.1f} % of that time.",
        "",
        "| fault | times | all well after, s: median, worst | stated, s | misses | late | "
        "input lost, samples |",
        "|---|---|---|---|---|---|---|",
    ]
    by_name: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in result["events"]:
        by_name[event["name"]].append(event)
    for name, events in sorted(by_name.items()):
        took = [event["took_s"] for event in events]
        total = {k: sum(e[k] for e in events) for k in ("misses", "late", "lost_input")}
        lines.append(
            f"| {name} | {len(events)} | {np.median(took):.1f}, {max(took):.1f} | "
            f"{events[0]['limit_s']:g} | {total['misses']} | {total['late']} | "
            f"{total['lost_input']} |"
        )
    if result["left_out"]:
        lines += ["", f"Left out, for want of rights or parts: {', '.join(result['left_out'])}."]
    lines += ["", "| process | memory, MB: first, last | an hour, MB | handles, first, last |",
              "|---|---|---|---|"]  # fmt: skip
    for role in ROLES:
        memory = _ends(result, f"stemd_process_resident_bytes[{role}]")
        handles = _ends(result, f"stemd_process_handles[{role}]")
        grows = slope(result, "stemd_process_resident_bytes", role)
        if memory and handles:
            told = "too short" if grows is None else f"{grows / 1e6:+.1f}"
            lines.append(
                f"| {role} | {memory[0] / 1e6:.0f}, {memory[1] / 1e6:.0f} | {told} | "
                f"{handles[0]:.0f}, {handles[1]:.0f} |"
            )
    if drawn:
        lines += ["", "![plots](soak.png)"]
    return lines


def _ends(result: dict[str, Any], key: str) -> tuple[float, float] | None:
    values = [row[key] for row in result["series"] if key in row]
    return (values[0], values[-1]) if values else None


def _plots(result: dict[str, Any], path: Path) -> bool:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    rows = result["series"]

    def series(key: str) -> tuple[list[float], list[float]]:
        found = [(row["t"] / 60, row[key]) for row in rows if key in row]
        return [t for t, _ in found], [v for _, v in found]

    figure, axes = pyplot.subplots(4, 1, figsize=(10, 11), sharex=True)
    t, misses = series("stemd_deadline_misses_total")
    axes[0].plot(t[1:], np.diff(misses), label="misses a second", lw=0.7)
    t, late = series("stemd_late_hops_total")
    axes[0].plot(t[1:], np.diff(late), label="late hops a second", lw=0.7)
    t, total = series("stemd_end_to_end_latency_seconds_sum")
    _, count = series("stemd_end_to_end_latency_seconds_count")
    mean_s = np.diff(total) / np.maximum(np.diff(count), 1)
    axes[1].plot(t[1:], 1e3 * np.clip(mean_s, 0, 0.2), label="mean of each second", lw=0.7)
    for role in ROLES:
        axes[2].plot(*series(f"stemd_process_resident_bytes[{role}]"), label=role, lw=0.9)
        axes[3].plot(*series(f"stemd_process_handles[{role}]"), label=role, lw=0.9)
    names = ("misses", "input to sinks, ms", "memory, bytes", "handles")
    for axis, name in zip(axes, names, strict=True):
        axis.set_ylabel(name)
        for event in result["events"]:
            axis.axvspan(event["at_s"] / 60, event["until_s"] / 60, alpha=0.12, color="red", lw=0)
        axis.legend(loc="upper right", fontsize=7, ncol=3)
    axes[3].set_xlabel("minutes; red: a fault, until all was well")
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    return True
