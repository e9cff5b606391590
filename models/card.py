"""Write the card (.md) of released models from their descriptions (.json): numbers live once.

python models/card.py first_live first_tight first_quality first_classic
"""

import argparse
import json
import textwrap
from pathlib import Path

STEMS = ("vocals", "drums", "bass", "other")

CARD = """\
# {name}

{parameters:,} parameters, {size_mb:.1f} MB. n_fft {n_fft}, hop {hop_length}, window {window}:
{latency_ms:.1f} ms of algorithmic latency at 48 kHz. Input: the newest frame of a stereo spectrum;
output: real masks of {stems}, which sum to one. Contract 1.
`models/nets.py` describes the network at its top.
{speed}
## What it is for

A first model that ships with stemd: small enough to leave a core to everything else, honest enough
to build on. Lights, visuals, features, rough balances: yes. Releases, karaoke, a front-of-house
mix: no, wait for larger models.

## What it was trained on

{history}

Seed {seed}, {date}, two processor cores. No song of MUSDB18, MoisesDB or any other non-commercial
set, no pseudo-labels, no pre-trained weights. `models/split.json` says who was held out.

Pitch and speed are shifted by up to three semitones, so 44.1 and 48 kHz use the same weights. The
level is normalised inside by a one-second mean: input gain does not matter.

## Scores

{scores}
## What it is bad at

- The training material is small: one artist's four songs, speech, vocal phrases, loops, and single
  notes played by a simple sequencer. Distorted guitars, dense choirs, string orchestras and
  orchestral drums are nearly absent. Expect them in the wrong stem.
- The test songs are by the same artist and singer as four training songs. Other genres will score
  lower; there is no MUSDB18 number, and these numbers must not be compared with one.
- Voices it has not heard, speech and shouts above all, come out no better than a quarter of the mix
  (table of unseen sources); the singer of the songs it knows.
- An absent stem is not silent: see *leak*.
- Real masks keep the phase of the mixture: where two stems share a bin, both are wrong.
- Bands are 1/8 octave wide above 1.5 kHz: hi-hats and sibilants at the same moment share a mask.

## Licence

Weights: {license}. They were trained on CC0, public-domain, CC BY, MIT, BSD and Apache recordings;
the credits are in `models/NOTICE.md` and must travel with the weights.
"""


def table(scores, balance):
    """One Markdown table: methods down, stems across."""
    names = {
        "model": "**this model**",
        "quarter_mix": "mix / 4",
        "mix": "mix as every stem",
        "ratio_mask": "true ratio mask",
    }
    lines = ["| dB | vocals | drums | bass | other | mean | drums+bass |", "|---" * 7 + "|"]
    for metric in ("usdr", "median", "museval", "leak"):
        if metric == "leak":
            names = {"model": "**this model**", "quarter_mix": "mix / 4"}
        for key, label in names.items():
            row = scores[balance][key].get(metric)
            if row is None:
                continue
            cells = [row.get(stem) for stem in (*STEMS, "mean", "drums+bass")]
            cells = ["-" if x is None else f"{x:.2f}" for x in cells]
            lines.append(f"| {metric}, {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def scores_text(scores):
    if not scores:
        return "Not scored yet: an early checkpoint, for integration only.\n"
    songs = ", ".join(scores["songs"])
    return f"""\
`python models/evaluate.py`: the ONNX file stepped frame by frame, overlap-added, delay taken out,
on the first 12 s of the 14 sections with two stems or more of {songs}, at
{scores["samplerate"]} Hz; no training or validation mix contains them. *usdr* is over all sections
where the stem sounds, mean of songs; *median* is over one-second frames without distortion filter
(below BSS Eval v4 by nature); *leak* is what an absent stem gets of the mixture's energy (lower is
better).

Balance as released (in these songs `other` hides up to 25 dB under the rest):

{table(scores, "song")}

The same songs, every stem brought to the same loudness first:

{table(scores, "levelled")}

Twenty seeded mixes of 8 s, of singers, kits and instruments that are in no training mix:

{table(scores, "unseen")}

In the test songs the stem called bass carries a kick-like 48 Hz thump beside the bass notes (see
`left_out` in `models/split.json`). A model that files kicks under drums loses on both stems there;
the last column judges the two together.
"""


def speed_text(facts):
    if "speed" not in facts:
        return ""
    speed = facts["speed"]
    share = 100 * speed["step_p50_us"] * 48e3 / (facts["hop_length"] * 1e6)
    p50, p99 = speed["step_p50_us"], speed["step_p99_us"]
    return f"""
One step, one feed, one thread: p50 {p50} us, p99 {p99} us, {share:.1f} % of a hop at 48 kHz
({speed["processor"]}, ONNX Runtime {speed["onnxruntime"]}, `python models/speed.py`).
"""


def history_text(training):
    """What was heard, and in which order."""
    stages = ", then ".join(f"{x['steps']:,} of `{x['profile']}`" for x in training["stages"])
    text = (
        f"{training['data']}. It heard {training['hours_of_audio']} hours of such mixes, made of "
        f"{training['hours_of_recordings']} hours of recordings and of synthesisers drawn at "
        f"random: {training['steps']:,} steps of eight clips of 2.8 s ({stages})."
    )
    return textwrap.fill(text, 100)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+")
    parser.add_argument("--models", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    for name in args.names:
        facts = json.loads((args.models / f"{name}.json").read_text())
        training = facts["training"]
        text = CARD.format(
            **{
                k: facts[k]
                for k in ("name", "parameters", "n_fft", "hop_length", "window", "license")
            },
            **{k: training[k] for k in ("seed", "date")},
            history=history_text(training),
            size_mb=(args.models / f"{name}.onnx").stat().st_size / 1e6,
            latency_ms=2 * facts["hop_length"] / 48,
            stems=", ".join(STEMS),
            speed=speed_text(facts),
            scores=scores_text(facts["scores"]),
        )
        (args.models / f"{name}.md").write_text(text)


if __name__ == "__main__":
    main()
