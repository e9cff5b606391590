"""Score released models on two songs they never heard, as the daemon would have played them.

    python models/evaluate.py first_live first_tight --samples ../shared/samples

The ONNX file is stepped frame by frame, each frame's stems are synthesised and overlap-added, and
the result is compared with the stems, delay taken out. Beside the model stand what costs nothing
(every stem = a quarter of the mix; every stem = the mix) and what no real mask of these bins can
beat by much (the ratio mask made from the true stems, same window).

Three kinds of material: `song`, the balance as released, where some stems hide 25 dB under the
others; `levelled`, the same songs with each stem brought to the same loudness first; and `unseen`,
twenty seeded mixes of singers, kits and instruments that are in no training mix.
Scores in dB:

usdr     10 log10(sum s^2 / sum (s - estimate)^2) over all sections with the stem, the mean of songs
median   the same in frames of one second where the stem sounds, the median of all frames. It is
         close to BSS Eval v4's SDR but allows no distortion filter: it reads lower, never higher.
museval  BSS Eval v4 itself (framewise, median), when museval is installed and --museval is given
leak     energy in the estimate of a stem that is absent, over the mixture's: lower is better

Results go into the model's .json under `scores`, and from there into its card.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import scipy.fft
import soundfile as sf
from export import STEMS, session
from nets import asymmetric_window, synthesis_window

SAMPLERATE = 44100
SPLIT = Path(__file__).parent / "split.json"
# Judged alone and together: whether a kick under the bass line is bass is the producer's choice,
# and the producer of the test songs chose yes.
GROUPS = {**{stem: [s] for s, stem in enumerate(STEMS)}, "drums+bass": [1, 2]}
SECTION_S = 12  # of the 20 s of each section: the rest repeats
SILENT = 10 ** (-60 / 10)  # mean square under which a stem counts as absent


def sections(samples, song):
    """Every section of a song that has two stems or more: [(s, 2, n) float64]."""
    groups = {}
    for path in sorted(Path(samples).glob(f"*/{song}/*.ogg")):
        groups.setdefault(path.stem.split("_")[1], []).append(path)
    result = []
    for _, paths in sorted(groups.items()):
        if len({path.parts[-3] for path in paths}) < 2:
            continue
        stems = None
        for path in paths:
            audio, samplerate = sf.read(path, SECTION_S * SAMPLERATE, always_2d=True)
            assert samplerate == SAMPLERATE
            if stems is None:
                stems = np.zeros((4, 2, len(audio)))
            stems[STEMS.index(path.parts[-3])] += audio.T  # (n, 1) is heard on both sides
        result.append(stems)
    return result


def levelled(stems):
    """The same stems, each as loud as the others where it sounds."""
    result = np.zeros_like(stems)
    for s, audio in enumerate(stems):
        power = (audio**2).mean(0)
        loud = power > 0.01 * power.max()
        if power.mean() > SILENT:
            result[s] = audio * (0.05 / np.sqrt(power[loud].mean()))
    return result


CHUNK = 512  # frames transformed at once; the model still sees them one by one


def unseen_mixes(samples, cache, count=20, seconds=8, seed=11):
    """Mixes of validation sources, brought to one peak level: [(s, 2, n)]."""
    from data import Library, Mixer

    mixer = Mixer(Library(samples, cache, "validation"))
    mixes = []
    for i in range(count):
        stems = mixer.scene(np.random.default_rng((seed, i)), seconds * SAMPLERATE).astype(float)
        mixes.append(stems * (0.5 / np.abs(stems.sum(0)).max()))
    return mixes


def separate(model, facts, mix):
    """Step the model through (2, n); returns (s, 2, n), delay taken out."""
    states = {q["name"]: np.zeros((1, *q["shape"]), np.float32) for q in facts["states"]}

    def masks(_, spectra):
        nonlocal states
        result = []
        for spectrum in spectra:
            frame = np.stack([spectrum.real, spectrum.imag], -1)[None].astype(np.float32)
            out, *following = model.run(None, {"mix": frame, **states})
            states = dict(zip(states, following, strict=True))
            result.append(out[0])
        return np.stack(result)

    return overlap_add(masks, mix, facts["n_fft"], facts["hop_length"])


def spectra_of(audio, first, last, n_fft, hop):
    """Frames first … last - 1 of padded audio (…, n), complex (t, …, f)."""
    view = np.lib.stride_tricks.sliding_window_view(audio, n_fft, axis=-1)
    frames = view[..., first * hop : (last - 1) * hop + 1 : hop, :]
    return np.moveaxis(scipy.fft.rfft(frames * asymmetric_window(n_fft, hop)), -2, 0)


def pad(audio, n_fft, hop):
    """So that frame t ends with sample (t + 1) hop; one frame more than needed ends the file."""
    n = audio.shape[-1]
    frames = -(-n // hop) + 1
    edges = [(0, 0)] * (audio.ndim - 1) + [(n_fft - hop, frames * hop - n)]
    return np.pad(audio, edges), frames


def overlap_add(masks_of, mix, n_fft, hop):
    """Analyse (2, n), ask `masks_of(first, spectra) -> (t, s, 2, f)`, synthesise (s, 2, n)."""
    padded, frames = pad(mix, n_fft, hop)
    support = synthesis_window(n_fft, hop)[-2 * hop :]
    out = np.zeros((4, 2, padded.shape[1]))
    for first in range(0, frames, CHUNK):
        last = min(frames, first + CHUNK)
        spectra = spectra_of(padded, first, last, n_fft, hop)
        masks = masks_of(first, spectra)
        parts = scipy.fft.irfft(masks * spectra[:, None], n_fft)[..., -2 * hop :] * support
        for t, part in enumerate(parts, start=first):
            end = t * hop + n_fft
            out[:, :, end - 2 * hop : end] += part
    return out[:, :, n_fft - hop :][:, :, : mix.shape[1]]


def oracle(stems, n_fft, hop):
    """Ratio masks |S| / sum |S| of the true stems, in the same window."""
    padded, _ = pad(stems, n_fft, hop)

    def masks(first, spectra):
        magnitude = np.abs(spectra_of(padded, first, first + len(spectra), n_fft, hop))
        return magnitude / (magnitude.sum(1, keepdims=True) + 1e-12)

    return overlap_add(masks, stems.sum(0), n_fft, hop)


def tables(pairs):
    """Scores of [(stems, estimates)] of one song: usdr, frames (per stem), leak (per stem)."""
    usdr, frames, leak = {}, {}, {}
    for stem, members in GROUPS.items():
        signal = error = leaked = offered = 0.0
        frames[stem] = []
        for stems, estimates in pairs:
            truth, guess = stems[members].sum(0), estimates[members].sum(0)
            if (truth**2).mean() < SILENT:
                leaked += (guess**2).sum()
                offered += (stems.sum(0) ** 2).sum()
                continue
            signal += (truth**2).sum()
            error += ((truth - guess) ** 2).sum()
            for at in range(0, truth.shape[1] - SAMPLERATE + 1, SAMPLERATE):
                a, b = truth[:, at : at + SAMPLERATE], guess[:, at : at + SAMPLERATE]
                if (a**2).mean() > SILENT:
                    ratio = (a**2).sum() / (((a - b) ** 2).sum() + 1e-12)
                    frames[stem].append(10 * np.log10(ratio))
        usdr[stem] = 10 * np.log10(signal / error) if error else None
        leak[stem] = 10 * np.log10(leaked / offered + 1e-10) if offered else None
    return usdr, frames, leak


def museval_frames(pairs):
    """BSS Eval v4 SDR of one-second frames, per stem; only sections where the stem sounds."""
    import museval

    frames = {stem: [] for stem in STEMS}
    for stems, estimates in pairs:
        present = [s for s in range(4) if (stems[s] ** 2).mean() >= SILENT]
        scores = museval.evaluate(
            stems[present].transpose(0, 2, 1),
            estimates[present].transpose(0, 2, 1),
            win=SAMPLERATE,
            hop=SAMPLERATE,
        )[0]
        for s, row in zip(present, scores, strict=True):
            frames[STEMS[s]].extend(x for x in row if np.isfinite(x))
    return frames


def summary(songs, with_museval=False):
    """{song: pairs} to the numbers of the .json."""

    def merge(values):
        values = [v for v in values if v is not None]
        return round(float(np.mean(values)), 2) if values else None

    rows = [tables(pairs) for pairs in songs.values()]
    result = {"usdr": {}, "median": {}, "leak": {}}
    for stem in GROUPS:
        result["usdr"][stem] = merge([row[0][stem] for row in rows])
        result["median"][stem] = round(
            float(np.median(np.concatenate([row[1][stem] for row in rows]))), 2
        )
        result["leak"][stem] = merge([row[2][stem] for row in rows])
    for name in ("usdr", "median"):
        result[name]["mean"] = round(float(np.mean([result[name][stem] for stem in STEMS])), 2)
    if with_museval:
        parts = [museval_frames(pairs) for pairs in songs.values()]
        result["museval"] = {
            stem: round(float(np.median(np.concatenate([part[stem] for part in parts]))), 2)
            for stem in STEMS
        }
        result["museval"]["mean"] = round(float(np.mean(list(result["museval"].values()))), 2)
    return result


def evaluate(path, material, with_museval):
    """All the numbers of one released model; material {kind: {song: [stems]}}."""
    facts = json.loads(path.with_suffix(".json").read_text())
    model = session(path)
    scores = {"songs": json.loads(SPLIT.read_text())["test_songs"], "samplerate": SAMPLERATE}
    for kind, songs in material.items():
        results = {name: {} for name in ("model", "quarter_mix", "mix", "ratio_mask")}
        for song, parts in songs.items():
            for result in results.values():
                result[song] = []
            for stems in parts:
                mix = stems.sum(0)
                results["model"][song].append((stems, separate(model, facts, mix)))
                results["quarter_mix"][song].append((stems, np.stack([mix / 4] * 4)))
                results["mix"][song].append((stems, np.stack([mix] * 4)))
                best = oracle(stems, facts["n_fft"], facts["hop_length"])
                results["ratio_mask"][song].append((stems, best))
        scores[kind] = {
            name: summary(pairs, with_museval and name == "model")
            for name, pairs in results.items()
        }
    return scores


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("names", nargs="+")
    parser.add_argument("--samples", type=Path, default=Path("../shared/samples"))
    parser.add_argument("--models", type=Path, default=Path(__file__).parent)
    parser.add_argument("--museval", action="store_true", help="some minutes more per model")
    parser.add_argument("--cache", type=Path, default=Path("../train-cache"))
    args = parser.parse_args()
    songs = json.loads(SPLIT.read_text())["test_songs"]
    material = {"song": {song: sections(args.samples, song) for song in songs}}
    material["levelled"] = {
        song: [levelled(stems) for stems in parts] for song, parts in material["song"].items()
    }
    material["unseen"] = {"mixes": unseen_mixes(args.samples, args.cache)}
    for name in args.names:
        path = args.models / f"{name}.onnx"
        scores = evaluate(path, material, args.museval)
        facts = json.loads(path.with_suffix(".json").read_text())
        facts["scores"] = scores
        path.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
        print(name)
        for kind in material:
            for what, numbers in scores[kind].items():
                print(f"  {kind:9}{what:12}", numbers)


if __name__ == "__main__":
    main()
