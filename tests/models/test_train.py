"""Statistics, losses and the loop; skips itself without torch."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
for needed in ("scipy", "soxr", "soundfile"):
    pytest.importorskip(needed)

from models import spectra, takes, train, validate  # noqa: E402
from models.nets import BandNet, apart, made  # noqa: E402
from tests.models.test_nets import each_kind, random_net  # noqa: E402

TINY = {"channels": 8, "blocks": 1, "tokens": 8, "whole": 16, "reduced": 1}


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Noise, tones and clicks as takes: enough to learn something from."""
    folder = tmp_path_factory.mktemp("takes")
    rng = np.random.default_rng(0)
    n = 4 * 44100
    t = np.arange(n) / 44100
    for part in ("train", "validation"):
        (folder / part).mkdir()
        for index in range(8):
            take = np.zeros((5, 2, n), np.float32)
            take[0] = 0.1 * np.sin(2 * np.pi * rng.uniform(300, 900) * t)
            take[1] = 0.1 * rng.standard_normal(n) * (np.sin(2 * np.pi * 2 * t) > 0.9)
            take[2] = 0.1 * np.sin(2 * np.pi * rng.uniform(40, 90) * t)
            take[3] = 0.02 * rng.standard_normal((2, n))
            takes.write(folder / part, index, take)
    return folder


def test_statistics_equal_their_slow_twin():
    rng = np.random.default_rng(0)
    hop, every, phase = 512, 2, 1
    statistics = spectra.Statistics(2048, hop, every)
    audio = rng.standard_normal((1, 5, 2, statistics.samples(6))).astype(np.float32)
    power, energy, cross = statistics(torch.from_numpy(audio), phase)
    window = spectra.asymmetric_window(2048, hop)
    frames = np.stack([audio[0, ..., i * hop : i * hop + 2048] for i in range(6)], 2)
    x = np.fft.rfft(frames * window)  # (s + 1, c, t, f)
    mix, bands = x.sum(0), spectra.filterbank().T
    left, right = mix
    views = np.stack([left, right, (left + right) / 2, (left - right) / 2], 1)
    np.testing.assert_allclose(power[0], np.abs(views) ** 2 @ bands, rtol=1e-3)
    scale = 1 / float(power[:, :, :2].mean())
    order = (2, 3, 0, 1)  # (s, c, t, k) -> (t, k, s, c)
    stems = x[:4, :, phase::every]
    slow = (np.abs(stems) ** 2 @ bands).transpose(order) * scale
    np.testing.assert_allclose(energy[0], slow, rtol=1e-3)
    slow = ((stems * mix[:, phase::every].conj()).real @ bands).transpose(order) * scale
    np.testing.assert_allclose(cross[0], slow, atol=1e-3)


def test_frames_far_apart_may_be_weighted_as_those_of_a_short_hop():
    rng = np.random.default_rng(0)
    both = spectra.Statistics(2048, 1024, 1, windows=(256, 512))
    audio = rng.standard_normal((1, 5, 2, both.samples(1))).astype(np.float32)
    for i, hop in enumerate((256, 512)):
        alone = spectra.Statistics(2048, hop, 1)
        for one, other in zip(
            both(torch.from_numpy(audio), 0, i), alone(torch.from_numpy(audio)), strict=True
        ):
            torch.testing.assert_close(one, other)


def test_what_leaks_into_a_pause_costs_more_than_what_hides_under_the_stem():
    frames = 2 * train.SEGMENT
    energy = torch.full((1, frames, 4), 48.0)
    energy[:, train.SEGMENT :, 0] = 0.0  # the first stem pauses
    mixture = energy.sum(2, keepdim=True)
    error = torch.zeros(2, *energy.shape[1:])
    error[0, : train.SEGMENT, 0] = error[1, train.SEGMENT :, 0] = 9.6
    hidden, heard = train.in_segments(error, energy.expand_as(error), mixture.expand(2, -1, -1))
    assert hidden.shape == (2, 4)
    assert heard[1, 0] > hidden[0, 0] + 10  # dB
    torch.testing.assert_close(hidden[:, 1:], heard[:, 1:])


def test_loss_sees_the_squared_error_of_masked_spectra():
    """Band statistics and masked spectra must agree on the SDR of a mask."""
    rng = np.random.default_rng(1)
    shape = (5, 2, 6, 1025)
    stems = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    mix, stems = stems.sum(0), stems[:4]  # the fifth belongs to nobody
    bands = spectra.filterbank().T
    order = (2, 3, 0, 1)
    energy = (np.abs(stems) ** 2 @ bands).transpose(order)
    cross = ((stems * mix.conj()).real @ bands).transpose(order)
    mixture = (np.abs(mix) ** 2 @ bands).transpose(1, 2, 0)
    e, c, m = (torch.tensor(x[None], dtype=torch.float32) for x in (energy, cross, mixture))
    _, sdr = train.losses(torch.full_like(e, 0.3), e, c, m)
    error = (np.abs(stems - 0.3 * mix) ** 2).sum((1, 2, 3))
    expected = 10 * np.log10((np.abs(stems) ** 2).sum((1, 2, 3)) / error)
    np.testing.assert_allclose(sdr[0], expected, atol=0.05)  # TAU softens it a little


@pytest.mark.parametrize("present", [0.0, 1.0])
def test_loss_is_finite_for_silence_and_for_absent_stems(present):
    energy = torch.zeros(1, 4, spectra.N_BANDS, 4, 2)
    energy[..., 1, :] = present
    masks = torch.full_like(energy, 0.25, requires_grad=True)
    parts, _ = train.losses(masks, energy, energy, energy.sum(3))
    sum(parts.values()).backward()
    assert all(torch.isfinite(x) for x in parts.values())
    assert torch.isfinite(masks.grad).all()


def test_clips_are_the_same_every_time_and_their_mixture_is_their_sum(pool):
    one, two = (takes.Takes(pool / "train").batch(np.random.default_rng(3), 4, 9000) for _ in "ab")
    np.testing.assert_array_equal(one, two)
    assert one.shape == (4, 5, 2, 9000)
    assert np.isfinite(one).all()


def test_stems_of_a_loud_take_and_a_quiet_one_come_equally_loud(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal((5, 2, 44100)).astype(np.float32)
    for index, gain in enumerate((1.0, 0.02)):
        takes.write(tmp_path, index, gain * noise)
    both = takes.Takes(tmp_path)
    rng = np.random.default_rng(1)
    heard = [both._cut(rng, 40000, range(5), 1.0).sum(0).std() for _ in range(8)]
    assert {len(both._levels), len(both)} == {2}
    np.testing.assert_allclose(heard, takes.LEVEL, rtol=0.05)


def test_a_stem_that_was_alone_comes_as_loud_as_one_of_four(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal((5, 2, 44100)).astype(np.float32)
    noise[4] = 0
    takes.write(tmp_path, 0, noise)
    noise[1:] = 0
    takes.write(tmp_path, 1, noise)
    both = takes.Takes(tmp_path)
    rng = np.random.default_rng(1)
    heard = [both._cut(rng, 40000, [0], 1.0, apart=True).std() for _ in range(8)]
    assert {level[1] for level in both._levels.values()} == {1, 4}
    np.testing.assert_allclose(heard, takes.LEVEL / 2, rtol=0.05)


def test_in_place_of_a_silent_stem_another_is_looked_for(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal((5, 2, 44100)).astype(np.float32)
    takes.write(tmp_path, 0, noise)
    noise[2] = 0
    takes.write(tmp_path, 1, noise)
    both, rng = takes.Takes(tmp_path), np.random.default_rng(2)
    silent = [not both._sounding(rng, 20000, 2, 3).any() for _ in range(100)]
    assert 2 < sum(silent) < 30  # one in eight, where one in two has none


def test_takes_that_come_later_are_heard_and_those_replaced_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(takes, "LOOK_AGAIN", 8)
    still, rng = np.zeros((5, 2, 30000), np.float32), np.random.default_rng(1)
    takes.write(tmp_path, 0, still)
    pool = takes.Takes(tmp_path, remix=0.0)
    assert not pool.batch(rng, 6, 9000).any()
    takes.write(tmp_path, 0, still + 0.1)
    takes.write(tmp_path, 1, still + 0.1)
    assert pool.batch(rng, 6, 9000).any(axis=(1, 2, 3)).all()
    assert len(pool) == 2


def test_what_sways_goes_up_and_down_and_comes_back():
    n = 44100
    tone = 8000 * np.sin(2 * np.pi * 1000 * np.arange(2 * n) / n)
    out = np.zeros((2, n), np.float32)
    turn = 2 * np.pi * 5 / n
    takes.played(np.stack([tone, tone]).astype(np.int16), 1.0, 1 / 8000, out, 30.0, turn, 1.0)
    t = np.arange(n)
    expected = np.sin(2 * np.pi * 1000 * (t + 30 * (1 + np.sin(turn * t + 1))) / n)
    np.testing.assert_allclose(out[0], expected, atol=2e-3)


def test_only_other_sways_and_only_where_asked(tmp_path):
    noise = 0.2 * np.random.default_rng(0).standard_normal((5, 2, 44100)).astype(np.float32)
    noise[4] = 0
    takes.write(tmp_path, 0, noise)
    cuts = [
        takes.Takes(tmp_path, sways=sways)._cut(np.random.default_rng(5), 44000, range(5), 1.0)
        for sways in (1e-9, 1.0)  # the first reserves the room, and sways never
    ]
    same = [np.array_equal(one, other) for one, other in zip(*cuts, strict=True)]
    assert same == [True, True, True, False, True]


def test_a_calm_clip_is_the_music_as_it_was(tmp_path):
    """But for its level, its sides, the signs of its stems, and a semitone."""
    noise = 0.2 * np.random.default_rng(0).standard_normal((5, 2, 44100)).astype(np.float32)
    noise[4] = 0
    takes.write(tmp_path, 0, noise)
    spreads = {}
    for calm in (True, False):
        pool = takes.Takes(tmp_path, 0.0, calm)
        clips = [pool.batch(np.random.default_rng(i), 1, 20000)[0, :4] for i in range(60)]
        levels = np.array([clip.std((1, 2)) for clip in clips])
        levels = levels[(levels > 0).all(1)]
        spreads[calm] = (20 * np.log10(levels)).std(1).mean()
    assert spreads[True] < 2 < spreads[False]


def test_a_tone_played_faster_is_a_higher_tone():
    n = 44100
    tone = 8000 * np.sin(2 * np.pi * 1000 * np.arange(2 * n) / n)
    out = np.zeros((2, n), np.float32)
    takes.played(np.stack([tone, tone]).astype(np.int16), 1.2, 1 / 8000, out)
    expected = np.sin(2 * np.pi * 1200 * np.arange(n) / n)
    np.testing.assert_allclose(out[0], expected, atol=2e-3)


def test_filters_are_those_of_scipy():
    from scipy.signal import lfilter

    rng = np.random.default_rng(0)
    for _ in range(20):
        b, a = takes.draw_filter(rng)
        audio = rng.standard_normal((2, 3000)).astype(np.float32)
        expected = lfilter(b, a, audio)
        takes.filtered(audio, b, a)
        np.testing.assert_allclose(audio, expected, atol=1e-4)


def test_an_empty_pool_is_refused_in_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"got no take_\*\.npy, expected rendered takes"):
        takes.Takes(tmp_path)


def settings(steps):
    stages = [{"hop_length": 1024, "steps": steps - steps // 3}]
    stages.append({"hop_length": 512, "steps": steps // 3})
    return train.DEFAULTS | {
        "net": TINY, "batch": 4, "seconds": 0.6, "warmup_s": 0.1, "stages": stages,
        "optimiser": "adamw", "validate_every": 10**6, "rate": 5e-3, "seed": 3, "span": 2,
    }  # fmt: skip


def weights(path):
    return torch.load(path)["net"]


def gained(run, pool):
    """Mean SDR of a run that ended at hop 512 above that of a net that learned nothing, in dB."""
    numbers = spectra.Statistics(2048, 512, 2)
    heard = list(train.fixed_batches(takes.Takes(pool / "validation"), numbers, 80, 8))
    before = train.validate(BandNet(512, **TINY), heard, 2, torch.device("cpu"))
    return torch.load(run / "last.pt")["history"][-1][-2] - before[-2]


def test_a_run_learns_and_ends_the_same_when_it_was_interrupted(pool, tmp_path, monkeypatch):
    straight = train.train(settings(60), pool, tmp_path / "one", threads=1, workers=0, device="cpu")
    assert gained(tmp_path / "one", pool) > 0.5

    learn = train.Run.learn

    def interrupted(run, *args):
        if run.step == 13:
            run.save()
            raise KeyboardInterrupt
        return learn(run, *args)

    monkeypatch.setattr(train.Run, "learn", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings(60), pool, tmp_path / "two", threads=1, workers=0, device="cpu")
    monkeypatch.setattr(train.Run, "learn", learn)
    resumed = train.train(settings(60), pool, tmp_path / "two", threads=1, workers=0, device="cpu")
    for name, value in weights(straight).items():
        torch.testing.assert_close(weights(resumed)[name], value, atol=1e-5, rtol=1e-4)


def test_what_masks_play_is_what_the_separator_plays():
    """With one frame a hop apart, added up; and stems are what true masks would make of them."""
    rng = np.random.default_rng(2)
    hop, n = 256, 2048 + 9 * 256
    audio = torch.from_numpy(rng.standard_normal((1, 5, 2, n)).astype(np.float32))
    tails = spectra.Tails(2048, (512, hop))
    mix, stems = tails(audio, [i * hop for i in range(10)], window=1)
    assert mix.shape == (1, 10, 2, 1025)
    assert stems.shape == (1, 10, 4, 2, 2 * hop)

    def added(frames):
        out = torch.zeros(*frames.shape[2:4], 11 * hop)
        for i in range(10):
            out[..., i * hop : (i + 2) * hop] += frames[0, i]
        return out[..., hop:-hop]  # where two frames overlap

    first = 2048 - hop
    torch.testing.assert_close(
        added(stems), audio[0, :4, :, first : first + 9 * hop], atol=1e-4, rtol=0
    )
    masks = torch.full((1, 10, 4, 2, 1025), 0.25)
    played = added(tails.play(masks, mix, window=1))
    expected = 0.25 * audio[0].sum(0)[:, first : first + 9 * hop]
    torch.testing.assert_close(played[0], expected, atol=1e-4, rtol=0)


def test_the_played_term_learns(pool, tmp_path):
    s = settings(30) | {"played": 6, "losses": {"played": 1.0}, "windows": [256, 512]}
    train.train(s, pool, tmp_path / "run", threads=1, workers=0, device="cpu")
    assert gained(tmp_path / "run", pool) > 0.3


def test_nets_together_learn_each_its_own_and_are_resumed(pool, tmp_path):
    net = TINY | {"blocks": [2, 1], "placed": True}
    first = settings(6) | {"net": net}
    train.train(first, pool, tmp_path / "run", threads=1, workers=0, device="cpu")
    path = train.train(
        settings(12) | {"net": net}, pool, tmp_path / "run", threads=1, workers=0, device="cpu"
    )
    torch.manual_seed(3)  # that of the settings
    begun = apart(made(512, **net).state_dict())
    for before, after in zip(begun, apart(weights(path)), strict=True):
        assert all((after[name] != value).any() for name, value in before.items())


def test_clips_go_on_from_step_to_step(pool):
    """What follows is what would have followed, sample for sample, and hop for hop."""
    numbers = spectra.Statistics(2048, 512, 2)
    s, n_frames = settings(6) | {"span": 4}, 20
    clips = train.Clips(takes.Takes(pool / "train"), numbers, n_frames, s, False)
    piece = n_frames * 512
    assert train.begins(0, 4, 4).tolist() == [True, False, False, False]
    assert train.begins(3, 4, 4).tolist() == [False, True, False, False]
    for row in range(4):
        for step in range(8):
            here, there = (clips._row(at, row) for at in (step, step + 1))
            goes_on = np.array_equal(here[..., piece:], there[..., : numbers.samples(1) - 512])
            assert goes_on == (not train.begins(step + 1, 4, 4)[row])
    again = train.Clips(takes.Takes(pool / "train"), numbers, n_frames, s, False)
    np.testing.assert_array_equal(again._row(5, 2), clips._row(5, 2))  # as when resumed


def test_states_go_on_where_clips_do(pool, tmp_path, monkeypatch):
    s = settings(3) | {"span": 3, "batch": 3, "stages": [{"hop_length": 512, "steps": 3}]}
    run = train.Run(s, tmp_path / "run", torch.device("cpu"))
    seen = []
    real = train.run_batch

    def spy(net, batch, states, *rest):
        seen.append({name: state.clone() for name, state in states.items()})
        return real(net, batch, states, *rest)

    monkeypatch.setattr(train, "run_batch", spy)
    numbers = spectra.Statistics(2048, 512, 2)
    clips = train.Clips(takes.Takes(pool / "train"), numbers, 20, s, False)
    for step in range(3):
        before = run.ends
        run.learn(clips[step], s["stages"][0], 0, 2, 0.5)
        for row in np.flatnonzero(~train.begins(step, 3, 3)) if before else ():
            for name, state in seen[-1].items():
                torch.testing.assert_close(state[row], before[name][row])


def test_what_a_run_starts_from_has_its_share_in_what_it_ends_in(pool, tmp_path):
    here = {"threads": 1, "workers": 0, "device": "cpu"}
    start = train.train(settings(6), pool, tmp_path / "start", **here)
    ends = {}
    for blend in (0.0, 0.5):
        own = settings(6) | {"blend": blend}
        ends[blend] = weights(train.train(own, pool, tmp_path / str(blend), start, **here))
    for name, value in weights(start).items():
        torch.testing.assert_close(ends[0.5][name], (value + ends[0.0][name]) / 2)


def test_unknown_settings_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "wrong.toml"
    path.write_text("rat = 1\n[[stages]]\nhop_length = 512\nsteps = 1\n")
    with pytest.raises(ValueError, match=r"wrong.toml: got \['rat'\], expected stages and"):
        train.load_settings(path)


@each_kind
@pytest.mark.parametrize("hop_length", [128, 256, 512])
def test_the_exported_step_equals_the_network(hop_length, sizes, tmp_path):
    pytest.importorskip("onnx")
    export = pytest.importorskip("models.export")
    import onnx

    net = random_net(hop_length, **sizes)
    model, states = export.build(net)
    onnx.save(model, tmp_path / "x.onnx")
    assert export.check(tmp_path / "x.onnx", net, states) < 1e-5


def test_a_mean_of_runs_is_their_middle_and_keeps_what_only_the_first_has(tmp_path):
    nets = {"grown": BandNet(512, channels=8, blocks=2), "old": BandNet(512, channels=8, blocks=1)}
    for name, net in nets.items():
        (tmp_path / name).mkdir()
        facts = {"hop_length": 512, "net": net.sizes, "steps": 7, "started_from": None}
        torch.save({"net": net.state_dict(), "facts": facts}, tmp_path / name / "ema.pt")
    runs = [str(tmp_path / name) for name in nets]
    command = [sys.executable, "-m", "models.mean", "--runs", *runs, "--logits", "0.5"]
    subprocess.run([*command, "--hop", "256", "--out", str(tmp_path / "out")], check=True)
    saved = torch.load(tmp_path / "out" / "ema.pt")
    first, second = (net.state_dict() for net in nets.values())
    for name, value in saved["net"].items():
        expected = (first[name] + second[name]) / 2 if name in second else first[name]
        if name.startswith("head_out"):
            expected = expected * 0.5
        torch.testing.assert_close(value, expected)
    assert saved["facts"]["hop_length"] == 256
    assert saved["facts"]["mean_of"] == 2
    again = [runs[0], *runs, "--out", str(tmp_path / "again")]  # twice the first
    subprocess.run([*command[:4], *again], check=True)
    saved = torch.load(tmp_path / "again" / "ema.pt")
    place = (2 * nets["grown"].place + nets["old"].place) / 3
    torch.testing.assert_close(saved["net"]["place"], place.detach())
    assert (saved["facts"]["mean_of"], saved["facts"]["shares"]) == (2, [0.67, 0.33])


def test_a_run_is_measured_later_as_it_was_at_its_end(pool, tmp_path, monkeypatch, capsys):
    run = tmp_path / "run"
    train.train(settings(6), pool, run, threads=1, workers=0, device="cpu")
    history = torch.load(run / "last.pt")["history"]
    monkeypatch.setattr(sys, "argv", ["validate", str(run), "--pool", str(pool), "--hop", "512"])
    capsys.readouterr()
    validate.main()
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows
    for _, name, *told in rows:
        *_, then = (row[3:] for row in history if row[0] == name)
        np.testing.assert_allclose(np.array(told, float), then, atol=0.011)
