"""What `stemd listen` makes of blocks that are not the stream's."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stemd.errors import DeviceError
from stemd.listener import Listener

from .sinks.support import SPEC


def listener(n: int, filled: bool, samplerate: int = SPEC.samplerate) -> Any:
    """One whose next block has `n` samples, and whose device takes nothing."""
    block = SimpleNamespace(
        samplerate=samplerate, stems=np.zeros((4, 2, n), np.float32), mix=None, filled=filled
    )
    one: Any = Listener.__new__(Listener)
    one._client = SimpleNamespace(read_block=lambda timeout_s: block)
    one.device = SimpleNamespace(check=lambda: None)
    one._spec, one.skipped = SPEC, 0
    return one


def test_the_end_of_a_short_gap_is_passed_over():
    one = listener(100, filled=True)
    assert one.step(1.0)
    assert one.skipped == 100


@pytest.mark.parametrize(
    ("stream", "said"),
    [({"n": 2 * SPEC.hop_length}, "hops of 512"), ({"n": 256, "samplerate": 44_100}, "44100 Hz")],
)
def test_another_stream_ends_it_with_a_sentence(stream, said):
    """A supervisor starts it again; silence for ever would tell nobody."""
    with pytest.raises(DeviceError, match=f"{said}.*start it again"):
        listener(**stream, filled=False).step(1.0)
