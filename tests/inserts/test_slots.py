"""Slots: what a feed gets does not depend on who else is there, came or went."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from stemd.processors.catalogue import find_model
from stemd.processors.masknet import MaskNet, SlotNet
from stemd.processors.separator import HopSeparator, Separator
from stemd.processors.slots import GROWTH, Slots, grown
from stemd.spec import OTHER, STEMS, StreamSpec
from tests.inserts.conftest import LIMIT, noise
from tests.processors.support import write_model

SPEC = StreamSpec.of("live", 48_000)


def separate(slots, slot, audio, company=lambda hop: [], without=lambda hop: False):
    """Stems (s, c, n) of whole hops of audio (n, c), as late as the slot makes them."""
    hop_length = slot.spec.hop_length
    out = []
    for hop, first in enumerate(range(0, len(audio) - hop_length + 1, hop_length)):
        slot.hop[:] = audio[first : first + hop_length].T
        others = company(hop)
        for other in others:
            other.hop[:] = noise(other.spec.hop_length, seed=1000 + hop).T
        batch = [*others[::2], slot, *others[1::2]]
        if without(hop):
            batch.remove(slot)
        slots.process(batch, [slot] if without(hop) else [])
        out.append(slot.stems.copy())
    return np.concatenate(out, axis=-1)


@pytest.fixture
def alone(slots):
    audio = noise(40 * 256)
    slot = slots.admit(48_000)
    stems = separate(slots, slot, audio)
    slots.evict(slot)
    return audio, stems


def test_one_slot_is_the_separator(slots, alone):
    audio, stems = alone
    model = MaskNet(find_model("default", "live"), SPEC)
    core = HopSeparator(SPEC, model)
    hop, mix = np.zeros((2, 1, 2, 256), np.float32)
    out = np.zeros((1, 4, 2, 256), np.float32)
    for k in range(40):
        hop[0] = audio[k * 256 : (k + 1) * 256].T
        core.process(hop, out, mix)
        # another batch size may add in another order
        np.testing.assert_allclose(stems[:, :, k * 256 : (k + 1) * 256], out[0], atol=1e-6)


def test_stems_do_not_depend_on_company(slots, alone):
    audio, stems = alone
    first = slots.admit(96_000)
    slot = slots.admit(48_000)
    others = [first, *(slots.admit(rate) for rate in (44_100, 48_000, 192_000, 88_200, 176_400))]
    rng = np.random.default_rng(5)

    def company(hop):
        return [other for other in others if rng.random() < 0.6]

    np.testing.assert_allclose(separate(slots, slot, audio, company), stems, atol=1e-6)


def test_stems_do_not_depend_on_which_slot_and_who_had_it(slots, alone):
    audio, stems = alone
    before = [slots.admit(48_000) for _ in range(LIMIT)]
    assert slots.admit(48_000) is None
    for slot in before:
        separate(slots, slot, noise(5 * 256, seed=9))
    for slot in before:
        slots.evict(slot)
    assert slots.room == LIMIT
    for _ in range(LIMIT - 1):
        slots.admit(44_100)
    np.testing.assert_array_equal(separate(slots, slots.admit(48_000), audio), stems)


def test_a_slot_that_waits_while_others_go_on_loses_nothing(slots, alone):
    audio, stems = alone
    slot, other = slots.admit(48_000), slots.admit(48_000)
    got = []
    for k in range(40):
        for _ in range(k % 3):
            other.hop[:] = 0.3
            slots.process([other])
        got.append(separate(slots, slot, audio[k * 256 : (k + 1) * 256]))
    np.testing.assert_array_equal(np.concatenate(got, axis=-1), stems)


def test_reset_is_as_new(slots, alone):
    audio, stems = alone
    slot = slots.admit(48_000)
    separate(slots, slot, noise(2000, seed=4))
    slots.reset(slot)
    np.testing.assert_array_equal(separate(slots, slot, audio), stems)


@pytest.mark.parametrize("rate", GROWTH)
def test_the_stems_sum_to_the_input_two_hops_later_at_every_rate(slots, rate):
    slot = slots.admit(rate)
    audio = noise(20 * slot.spec.hop_length)
    stems = separate(slots, slot, audio)
    assert slot.spec.latency / rate == pytest.approx(512 / rate * GROWTH[rate])
    late = slot.spec.latency - slot.spec.hop_length  # the hop itself was collected before
    np.testing.assert_allclose(stems.sum(axis=0)[:, late:], audio[:-late].T, atol=1e-6)


@pytest.mark.parametrize("rate", GROWTH)
def test_bins_and_hops_keep_their_size_in_hz_and_ms(rate):
    own, at_48 = grown(SPEC, rate), GROWTH[rate]
    assert own.hop_length == 256 * at_48
    assert own.n_bins - 1 == 1024 * at_48
    base = rate / at_48
    assert rate / own.n_fft == base / 2048
    assert own.latency / rate == 512 / base


@pytest.mark.parametrize("rate", [96_000, 192_000])
def test_a_grown_window_separates_as_the_model_does_at_its_own_rate(slots, rate):
    """The demo loop at 48 kHz, and resampled: stems must be alike where both have sound."""
    import soundfile

    from stemd.sources.file import DEMO

    loop, loop_rate = soundfile.read(DEMO, dtype="float32", always_2d=True)
    factor = rate // 48_000
    low = soxr.resample(loop[: 4 * loop_rate], loop_rate, 48_000).astype(np.float32)
    low = low[: len(low) // 256 * 256]
    high = soxr.resample(low, 48_000, rate).astype(np.float32)
    expected = separate(slots, slots.admit(48_000), low)
    stems = separate(slots, slots.admit(rate), high)
    for s, name in enumerate(STEMS):
        got = soxr.resample(stems[s].T, rate, 48_000).T
        n = min(got.shape[1], expected.shape[2]) - 2000
        error = np.sqrt(np.mean((got[:, 2000:n] - expected[s, :, 2000:n]) ** 2))
        level = np.sqrt(np.mean(low**2))
        assert 20 * np.log10(error / level) < -40.0, (name, factor)


def test_a_feed_whose_masks_are_no_numbers_harms_nobody(tmp_path):
    """The tiny model divides by the power it hears: 1e30 makes NaN of it."""
    spec = StreamSpec.of("live", 48_000, 2)
    slots = Slots(spec, SlotNet(write_model(tmp_path, spec), spec, "cpu"))
    good, bad = slots.admit(48_000), slots.admit(48_000)
    audio = noise(10 * 256)
    alone = separate(slots, good, audio)
    slots.reset(good)

    def company(hop):
        return [bad]

    fine = separate(slots, good, audio, company)
    np.testing.assert_allclose(fine, alone, atol=1e-6)
    slots.reset(good)
    for hop in range(10):
        good.hop[:] = audio[hop * 256 : (hop + 1) * 256].T
        bad.hop[:] = 1e30
        slots.process([bad, good])
        np.testing.assert_allclose(good.stems, alone[:, :, hop * 256 : (hop + 1) * 256], atol=1e-6)
    assert bad.core.bad_hops[0] > 0
    assert good.core.bad_hops[0] == 0
    bad.hop[:] = 0.1
    for _ in range(20):
        slots.process([bad])
    assert np.isfinite(bad.stems).all()


def test_complex_masks_grow_too(tmp_path):
    spec = StreamSpec.of("live", 48_000, 2)
    real = Slots(spec, SlotNet(write_model(tmp_path, spec), spec, "cpu"))
    paired = Slots(spec, SlotNet(write_model(tmp_path, spec, "pair", True), spec, "cpu"))
    audio = noise(20 * 512)
    expected = separate(real, real.admit(96_000), audio)
    got = separate(paired, paired.admit(96_000), audio)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_without_time_for_the_model_earlier_masks_hold_and_the_sum_stays(slots, alone):
    audio, _ = alone
    slot = slots.admit(48_000)
    stems = separate(slots, slot, audio, without=lambda hop: 20 <= hop < 23)
    assert slot.core.late_hops[0] == 3
    assert slot.core.dry_hops[0] == 0
    np.testing.assert_allclose(stems.sum(axis=0)[:, 256:], audio[:-256].T, atol=1e-6)


def test_without_a_model_all_is_in_other(slots):
    dry = Slots(StreamSpec.of("live", 48_000, 1))
    audio = noise(10 * 256)
    stems = separate(dry, dry.admit(48_000), audio)
    assert not stems[:OTHER].any()
    np.testing.assert_array_equal(stems[OTHER][:, 256:], audio[:-256].T)


def test_a_second_model_on_the_same_audio_is_what_separator_load_gives(slots, alone):
    """What a plugin gets is what `stemd separate` writes."""
    audio, stems = alone
    got = Separator.load("live").process(np.ascontiguousarray(audio.T))
    np.testing.assert_allclose(got[:, :, 256:], stems[:, :, : got.shape[2] - 256], atol=1e-6)
