"""The band family in torch; skips itself without torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import nets, spectra  # noqa: E402

HOPS = (128, 256, 512, 1024)


def random_net(hop_length, **sizes):
    """A net that does more than its initial weights would."""
    torch.manual_seed(0)
    net = nets.BandNet(hop_length, **({"channels": 8, "blocks": 2} | sizes)).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for block in net.blocks:  # some gates shut for good, some open for good
            block.time_in.bias[net.channels : 2 * net.channels] += torch.linspace(
                -30, 30, net.channels
            )
    return net


def noise(b, t):
    draw = torch.Generator().manual_seed(1)
    return (
        torch.randn(b, t, 2, 1025, 2, generator=draw)
        * torch.logspace(-2, 1, t)[:, None, None, None]
    )


@pytest.mark.parametrize("placed", [False, True])
@pytest.mark.parametrize("hop_length", HOPS)
def test_steps_equal_the_whole_sequence(hop_length, placed):
    net, mix = random_net(hop_length, placed=placed), noise(2, 30)
    with torch.no_grad():
        whole, last = net(mix)
        state = net.zero_state(2)
        for t in range(30):
            masks, state = net.step(mix[:, t], state)
            torch.testing.assert_close(masks, whole[:, t], atol=1e-5, rtol=0)
    for name, value in last.items():
        torch.testing.assert_close(state[name], value, atol=1e-4, rtol=1e-4)


def test_a_net_that_grew_a_block_begins_as_the_one_it_grew_from():
    small, mix = random_net(512), noise(1, 12)
    grown = nets.BandNet(512, channels=8, blocks=3)
    grown.inherit(small.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(grown(mix)[0], small(mix)[0])
    again = random_net(512, blocks=1)
    again.inherit(grown.state_dict())  # and loses what it has no place for
    torch.testing.assert_close(again.blocks[0].time_in.weight, small.blocks[0].time_in.weight)


@pytest.mark.parametrize("placed", [False, True])
def test_a_net_that_shrinks_keeps_the_units_that_matter(placed):
    """Here those left behind are heard by nobody, and so nothing changes."""
    wide, mix = random_net(512, placed=placed, tokens=9, whole=7), noise(1, 12)
    with torch.no_grad():
        for block in wide.blocks:
            block.bands_out.weight[:, [0, 5, 8]] *= 0
            block.whole_out.weight[:, [2, 6]] *= 0
    narrow = random_net(512, placed=placed, tokens=6, whole=5)
    narrow.inherit(wide.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(narrow(mix)[0], wide(mix)[0])


def test_no_future_frame_influences_a_mask():
    net, mix = random_net(256), noise(1, 20)
    with torch.no_grad():
        before, _ = net(mix)
        mix[:, 12:] *= -30
        after, _ = net(mix)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.equal(before[:, 12:], after[:, 12:])


def test_masks_sum_to_one_and_do_not_depend_on_gain():
    net, mix = random_net(512), noise(1, 20)
    with torch.no_grad():
        masks, _ = net(mix)
        louder, _ = net(8 * mix)
    torch.testing.assert_close(masks.sum(2), torch.ones_like(masks[:, :, 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(masks, louder, atol=1e-2, rtol=0)


def test_a_decay_reaches_as_far_in_seconds_at_every_hop():
    """With the same input all the time, four frames of hop 128 move as far as one of 512."""
    u = torch.randn(1, 1, nets.N_TOKENS, 24, generator=torch.Generator().manual_seed(2))
    start = torch.ones(1, nets.N_TOKENS, 8)
    ends = []
    for hop_length in (128, 256, 512):
        block = random_net(hop_length).blocks[0]
        with torch.no_grad():
            _, memory = block._remember(u.expand(512 // hop_length, -1, -1, -1), start)
        ends.append(memory)
    torch.testing.assert_close(ends[0], ends[2], atol=1e-5, rtol=0)
    torch.testing.assert_close(ends[1], ends[2], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", [nets._Walk, nets._Doubling])
@pytest.mark.parametrize("n_frames", [1, 2, 37])
def test_scans_are_the_loop_they_replace_and_have_its_gradient(kind, n_frames):
    draw = torch.Generator().manual_seed(0)
    shape = (n_frames, 2, 3)
    keep = torch.rand(shape, generator=draw, dtype=torch.double, requires_grad=True)
    new = torch.randn(shape, generator=draw, dtype=torch.double, requires_grad=True)
    start = torch.randn(shape[1:], generator=draw, dtype=torch.double, requires_grad=True)
    h, expected = start, []
    for t in range(n_frames):
        h = keep[t] * h + new[t]
        expected.append(h)
    torch.testing.assert_close(kind.apply(keep, new, start), torch.stack(expected))
    assert torch.autograd.gradcheck(kind.apply, (keep, new, start))


@pytest.mark.parametrize("placed", [False, True])
def test_multiplications_are_those_torch_counts(placed):
    from torch.utils.flop_counter import FlopCounterMode

    net = random_net(256, channels=16, placed=placed)
    logs, state = torch.zeros(1, 1, 4, nets.N_BANDS), net.zero_state(1)
    with FlopCounterMode(display=False) as counted:
        net.bands(logs, state)
    assert counted.get_total_flops() == 2 * net.macs()


@pytest.mark.parametrize("profile", spectra.PROFILES)
def test_windows_are_those_of_the_daemon(profile):
    from stemd import spec
    from stemd.kernels.window import window_pair

    n_fft, hop_length, window = spectra.PROFILES[profile]
    ours = spectra.asymmetric_window(n_fft, hop_length)
    np.testing.assert_allclose(ours, window_pair(n_fft, hop_length)[0], atol=1e-6)
    theirs = spec.PROFILES[profile]
    assert (theirs.n_fft, theirs.hop_length, theirs.window) == (n_fft, hop_length, window)


def test_every_bin_gets_a_whole_mask_and_every_band_a_bin():
    np.testing.assert_allclose(spectra.interpolation().sum(0), 1, atol=1e-12)
    assert (spectra.filterbank().sum(1) > 0).all()
    np.testing.assert_array_equal(spectra.filterbank().sum(0), 1)
