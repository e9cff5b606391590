"""Write golden.json: headers as fields and as bytes, for the plugin in C++ and for the daemon."""

import json
from pathlib import Path

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

if __name__ == "__main__":
    lines = []
    for fields in HEADERS:
        options = dict(fields)
        data = pack_header(options.pop("type"), **options)
        payload = bytes(options.get("frames", 0) * {3: 8, 4: 32}.get(fields["type"], 0))
        header = unpack_message(data, payload)
        lines.append(json.dumps({**header._asdict(), "hex": data.hex()}))
    Path(__file__).with_name("golden.json").write_text("[\n" + ",\n".join(lines) + "\n]\n")
