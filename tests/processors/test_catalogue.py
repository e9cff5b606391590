"""What a name means: paths, families, defaults; in a wheel and in a checkout."""

from __future__ import annotations

import pytest

from stemd.errors import ModelError
from stemd.processors import catalogue
from stemd.processors.catalogue import DEFAULT_MODELS, find_model, find_models, released
from stemd.spec import PROFILES


@pytest.fixture
def shelves(tmp_path, monkeypatch):
    """The models folders of a wheel and of a checkout, with two families in the latter."""
    package = tmp_path / "stemd" / "processors"
    package.mkdir(parents=True)
    monkeypatch.setattr(catalogue, "__file__", str(package / "catalogue.py"))
    monkeypatch.setitem(DEFAULT_MODELS, "live", "oak_live")
    wheel, checkout = tmp_path / "stemd" / "models", tmp_path / "models"
    wheel.mkdir()
    checkout.mkdir()
    for name in ("oak_live", "oak_tight", "elm_live"):
        (checkout / f"{name}.onnx").touch()
    return wheel, checkout


def test_a_name_is_whole_or_a_family_or_default(shelves):
    _, checkout = shelves
    for name in ("oak_live", "oak", "default"):
        assert find_model(name, "live") == checkout / "oak_live.onnx"
    assert find_model("oak", "tight") == checkout / "oak_tight.onnx"
    assert find_model("elm", "live") == checkout / "elm_live.onnx"


def test_what_a_wheel_brings_comes_first(shelves):
    wheel, _ = shelves
    (wheel / "oak_live.onnx").touch()
    assert find_model("default", "live") == wheel / "oak_live.onnx"


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / "mine.onnx"
    with pytest.raises(ModelError, match=r"model: got no file .*mine\.onnx, expected an \.onnx"):
        find_model(path, "live")
    path.touch()
    assert find_model(path, "live") == find_model(str(path), "tight") == path


@pytest.mark.parametrize("name", ["birch", "elm"])  # the other is there for another profile
def test_an_unknown_name_is_answered_with_those_there_are(shelves, name):
    wanted = rf"model: got '{name}', expected a path or .*: elm_live, oak_live, oak_tight"
    with pytest.raises(ModelError, match=wanted):
        find_model(name, "tight")


def test_several_are_found_by_family_folder_and_file(shelves, tmp_path):
    _, checkout = shelves
    mine = tmp_path / "mine.onnx"
    mine.touch()

    def names(*asked):
        return [path.stem for path in find_models(asked)]

    assert names() == names(checkout) == ["elm_live", "oak_live", "oak_tight"]
    assert names("oak") == ["oak_tight", "oak_live"]
    assert names(mine, "elm_live", "oak", checkout) == [
        *("mine", "elm_live", "oak_tight", "oak_live")
    ]


@pytest.mark.parametrize("name", ["birch", "none.onnx", "stemd/models"])
def test_one_that_means_nothing_fails_them_all(shelves, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=r"model: got .*, expected "):
        find_models(["oak", name])


def test_there_is_a_default_for_every_profile_and_it_is_released():
    assert list(DEFAULT_MODELS) == list(PROFILES)
    assert set(DEFAULT_MODELS.values()) <= {path.stem for path in released()}
