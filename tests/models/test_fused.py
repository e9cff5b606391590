"""The walks of models.fused against torch's own operations; skips itself without torch."""

import pytest

torch = pytest.importorskip("torch")

from models import fused, nets, train  # noqa: E402
from tests.models.test_nets import KINDS, blocks, random_net  # noqa: E402

BFLOAT = 2**-7  # two roundings of bfloat16
TYPES = pytest.mark.parametrize("low", [torch.bfloat16, torch.float32], ids=["bfloat16", "float32"])


def close(fast, exact, bound=None, low=torch.bfloat16):
    """Within `bound` of the largest number of the exact tensor."""
    bound = bound or (BFLOAT if low == torch.bfloat16 else 1e-5)
    error = (fast.detach().float() - exact.detach()).abs().max()
    assert error <= bound * exact.detach().abs().max(), float(error)


def leaf(*shape, low=torch.float32):
    return torch.randn(*shape).to(low).requires_grad_()


@TYPES
@pytest.mark.parametrize("squarings", [1, 0, -1, -2])
def test_remember_equals_the_recurrence_in_torch(squarings, low):
    torch.manual_seed(0)
    u, start = leaf(3, 20, 2, 3 * 16, low=low), torch.randn(3, 2, 16)
    weight = torch.randn(3, 20, 2, 16).to(low)
    y, last = fused.Remember.apply(u, start, squarings)
    (y * weight).float().sum().backward()

    exact = u.detach().float().requires_grad_()
    new, forget, gate = exact.transpose(0, 1).chunk(3, -1)
    keep = torch.exp(-(2.0**squarings) * torch.nn.functional.softplus(forget))
    memory = nets.scan(keep, (1 - keep) * new, start)
    slow = memory * torch.nn.functional.silu(gate)
    (slow.transpose(0, 1) * weight.float()).sum().backward()
    torch.testing.assert_close(last, memory[-1], atol=1e-5, rtol=1e-5)
    close(y, slow.transpose(0, 1), low=low)
    close(u.grad, exact.grad, low=low)


@TYPES
@pytest.mark.parametrize("addends", [0, 1, 2])
def test_add_norm_equals_sum_and_layer_norm(addends, low):
    torch.manual_seed(0)
    x, gain, offset = leaf(3, 10, 2, 16), leaf(3, 16), leaf(3, 16)
    added = [leaf(3, 10, 2, 16, low=low) for _ in range(addends)]
    total, u = fused.AddNorm.apply(x, *[*added, None, None][:2], gain, offset, low)
    a, b = torch.randn_like(total), torch.randn_like(total)
    ((total * a).sum() + (u.float() * b).sum()).backward()

    leaves = [y.detach().float().requires_grad_() for y in (x, gain, offset, *added)]
    slow = leaves[0] + sum(leaves[3:])
    norm = torch.nn.functional.layer_norm(slow, (16,)) * leaves[1][:, None, None]
    norm = norm + leaves[2][:, None, None]
    ((slow * a).sum() + (norm * b).sum()).backward()
    torch.testing.assert_close(total, slow)
    close(u, norm, low=low)
    for fast, exact in zip((x, gain, offset, *added), leaves, strict=True):
        close(fast.grad, exact.grad, low=low)


def test_losses_equal_those_in_plain_torch():
    """Of masks that sum to one, stems that are absent, and a mixture in which stems cancel."""
    torch.manual_seed(0)
    logits = (2 * torch.randn(2, 50, 12, 4, 2)).requires_grad_()
    stems = torch.randn(2, 50, 12, 4, 2, 6) * torch.tensor([1.0, 0.1, 0.0, 3.0])[:, None, None]
    stems[0, :5] = 0
    stems[1, 7, :, 0] = -stems[1, 7, :, 1:].sum(1)
    mix = stems.sum(3)
    numbers = stems.square().sum(-1), (stems * mix[:, :, :, None]).sum(-1), mix.square().sum(-1)
    found = []
    for errors in (None, fused.errors):
        parts, sdr = train.losses(torch.softmax(logits, 3), *numbers, errors)
        sum(w * x for w, x in zip((0.1, 4.0, 2.0), parts.values(), strict=True)).backward()
        found.append((*parts.values(), sdr, logits.grad.clone()))
        logits.grad = None
    for slow, fast in zip(*found, strict=True):
        close(fast, slow, 1e-5)


def test_relu_and_linear_equal_torch():
    torch.manual_seed(0)
    x, weight, bias = leaf(5, 7, 16, low=torch.bfloat16), leaf(8, 16), leaf(8)
    y = fused.Relu.apply(fused.Linear.apply(x, weight, bias))
    (y.float() ** 2).sum().backward()
    leaves = [v.detach().float().requires_grad_() for v in (x, weight, bias)]
    slow = torch.relu(torch.nn.functional.linear(*leaves))
    (slow**2).sum().backward()
    close(y, slow)
    for fast, exact in zip((x, weight, bias), leaves, strict=True):
        close(fast.grad, exact.grad, 2 * BFLOAT)


@TYPES
@pytest.mark.parametrize(
    ("hop_length", "kind"),
    [(256, "plain"), (512, "plain"), (512, "placed"), (512, "together"), (1024, "plain")],
)
def test_the_whole_net_equals_itself_in_plain_torch(hop_length, kind, low):
    net = random_net(hop_length, channels=16, **KINDS[kind])
    with torch.no_grad():  # gates that are far open or shut are not what training looks like
        for block in blocks(net):
            block.time_in.bias[16:32] = torch.linspace(-6, 3, 16)
    logs, state = 3 * torch.randn(2, 24, 4, 96) - 5, net.zero_state(2)
    gradients = []
    weight = torch.randn(2, 20, 96, 4, 2)
    for bands in (net.bands, lambda *given: fused.bands(net, *given, low)):
        net.zero_grad()
        masks, following = bands(logs, state, slice(4, None))
        (masks * weight).sum().backward()
        gradients.append(
            (masks, following, torch.cat([p.grad.flatten() for p in net.parameters()]))
        )
    (exact, states, slow), (masks, low_states, quick) = gradients
    rough = low == torch.bfloat16
    assert (masks - exact).abs().max() < (0.05 if rough else 1e-4)
    assert list(states) == list(low_states)
    for name, value in states.items():
        assert low_states[name].shape == value.shape
        close(low_states[name], value, 0.05 if rough else 1e-4)
    alike = torch.nn.functional.cosine_similarity(slow, quick, dim=0)
    assert alike > (0.995 if rough else 0.99999)
