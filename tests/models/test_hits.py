"""What teaches the net of onsets and hits, beside the daemon that will run it."""

import numpy as np
import pytest

pytest.importorskip("torch")
import torch

from benchmarks.features.material import annotate
from models import clips, hits, takes
from models.library import SAMPLERATE
from stemd.kernels.flux import pick_onsets
from stemd.processors.catalogue import find_model
from stemd.processors.drums import Drums
from stemd.processors.masknet import MaskNet
from stemd.processors.onset import HITS_SHARE, SURE
from stemd.processors.powers import Powers
from stemd.processors.separator import HopSeparator
from stemd.spec import DRUMS, N_CHANNELS, N_STEMS, SOURCES, StreamSpec

HOPS, OTHER, BASS = 400, SOURCES.index("other"), SOURCES.index("bass")
NEVER = -9.0
SPEC = StreamSpec.of("live", 48000)


class Oracle:
    """A net that says what it was told."""

    def __init__(self, logits):
        self.logits = torch.from_numpy(logits.astype(np.float32))

    def __call__(self, x):
        return self.logits[None, : x.shape[1]]


def clip(onsets, heard=(), sure=()):
    """A clip with `onsets` (source, time, weak); `sure` are hops at which `Drums` is."""
    levels = np.zeros((HOPS, 2, len(SOURCES), hits.N_BANDS), np.float32)
    logits = np.full((HOPS, len(DRUMS)), NEVER, np.float32)
    logits[list(sure), 0] = 9.0
    flags = np.isin(np.arange(len(SOURCES)), heard)
    rows = np.array(onsets, float).reshape(-1, 3)
    return hits.Heard(levels, logits, rows, flags, np.full((1, 3), np.nan), 48000)


def saying(source, *declared):
    """Logits that say `source` began at hops, (hop, logit)."""
    logits = np.full((HOPS, len(hits.OUTPUTS)), NEVER)
    for hop, logit in declared:
        logits[hop, source] = logit
    return logits


def test_thresholds_come_from_clips_whose_truth_is_a_score():
    at = 100 * SPEC.hop_s
    net = Oracle(saying(OTHER, (100, 2.0), (300, 1.0)))
    scored = clip([(OTHER, at, 0)])  # the second is false
    detected = clip([(OTHER, at, 0), (OTHER, 300 * SPEC.hop_s, 0)], heard=[OTHER])
    (threshold,) = hits.balanced(net, [scored, detected], [], "live")[[OTHER]]
    assert 1.0 <= threshold < 2.0
    # Where nobody else has a say, what a detector found has none either.
    assert not hits.curves(net, [detected], "live")[OTHER].any()


def test_real_songs_have_most_of_the_say_in_the_threshold_of_drums():
    at = [100 * SPEC.hop_s, 200 * SPEC.hop_s]
    drums = [(hits.STRUCK, time, 0) for time in at]
    net = Oracle(saying(hits.STRUCK, (100, 9.0), (200, 1.0), (300, 1.0)))
    everything = clip([*drums, (hits.STRUCK, 300 * SPEC.hop_s, 0)], sure=(100, 200, 300))
    only_first = clip(drums[:1], sure=(100,))
    alone = hits.balanced(net, [everything], [], "live")[hits.STRUCK]
    both = hits.balanced(net, [everything], [only_first, only_first], "live")[hits.STRUCK]
    assert alone < both
    (of_songs,) = hits.balanced(net, [only_first], [], "live")[[hits.STRUCK]]
    assert both <= of_songs


def test_nets_are_averaged_with_what_is_released(tmp_path):
    torch.manual_seed(0)
    ours, theirs = hits.Net("live"), hits.Net("live")
    hits.saved(tmp_path / "odds.npz", "live", theirs, np.zeros(len(hits.OUTPUTS)))
    mine = {name: value.clone() for name, value in ours.state_dict().items()}
    ours.halve(tmp_path / "odds.npz", "live")
    theirs = theirs.state_dict()
    for name, value in ours.state_dict().items():
        told = len(hits.OUTPUTS) if name.startswith("out") else len(value)  # that is released
        half = (mine[name] + theirs[name])[:told] / 2
        torch.testing.assert_close(value[:told], half, atol=1e-3, rtol=1e-3)  # kept as float16
        torch.testing.assert_close(value[told:], mine[name][told:])


@pytest.mark.parametrize("seed", range(3))
def test_onsets_are_counted_as_the_daemon_declares_them(seed):
    rng = np.random.default_rng(seed)
    own, sure = 3 * rng.standard_normal((2, HOPS)).astype(np.float32)
    armed, since = np.ones((1, 5), bool), np.full((1, 5), 99)
    count, muted = np.zeros((1, 5), np.int64), np.zeros(1, np.int64)
    gap = max(1, round(0.045 / SPEC.hop_s))
    declared = []
    for h in range(HOPS):
        logits = np.full((1, 8), NEVER, np.float32)
        logits[0, hits.STRUCK] = own[h]
        out = np.zeros((1, 5, 4), np.float32)
        pick_onsets(
            logits, np.full((1, 3), sure[h], np.float32), np.array([HITS_SHARE, SURE], np.float32),
            hits.STRUCK, np.ones((1, 5), np.float32), np.ones((1, 5), np.float32), np.float32(0.07),
            armed, since, count, muted, gap, np.arange(4), out,
        )  # fmt: skip
        if out[0, hits.STRUCK, 1]:
            declared.append(h)
    take = clip([(hits.STRUCK, h * SPEC.hop_s, 0) for h in declared])._replace(
        hits=np.repeat(sure[:, None], 3, 1)
    )
    logits = np.full((HOPS, len(hits.OUTPUTS)), NEVER)
    logits[:, hits.STRUCK] = own
    f1 = hits.curves(Oracle(logits), [take], "live")[hits.STRUCK]
    assert len(declared) > 20
    assert f1[np.flatnonzero(hits.GRID == 0)] == 1.0


def test_silence_of_a_detector_is_doubted():
    onsets = np.array([(OTHER, 0.5, 0), (BASS, 0.5, 0), (hits.STRUCK, 0.5, 0)])
    heard = np.ones(len(SOURCES), bool)
    hop_ms = 1e3 * SPEC.hop_s
    target, weight = hits.wanted(onsets, np.zeros((0, 3)), HOPS, hop_ms, heard)
    _, trusted = hits.wanted(onsets, np.zeros((0, 3)), HOPS, hop_ms)
    assert (weight[target == 1] == 1).all()
    for source in (OTHER, BASS):
        nothing = (target[:, source] == 0) & (trusted[:, source] > 0)
        assert (weight[nothing, source] == hits.DOUBT).all()
    np.testing.assert_array_equal(weight[:, hits.STRUCK], trusted[:, hits.STRUCK])


def test_what_is_kept_of_drums_is_what_the_daemon_says():
    rng = np.random.default_rng(5)
    n_hops, spec = 150, StreamSpec.of("live", SAMPLERATE)
    n = n_hops * spec.hop_length
    tracks = np.zeros((5, N_CHANNELS, n), np.float32)
    tracks[1] = 0.2 * rng.standard_normal(tracks[1].shape) * (np.arange(n) % 9000 < 900)
    alone, nothing = hits.hear(spec, [tracks])
    assert np.isnan(nothing).all()
    assert not alone[:, :, hits.APART].any()

    net = MaskNet(find_model("default", "live"), spec, "cpu")
    levels, logits = hits.hear(spec, [tracks], net)
    np.testing.assert_array_equal(levels[:, :, hits.ALONE], alone[:, :, hits.ALONE])
    net.reset()
    separator, powers, drums = HopSeparator(spec, net), Powers(spec), Drums(spec)
    stems = np.zeros((1, N_STEMS, N_CHANNELS, spec.hop_length), np.float32)
    mix = np.zeros((1, N_CHANNELS, spec.hop_length), np.float32)
    for h in range(n_hops):
        hop = tracks[None, 1, :, h * spec.hop_length : (h + 1) * spec.hop_length]
        separator.process(np.ascontiguousarray(hop), stems, mix)
        drums.listen(powers.process(separator.spectra, separator.masked))
        np.testing.assert_array_equal(logits[h], drums.logits)
    assert np.ptp(logits) > 1.0


def test_clips_say_of_which_stems_a_detector_had_to_tell(renderer):
    n = 2 * SAMPLERATE
    tracks, score = renderer.take_with_score(np.random.default_rng(3), n)
    facts = clips.known(tracks, score)
    for s, stem in enumerate(clips.STEMS):
        silent = bool(score.parts[stem].spans["onsets"]) and tracks[s].any()
        assert facts["heard"][1 + s] == silent
    assert facts["heard"][0] == facts["heard"][1:].any()
    facts = clips.known(tracks, None)
    np.testing.assert_array_equal(facts["heard"][1:], tracks[:4].any((1, 2)))
    assert np.isnan(facts["strokes"]).all()
    # Of drums over music of a pool the score knows the drums only.
    tracks, facts = clips.make(np.random.default_rng(4), renderer, None, n, kind="solo")
    assert not facts["heard"][1 + clips.DRUMS]


def test_sung_clips_know_when_the_voice_begins(renderer):
    n = 6 * SAMPLERATE
    tracks, facts = clips.make(np.random.default_rng(19), renderer, None, n, "sung")
    assert tracks[clips.VOCALS].any()
    assert not tracks[[clips.DRUMS, clips.BASS]].any()
    assert not facts["heard"].any()
    onsets = facts["onsets"]
    of_voice = onsets[onsets[:, 0] == 1 + clips.VOCALS, 1]
    assert of_voice.size > 3
    found = annotate(tracks[clips.VOCALS])
    clear = found.times[~found.weak]
    apart = np.abs(clear[:, None] - of_voice).min(1)
    assert np.mean(apart < 0.08) > 0.6  # two who do not know of each other


def test_clips_leave_the_drummer_as_it_was(renderer, monkeypatch):
    """On kits bent out of shape or not: what comes next may be music for a test."""
    before = renderer.drummer.kit
    for chance in (0.0, 1.0):
        monkeypatch.setattr(clips, "WILD", chance)
        for kind in ("solo", "strokes", "score"):
            clips.make(np.random.default_rng(7), renderer, None, 2 * SAMPLERATE, kind)
            assert renderer.drummer.kit is before


def test_clips_are_kept_whole(tmp_path, renderer):
    n = 2 * SAMPLERATE
    tracks, facts = clips.make(np.random.default_rng(6), renderer, None, n, kind="score")
    clips.write(tmp_path / "train_0000.npz", tracks, facts)
    again, read = clips.load(tmp_path / "train_0000.npz")
    np.testing.assert_allclose(again, np.clip(tracks, -2, 2), atol=1e-4)
    for name, value in facts.items():
        np.testing.assert_array_equal(read[name], value)
    assert [path.name for path in tmp_path.iterdir()] == ["train_0000.npz"]


def test_sections_of_songs_are_clips_where_drums_play_over_a_bass(libraries, tmp_path, monkeypatch):
    n, rng = 2 * SAMPLERATE, np.random.default_rng(0)
    take = 0.1 * rng.standard_normal((5, 2, n)).astype(np.float32)
    take[clips.BASS] *= 0.5
    bass = take[clips.BASS].copy()
    takes.write(tmp_path, 0, take)
    take[clips.BASS] = 0  # has none to lend
    takes.write(tmp_path, 1, take)
    pool, whole = takes.Takes(tmp_path), list(takes.sections(libraries["songs"], n))
    with_bass = list(clips.song_clips(libraries["songs"], pool, n))
    drummed = [tracks for tracks in whole if tracks[clips.DRUMS].any()]
    assert len(with_bass) == len(drummed) > 0
    for (tracks, facts), before in zip(with_bass, drummed, strict=True):
        assert facts["heard"][1 + clips.DRUMS]
        if before[clips.BASS].any():
            np.testing.assert_array_equal(tracks, before)
    for tracks in whole:
        tracks[clips.BASS] = 0
    monkeypatch.setattr(clips, "sections", lambda *_: iter(whole))
    for tracks, _ in clips.song_clips(libraries["songs"], pool, n):
        assert np.corrcoef(tracks[clips.BASS].ravel(), bass.ravel())[0, 1] > 0.99
        power = np.square(tracks[: clips.BASS + 1]).mean((1, 2))
        np.testing.assert_allclose(power[clips.BASS] / power[clips.DRUMS], 0.25, rtol=0.02)
    (tmp_path / takes.name_of(0)).unlink()
    with pytest.raises(ValueError, match=r"got no take with drums and a bass, expected some$"):
        clips.borrowed(rng, takes.Takes(tmp_path), bass)
