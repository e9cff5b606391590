"""Where released models lie, and which one a name means.  Knows files and names, opens nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stemd.errors import ModelError
from stemd.spec import PROFILES

DEFAULT_MODELS = {
    "tight": "band_tight",
    "live": "band_live",
    "quality": "band_quality",
    "classic": "cnn_classic",
}
"""What the name `default` means for each profile: the best released model."""


def folders() -> tuple[Path, ...]:
    """Where names are looked for: in a wheel, in a checkout."""
    package = Path(__file__).resolve().parents[1]
    return package / "models", package.parent / "models"


def released() -> list[Path]:
    """All models there, by name."""
    names = {path.stem for folder in folders() for path in folder.glob("*.onnx")}
    return [path for name in sorted(names) if (path := _named(name))]


def find_model(name_or_path: str | Path, profile: str) -> Path:
    """Path of a model's .onnx file.

    Parameters
    ----------
    name_or_path : str or Path
        A path ending in .onnx; or a name in the models folder: `default`, a family such as `pi`
        (the profile is added) or a full name such as `pi_live`.
    profile : str
        A name in `spec.PROFILES`.

    Raises
    ------
    ModelError
        If there is no such file.
    """
    path = Path(name_or_path)
    if path.suffix == ".onnx":
        return _file(path)
    name = str(name_or_path)
    if name == "default":
        name = DEFAULT_MODELS.get(profile, f"default_{profile}")
    for candidate in (name, f"{name}_{profile}"):
        if found := _named(candidate):
            return found
    raise _unknown(name)


def find_models(names: Iterable[str | Path]) -> list[Path]:
    """Paths of all models that are meant, in the order asked for, each once.

    Parameters
    ----------
    names : of str or Path
        Each an .onnx file, a folder of such files, a full name, or a family (`pi` is every
        released `pi_<profile>`).  None at all: whatever is released.

    Raises
    ------
    ModelError
        If one of them means nothing.
    """
    found: list[Path] = []
    for name in names:
        meant = _meant(name)
        if not meant:
            raise _unknown(str(name))
        found += meant
    return list(dict.fromkeys(found or released()))


def _meant(name: str | Path) -> list[Path]:
    path = Path(name)
    if path.suffix == ".onnx":
        return [_file(path)]
    if path.is_dir():
        return sorted(path.glob("*.onnx"))
    candidates = [str(name), *(f"{name}_{profile}" for profile in PROFILES)]
    return [found for candidate in candidates if (found := _named(candidate))]


def _named(name: str) -> Path | None:
    paths = (folder / f"{name}.onnx" for folder in folders())
    return next((path for path in paths if path.is_file()), None)


def _file(path: Path) -> Path:
    if path.is_file():
        return path
    raise ModelError(f"model: got no file {path}, expected an .onnx file")


def _unknown(name: str) -> ModelError:
    names = ", ".join(path.stem for path in released())
    places = " or ".join(str(folder) for folder in folders())
    return ModelError(
        f"model: got {name!r}, "
        f"expected a path or the name of a model in {places}: {names or 'none'}"
    )
