"""The late-model law, with a model that does what the test says."""

import threading
import time

import numpy as np
import pytest

from stemd.errors import ModelError
from stemd.processors.deadline import CATCH_UP, DeadlineModel
from stemd.processors.masknet import MaskNet
from stemd.spec import StreamSpec

from .support import write_model

SPEC = StreamSpec(48000, 256, 64)
SOON, PATIENT = 0.0, 10.0  # seconds: a deadline already past; one that only a broken test meets


class Gated:
    """Works on a frame only when the test lets it; remembers which frames it saw."""

    complex_masks = False

    def __init__(self):
        self.gate = threading.Semaphore(0)
        self.began = threading.Semaphore(0)
        self.seen, self.resets = [], []
        self.error = None

    def process(self, spectra):
        self.began.release()
        self.gate.acquire()
        if self.error:
            raise self.error
        self.seen.append(int(spectra[0, 0, 0].real))
        return np.full((1, 4, 2, SPEC.n_bins), self.seen[-1], np.float32)

    def reset(self, slot=None):
        self.resets.append((slot, len(self.seen)))

    def export_state(self, slot):
        return b"state %d" % slot

    def import_state(self, slot, data):
        raise ModelError("state: got that, expected this")


@pytest.fixture
def gated():
    return Gated()


@pytest.fixture
def model(gated):
    made = DeadlineModel(gated, SPEC, PATIENT)
    yield made
    gated.gate.release(1000)
    made.close()


def frame(number):
    return np.full((1, 2, SPEC.n_bins), number, np.complex64)


def wait_for(condition):
    end = time.monotonic() + PATIENT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_masks_in_time_are_handed_over(gated, model):
    for k in range(5):
        gated.gate.release()
        assert model.process(frame(k))[0, 0, 0, 0] == k
    assert (gated.seen, model.late, model.skipped) == ([0, 1, 2, 3, 4], 0, 0)


def test_a_late_frame_is_none_and_counted_and_its_masks_are_never_shown(gated, model):
    assert model.process(frame(0), time.monotonic() + SOON) is None
    assert model.late == 1
    gated.gate.release(2)
    assert model.process(frame(1))[0, 0, 0, 0] == 1
    assert (gated.seen, model.late, model.skipped) == ([0, 1], 1, 0)


def test_a_brief_stall_is_caught_up_without_a_gap(gated, model):
    assert model.process(frame(0), time.monotonic() + SOON) is None
    gated.began.acquire(timeout=PATIENT)  # frame 0 is in work, the others wait
    for k in range(1, 1 + CATCH_UP):
        assert model.process(frame(k), time.monotonic() + SOON) is None
    gated.gate.release(2 + CATCH_UP)
    assert model.process(frame(9))[0, 0, 0, 0] == 9
    assert gated.seen == [0, 1, 2, 9]
    assert (model.late, model.skipped) == (1 + CATCH_UP, 0)


def test_a_long_stall_drops_the_oldest_waiting_frames_and_counts_them(gated, model):
    assert model.process(frame(0), time.monotonic() + SOON) is None
    gated.began.acquire(timeout=PATIENT)  # frame 0 is in work, the others wait
    for k in range(1, 10):
        assert model.process(frame(k), time.monotonic() + SOON) is None
    gated.gate.release(100)
    assert model.process(frame(10))[0, 0, 0, 0] == 10
    assert gated.seen == [0, 8, 9, 10]
    assert (model.late, model.skipped) == (10, 7)


def test_frames_without_an_answer_are_counted_until_one_is_finished(gated, model):
    for k in range(6):
        assert model.process(frame(k), time.monotonic() + SOON) is None
        assert model.unanswered == k + 1
    gated.gate.release(100)
    assert model.process(frame(6)) is not None
    assert model.unanswered == 0


def test_deadlines_are_on_the_clock_that_is_given(gated):
    now = [100.0]
    model = DeadlineModel(gated, SPEC, 1.0, clock=lambda: now[0])
    gated.gate.release()
    assert model.process(frame(0), 100.0 + PATIENT) is not None
    assert model.process(frame(1), 99.0) is None
    gated.gate.release(10)
    model.close()


def test_a_model_that_raises_is_absent_from_then_on_with_its_reason(gated, model):
    gated.error = ValueError("the GPU fell out")
    gated.gate.release(100)
    assert model.process(frame(0)) is None
    assert model.failed == "ValueError: the GPU fell out"
    gated.error = None
    assert model.process(frame(1)) is None
    assert gated.seen == []
    with pytest.raises(ModelError, match="model: got ValueError: the GPU fell out, expected a run"):
        model.export_state(0)


def test_a_failure_on_a_late_frame_does_not_hold_the_audio(gated, model):
    assert model.process(frame(0), time.monotonic() + SOON) is None
    gated.error = RuntimeError("broken")
    gated.gate.release(100)
    wait_for(lambda: model.failed)
    started = time.monotonic()
    assert model.process(frame(1)) is None
    assert time.monotonic() - started < PATIENT / 2


def test_reset_reaches_the_model_before_the_next_frame(gated, model):
    gated.gate.release(100)
    model.process(frame(0))
    model.reset(0)
    model.process(frame(1))
    model.reset()
    model.process(frame(2))
    assert gated.resets == [(0, 1), (None, 2)]


def test_state_calls_run_in_the_models_thread_and_errors_come_back(gated, model):
    assert model.export_state(3) == b"state 3"
    with pytest.raises(ModelError, match="state: got that, expected this"):
        model.import_state(0, b"")
    gated.gate.release()
    assert model.process(frame(1)) is not None  # a refused state is no failure of the model


def test_close_ends_the_thread_and_the_model_is_absent(gated):
    before = threading.active_count()
    model = DeadlineModel(gated, SPEC, PATIENT)
    assert threading.active_count() == before + 1
    model.close()
    assert threading.active_count() == before
    assert model.process(frame(0)) is None
    model.close()


def test_on_start_runs_in_the_thread(gated):
    names = []
    model = DeadlineModel(
        gated, SPEC, PATIENT, on_start=lambda: names.append(threading.current_thread().name)
    )
    gated.gate.release()
    model.process(frame(0))
    model.close()
    assert names == ["model"]


def test_a_real_model_gives_the_same_bits_as_without_the_thread(tmp_path):
    path = write_model(tmp_path, SPEC)
    direct, beside = MaskNet(path, SPEC, "cpu"), MaskNet(path, SPEC, "cpu")
    model = DeadlineModel(beside, SPEC, PATIENT)
    rng = np.random.default_rng(0)
    for _ in range(30):
        spectra = rng.standard_normal((1, 2, SPEC.n_bins)).astype(np.complex64)
        np.testing.assert_array_equal(model.process(spectra), direct.process(spectra))
    assert model.last_step_s > 0.0
    model.close()
