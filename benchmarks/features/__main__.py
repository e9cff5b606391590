"""Score our features and the peers' on the same music in the same run; Markdown tables, and JSON.

    python -m benchmarks.features --samples ../shared/samples [--json scores.json] [--quick]

Needs, beside the daemon: models/ and its pack, mir_eval, aubio, librosa. `--quick` takes a third of
the music. See benchmarks/features.md for what the columns mean.
"""

from __future__ import annotations

import argparse
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.features import material, peers
from benchmarks.features.heard import Heard
from benchmarks.features.measures import (
    WINDOWS_S,
    Totals,
    beat_f1,
    match_contour,
    match_events,
    match_notes,
    tempo_is_right,
)
from benchmarks.features.ours import Ours
from benchmarks.features.report import add_peers, best_of_aubio, markdown, side_by_side
from benchmarks.features.truth import MERGE_S, STEMS, Piece

SWEPT = ("hfc", "complex", "specflux")
SECOND_RATE, SECOND_COUNT = 44100, 3


class Bench:
    """Sums of all pieces, and the time each system takes for a hop."""

    def __init__(self) -> None:
        self.totals = Totals()
        self.us: dict[str, list[np.ndarray]] = {}

    def timed(self, system: str, heard: Heard) -> Heard:
        if heard.us is not None:
            self.us.setdefault(system, []).append(heard.us)
        return heard

    def onsets(self, piece: Piece, target: str, system: str, found: tuple[Any, Any]) -> None:
        for window in WINDOWS_S:
            key = (piece.part, target, system, window)
            self.totals.found[key] += match_events(piece.onsets[target], *found, window)

    def ours(self, piece: Piece, system: str, heard: Heard, with_mix: bool) -> None:
        """One run of ours: each stem's row against its own truth; the mix's row against all."""
        for target in piece.onsets:
            if target == "mix":
                self.onsets(piece, target, f"{system}s together", together(heard))
            else:
                self.onsets(piece, target, system, heard.onsets[target])
            if with_mix:
                self.onsets(piece, target, "stemd, mix", heard.onsets["mix"])
                for factor, told in heard.swept.items():
                    if target != "mix":
                        name = f"{system}, threshold x {factor:g}"
                        self.onsets(piece, target, name, told[target])
        for drum, events in piece.hits.items():
            if drum in heard.hits:
                for window in WINDOWS_S:
                    key = (piece.part, drum, system, window)
                    self.totals.found[key] += match_events(events, *heard.hits[drum], window)
        for stem, contour in piece.contours.items():
            for source, name in ((stem, system), ("mix", "stemd, mix")):
                if source in heard.tracks and (source == stem or with_mix):
                    key = (piece.part, stem, name)
                    self.totals.tracks[key] += match_contour(contour, *heard.tracks[source])
        for stem, notes in piece.notes.items():
            if heard.notes:
                told = heard.notes.get(stem, (np.zeros(0), np.zeros(0)))
                self.totals.notes[(piece.part, stem, system)] += match_notes(notes, *told)
        self.tempo(piece, system, heard)

    def tempo(self, piece: Piece, system: str, heard: Heard) -> None:
        if piece.tempo_bpm is None or heard.tempo_bpm is None:
            return
        key = (piece.part, system)
        self.totals.tempos[key].append(tempo_is_right(piece.tempo_bpm, heard.tempo_bpm))
        if piece.beats is not None and heard.beats is not None:
            self.totals.beats[key].append(beat_f1(piece.beats, heard.beats))

    def peers(self, piece: Piece, stems: np.ndarray) -> None:
        """Of the mix, and where it may help them, of our stems."""
        mix = piece.mix
        settings: list[tuple[str, float | None]] = [(m, None) for m in peers.ONSET_METHODS]
        settings += [(m, t) for m in SWEPT for t in peers.ONSET_THRESHOLDS]
        for method, threshold in settings if piece.onsets else ():
            heard = self.timed("aubio onset", peers.aubio_onsets(mix, method, threshold))
            name = f"aubio {method}" + ("" if threshold is None else f" {threshold}")
            for target in piece.onsets:
                self.onsets(piece, target, f"{name}, mix", heard.onsets[""])
        for target in piece.onsets:
            if target == "mix":
                continue
            stem = stems[STEMS.index(target)]
            heard = peers.aubio_onsets(stem, "hfc", None)
            self.onsets(piece, target, "aubio hfc, our stem", heard.onsets[""])
        if piece.onsets:
            heard = peers.librosa_onsets(mix)
            for target in piece.onsets:
                self.onsets(piece, target, "librosa (offline), mix", heard.onsets[""])
        for stem, contour in piece.contours.items():
            ours = stems[STEMS.index(stem)]
            low = stem == "bass"
            for method in peers.PITCH_METHODS:
                for place, audio in (("mix", mix), ("our stem", ours)):
                    heard = self.timed("aubio pitch", peers.aubio_pitch(audio, method, low))
                    key = (piece.part, stem, f"aubio {method}, {place}")
                    self.totals.tracks[key] += match_contour(contour, *heard.tracks[""])
            heard = peers.pyin(ours, stem)
            key = (piece.part, stem, "pYIN (offline), our stem")
            self.totals.tracks[key] += match_contour(contour, *heard.tracks[""])
        for stem, notes in piece.notes.items():
            for place, audio in (("mix", mix), ("our stem", stems[STEMS.index(stem)])):
                told = peers.aubio_notes(audio).notes[""]
                key = (piece.part, stem, f"aubio notes, {place}")
                self.totals.notes[key] += match_notes(notes, *told)
        if piece.tempo_bpm is not None:
            heard = self.timed("aubio tempo", peers.aubio_tempo(mix))
            self.tempo(piece, "aubio, mix", heard)
            self.tempo(piece, "librosa (offline), mix", peers.librosa_tempo(mix))

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Rows by kind of score."""
        out: dict[str, list[dict[str, Any]]] = {"events": [], "pitch": [], "notes": [], "tempo": []}
        keys = sorted({key[:3] for key in self.totals.found})
        for part, target, system in keys:
            wide, narrow = (self.totals.found[(part, target, system, w)] for w in WINDOWS_S)
            out["events"].append(
                {
                    "part": part, "target": target, "system": system,
                    "f1_50": wide.f1, "f1_25": narrow.f1,
                    "precision": wide.precision, "recall": wide.recall,
                    "delay_p50_ms": wide.delay_ms(50), "delay_p95_ms": wide.delay_ms(95),
                    "events": wide.right + wide.missed,
                }
            )  # fmt: skip
        for (part, stem, system), track in sorted(self.totals.tracks.items()):
            out["pitch"].append({"part": part, "stem": stem, "system": system} | track.summary())
        for (part, stem, system), notes in sorted(self.totals.notes.items()):
            out["notes"].append({"part": part, "stem": stem, "system": system} | notes.summary())
        for (part, system), found in sorted(self.totals.tempos.items()):
            beats = self.totals.beats.get((part, system), [])
            out["tempo"].append(
                {
                    "part": part, "system": system,
                    "accuracy_1": float(np.mean([one for one, _ in found])),
                    "accuracy_2": float(np.mean([two for _, two in found])),
                    "beat_f1": float(np.nanmean(beats)) if beats else float("nan"),
                    "pieces": len(found),
                }
            )  # fmt: skip
        out["time"] = []
        for system, taken in self.us.items():
            p50, p99 = np.percentile(np.concatenate(taken), [50, 99])
            out["time"].append({"system": system, "us_p50": float(p50), "us_p99": float(p99)})
        return out


def together(heard: Heard) -> tuple[np.ndarray, np.ndarray]:
    """Onsets of all stems' rows, those within 30 ms made one, told when the first is."""
    rows = [heard.onsets[stem] for stem in STEMS]
    times, decided = (np.concatenate([row[i] for row in rows]) for i in (0, 1))
    order = np.argsort(times)
    kept: list[int] = []
    for i in order:
        if not kept or times[i] - times[kept[-1]] >= MERGE_S:
            kept.append(int(i))
    return times[kept], decided[kept]


def run(args: argparse.Namespace) -> tuple[Bench, dict[str, Any]]:
    bench = Bench()
    counts = (4, 3, 4) if args.quick else (args.rendered, args.songs, args.loops)
    pieces = material.rendered(args.samples, args.cache, args.folder, counts[0])
    pieces += material.songs(args.samples, args.cache, counts[1])
    pieces += material.loops(args.samples, args.cache, counts[2])
    ours = Ours(args.profile, 48000, args.model)
    second = Ours(args.profile, SECOND_RATE, args.model)
    begun = time.monotonic()
    for i, piece in enumerate(pieces):
        heard, stems = ours.listen(piece.sources, piece.samplerate, perfect=False)
        bench.ours(piece, "stemd, stem", bench.timed("stemd features", heard), True)
        if piece.part != "loops" and not args.lean:
            ideal, _ = ours.listen(piece.sources, piece.samplerate, perfect=True)
            bench.ours(piece, "stemd, perfect stem", ideal, False)
        if piece.part == "rendered" and i < SECOND_COUNT and not args.lean:
            piece.part = "first three"
            bench.ours(piece, "stemd, stem, 48 kHz", heard, False)
            heard, _ = second.listen(piece.sources, piece.samplerate, perfect=False)
            bench.ours(piece, "stemd, stem, 44.1 kHz", heard, False)
            piece.part = "rendered"
        if not args.alone:
            bench.peers(piece, stems)
        print(f"{piece.name}: {time.monotonic() - begun:.0f} s", flush=True)
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "model": ours.model,
        "profile": args.profile,
        "hop_us": round(ours.spec.hop_s * 1e6, 1),
        "pieces": [piece.name for piece in pieces],
        "seconds": round(sum(piece.seconds for piece in pieces), 1),
        "took_s": round(time.monotonic() - begun),
    }
    return bench, facts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    parser.add_argument("--folder", type=Path, default=Path("../scores"), help="rendered songs")
    parser.add_argument("--profile", default="live")
    parser.add_argument("--model", default="default")
    parser.add_argument("--rendered", type=int, default=len(material.RENDERED))
    parser.add_argument("--songs", type=int, default=6)
    parser.add_argument("--loops", type=int, default=material.N_LOOPS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a third of the music")
    parser.add_argument("--lean", action="store_true", help="no perfect stems, no second rate")
    parser.add_argument("--alone", action="store_true", help="without the peers")
    parser.add_argument(
        "--peers",
        type=Path,
        help="with --alone: their rows from the JSON of a run on the same music",
    )
    args = parser.parse_args()
    bench, facts = run(args)
    tables = bench.tables()
    if args.peers:
        add_peers(tables, facts, json.loads(args.peers.read_text()))
    print(json.dumps(facts))
    for kind, rows in tables.items():
        shown = best_of_aubio(rows) if kind == "events" else rows
        if kind == "events":
            print(f"\n### side by side\n\n{side_by_side(shown)}")
        print(f"\n### {kind}\n\n{markdown(shown)}")
    if args.json:
        args.json.write_text(json.dumps(facts | {"tables": tables}, indent=1) + "\n")


if __name__ == "__main__":
    main()
