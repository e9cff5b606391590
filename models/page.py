"""A page to listen to: the mixture, each stem as it is and as a model gives it, and pictures.

    python -m models.page band_live --set ../testset --out ../listen
    python -m models.page band_live cnn_classic --set ../testset --out ../listen

`index.html` needs nothing but the MP3 and PNG files beside it. Starting one player stops the one
that plays and goes on at its place, so that truth and estimate can be told apart at the same bar.
Pictures: time across, 32 Hz to 16 kHz by octaves upwards, 70 dB from dark to light.
"""

import argparse
import html
import json
from itertools import pairwise
from pathlib import Path

import matplotlib.image
import numpy as np
import soundfile as sf

from models.evaluate import HERE, find, some
from models.scores import measure, summarise
from models.streamed import separate, spec_of
from models.testset import SAMPLERATE, read_set
from stemd.processors.masknet import MaskNet
from stemd.spec import STEMS

SECONDS = 12.0  # of each item
COUNT = {"songs": 6, "rendered": 8, "folder": 8}
WIDTH, HEIGHT = 360, 96  # of a picture, pixels
LOW_HZ, HIGH_HZ, RANGE_DB = 32.0, 16000.0, 70.0
N_FFT = 4096
BITRATE = 0.6  # compression level of libsndfile: about 100 kbit/s

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: {width}px;
  padding: 0 1em; background: #16161a; color: #ddd }}
h1 {{ font-size: 1.5em }} h2 {{ font-size: 1.15em; margin: 2.2em 0 .4em }}
table {{ border-collapse: collapse }} td, th {{ padding: .25em .6em; text-align: left;
  vertical-align: top; font-weight: normal }} th {{ color: #999 }}
td.stem {{ font-weight: 600; white-space: nowrap }}
img {{ display: block; width: {picture}px; height: {height}px; background: #000 }}
audio {{ display: block; width: {picture}px; height: 32px; margin-top: 2px }}
.score {{ color: #9c9; font-variant-numeric: tabular-nums }}
.absent {{ color: #777; font-weight: normal }}
.sums td, .sums th {{ text-align: right }} .sums td:first-child {{ text-align: left }}
</style></head><body>
<h1>{title}</h1>
<p>Stems as the daemon plays them, delay taken out, at {samplerate} Hz. Scores are of the
{seconds:.0f} s heard here: <b>sdr</b>, the median of seconds, and <b>usdr</b>, of the whole; beside
them what the mixture itself scores; for a stem that is absent, its <b>leak</b> under the mixture.
Pictures: {low:.0f} Hz to {high:.0f} kHz by octaves, {range:.0f} dB.</p>
{summary}
{items}
<script>
const players = [...document.querySelectorAll('audio')];
for (const one of players) one.addEventListener('play', () => {{
  const other = players.find(p => p !== one && !p.paused);
  if (!other) return;
  other.pause();
  if (other.dataset.item === one.dataset.item) one.currentTime = other.currentTime;
}});
</script></body></html>
"""


def picture(audio, samplerate):
    """(HEIGHT, WIDTH) float, 0 dark to 1 light, low frequencies at the bottom.

    audio : (2, n)
    """
    middle = np.pad(audio.mean(0), N_FFT // 2)
    starts = np.linspace(0, middle.size - N_FFT, 2 * WIDTH).astype(int)
    frames = middle[starts[:, None] + np.arange(N_FFT)] * np.hanning(N_FFT)
    power = np.abs(np.fft.rfft(frames)) ** 2
    power = power.reshape(WIDTH, 2, -1).mean(1).T  # (f, t)
    edges = np.geomspace(LOW_HZ, min(HIGH_HZ, samplerate / 2), HEIGHT + 1) * N_FFT / samplerate
    rows = []
    for low, high in pairwise(edges):
        first = int(low)
        rows.append(power[first : max(first + 1, int(np.ceil(high)))].mean(0))
    # a sine of full scale is N_FFT / 4 high under this window
    level = 10 * np.log10(np.array(rows[::-1]) / (N_FFT / 4) ** 2 + 1e-12)
    return np.clip((level + 15 + RANGE_DB) / RANGE_DB, 0, 1)


def write_sound(path, audio, samplerate):
    """One MP3 and its picture; returns nothing.

    path : without a suffix
    audio : (2, n) float32
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(
        path.with_suffix(".mp3"),
        np.clip(audio.T, -1, 1),
        samplerate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=BITRATE,
    )
    image = picture(audio, samplerate)
    matplotlib.image.imsave(path.with_suffix(".png"), image, cmap="magma", vmin=0, vmax=1)


def cell(out, path, audio, samplerate, item):
    """A picture above a player."""
    if not audio.any():
        return '<td class="absent">silence</td>'
    write_sound(out / path, audio, samplerate)
    return (
        f'<td><img src="{path}.png" alt="spectrogram"><audio controls preload="none" '
        f'data-item="{html.escape(item)}" src="{path}.mp3"></audio></td>'
    )


def score_text(rows, stem):
    """The scores of one stem as a line of HTML."""
    if rows["sdr"][stem] is not None or rows["usdr"][stem] is not None:
        parts = [f"{m} {rows[m][stem]:.1f}" for m in ("sdr", "usdr") if rows[m][stem] is not None]
        return ", ".join(parts) + " dB"
    if rows["leak"][stem]:  # that of the mixture is 0 by nature
        return f"leak {rows['leak'][stem]:.0f} dB"
    return "absent"


def busiest(sources, samplerate):
    """The stretch to listen to: where most stems sound for most of the time, as a slice.

    sources : (5, 2, n)
    """
    stems, mix = sources[: len(STEMS)], sources.sum(0)
    sounding = measure(stems, stems, mix, samplerate).sounds().sum(1)  # stems in each second
    length = int(SECONDS)
    starts = range(max(1, len(sounding) - length + 1))
    best = max(starts, key=lambda start: sounding[start : start + length].sum())
    return slice(best * samplerate, (best + length) * samplerate)


def section(out, item, nets, samplerate):
    """HTML of one item; its sounds and pictures are written.

    nets : {name: (spec, MaskNet)}

    Returns
    -------
    html : str
    measured : {name or "mixture": ItemScores}
    """
    sources = item.read()
    here = busiest(sources, samplerate)
    mix, stems = sources.sum(0), sources[: len(STEMS), :, here]
    found = {"mixture": np.broadcast_to(mix[:, here], stems.shape)}
    for name, (spec, net) in nets.items():
        found[name] = separate(spec, net, mix)[..., here]
    mix = mix[:, here]
    measured = {name: measure(stems, each, mix, samplerate) for name, each in found.items()}
    rows = {name: summarise({"it": [scores]}) for name, scores in measured.items()}
    title = f"{item.track}: {item.name}" if item.track != item.name else item.name
    lines = [f'<h2 id="{html.escape(item.name)}">{html.escape(title)}</h2>', "<table>"]
    lines.append("<tr><th></th><th>mixture</th></tr><tr><td></td>")
    lines.append(cell(out, f"{item.name}/mixture", mix, samplerate, item.name) + "</tr></table>")
    heads = "".join(f"<th>{html.escape(name)}</th>" for name in nets)
    lines.append(f"<table><tr><th></th><th>truth</th>{heads}</tr>")
    for s, stem in enumerate(STEMS):
        start = score_text(rows["mixture"], stem).replace("sdr", "mixture: sdr", 1)
        cells = [cell(out, f"{item.name}/{stem}", stems[s], samplerate, item.name)]
        for name in nets:
            path = f"{item.name}/{stem}_{name}"
            sound = cell(out, path, found[name][s], samplerate, item.name)
            said = f'<div class="score">{score_text(rows[name], stem)}</div></td>'
            cells.append(sound.removesuffix("</td>") + said)
        told = f'<td class="stem">{stem}<div class="absent">{start}</div></td>'
        lines.append(f"<tr>{told}{''.join(cells)}</tr>")
    lines.append("</table>")
    return "\n".join(lines), measured


def summary(tracks):
    """HTML table of usdr and sdr over all items of the page; tracks {name: {track: [scores]}}."""
    heads = "".join(f"<th>{stem}</th>" for stem in (*STEMS, "mean"))
    lines = [f'<table class="sums"><tr><th></th>{heads}</tr>']
    for name, parts in tracks.items():
        rows = summarise(parts)
        for metric in ("sdr", "usdr", "leak"):
            cells = ["-" if v is None else f"{v:.1f}" for v in rows[metric].values()]
            line = "".join(f"<td>{x}</td>" for x in cells)
            lines.append(f"<tr><td>{html.escape(name)}, {metric}</td>{line}</tr>")
    return "\n".join([*lines, "</table>"])


def make(paths, folder, out, samplerate=SAMPLERATE, counts=COUNT):
    """Write the page; returns the path of index.html."""
    out.mkdir(parents=True, exist_ok=True)
    nets = {}
    for path in paths:
        spec = spec_of(json.loads(path.with_suffix(".json").read_text("utf-8")), samplerate)
        nets[path.stem] = (spec, MaskNet(path, spec, "cpu"))
    tracks = {name: {} for name in ("mixture", *nets)}
    sections = []
    for item in some(read_set(folder), counts):
        text, measured = section(out, item, nets, samplerate)
        sections.append(text)
        for name, scores in measured.items():
            tracks[name].setdefault(item.track, []).append(scores)
    page = PAGE.format(
        title=f"stemd: {' and '.join(nets)}",
        width=330 + (WIDTH + 24) * (1 + len(nets)),
        picture=WIDTH,
        height=HEIGHT,
        samplerate=samplerate,
        seconds=SECONDS,
        low=LOW_HZ,
        high=HIGH_HZ / 1000,
        range=RANGE_DB,
        summary=summary(tracks),
        items="\n".join(sections),
    )
    index = out / "index.html"
    index.write_text(page, "utf-8")
    return index


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="+", help="one or two names, or paths that end in .onnx")
    parser.add_argument("--models", type=Path, default=HERE)
    parser.add_argument("--set", type=Path, default=Path("../testset"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--all", action="store_true", help="every item, not some of each part")
    args = parser.parse_args()
    counts = dict.fromkeys(COUNT, 10**6) if args.all else COUNT
    print(make([find(name, args.models) for name in args.names], args.set, args.out, counts=counts))


if __name__ == "__main__":
    main()
