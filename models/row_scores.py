"""Scores of the classic rows, of spectra: they tell rows apart, on audio models.evaluate judges.

For each stem 10 log10(sum |S|^2 / sum |S - mask X|^2) over the bins of a validation take, left
channel, every third frame; the mean over the takes in which the stem is neither alone nor 20 dB
under the mixture.
"""

import math

import numpy as np
import torch

from models import classic
from models.library import SAMPLERATE

STEMS = ("vocals", "drums", "bass", "other")
SILENT = 1e-3  # magnitude under which a bin belongs to nobody: 110 dB under full scale
TAKES, TAKE_S = 24, 5.0
ABSENT = 1e-2  # of the mixture's energy, and as little beside it is alone


def binary_masks(tracks, target):
    """Spectra (..., 5, t, f) to the article's masks (..., t, s, f) float32.

    Competition: the loudest of all five, so that applause belongs to no stem. Ratio: more than
    half of the mixture's magnitude, which two stems may have, or none.
    """
    magnitude = tracks.abs()
    stems = magnitude[..., :4, :, :]
    if target == "competition":
        masks = stems >= magnitude.amax(-3, keepdim=True)
    else:
        masks = stems > 0.5 * tracks.sum(-3, keepdim=True).abs()
    return (masks & (stems > SILENT)).transpose(-3, -2).float()


def validation(takes):
    """[spectra (5, t, f)] of left channels."""
    n = int(TAKE_S * SAMPLERATE)
    for i in range(min(TAKES, len(takes))):
        yield classic.spectra_of(torch.from_numpy(takes.plain(i, n)[:, 0].copy()))


def judged(n_frames, delay=0):
    """Every third frame, the same for each row: all have their whole past, and a middle.

    With a delay, the frames at which a network that is late says what it thinks of those.
    """
    first = classic.PAST + (classic.POOL - 1 - classic.PAST) % classic.POOL
    return slice(first + delay, n_frames - classic.MIDDLE + delay, classic.POOL)


def sdr(tracks, masks):
    """Spectra (5, t, f) and masks (t, s, f) to [dB or None] per stem."""
    mix, result = tracks.sum(0), []
    least = ABSENT * energy(mix)
    for s in range(len(STEMS)):
        found, beside = energy(tracks[s]), energy(mix - tracks[s])
        error = energy(tracks[s] - masks[:, s] * mix)
        heard = found > least and beside > least
        result.append(10 * math.log10(found / (error + 1e-12)) if heard else None)
    return result


def energy(spectra):
    return spectra.abs().square().sum().item()


def mean_of(rows):
    """Means over takes per stem and their mean."""
    columns = zip(*rows, strict=True)
    means = [float(np.mean([x for x in column if x is not None])) for column in columns]
    result = {stem: round(x, 2) for stem, x in zip(STEMS, means, strict=True)}
    return {**result, "mean": round(float(np.mean(means)), 2)}


@torch.no_grad()
def score(net, row, takes):
    """Scores of a settled net whose masks belong `row.delay` frames before the newest.

    Three ways to use the outputs: over 0.5, as they are, divided by their sum over stems.
    """
    ways = {"thresholded": [], "soft": [], "sum_to_one": []}
    right, said_no = [], []
    for tracks in validation(takes):
        n_frames = tracks.shape[1]
        logits = net(classic.features_of(tracks.sum(0)[None]), every=classic.POOL)[0]
        at = torch.arange(n_frames)[judged(n_frames, row.delay)]
        logits = logits[at // classic.POOL]
        tracks = tracks[:, judged(n_frames)]
        ways["thresholded"].append(sdr(tracks, (logits > 0).float()))
        ways["soft"].append(sdr(tracks, torch.sigmoid(logits)))
        ways["sum_to_one"].append(sdr(tracks, classic.sum_to_one(logits)))
        targets = binary_masks(tracks, row.target) > 0.5
        right.append(((logits > 0) == targets).float().mean().item())
        said_no.append((~targets).float().mean().item())
    scores = {way: mean_of(rows) for way, rows in ways.items()}
    scores["accuracy"] = round(100 * float(np.mean(right)), 1)
    scores["accuracy_of_no"] = round(100 * float(np.mean(said_no)), 1)
    return scores


@torch.no_grad()
def baselines(takes):
    """What costs nothing, and what no mask of the kind can beat."""
    ways = {}
    for tracks in validation(takes):
        tracks = tracks[:, judged(tracks.shape[1])]
        magnitude = tracks.abs()
        ratio = magnitude[:4] / (magnitude.sum(0) + 1e-9)
        whole = torch.ones_like(ratio).transpose(0, 1)
        for name, masks in {
            "the mixture": whole,
            "a quarter of it": whole / 4,
            "true masks, competition": binary_masks(tracks, "competition"),
            "true masks, ratio over 0.5": binary_masks(tracks, "ratio"),
            "true ratios, not binary": ratio.transpose(0, 1),
        }.items():
            ways.setdefault(name, []).append(sdr(tracks, masks))
    return {name: mean_of(rows) for name, rows in ways.items()}
