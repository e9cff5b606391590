"""Opus, for ways on which raw stems are too wide: a stereo stem in 128 kbit/s instead of 3072.

Frames of 10 ms in restricted low-delay mode (RFC 6716), by libopus inside PyAV, which is only
loaded when somebody makes an encoder or a decoder.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DeviceError, ProtocolError
from .spec import N_CHANNELS, OPUS_FRAME, OPUS_RATE

MAX_PACKET_BYTES = 1275
_COMPLEXITY = 5  # of 10: 65 us a packet instead of 74, and no ear has told them apart
_PRE_SKIP = slice(10, 12)  # of an OpusHead, RFC 7845

Float32Array = npt.NDArray[np.float32]


def check_opus(kbps: int) -> int:
    """The bit rate, when there is an encoder for it.

    Raises
    ------
    DeviceError
        When there is not.
    """
    try:
        if kbps:
            Encoder(kbps)
    except (ImportError, OSError, ValueError) as error:  # PyAV's own errors are of both
        raise DeviceError(f"zeromq.opus_kbps: got {error}, expected PyAV with libopus") from error
    return kbps


class Encoder:
    """Stereo frames to packets, one for one.

    Parameters
    ----------
    kbps : int
        Kilobits a second for both channels; constrained variable rate.

    Attributes
    ----------
    delay : int
        Samples: what a packet decodes to begins so much before the frame it was made of.
    """

    def __init__(self, kbps: int) -> None:
        import av

        codec = av.CodecContext.create("libopus", "w")
        codec.sample_rate, codec.layout, codec.format = OPUS_RATE, "stereo", "flt"
        codec.bit_rate = kbps * 1000
        codec.time_base = Fraction(1, OPUS_RATE)
        codec.options = {
            "frame_duration": str(OPUS_FRAME * 1000 // OPUS_RATE),
            "application": "lowdelay",
            "compression_level": str(_COMPLEXITY),
            "vbr": "constrained",
        }
        codec.open()
        self._codec: Any = codec
        self._frame = av.AudioFrame(format="flt", layout="stereo", samples=OPUS_FRAME)
        self._frame.sample_rate = OPUS_RATE
        self._frame.time_base = codec.time_base
        self._interleaved = np.zeros(OPUS_FRAME * N_CHANNELS, np.float32)
        self._encoded = 0
        self.delay = int.from_bytes((codec.extradata or b"")[_PRE_SKIP], "little")

    def encode(self, samples: Float32Array) -> bytes:
        """One packet of (c, OPUS_FRAME) samples."""
        self._interleaved.reshape(OPUS_FRAME, N_CHANNELS)[:] = samples.T
        self._frame.planes[0].update(self._interleaved.tobytes())
        self._frame.pts = self._encoded
        self._encoded += OPUS_FRAME
        (packet,) = self._codec.encode(self._frame)
        return bytes(packet)


class Decoder:
    """Packets to stereo frames; one that joins late, or misses some, needs a few to be right."""

    def __init__(self) -> None:
        import av

        self._av = av
        codec = av.CodecContext.create("opus", "r")
        codec.sample_rate, codec.layout = OPUS_RATE, "stereo"
        codec.open()
        self._codec: Any = codec

    def decode(self, packet: bytes) -> Float32Array:
        """The (c, OPUS_FRAME) samples of one packet.

        Raises
        ------
        ProtocolError
            When it is none of `Encoder`'s.
        """
        if not 0 < len(packet) <= MAX_PACKET_BYTES:
            raise ProtocolError(f"opus: got {len(packet)} bytes, expected 1 to {MAX_PACKET_BYTES}")
        try:
            frames = self._codec.decode(self._av.Packet(packet))
        except self._av.FFmpegError as error:
            raise ProtocolError(f"opus: got {error}, expected a packet") from error
        samples = [frame.to_ndarray() for frame in frames]
        if [block.shape for block in samples] != [(N_CHANNELS, OPUS_FRAME)]:
            raise ProtocolError(
                f"opus: got frames of {[block.shape for block in samples]}, "
                f"expected one of {N_CHANNELS} x {OPUS_FRAME}"
            )
        return np.asarray(samples[0], np.float32)
