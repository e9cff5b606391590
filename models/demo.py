"""Cut the demo loop the daemon ships, and the held-out clip the tests hear.

    python -m models.demo --samples ../shared/samples

Both are made of "Everything is Free" by Software-Entwicklungskit (CC0 1.0) and of nothing else.
Both are of a song no model was trained on.
"""

import argparse
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

SAMPLERATE = 48000
STEMS = ("vocals", "drums", "bass", "other")

# lithium runs at 124 BPM. Section 14 (from 280 s) has voice, drums and one more instrument all the
# way; the bass sounds in section 6 (from 120 s, a bar line). Both windows start on the same bar of
# the four-bar phrase, bars 146 and 62. The gains make every stem easy to see on a meter.
BAR_S = 4 * 60 / 124
LOOP_SAMPLES = round(8 * BAR_S * SAMPLERATE)
LOOP = (  # file, start within it in seconds, gain in dB
    ("bass/eif_lithium/lithium_s06_bass.ogg", 62 * BAR_S - 120, 0.0),
    ("drums/eif_lithium/lithium_s14_drums.ogg", 146 * BAR_S - 280, 2.0),
    ("vocals/eif_lithium/lithium_s14_vocals_lead.ogg", 146 * BAR_S - 280, 2.0),
    ("other/eif_lithium/lithium_s14_other.ogg", 146 * BAR_S - 280, 6.0),
)

CLIP_START_S, CLIP_S = 13.5, 6.0  # voice and drums all the way, bass in the last second and a half
CLIP_SECTION = "eif_lithium/lithium_s05"


def load(path):
    """Decode to (n, 2) float64 at `SAMPLERATE`."""
    audio, samplerate = sf.read(path, always_2d=True)
    if audio.shape[1] == 1:
        audio = np.repeat(audio, 2, axis=1)
    return soxr.resample(audio, samplerate, SAMPLERATE)


def make_loop(samples):
    """Lay the sections over each other; (LOOP_SAMPLES, 2), its end running into its own start."""
    mix = 0
    for name, start_s, gain_db in LOOP:
        first = round(start_s * SAMPLERATE)
        mix += 10 ** (gain_db / 20) * load(samples / name)[first : first + LOOP_SAMPLES + 480]
    loop = mix[:LOOP_SAMPLES].copy()
    # What would have followed the loop fades out under its beginning: tails survive the seam.
    tail = len(mix) - LOOP_SAMPLES
    fade = np.linspace(0.0, 1.0, tail)[:, None]
    loop[:tail] = loop[:tail] * fade + mix[LOOP_SAMPLES:] * (1.0 - fade)
    return loop * (0.8 / np.abs(loop).max())  # Vorbis may overshoot by a decibel


def make_clip(samples):
    """Stems of the held-out clip, {stem: (n, 2)}."""
    start, length = int(CLIP_START_S * SAMPLERATE), int(CLIP_S * SAMPLERATE)
    stems = {}
    for stem in STEMS:
        files = sorted((samples / stem).glob(f"{CLIP_SECTION}_*.ogg"))
        stems[stem] = sum(load(path) for path in files)[start : start + length]
    return stems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--loop", type=Path, default=Path("stemd/assets/demo.ogg"))
    parser.add_argument("--clips", type=Path, default=Path("tests/data"))
    args = parser.parse_args()

    args.loop.parent.mkdir(parents=True, exist_ok=True)
    vorbis = {"format": "OGG", "subtype": "VORBIS"}
    sf.write(args.loop, make_loop(args.samples), SAMPLERATE, compression_level=0.4, **vorbis)

    args.clips.mkdir(parents=True, exist_ok=True)
    stems = make_clip(args.samples)
    mix = sum(stems.values())
    gain = 0.8 / np.abs(mix).max()
    for name, audio in {"mix": mix, **stems}.items():
        path = args.clips / f"heldout_{name}.ogg"
        sf.write(path, audio * gain, SAMPLERATE, compression_level=0.5, **vorbis)


if __name__ == "__main__":
    main()
