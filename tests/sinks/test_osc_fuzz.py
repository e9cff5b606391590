"""A short run of the fuzz; the long one is benchmarks/osc_fuzz.py."""

from .fuzz import Fuzz


def test_wrong_packets_are_counted_and_change_nothing_for_the_worse():
    fuzz = Fuzz(1)
    fuzz.run(20_000)
    fuzz.check()
    assert fuzz.wrong > 4000
    assert fuzz.replies > 300
    assert fuzz.obeys()
    fuzz.close()
