"""PortAudio and JACK without their noise, and the choice of a device by name."""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .errors import DeviceError

_KEEP: list[Any] = []  # ctypes callbacks must outlive the libraries that call them


def quiet() -> None:
    """Silence ALSA's and JACK's own messages: with no server they print sixty lines at start."""
    alsa_handler = ctypes.CFUNCTYPE(
        None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
    )(lambda *_: None)
    jack_handler = ctypes.CFUNCTYPE(None, ctypes.c_char_p)(lambda *_: None)
    for library, names, handler in (
        ("libasound.so.2", ("snd_lib_error_set_handler",), alsa_handler),
        ("libjack.so.0", ("jack_set_error_function", "jack_set_info_function"), jack_handler),
    ):
        try:
            loaded = ctypes.CDLL(library)
        except OSError:
            continue  # not installed, so it cannot complain
        for name in names:
            getattr(loaded, name)(handler)
        _KEEP.append((loaded, handler))


def open_jack_client(name: str, key: str) -> Any:
    """A client of the JACK server that runs; none is started.

    Parameters
    ----------
    name : str
    key : str
        Of the configuration, for complaints.

    Raises
    ------
    DeviceError
        When libjack, its package or the server is missing.
    """
    quiet()
    try:
        import jack
    except (ImportError, OSError) as error:
        raise DeviceError(
            f"{key}: got 'jack' and {error}, expected libjack and the package JACK-Client"
        ) from error
    try:
        return jack.Client(name, no_start_server=True)
    except jack.JackError as error:
        raise DeviceError(
            f"{key}: got 'jack' and no server to talk to, expected jackd or PipeWire's "
            "JACK (pw-jack) to run"
        ) from error


def name_jack_client(name: str) -> None:
    """Give this process's JACK client a name; PyAudio has no way to say it.

    Two clients of one name would be refused, so callers add what makes it unique.
    """
    library = ctypes.util.find_library("portaudio")
    if library is None:
        return
    setter = getattr(ctypes.CDLL(library), "PaJack_SetClientName", None)
    if setter is not None:
        buffer = ctypes.create_string_buffer(name.encode()[:32])
        _KEEP.append(buffer)
        setter(buffer)


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """One device as PortAudio lists it."""

    index: int  # only valid within the process that asked
    name: str
    host_api: str
    max_input_channels: int
    max_output_channels: int
    default_samplerate: float
    default_low_input_latency_s: float
    default_low_output_latency_s: float
    default_input: bool
    default_output: bool

    @property
    def rates(self) -> tuple[int, ...]:
        """Rates to open it at, Hz, the best first.

        A server's device runs at one rate and says which. ALSA says 44100 whenever that opens,
        also for a sound server behind it that runs at 48000 and would resample without a word.
        """
        rate = round(self.default_samplerate)
        return tuple(dict.fromkeys((48_000, rate))) if self.host_api == "ALSA" else (rate,)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def list_devices(audio: Any) -> list[DeviceInfo]:
    """All devices of an opened `pyaudio.PyAudio`."""
    apis = {
        i: audio.get_host_api_info_by_index(i)["name"] for i in range(audio.get_host_api_count())
    }
    defaults = {}
    for direction in ("input", "output"):
        try:
            info = getattr(audio, f"get_default_{direction}_device_info")()
            defaults[direction] = int(info["index"])
        except OSError:
            defaults[direction] = -1
    devices = []
    for i in range(audio.get_device_count()):
        info = audio.get_device_info_by_index(i)
        devices.append(
            DeviceInfo(
                i,
                str(info["name"]),
                str(apis[info["hostApi"]]),
                int(info["maxInputChannels"]),
                int(info["maxOutputChannels"]),
                float(info["defaultSampleRate"]),
                _sane_latency(info["defaultLowInputLatency"]),
                _sane_latency(info["defaultLowOutputLatency"]),
                i == defaults["input"],
                i == defaults["output"],
            )
        )
    return devices


def _sane_latency(seconds: float) -> float:
    """JACK's figure is an unsigned difference that can wrap to a day; such values mean nothing."""
    return float(seconds) if 0.0 <= seconds <= 2.0 else 0.0


def choose(
    devices: Sequence[DeviceInfo], direction: str, name: str, host_api: str, where: str
) -> DeviceInfo:
    """The device a configuration means.

    Parameters
    ----------
    direction : str
        "input" or "output".
    name, host_api : str
        Parts of the names, any case; empty matches everything, and then the default wins.
    where : str
        Section of the configuration, for the message.

    Raises
    ------
    DeviceError
        Naming the devices there are.
    """
    usable = [d for d in devices if getattr(d, f"max_{direction}_channels") > 0]
    matching = [
        d
        for d in usable
        if name.casefold() in d.name.casefold() and host_api.casefold() in d.host_api.casefold()
    ]
    exact = [d for d in matching if d.name.casefold() == name.casefold()]
    default = [d for d in matching if getattr(d, f"default_{direction}")]
    for candidates in (exact, default, matching):
        if candidates:
            return candidates[0]
    there = "; ".join(f"{d.name} ({d.host_api})" for d in usable) or "none"
    wanted = f"{name!r}" + (f" on {host_api!r}" if host_api else "") if name or host_api else "any"
    raise DeviceError(f"{where}.device: got {wanted}, expected one of the {direction}s: {there}")
