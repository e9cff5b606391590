"""A model's .json: what is written there, checked completely before anyone relies on it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stemd.errors import ModelError
from stemd.spec import N_CHANNELS, PROFILES, STEMS, StreamSpec

CONTRACT = 1
SELFTEST_FRAMES = 8
SELFTEST_BINS = 64  # every 64th bin is stored
MOST_MASK = 1e6  # of a self-test: far beyond what a mask is, and still a number to subtract from
MOST_STATE = 1 << 24  # values of all states of a feed; released models have thousands
MAX_RANK = 8
SHOWN_CHARACTERS = 120  # of a wrong value; the rest of a long one tells nobody anything

_JSON_TYPES: dict[str, type] = {
    "contract": int,
    "name": str,
    "n_fft": int,
    "hop_length": int,
    "window": str,
    "channels": int,
    "stems": list,
    "masks": str,
    "states": list,
    "lookahead_frames": int,
    "samplerates": list,
    "sha256": str,
    "training": dict,
    "scores": dict,
    "license": str,
    "selftest": dict,
}
_TRAINING_FIELDS = ("data", "hours_of_audio", "steps", "seed", "date")


def read_card(path: Path, spec: StreamSpec) -> dict[str, Any]:
    """Load and check `name.json` against the file it belongs to and the stream it shall serve."""
    card = load_card(path)
    check_stream(path, card, spec)
    check_digest(path, card)
    return card


def load_card(path: Path) -> dict[str, Any]:
    """The .json beside an .onnx file, every field of it there and possible.

    Raises
    ------
    ModelError
        Naming the first field that is not.
    """
    card_path = path.with_suffix(".json")
    try:
        text = card_path.read_text("utf-8")
    except OSError as error:
        raise ModelError(f"{card_path}: got no readable file, expected the model's card") from error
    except UnicodeDecodeError as error:
        raise ModelError(f"{card_path}: got {error}, expected UTF-8") from error
    try:
        card = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{card_path}: got {error}, expected JSON") from error
    where = card_path.name
    if not isinstance(card, dict):
        raise ModelError(f"{where}: got {type(card).__name__}, expected an object")
    for field, kind in _JSON_TYPES.items():
        if field not in card:
            raise ModelError(f"{where}.{field}: got nothing, expected {kind.__name__}")
        # bool is an int to Python, not to us
        if type(card[field]) is not kind:
            got = _shown(card[field])
            raise ModelError(f"{where}.{field}: got {got}, expected {kind.__name__}")
    _expect(where, card, "contract", CONTRACT)
    _expect(where, card, "name", path.stem)
    _expect(where, card, "channels", N_CHANNELS)
    _expect(where, card, "stems", list(STEMS))
    if card["masks"] not in ("real", "complex"):
        got = _shown(card["masks"])
        raise ModelError(f"{where}.masks: got {got}, expected 'real' or 'complex'")
    rates = card["samplerates"]
    if not rates or not all(type(rate) is int and rate > 0 for rate in rates):
        got = _shown(rates)
        raise ModelError(f"{where}.samplerates: got {got}, expected a list of rates in Hz")
    _check_states(where, card["states"])
    for field in _TRAINING_FIELDS:
        if field not in card["training"]:
            raise ModelError(f"{where}.training.{field}: got nothing, expected a value")
    if not card["license"]:
        raise ModelError(f"{where}.license: got nothing, expected a licence")
    _check_selftest(where, card["selftest"])
    return card


def check_stream(path: Path, card: dict[str, Any], spec: StreamSpec) -> None:
    """Whether the model was made for this stream.  Raises ModelError."""
    where = path.with_suffix(".json").name
    _expect(where, card, "n_fft", spec.n_fft)
    _expect(where, card, "hop_length", spec.hop_length)
    _expect(where, card, "window", spec.window)
    _expect(where, card, "lookahead_frames", spec.lookahead_hops)
    if spec.samplerate not in card["samplerates"]:
        raise ModelError(
            f"{where}.samplerates: got {_shown(card['samplerates'])}, "
            f"expected {spec.samplerate} among them"
        )


def check_digest(path: Path, card: dict[str, Any]) -> None:
    """Whether the .onnx file is the very one the card describes.  Raises ModelError."""
    where, digest = path.with_suffix(".json").name, digest_of(path)
    if card["sha256"] != digest:
        raise ModelError(
            f"{where}.sha256: got {_shown(card['sha256'])}, expected {digest!r} of {path.name}"
        )


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.  Raises ModelError if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ModelError(f"{path}: got no readable file, expected the model") from error


def profile_of(path: Path, card: dict[str, Any]) -> str:
    """Name of the profile a model was made for.

    Raises
    ------
    ModelError
        If there is no such profile: the daemon would never run it.
    """
    got = (card["n_fft"], card["hop_length"], card["window"])
    for name, p in PROFILES.items():
        if got == (p.n_fft, p.hop_length, p.window):
            return name
    known = ", ".join(f"{p.n_fft} {p.hop_length} {p.window!r} ({n})" for n, p in PROFILES.items())
    shown = " ".join(map(_shown, got))
    raise ModelError(
        f"{path.with_suffix('.json').name}: got n_fft, hop_length, window {shown}, "
        f"expected one of {known}"
    )


def _expect(where: str, card: dict[str, Any], field: str, wanted: object) -> None:
    if card[field] != wanted:
        raise ModelError(f"{where}.{field}: got {_shown(card[field])}, expected {wanted!r}")


def _shown(value: object) -> str:
    """A wrong value, short enough for a sentence."""
    shown = repr(value)
    return shown if len(shown) <= SHOWN_CHARACTERS else shown[:SHOWN_CHARACTERS] + "…"


def _check_states(where: str, states: list[Any]) -> None:
    names = {"mix"}  # which is what every model is given
    values = 0
    for index, state in enumerate(states):
        at = f"{where}.states[{index}]"
        if not isinstance(state, dict) or type(state.get("name")) is not str:
            raise ModelError(f"{at}: got {_shown(state)}, expected an object with name and shape")
        shape = state.get("shape")
        if not isinstance(shape, list) or not all(type(n) is int and n > 0 for n in shape):
            got = _shown(shape)
            raise ModelError(f"{at}.shape: got {got}, expected a list of positive integers")
        if len(shape) > MAX_RANK:
            raise ModelError(f"{at}.shape: got {len(shape)} axes, expected {MAX_RANK} at most")
        values += math.prod(shape)
        if values > MOST_STATE:
            raise ModelError(f"{at}.shape: got {_shown(shape)}, expected {MOST_STATE} values "
                             "at most of all states")  # fmt: skip
        if state["name"] in names:
            got = _shown(state["name"])
            raise ModelError(f"{at}.name: got {got} twice, expected different names")
        names.add(state["name"])


def _check_selftest(where: str, selftest: dict[str, Any]) -> None:
    if selftest.get("frames") != SELFTEST_FRAMES:
        raise ModelError(
            f"{where}.selftest.frames: got {_shown(selftest.get('frames'))}, "
            f"expected {SELFTEST_FRAMES}"
        )
    masks = selftest.get("masks")
    if not isinstance(masks, list) or not all(type(m) in (int, float) for m in masks):
        raise ModelError(f"{where}.selftest.masks: got {type(masks).__name__}, expected numbers")
    if not all(-MOST_MASK <= m <= MOST_MASK for m in masks):  # also refuses nan
        raise ModelError(f"{where}.selftest.masks: got no mask, expected numbers around 0 and 1")


def selftest_input(shape: tuple[int, ...], step: int) -> npt.NDArray[np.float32]:
    """The spectrum of one self-test step, the same in each slot.

    shape : (b, c, f, 2)
    step : 0 ... SELFTEST_FRAMES - 1
    """
    _, n_channels, n_bins, _ = shape
    c = np.arange(n_channels)[:, None, None]
    f = np.arange(n_bins)[None, :, None]
    i = np.arange(2)[None, None, :]
    phase = 0.37 * (step + 1) * (c + 1) + 0.011 * f * f / (c + 1) + i * np.pi / 2
    frame = (20.0 / (1.0 + f / 32.0) * np.sin(phase)).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(frame, shape))
