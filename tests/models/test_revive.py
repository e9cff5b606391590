"""Released files as weights again; skips itself without torch."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models import export, mean, revive, train  # noqa: E402
from models.graph import noise_frames, stepped  # noqa: E402
from models.nets import BandNet, load  # noqa: E402
from tests.models.test_nets import random_net  # noqa: E402

FOLDER = Path(revive.__file__).parent
RELEASED = sorted([*FOLDER.glob("band_*.onnx"), *FOLDER.glob("pi_*.onnx")])


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_a_released_file_is_its_net_again(path):
    weights, sizes, hop = revive.released(path)
    net = revive.loaded(hop, weights, sizes)
    assert revive.check(path, net) < 1e-4


def test_a_wider_net_computes_the_same_and_learns_apart():
    small = random_net(512, tokens=6, whole=16, reduced=2)
    weights, sizes = revive.widened(small.state_dict(), small.sizes, 16, 9, whole=24, reduced=3)
    wide = BandNet(512, **sizes)
    wide.load_state_dict(weights)
    mix = torch.from_numpy(noise_frames(20, 2, 1025)).transpose(0, 1)
    masks, _ = wide(mix)
    with torch.no_grad():
        torch.testing.assert_close(masks, small(mix)[0], atol=1e-4, rtol=0)
    (masks * torch.randn_like(masks)).sum().backward()
    one, other = wide.embed.weight.grad.chunk(2)
    assert (one - other).abs().max() > 0.1 * one.abs().max()


def test_a_wider_net_keeps_a_matrix_for_each_place_and_learns_apart():
    small = random_net(256, placed=True)
    weights, sizes = revive.widened(small.state_dict(), small.sizes, 16, 64, 128, 4)
    wide = BandNet(256, **sizes)
    wide.load_state_dict(weights)
    _, masks = revive.masks_of(wide)
    np.testing.assert_allclose(masks, revive.masks_of(small)[1], atol=1e-4)
    mix = torch.from_numpy(noise_frames(5, 1, 1025)).transpose(0, 1)
    masks, _ = wide(mix)
    (masks * torch.randn_like(masks)).sum().backward()
    one, other = wide.embed.weight.grad.chunk(2, dim=2)
    assert (one - other).abs().max() > 0.1 * one.abs().max()


def test_a_net_with_a_matrix_for_each_place_computes_the_same_and_is_revived(tmp_path):
    small = random_net(256)
    weights, sizes = revive.with_places(small.state_dict(), small.sizes)
    apart = BandNet(256, **sizes).eval()
    apart.load_state_dict(weights)
    mix = torch.from_numpy(noise_frames(20, 2, 1025)).transpose(0, 1)
    with torch.no_grad():
        torch.testing.assert_close(apart(mix)[0], small(mix)[0], atol=1e-4, rtol=0)
        for p in (apart.embed.weight, apart.head_out.weight, apart.head_out.bias):
            p.add_(0.1 * torch.randn_like(p))  # and now each is itself
    (tmp_path / "run").mkdir()
    facts = {"hop_length": 256, "net": sizes, "steps": 0, "seed": 1, "date": "", "stages": []}
    torch.save({"net": apart.state_dict(), "facts": facts}, tmp_path / "run" / "ema.pt")
    path = tmp_path / "apart_live.onnx"
    assert export.export(tmp_path / "run", path)[0] < 1e-4
    weights, sizes, hop = revive.released(path)
    assert sizes == apart.sizes
    again = BandNet(hop, **sizes).eval()
    again.load_state_dict(weights)
    assert revive.check(path, again) < 1e-4


@pytest.mark.parametrize("hop_length", [128, 512])
def test_nets_side_by_side_are_one_file_and_revived_from_it(hop_length, tmp_path, monkeypatch):
    made_, runs = [], []
    for i, blocks in enumerate((2, 1)):
        net = random_net(hop_length, blocks=blocks, placed=True)
        facts = {"steps": 7, "minutes": 1.0, "hours_of_audio": 2.0, "seed": i, "date": "2026-01-01"}
        facts |= {"hop_length": hop_length, "net": net.sizes, "machine": "one", "stages": []}
        facts |= {"before": [{"seed": 9, "steps": 5, "hours_of_audio": 1.0}]}  # both had that
        runs.append(tmp_path / str(i))
        runs[-1].mkdir()
        torch.save({"net": net.state_dict(), "facts": facts}, runs[-1] / "ema.pt")
        made_.append(net)
    both = tmp_path / "both"
    argv = ["mean", "--masks", "--runs", *map(str, runs), "--out", str(both)]
    monkeypatch.setattr("sys.argv", argv)
    mean.main()
    path = tmp_path / "two_tight.onnx"
    assert export.export(both, path)[0] < 1e-4
    facts = json.loads(path.with_suffix(".json").read_text())
    training = facts["training"]
    assert (training["nets"], training["steps"], training["hours_of_audio"]) == (2, 19, 5.0)
    assert [run["seed"] for run in training["runs"]] == [9, 0, 1]
    shapes = {state["name"]: tuple(state["shape"]) for state in facts["states"]}
    frames = noise_frames(20, 1, 1025)
    with torch.no_grad():
        apart = [net(torch.from_numpy(frames).transpose(0, 1))[0] for net in made_]
    mean_masks = torch.stack(apart).mean(0).transpose(0, 1)
    np.testing.assert_allclose(stepped(path, shapes, frames), mean_masks, atol=1e-4)
    weights, sizes, hop = revive.released(path)
    assert (sizes["blocks"], hop) == ([2, 1], hop_length)
    again = revive.loaded(hop, weights, sizes)
    assert revive.check(path, again) < 1e-4
    with pytest.raises(ValueError, match=r"got nets of \[2, 1\] blocks, expected one net$"):
        revive.widened(weights, sizes, 16, 64, 128, 4)
    facts["training"]["nets"] = 3
    path.with_suffix(".json").write_text(json.dumps(facts))
    with pytest.raises(ValueError, match=r"got 3 nets one after the other, expected them side"):
        revive.released(path)
    # as any other run, they have a mean with another
    argv = ["mean", "--runs", str(both), str(both), "--logits", "0.5", "--out", str(tmp_path / "m")]
    monkeypatch.setattr("sys.argv", argv)
    mean.main()
    net, _ = load(tmp_path / "m")
    torch.testing.assert_close(net.nets[1].head_out.bias, made_[1].head_out.bias / 2)


def test_one_of_several_nets_is_revived_alone_and_wider(tmp_path, monkeypatch):
    for which in "0", "1":
        run = tmp_path / which
        argv = ["revive", "band_live", "--net", which, "--channels", "96", "--out", str(run)]
        monkeypatch.setattr("sys.argv", argv)
        revive.main()
        net, facts = load(run)
        assert (net.sizes["channels"], net.sizes["blocks"]) == (96, 2 - int(which))
        weights, sizes, hop = revive.released(FOLDER / "band_live.onnx")
        whole = revive.loaded(hop, weights, sizes)
        of_one = revive.masks_of(whole.nets[int(which)])[1]
        np.testing.assert_allclose(revive.masks_of(net)[1], of_one, atol=1e-4)
        assert facts["before"]  # what it learned elsewhere is told
    for name, which, given in (("band_live", "2", "2 of 2"), ("pi_live", "0", "0 of 1")):
        monkeypatch.setattr("sys.argv", ["revive", name, "--net", which, "--out", str(tmp_path)])
        with pytest.raises(SystemExit, match=f"--net: got {given}, expected one of several"):
            revive.main()


def test_a_net_cannot_shrink():
    small = random_net(512)
    with pytest.raises(ValueError, match="got 12 channels"):
        revive.widened(small.state_dict(), small.sizes, 12, 64, 128, 4)


def test_a_revived_run_can_be_exported_and_started_from(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.argv", ["revive", "band_tight", "--out", str(tmp_path / "run")])
    revive.main()
    worst, _ = export.export(tmp_path / "run", tmp_path / "again_tight.onnx")
    assert worst < 1e-4
    sizes = {"channels": 48, "blocks": 2, "placed": True}
    settings = train.DEFAULTS | {"stages": [{"hop_length": 512, "steps": 1}], "net": sizes}
    run = train.Run(settings, tmp_path / "next", torch.device("cpu"))
    run.start_from(tmp_path / "run" / "ema.pt")
    assert run.settings["started_from"]["before"]
