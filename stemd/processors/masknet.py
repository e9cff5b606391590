"""The model: checked completely at the door, then one call per hop for all feeds."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from stemd.errors import ModelError
from stemd.kernels.denormals import denormals_are_flushed, flush_denormals
from stemd.processors.modelcard import SELFTEST_BINS, SELFTEST_FRAMES, read_card, selftest_input
from stemd.processors.stft import Complex64Array, Float32Array
from stemd.spec import N_CHANNELS, N_STEMS, StreamSpec

SELFTEST_TOLERANCE = 2e-3  # ten times what float32 in another order gives after eight frames
WARM_UP = 16  # runs after the self-test; the first few plan memory
PLANNING = 3  # runs of each batch size of a `SlotNet`, for the same reason
STATE_MAGIC = b"stemd state 1\n"


class MaskNet:
    """One model for n_feeds feeds on one execution provider; the states stay where it runs.

    Parameters
    ----------
    path : Path
        The .onnx file; the .json of the same name lies beside it.
    spec : StreamSpec
        What the model must have been made for; `n_feeds` is the number of slots.
    provider : "auto", "cpu" or "cuda"
        `auto` is CUDA where it works, else the CPU; read `provider` to learn which.
    card : dict or None
        Believed instead of the .json and its check; for tools that make or examine cards.  Only a
        card with a `selftest` is put to it.

    Attributes
    ----------
    name : str
    provider : "cpu" or "cuda"
    complex_masks : bool
        Whether masks have a last axis of (re, im).

    Raises
    ------
    ModelError
        From the constructor, naming the field; or if the provider computes something else than the
        model's stored self-test. From `import_state`. `process` raises what the runtime raises.

    Process:  the separate role, offline use.
    """

    latency = 0

    def __init__(
        self,
        path: str | Path,
        spec: StreamSpec,
        provider: str = "auto",
        card: dict[str, Any] | None = None,
    ) -> None:
        path = Path(path)
        if card is None:
            card = read_card(path, spec)
        self.name: str = card["name"]
        self.complex_masks: bool = card["masks"] == "complex"
        self._digest = bytes.fromhex(card["sha256"])
        self._session, self.provider = _open_session(path, provider)
        state_shapes = {s["name"]: (spec.n_feeds, *s["shape"]) for s in card["states"]}
        mask_shape: tuple[int, ...] = (spec.n_feeds, N_STEMS, N_CHANNELS, spec.n_bins)
        if self.complex_masks:
            mask_shape = (*mask_shape, 2)
        mix_shape = (spec.n_feeds, N_CHANNELS, spec.n_bins, 2)
        _check_graph(path.name, self._session, mix_shape, mask_shape, state_shapes)

        device = self.provider
        self._mix = np.zeros(mix_shape, np.float32)
        self._mix_spectra = self._mix.reshape(*mix_shape[:-2], -1).view(np.complex64)
        self._mix_value = ort.OrtValue.ortvalue_from_numpy(self._mix, device, 0)
        self._masks = np.zeros(mask_shape, np.float32)
        self._masks_value = ort.OrtValue.ortvalue_from_numpy(self._masks, "cpu", 0)
        # two sets of states: a run reads one and writes the other
        zeros = [[np.zeros(shape, np.float32) for shape in state_shapes.values()] for _ in "ab"]
        self._states = [
            [ort.OrtValue.ortvalue_from_numpy(state, device, 0) for state in turn] for turn in zeros
        ]
        self._host_states = zeros  # on the CPU the very memory of `_states`, else only kept zeros
        self._state_names = list(state_shapes)
        self._bindings = [self._bind(self._state_names, turn) for turn in (0, 1)]
        self._turn = 0  # which set the next run reads
        self.selftest_masks()  # what loads may still not run
        if "selftest" in card:
            self.self_test(card["selftest"])
        for _ in range(WARM_UP):
            self.process(self._mix_spectra)
        self.reset()

    def process(self, spectra: Complex64Array, deadline: float | None = None) -> Float32Array:
        """Masks of the newest frame.

        Parameters
        ----------
        spectra : (b, c, f) complex64
            Not modified.
        deadline : ignored
            We are always in time; see `DeadlineModel`.

        Returns
        -------
        masks : (b, s, c, f) float32, or (b, s, c, f, 2) if `complex_masks`
            Ours; overwritten by the next call.
        """
        np.copyto(self._mix_spectra, spectra)
        if self.provider == "cuda":
            self._mix_value.update_inplace(self._mix)
        self._session.run_with_iobinding(self._bindings[self._turn])
        self._turn ^= 1
        return self._masks

    def self_test(self, selftest: dict[str, Any]) -> float:
        """Refuse a runtime that computes something else than the trainer did, in any slot.

        Parameters
        ----------
        selftest : dict
            `masks` as the card stores them.

        Returns
        -------
        worst : float
            Largest difference to them.  The states are left as after a reset.

        Raises
        ------
        ModelError
            If it is above `SELFTEST_TOLERANCE`.
        """
        stored = np.asarray(selftest["masks"], np.float64)
        got = self.selftest_masks()
        if stored.shape != got.shape[1:]:
            raise ModelError(
                f"{self.name}.json.selftest.masks: got {stored.size} values, "
                f"expected {got.shape[1]}"
            )
        worst = float(np.max(np.abs(got - stored)))
        if not worst <= SELFTEST_TOLERANCE:
            raise ModelError(
                f"{self.name}.onnx on {self.provider}: got masks {worst:.2g} off the stored "
                f"self-test, expected at most {SELFTEST_TOLERANCE}"
            )
        return worst

    def selftest_masks(self) -> Float32Array:
        """What a card stores: every 64th bin of the masks after the self-test's input, (b, n)."""
        self.reset()
        try:
            for step in range(SELFTEST_FRAMES):
                masks = self.process(
                    selftest_input(self._mix.shape, step).view(np.complex64)[..., 0]
                )
        except Exception as error:  # the runtime's own classes differ between versions
            raise ModelError(
                f"{self.name}.onnx on {self.provider}: got {error}, expected a graph that runs"
            ) from error
        got = masks[:, :, :, ::SELFTEST_BINS].reshape(masks.shape[0], -1).copy()
        self.reset()
        return got

    def reset(self, slot: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""
        which = slice(None) if slot is None else slot
        for index in range(len(self._states[0])):
            state = self._state(index)
            state[which] = 0.0
            self._set_state(index, state)

    def export_state(self, slot: int) -> bytes:
        """One feed's state, for `import_state` of the same model on any provider, bit-exact."""
        rows = [self._state(index)[slot] for index in range(len(self._states[0]))]
        return STATE_MAGIC + self._digest + b"".join(row.astype("<f4").tobytes() for row in rows)

    def import_state(self, slot: int, data: bytes) -> None:
        """Continue in `slot` what `export_state` left.

        Raises
        ------
        ModelError
            If the bytes are not of this very model.
        """
        head = len(STATE_MAGIC) + len(self._digest)
        if data[:head] != STATE_MAGIC + self._digest:
            raise ModelError(f"state: got bytes of something else, expected one of {self.name}")
        sizes = [self._host_states[0][i][slot].size for i in range(len(self._states[0]))]
        if len(data) != head + 4 * sum(sizes):
            raise ModelError(f"state: got {len(data)} bytes, expected {head + 4 * sum(sizes)}")
        for index, size in enumerate(sizes):
            state = self._state(index)
            row = np.frombuffer(data, "<f4", size, head)
            state[slot] = row.reshape(state.shape[1:])
            self._set_state(index, state)
            head += 4 * size

    def _state(self, index: int) -> Float32Array:
        """A state as an array: the memory itself on the CPU, a copy from elsewhere."""
        if self.provider == "cpu":
            return self._host_states[self._turn][index]
        copied: Float32Array = self._states[self._turn][index].numpy()
        return copied

    def _set_state(self, index: int, state: Float32Array) -> None:
        if self.provider != "cpu":
            self._states[self._turn][index].update_inplace(state)

    def _bind(self, names: list[str], turn: int) -> Any:
        binding = self._session.io_binding()
        binding.bind_ortvalue_input("mix", self._mix_value)
        binding.bind_ortvalue_output("masks", self._masks_value)
        for index, name in enumerate(names):
            binding.bind_ortvalue_input(name, self._states[turn][index])
            binding.bind_ortvalue_output(f"next_{name}", self._states[1 - turn][index])
        return binding


class SlotNet:
    """A model of which each call runs some slots only, in any order and company.

    The states lie in the host's memory, one row for each slot; the rows of a call are brought
    together before it and put back after it.

    Parameters
    ----------
    path, provider : see `MaskNet`
    spec : StreamSpec
        What the model must have been made for; `n_feeds` is the number of slots.

    Attributes
    ----------
    name, provider, complex_masks : see `MaskNet`
    mix : (b, c, f) complex64
        To be filled with the newest frames of a call's slots, from row 0 on.

    Raises
    ------
    ModelError
        From the constructor, as `MaskNet`.

    Process:  the inserts role, offline use.
    """

    def __init__(self, path: str | Path, spec: StreamSpec, provider: str = "auto") -> None:
        net = MaskNet(path, spec, provider)  # every check at the door, in every slot
        self._net = net
        self.name, self.provider = net.name, net.provider
        self.complex_masks = net.complex_masks
        self.mix = net._mix_spectra
        self._before, self._after = net._host_states
        self._kept = [np.zeros_like(state) for state in self._before]
        self._names = list(net._state_names)
        self._bindings = [self._bind(n) for n in range(1, spec.n_feeds + 1)]
        everybody = np.arange(spec.n_feeds)
        for n in range(1, spec.n_feeds + 1):  # the runtime plans its memory for each size
            for _ in range(PLANNING):
                self.process(everybody[:n])
        self.reset()

    def process(self, slots: npt.NDArray[np.intp]) -> Float32Array:
        """Masks of the frames in `mix`.

        Parameters
        ----------
        slots : (b,) intp
            Whose frames they are, none twice.

        Returns
        -------
        masks : (b, s, c, f) float32, or (b, s, c, f, 2) if `complex_masks`
            Ours; overwritten by the next call.
        """
        n = len(slots)
        for kept, before in zip(self._kept, self._before, strict=True):
            # with the default mode take() makes a copy of its `out` first
            np.take(kept, slots, axis=0, out=before[:n], mode="clip")
        binding, inputs = self._bindings[n - 1]
        if self.provider != "cpu":
            for name, value in inputs:  # to another device it is copied where it is bound
                binding.bind_ortvalue_input(name, value)
        self._net._session.run_with_iobinding(binding)
        for kept, after in zip(self._kept, self._after, strict=True):
            kept[slots] = after[:n]
        return self._net._masks[:n]

    def reset(self, slot: int | None = None) -> None:
        """Forget one slot's past, or every slot's."""
        which = slice(None) if slot is None else slot
        for kept in self._kept:
            kept[which] = 0.0

    def export_state(self, slot: int) -> bytes:
        """One slot's state; the same bytes as `MaskNet.export_state`, for either."""
        rows = b"".join(kept[slot].astype("<f4").tobytes() for kept in self._kept)
        return STATE_MAGIC + self._net._digest + rows

    def import_state(self, slot: int, data: bytes) -> None:
        """Continue in `slot` what `export_state` left.

        Raises
        ------
        ModelError
            If the bytes are not of this very model.
        """
        self._net.import_state(slot, data)  # checks them; its own rows are scratch here
        for index, kept in enumerate(self._kept):
            kept[slot] = self._net._state(index)[slot]

    def _bind(self, n: int) -> tuple[Any, list[tuple[str, Any]]]:
        """A binding of the first n rows of every array, and what of it goes in."""

        def value(array: Float32Array) -> Any:
            return ort.OrtValue.ortvalue_from_numpy(array[:n], "cpu", 0)  # the very memory

        binding = self._net._session.io_binding()
        inputs = [("mix", value(self._net._mix))]
        inputs += [
            (name, value(state)) for name, state in zip(self._names, self._before, strict=True)
        ]
        for name, one in inputs:
            binding.bind_ortvalue_input(name, one)
        binding.bind_ortvalue_output("masks", value(self._net._masks))
        for name, state in zip(self._names, self._after, strict=True):
            binding.bind_ortvalue_output(f"next_{name}", value(state))
        return binding, inputs


def graph_shapes(path: Path) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """Shapes of a graph's inputs and of its outputs; a free axis is a name or None.

    Raises
    ------
    ModelError
        If the runtime cannot load the file.
    """
    session = _make_session(path, ["CPUExecutionProvider"])
    inputs, outputs = session.get_inputs(), session.get_outputs()
    return {node.name: node.shape for node in inputs}, {node.name: node.shape for node in outputs}


def _open_session(path: Path, provider: str) -> tuple[Any, str]:
    """A session and the provider it really runs on."""
    if provider not in ("auto", "cpu", "cuda"):
        raise ModelError(f"provider: got {provider!r}, expected 'auto', 'cpu' or 'cuda'")
    if provider != "cpu":
        reason = _cuda_missing()
        if not reason:
            session = _make_session(path, ["CUDAExecutionProvider", "CPUExecutionProvider"])
            if session.get_providers()[0] == "CUDAExecutionProvider":
                return session, "cuda"
            reason = "a CUDA provider that does not load"
        if provider == "cuda":
            raise ModelError(f"provider: got {reason}, expected a working CUDA device")
    return _make_session(path, ["CPUExecutionProvider"]), "cpu"


def _cuda_missing() -> str:
    """Why CUDA cannot be had, or nothing.  Asking first spares ONNX Runtime's pages on stderr."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "an ONNX Runtime without CUDA"
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return "no CUDA driver"
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # cuDNN and cuBLAS out of the nvidia-* wheels
    return ""


def _make_session(path: Path, providers: list[str]) -> Any:
    options = ort.SessionOptions()
    # hop-sized graphs lose on threads, and spinning ones take the core the capture needs
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.log_severity_level = 3
    flushed = denormals_are_flushed()
    # an exhaustive search for convolutions takes seconds at start and gains nothing at this size
    tuned = {"CUDAExecutionProvider": {"cudnn_conv_algo_search": "HEURISTIC"}}
    chosen = [(name, tuned.get(name, {})) for name in providers]
    try:
        session = ort.InferenceSession(str(path), options, providers=chosen)
    except Exception as error:  # the runtime's own classes differ between versions
        raise ModelError(f"{path.name}: got {error}, expected a loadable ONNX model") from error
    finally:
        flush_denormals(flushed)  # a process's first session sets the switch of its thread
    session.disable_fallback()
    return session


def _check_graph(
    where: str,
    session: Any,
    mix_shape: tuple[int, ...],
    mask_shape: tuple[int, ...],
    state_shapes: dict[str, tuple[int, ...]],
) -> None:
    """Names, order, types, ranks and sizes of everything that goes in and out."""
    wanted_in = {"mix": mix_shape, **state_shapes}
    wanted_out = {"masks": mask_shape, **{f"next_{n}": s for n, s in state_shapes.items()}}
    try:
        sides = [
            [(node.name, node.type, node.shape) for node in nodes]
            for nodes in (session.get_inputs(), session.get_outputs())
        ]
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{where}: got a name that is no UTF-8, expected those of its card"
        ) from error
    for side, nodes, wanted in zip(
        ("inputs", "outputs"), sides, (wanted_in, wanted_out), strict=True
    ):
        names = [name for name, _, _ in nodes]
        if names != list(wanted):
            raise ModelError(f"{where}.{side}: got {names}, expected {list(wanted)}")
        for name, type_, got_shape in nodes:
            at, shape = f"{where}.{name}", wanted[name]
            if type_ != "tensor(float)":
                raise ModelError(f"{at}: got {type_}, expected tensor(float)")
            if len(got_shape) != len(shape):
                raise ModelError(f"{at}: got rank {len(got_shape)}, expected {len(shape)}")
            if isinstance(got_shape[0], int):
                raise ModelError(f"{at}: got batch {got_shape[0]}, expected a dynamic axis")
            # a size the exporter left open is settled by the first run
            for got, size in zip(got_shape[1:], shape[1:], strict=True):
                if isinstance(got, int) and got != size:
                    raise ModelError(f"{at}: got shape {got_shape[1:]}, expected {list(shape[1:])}")
