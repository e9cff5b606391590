"""After warm-up a hop allocates no arrays, compiles nothing and starts no thread."""

import ctypes
import gc
import threading
import tracemalloc

import numpy as np
import pytest

from stemd.kernels.jit import KERNELS
from stemd.processors.deadline import DeadlineModel
from stemd.processors.features import Features
from stemd.processors.masknet import MaskNet
from stemd.processors.mixer import Mixer
from stemd.processors.separator import HopSeparator
from stemd.spec import N_FEATURES, PROFILES, SOURCES

from .support import spec_of, write_model

WARM_UP, MEASURED = 40, 60
MALLINFO2 = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
    *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class HotPath:
    """One hop as the separate role runs it."""

    def __init__(self, spec, model):
        self.separator = HopSeparator(spec, model)
        self.features = Features(spec)
        self.mixer = Mixer(spec)
        rng = np.random.default_rng(0)
        shape = (spec.n_feeds, 2, spec.hop_length)
        self.hops = [(0.1 * rng.standard_normal(shape)).astype(np.float32) for _ in range(8)]
        for hop in self.hops[::4]:
            hop[:, :, 40] = 0.9  # onsets among them
        self.stems = np.zeros((spec.n_feeds, 4, 2, spec.hop_length), np.float32)
        self.mix = np.zeros(shape, np.float32)
        self.out = np.zeros((spec.n_feeds, len(SOURCES), N_FEATURES), np.float32)

    def run(self, hops):
        for k in range(hops):
            self.separator.process(self.hops[k % 8], self.stems, self.mix)
            self.features.process(self.separator, self.mix, self.stems, self.out)
            self.mixer.process(self.stems)


@pytest.fixture(params=PROFILES)
def spec(request):
    return spec_of(request.param, n_feeds=2)


def test_a_hop_allocates_no_arrays(spec, tmp_path):
    path = HotPath(spec, MaskNet(write_model(tmp_path, spec), spec, "cpu"))
    path.run(WARM_UP)
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        path.run(8)
        before = tracemalloc.take_snapshot()
        tracemalloc.reset_peak()
        held, _ = tracemalloc.get_traced_memory()
        path.run(MEASURED)
        after, peak = tracemalloc.get_traced_memory()
        snapshot = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
        gc.enable()
    numpy_only = [tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)]
    old = {t.traceback: t.size for t in before.filter_traces(numpy_only).traces}
    new = {t.traceback: t.size for t in snapshot.filter_traces(numpy_only).traces}
    assert sum(new.values()) <= sum(old.values())
    # views and small integers come and go; the smallest array of a hop has 1 kB
    assert peak - held < 16 * 1024
    assert after - held < 4 * 1024


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_the_transforms_scratch_is_given_back():
    """rocket-fft takes scratch from malloc in each call: 8 rows of the transform, then frees it."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("no mallinfo2 in this C library")

    class Info(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in MALLINFO2]

    libc.mallinfo2.restype = Info
    path = HotPath(spec_of("live"), None)
    path.run(WARM_UP)
    gc.collect()
    before = libc.mallinfo2()
    path.run(500)
    after = libc.mallinfo2()
    assert after.uordblks - before.uordblks < 64 * 1024
    assert after.arena + after.hblkhd - before.arena - before.hblkhd <= 256 * 1024


def test_a_hop_compiles_nothing(spec, tmp_path):
    path = HotPath(spec, MaskNet(write_model(tmp_path, spec), spec, "cpu"))
    path.run(WARM_UP)
    assert all(len(kernel.signatures) == 1 for kernel in KERNELS)
    assert all(not kernel._can_compile for kernel in KERNELS)


def test_threads_come_and_go_with_the_deadline_model(spec, tmp_path):
    before = threading.active_count()
    net = MaskNet(write_model(tmp_path, spec), spec, "cpu")
    model = DeadlineModel(net, spec, 1.0)
    path = HotPath(spec, model)
    path.run(WARM_UP)
    assert threading.active_count() == before + 1
    assert model.late == 0
    model.close()
    assert threading.active_count() == before


def test_records_of_a_shared_outbox_are_accepted(spec):
    """The role hands over fields of a structured record; their layout must fit the kernels."""
    dtype = np.dtype(
        [
            ("flags", "<u4"),
            ("stems", "<f4", (2, 4, 2, spec.hop_length)),
            ("mix", "<f4", (2, 2, spec.hop_length)),
            ("features", "<f4", (2, len(SOURCES), N_FEATURES)),
        ]
    )
    record = np.zeros(3, dtype)[1]
    path = HotPath(spec, None)
    path.stems, path.mix, path.out = record["stems"], record["mix"], record["features"]
    path.run(WARM_UP)
    assert record["stems"][:, 3].any()
