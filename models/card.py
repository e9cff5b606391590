"""Write the card (.md) of released models from their descriptions (.json): numbers live once.

    python -m models.card band_live band_tight band_quality pi_live cnn_classic

What `models.export`, `models.evaluate` and `models.speed` left in the .json becomes sentences and
tables; what nobody has measured yet is said to be so. Limits are in `limits.toml`.
"""

import argparse
import json
import textwrap
import tomllib
from pathlib import Path

from models.evaluate import HERE, facts_of, find, rates_of, table
from stemd.spec import PROFILES, STEMS

LIMITS = HERE / "limits.toml"
PURPOSE = {
    "tight": "For stages where every millisecond counts: monitors, triggers, lights on the drum.",
    "live": "The one to start with: stems, lights and features at the delay of a sound check.",
    "quality": "For feeds, recordings and visuals that can wait two hundredths of a second.",
    "pi": "A third of the work of `band_live`: for small boards, and for many feeds on one.",
    "classic": "The network of the article that stemd began with; for comparison, and for it.",
}
PARTS = {
    "songs": "Two real songs, `{tracks}`, {count} sections of up to 20 s, balance as released",
    "rendered": "{count} rendered items of 12 s, of recordings that nobody trained on",
    "folder": "{count} whole tracks of a folder of stems",
}
FIRST = ("sdr", "usdr")  # tables with every baseline
SECOND = ("si_sdr", "leak", "leak_median", "flicker", "sir", "sar")  # one line each
SECOND_OF = ("model", "ratio_mask", "hpss", "quarter_mix")
PACK = """\
They were trained on CC0, public-domain, CC BY, MIT, BSD and Apache recordings, whose credits are in
`models/NOTICE.md` and must travel with the weights."""


def card(path):
    """Markdown of one model."""
    facts = json.loads(path.with_suffix(".json").read_text("utf-8"))
    parts = [
        f"# {facts['name']}",
        summary(facts, path),
        "## What it costs",
        cost(facts),
        "## What it was trained on",
        history(facts["training"]),
        "## Scores",
        scores(facts),
        "## Limits",
        "\n".join(wrapped(f"- {line}", "  ") for line in limits(facts)),
        "## Licence",
        licence(facts),
    ]
    return "\n\n".join(parts) + "\n"


def wrapped(text, indent=""):
    """At 100 columns."""
    return textwrap.fill(text, 100, subsequent_indent=indent, break_long_words=False)


def profile(facts):
    """Name of the profile a model is for, or None."""
    clock = (facts["n_fft"], facts["hop_length"], facts["window"])
    known = {(p.n_fft, p.hop_length, p.window): name for name, p in PROFILES.items()}
    return known.get(clock)


def summary(facts, path):
    """What it is, in a paragraph and a table."""
    size = path.stat().st_size / 1e6
    hops = 2 + facts.get("lookahead_frames", 0)
    late = [f"{1e3 * hops * facts['hop_length'] / rate:.1f} ms" for rate in (48000, 44100)]
    clock = profile(facts)
    count = facts.get("parameters")
    rows = [
        ("profile", f"`{clock}`" if clock else "none of stemd's own"),
        ("latency", f"{late[0]} at 48 kHz, {late[1]} at 44.1 kHz"),
        ("n_fft, hop, window", f"{facts['n_fft']}, {facts['hop_length']}, {facts['window']}"),
        ("output", f"{facts['masks']} masks of {', '.join(facts['stems'])}"),
        ("size", f"{size:.2f} MB" + (f", {count:,} parameters" if count else "")),
        ("contract, sha256", f"{facts['contract']}, `{facts['sha256']}`"),
    ]
    family = facts["name"].split("_")[0]
    purpose = PURPOSE.get(family) or PURPOSE.get(clock, "A model of the user's own.")
    lines = [wrapped(purpose), "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows)])


def cost(facts):
    """Percentiles of step and hop."""
    speed = facts.get("speed")
    if not speed or "hop_us" not in speed:
        return f"Not timed yet: `python -m models.speed {facts['name']}`."
    lines = ["| us | p50 | p99 | p99.9 |", "|---|---|---|---|"]
    for what, label in (("step_us", "the network alone"), ("hop_us", "the whole hop")):
        cells = " | ".join(f"{speed[what][q]:.0f}" for q in ("p50", "p99", "p99.9"))
        lines.append(f"| {label} | {cells} |")
    cells = " | ".join(f"{100 * speed['load'][q]:.1f} %" for q in ("p50", "p99", "p99.9"))
    lines.append(f"| load: hop over its {speed['budget_us']:.0f} us | {cells} |")
    where = (
        f"One stereo feed at {speed['samplerate'] / 1000:g} kHz, one thread, {speed['processor']}, "
        f"ONNX Runtime {speed['onnxruntime']}, {speed['hops']:,} hops on {speed['date']}"
    )
    if speed.get("busy") is not None:
        where += f"; {speed['busy']} other processes wanted a core"
    where += f" (`python -m models.speed {facts['name']}`). The whole hop is transforms, network, "
    where += "masks, overlap-add and features."
    return "\n".join([*lines, "", wrapped(where)])


def history(training):
    """What was heard, and in which order."""
    text = training["data"].rstrip(".") + "."
    heard = training["hours_of_audio"]
    text += f" {heard:,} hours of audio in {training['steps']:,} steps, seed {training['seed']}, "
    text += f"{training['date']}."
    shares = training.get("shares", [])
    if training.get("mean_of", 1) > 1:
        text += f" The weights are the mean of {training['mean_of']} of these runs"
        if len(set(shares)) > 1:
            text += f", in shares of {' and '.join(map(str, shares))}"
        text += f", logits times {training['logits']:g} (`python -m models.mean`)."
    elif training.get("logits", 1) != 1:
        text += f" Logits were multiplied by {training['logits']:g} (`python -m models.mean`)."
    if training.get("nets", 1) > 1:
        text += f" Masks are the mean of those of {training['nets']} nets, which share these runs."
    lines = [wrapped(text)]
    runs = training.get("runs") or training.get("stages")
    if isinstance(runs, list) and runs and all(isinstance(run, dict) for run in runs):
        keys = [key for key in runs[0] if not isinstance(runs[0][key], dict)]
        lines += ["", f"| {' | '.join(key.replace('_', ' ') for key in keys)} |"]
        lines.append("|---" * len(keys) + "|")
        for run in runs:
            cells = [run.get(key, "") for key in keys]
            cells = [", ".join(map(str, x)) if isinstance(x, list) else str(x) for x in cells]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def scores(facts):
    """Tables of the first rate, sentences about the second."""
    found = facts["scores"]
    rates = rates_of(found)
    if not rates:
        return f"Not scored yet: `python -m models.evaluate {facts['name']}`."
    samplerate, parts = next(iter(rates.items()))
    seconds = found["set"].get("seconds")
    command = f"python -m models.evaluate {facts['name']}" + (" --quick" if seconds else "")
    text = (
        f"`{command}`, {found['date']}: through the daemon's separator in blocks of 480 samples, "
        f"delay taken out, scored at {samplerate}. *sdr* is BSS Eval v4 (museval): median of "
        "one-second frames, then of tracks. *usdr* is of whole tracks, then their mean. *leak* is "
        "the level of a stem that is absent, against the mixture (lower is better). *flicker* is "
        "how fast the gain moves, to be read beside the true mask's. All are defined in "
        "`models/scores.py`, the baselines in `models/baselines.py`."
    )
    if seconds:
        text += f" A quick look: the first {seconds} s of some items."
    lines = [wrapped(text)]
    if found.get("bss_items"):
        lines += ["", wrapped(f"*sir* and *sar* are of {found['bss_items']} items, 10 s each.")]
    for part, rows in parts.items():
        count = found["set"].get("parts", {}).get(part, "some")
        tracks = ", ".join(rows.get("tracks", {}))
        lines += ["", f"### {PARTS.get(part, part).format(count=count, tracks=tracks)}"]
        for metric in FIRST:
            if metric in rows["model"]:
                lines += ["", table(rows, metric)]
        short = [m for m in SECOND if m in rows["model"]]
        if short and not seconds:
            lines += ["", f"| dB | | {' | '.join(STEMS)} | mean |", "|---" * 7 + "|"]
            for metric in short:
                lines += [line.replace("| ", f"| {metric} | ", 1) for line in few(rows, metric)]
    lines += ["", *(wrapped(f"- {line}", "  ") for line in facts_of(found))]
    return "\n".join(lines)


def few(rows, metric):
    """The lines of a table, without its head, of the methods that matter for details."""
    return table(rows, metric, [name for name in SECOND_OF if name in rows]).split("\n")[2:]


def limits(facts):
    """Sentences for one model."""
    known = tomllib.loads(LIMITS.read_text("utf-8"))
    name = facts["name"]
    own = [known.get(key, {}).get("limits", []) for key in (name, name.split("_")[0])]
    return [*own[0], *own[1], *(known["pack"] if of_the_pack(facts) else []), *known["all"]]


def of_the_pack(facts):
    """Whether a model was trained on the recordings that NOTICE.md credits."""
    return "NOTICE.md" in facts["training"]["data"]


def licence(facts):
    """Of the weights, and whom to thank."""
    text = f"Weights: {facts['license']}."
    if of_the_pack(facts):
        text += f" {PACK}"
    return wrapped(text)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="+")
    parser.add_argument("--models", type=Path, default=HERE)
    args = parser.parse_args()
    for name in args.names:
        path = find(name, args.models)
        path.with_suffix(".md").write_text(card(path), "utf-8")
        print(path.with_suffix(".md"))


if __name__ == "__main__":
    main()
