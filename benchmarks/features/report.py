"""Rows of scores as tables to read."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.features.truth import STEMS


def add_peers(
    tables: dict[str, list[dict[str, Any]]], facts: dict[str, Any], other: dict[str, Any]
) -> None:
    """Put the peers' rows of another run beside ours: they do not change when ours do."""
    if other["pieces"] != facts["pieces"]:
        raise SystemExit("--peers: got a run on other music, expected one on the same")
    facts["peers_of"] = other["date"]
    asked = {(row["part"], row["target"]) for row in tables["events"]}
    for kind, rows in other["tables"].items():
        for row in rows:
            known = kind != "events" or (row["part"], row["target"]) in asked
            if known and not row["system"].startswith("stemd"):
                tables[kind].append(row)


def best_of_aubio(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Only the setting of aubio that does best at each target, chosen with hindsight."""
    kept, best = [], {}
    for row in rows:
        if row["system"].startswith("aubio") and row["system"].endswith(", mix"):
            place = (row["part"], row["target"])
            if place not in best or row["f1_50"] > best[place]["f1_50"]:
                best[place] = row
        else:
            kept.append(row)
    kept += [row | {"system": f"best aubio: {row['system']}"} for row in best.values()]
    order = {name: i for i, name in enumerate(("mix", *STEMS, "kick", "snare", "hihat"))}
    return sorted(kept, key=lambda r: (r["part"], order[r["target"]], -np.nan_to_num(r["f1_50"])))


def markdown(rows: list[dict[str, Any]]) -> str:
    """A table; shares in percent, times as they are."""
    if not rows:
        return "(nothing)"

    def cell(name: str, value: Any) -> str:
        if not isinstance(value, float):
            return str(value)
        if np.isnan(value):
            return "-"
        return f"{value:.0f}" if "ms" in name or "us" in name else f"{100 * value:.1f}"

    names = list(rows[0])
    lines = [" | ".join(names), " | ".join("---" for _ in names)]
    lines += [" | ".join(cell(name, row[name]) for name in names) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def side_by_side(rows: list[dict[str, Any]]) -> str:
    """F1 within 50 ms / within 25 ms, and the median delay: a row for each target."""
    systems = {
        "stemd, stem": ("stemd, stem", "stemd, stems together"),
        "stemd, mix": ("stemd, mix",),
        "best aubio, mix": ("best aubio",),
        "aubio hfc, our stem": ("aubio hfc, our stem",),
        "librosa, mix": ("librosa",),
        "stemd, perfect stem": ("stemd, perfect stem", "stemd, perfect stems together"),
    }
    table: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["part"] == "first three":
            continue
        line = table.setdefault((row["part"], row["target"]), {"events": row["events"]})
        for name, begins in systems.items():
            exact = row["system"] in begins or row["system"].startswith(("best aubio:", "librosa"))
            if exact and row["system"].startswith(begins):
                late = row["delay_p50_ms"]
                after = "" if np.isnan(late) else f", {late:.0f} ms"
                line[name] = f"{100 * row['f1_50']:.1f} / {100 * row['f1_25']:.1f}{after}"
    lines = []
    for (part, target), line in table.items():
        cells = {name: line.get(name, "-") for name in systems}
        lines.append({"part": part, "target": target, "events": line["events"]} | cells)
    return markdown(lines)
