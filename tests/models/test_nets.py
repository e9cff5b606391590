"""The band family in torch; skips itself without torch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import nets, spectra  # noqa: E402

HOPS = (128, 256, 512, 1024)
# What the family has: one matrix for all places, one each, and nets whose masks are averaged.
KINDS = {"plain": {}, "placed": {"placed": True}, "together": {"placed": True, "blocks": [2, 1]}}
each_kind = pytest.mark.parametrize("sizes", KINDS.values(), ids=KINDS)


def random_net(hop_length, **sizes):
    """A net that does more than its initial weights would."""
    torch.manual_seed(0)
    net = nets.made(hop_length, **({"channels": 8, "blocks": 2} | sizes)).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
        for block in blocks(net):  # some gates shut for good, some open for good
            d = block.channels
            block.time_in.bias[d : 2 * d] += torch.linspace(-30, 30, d)
    return net


def blocks(net):
    """All blocks of a net, or of nets together."""
    return [part for part in net.modules() if isinstance(part, nets.Block)]


def noise(b, t):
    draw = torch.Generator().manual_seed(1)
    return (
        torch.randn(b, t, 2, 1025, 2, generator=draw)
        * torch.logspace(-2, 1, t)[:, None, None, None]
    )


@each_kind
@pytest.mark.parametrize("hop_length", HOPS)
def test_steps_equal_the_whole_sequence(hop_length, sizes):
    net, mix = random_net(hop_length, **sizes), noise(2, 30)
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


@pytest.mark.parametrize("hop_length", [128, 512])
def test_masks_of_nets_together_are_the_mean_of_theirs(hop_length):
    both, mix = random_net(512, **KINDS["together"]), noise(2, 12)
    both.at_hop(hop_length)
    weights, masks = nets.apart(both.state_dict()), []
    for blocks, own in zip((2, 1), weights, strict=True):
        one = nets.BandNet(hop_length, channels=8, blocks=blocks, placed=True)
        one.load_state_dict(own)
        with torch.no_grad():
            masks.append(one(mix)[0])
    assert (masks[0] - masks[1]).abs().max() > 0.1
    with torch.no_grad():
        torch.testing.assert_close(both(mix)[0], torch.stack(masks).mean(0))


def test_nets_together_take_over_others_and_the_last_is_taken_over_by_one():
    both, mix = random_net(512, **KINDS["together"]), noise(1, 12)
    grown = nets.made(512, channels=8, placed=True, blocks=[3, 2])
    grown.inherit(both.state_dict())  # what they have more is silent
    one = nets.made(512, channels=8, placed=True, blocks=1)
    one.inherit(both.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(grown(mix)[0], both(mix)[0])
        torch.testing.assert_close(one(mix)[0], both.nets[1](mix)[0])
    with pytest.raises(ValueError, match=r"got the weights of one net, expected those of 2$"):
        both.inherit(one.state_dict())


@pytest.mark.parametrize(
    "blocks", [[1, 2], [{"channels": 8}, {"channels": 16}], [{"placed": False}, {}]], ids=str
)
def test_nets_that_differ_in_more_than_blocks_are_not_put_together(blocks):
    sizes = [x if isinstance(x, dict) else {"blocks": x} for x in blocks]
    made = [nets.BandNet(256, **({"blocks": 1, "placed": True} | x)) for x in sizes]
    with pytest.raises(ValueError, match=r"^Together: got .* expected the same sizes"):
        nets.Together(made)


def test_nets_of_two_hops_are_not_put_together():
    made = [nets.BandNet(hop, channels=8, blocks=1, placed=True) for hop in (128, 256)]
    with pytest.raises(ValueError, match=r"^Together: got hop lengths \[128, 256\], expected one$"):
        nets.Together(made)


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
