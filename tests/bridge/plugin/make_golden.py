"""Write golden.json and stream.json: headers as fields and as bytes, for plugins and daemon."""

import json
from pathlib import Path

from stemd.wire import header as stream
from stemd.wire.plugin import Type, pack_header, unpack_message

HEADERS = [
    dict(type=Type.HELLO, instance=0x0123456789ABCDEF, epoch=1, rate=48_000, t_ns=12_345),
    dict(type=Type.WELCOME, instance=0x0123456789ABCDEF, epoch=1, rate=48_000),
    dict(
        type=Type.AUDIO,
        instance=0xFFFFFFFFFFFFFFFF,
        epoch=0xFFFFFFFF,
        rate=96_000,
        position=1 << 62,
        frames=8192,
        flags=3,
        t_ns=0xFFFFFFFFFFFFFFFF,
    ),
    dict(type=Type.AUDIO, instance=1, epoch=2, rate=44_100, position=0, frames=1, t_ns=1),
    dict(
        type=Type.STEMS,
        instance=0x1122334455667788,
        epoch=7,
        rate=44_100,
        position=0x0102030405060708,
        frames=256,
        flags=12,
        t_ns=0xA1A2A3A4A5A6A7A8,
    ),
    dict(type=Type.PING, instance=5, epoch=3, rate=48_000, t_ns=1 << 40),
    dict(type=Type.PONG, instance=5, epoch=3, rate=48_000, t_ns=1 << 40),
    dict(type=Type.ERROR, instance=5, epoch=3, rate=22_050),
    dict(type=Type.BYE, instance=5, epoch=3, rate=192_000),
]

STREAM_HEADERS = [
    dict(
        session=0x0123456789ABCDEF,
        seq=3,
        sample_pos=768,
        t_capture_ns=1_700_000_000_000_000_000,
        t_publish_mono_ns=12_345_678_901,
        rate_measured=47_999.5,
        rate_nominal=48_000,
        n_frames=256,
        n_channels=8,
        dtype=stream.DTYPE_F32,
        stem=stream.STEM_ALL,
        state=2,
        flags=0,
        latency_frames=512,
        lost_input_frames=0,
        config_rev=1,
        payload_bytes=256 * 8 * 4,
    ),
    dict(
        session=1,
        seq=0,
        sample_pos=0,
        t_capture_ns=0,
        t_publish_mono_ns=1,
        rate_measured=44_100.0,
        rate_nominal=44_100,
        n_frames=512,
        n_channels=2,
        dtype=stream.DTYPE_F32,
        stem=3,
        state=4,
        flags=19,
        latency_frames=1024,
        lost_input_frames=7,
        config_rev=9,
        payload_bytes=512 * 2 * 4,
    ),
    dict(
        session=0xFFFFFFFFFFFFFFFF,
        seq=0xFFFFFFFFFFFFFFFF,
        sample_pos=1 << 62,
        t_capture_ns=-1,
        t_publish_mono_ns=(1 << 63) - 1,
        rate_measured=192_000.0,
        rate_nominal=192_000,
        n_frames=16_384,
        n_channels=8,
        dtype=stream.DTYPE_F32,
        stem=stream.STEM_ALL,
        state=5,
        flags=0x7F,
        latency_frames=0xFFFFFFFF,
        lost_input_frames=0xFFFFFFFF,
        config_rev=0xFFFFFFFF,
        payload_bytes=16_384 * 8 * 4,
    ),
]


def write(name: str, lines: list[str]) -> None:
    """One header a line."""
    Path(__file__).with_name(name).write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    lines = []
    for fields in HEADERS:
        options = dict(fields)
        data = pack_header(options.pop("type"), **options)
        payload = bytes(options.get("frames", 0) * {3: 8, 4: 32}.get(fields["type"], 0))
        header = unpack_message(data, payload)
        lines.append(json.dumps({**header._asdict(), "hex": data.hex()}))
    write("golden.json", lines)
    lines = []
    for fields in STREAM_HEADERS:
        buffer = bytearray(stream.HEADER_BYTES)
        stream.pack_header(buffer, 0, **fields)
        lines.append(json.dumps({**fields, "hex": buffer.hex()}))
    write("stream.json", lines)
