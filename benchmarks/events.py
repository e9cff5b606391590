"""How long a stroke takes from a sound server to an OSC packet and a MIDI note.

    python benchmarks/events.py --strokes 1500                      # blocks of 256, profile live
    python benchmarks/events.py --strokes 1500 --jack 128 --profile tight

A JACK client plays strokes at frames it notes down; the daemon captures them as from any device,
separates, detects, sends. A packet counts when the kernel has it for the receiver, a MIDI note when
a JACK client is handed it, which is once a period. *From the sample*: since the stroke's first
sample would have passed a converter, so with the device's block; *from the block*: since the block
that holds it could be read. Prints a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from stemd.config import load_config
from stemd.daemon import Daemon
from tests.device.conftest import port_overrides
from tests.servers import jack, wait_for

SO_TIMESTAMPNS = 35
SAMPLERATE = 48_000
WITHIN_S = 0.08  # later than this is no answer to a stroke
PERCENTILES = (50, 95, 99, 99.9, 100)

# Strokes: a band of noise with a body, 120 ms, louder and softer, over hiss; 250 to 450 ms apart.
PLAYER = """
import sys, json, time, jack, numpy as np
strokes, path, midi = int(sys.argv[1]), sys.argv[2], sys.argv[3] == "midi"
rng = np.random.default_rng(5)
rate = 48000
t = np.arange(int(0.12 * rate)) / rate
gaps = rng.integers(int(0.25 * rate), int(0.45 * rate), strokes)
starts = rate + np.cumsum(gaps)
audio = 1e-4 * rng.standard_normal(starts[-1] + 2 * rate).astype(np.float32)
for start in starts:
    body = np.sin(2 * np.pi * rng.uniform(160, 240) * t) * np.exp(-t / 0.04)
    noise = rng.standard_normal(len(t)) * np.exp(-t / 0.03)
    audio[start : start + len(t)] += 10 ** rng.uniform(-1.2, -0.4) * (0.5 * body + 0.4 * noise)
client = jack.Client("feed", no_start_server=True)
ports = [client.outports.register(f"out_{i + 1}") for i in range(2)]
heard = client.midi_inports.register("notes") if midi else None
blocks = np.zeros((len(audio) // client.blocksize + 10, 3), np.int64)  # frame, ns, first sample
notes, n, k, go = [], 0, 0, False
@client.set_process_callback
def process(frames):
    global n, k
    now, begun = time.monotonic_ns(), client.last_frame_time
    if heard is not None:
        for _, data in heard.incoming_midi_events():
            if len(data) == 3 and data[0][0] & 0xF0 == 0x90 and data[2][0]:
                notes.append(now)
    block = audio[n : n + frames] if go else audio[:frames]  # hiss
    for port in ports:
        out = port.get_array()
        out[: len(block)] = block
        out[len(block) :] = 0
    if go and k < len(blocks):
        blocks[k] = begun, now, n
        k += 1
        n += frames
with client:
    print("playing", flush=True)
    sys.stdin.readline()
    go = True
    while n < len(audio):
        time.sleep(0.1)
np.savez(path, starts=starts, blocks=blocks[:k], notes=np.array(notes, np.int64))
"""


def receive(inlet: socket.socket, address: bytes, until: Any) -> list[int]:
    """Monotonic times, ns, at which packets that contain an address arrived."""
    offset = time.time_ns() - time.monotonic_ns()
    times = []
    while until():
        try:
            data, ancillary, _, _ = inlet.recvmsg(4096, 128)
        except TimeoutError:
            continue
        if address in data:
            for _, kind, value in ancillary:
                if kind == SO_TIMESTAMPNS:
                    s, ns = struct.unpack("qq", value)
                    times.append(s * 10**9 + ns - offset)
    return times


def period_starts(blocks: Any, period: int) -> Any:
    """When each of the server's periods began, monotonic ns.

    A client is called a little later, now and then much later; the server's clock is even. So a
    period began when its frame says, by the promptest call of the second around it.
    """
    even = blocks[:, 0] * 10**9 // SAMPLERATE
    late = blocks[:, 1] - even
    half = SAMPLERATE // period // 2
    return even + np.array([late[max(i - half, 0) : i + half].min() for i in range(len(late))])


def answers(strokes_ns: Any, heard_ns: Any) -> Any:
    """First time heard after each stroke, ns after it; NaN where nothing came in time."""
    delays = np.full(len(strokes_ns), np.nan)
    after = np.searchsorted(heard_ns, strokes_ns)
    for i, first in enumerate(after):
        if first < len(heard_ns) and heard_ns[first] - strokes_ns[i] < WITHIN_S * 1e9:
            delays[i] = heard_ns[first] - strokes_ns[i]
    return delays


def percentiles(delays_ns: Any) -> dict[str, float]:
    """p50 ... max in ms, and how many strokes were answered."""
    given = delays_ns[np.isfinite(delays_ns)] / 1e6
    values = np.percentile(given, PERCENTILES) if len(given) else [np.nan] * len(PERCENTILES)
    row = {f"p{q:g}": round(float(v), 2) for q, v in zip(PERCENTILES, values, strict=True)}
    return {"answered": len(given), **row}


def main() -> None:
    """Play, listen, compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--strokes", type=int, default=300)
    parser.add_argument("--jack", type=int, default=256, help="period of the sound server")
    parser.add_argument("--profile", default="live")
    parser.add_argument("--source", default="mix", help="whose onsets count, e.g. drums")
    parser.add_argument("--midi", action="store_true", help="also MIDI, through the sound server")
    parser.add_argument("--set", action="append", default=[])
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        result = run(options, stack)
    print(json.dumps(result))


def run(options: Any, stack: contextlib.ExitStack) -> dict[str, Any]:
    """One run; returns what is printed."""
    server = stack.enter_context(jack(period=options.jack, sync=False))
    inlet = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    inlet.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    inlet.bind(("127.0.0.1", 0))
    inlet.settimeout(0.05)
    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "player.npz"
    player = subprocess.Popen(
        [sys.executable, "-c", PLAYER, str(options.strokes), str(path), "midi" * options.midi],
        env=server.env(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    stack.callback(player.kill)
    assert player.stdin is not None
    assert player.stdout is not None
    assert player.stdout.readline() == "playing\n"
    wait_for(lambda: "feed:out_2" in server.ports(), 10.0, "the player")
    ports, _ = port_overrides()
    settings = [*ports, f"profile={options.profile}", "source.kind=device", "source.device=feed"]
    settings += [f"source.blocksize={options.jack}"]
    settings += [f'osc.targets=["127.0.0.1:{inlet.getsockname()[1]}"]', *options.set]
    if options.midi:
        settings += ["midi.enabled=true", "midi.api=jack", "midi.port=feed:notes"]
    daemon = Daemon(load_config(None, settings))
    daemon.start()
    stack.callback(daemon.stop)

    while int(daemon.status.separate["hops"]) < 200:
        assert daemon.poll(0.01), daemon.status.reason
    player.stdin.write("go\n")
    player.stdin.flush()

    def playing() -> bool:
        assert daemon.poll(0.0), daemon.status.reason
        return player.poll() is None

    heard = np.array(receive(inlet, f"/{options.source}/onset\0".encode(), playing), np.int64)
    separate = daemon.status.snapshot()["separate"]
    daemon.stop()
    played = np.load(path)
    block_first = played["blocks"][:, 2]
    k = np.searchsorted(block_first, played["starts"], side="right") - 1
    ready_ns = period_starts(played["blocks"], options.jack)[k]
    inside = played["starts"] - block_first[k]
    sample_ns = ready_ns - (options.jack - inside) * 10**9 // SAMPLERATE
    delays = {"OSC": heard}
    if options.midi:
        delays["MIDI"] = played["notes"]
    ms = {}
    for name, times in delays.items():
        ms[f"{name} from the sample"] = percentiles(answers(sample_ns, times))
        ms[f"{name} from the block"] = percentiles(answers(ready_ns, times))
    for name, row in ms.items():
        print(f"{name:22s}" + "".join(f"{q:>9s} {v:8g}" for q, v in row.items()), file=sys.stderr)
    return {
        "benchmark": "events",
        "profile": options.profile,
        "period": options.jack,
        "source": options.source,
        "strokes": len(sample_ns),
        "packets": len(heard),
        "ms": ms,
        **{key: int(separate[key]) for key in ("hops", "misses", "late", "lost_input")},
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }


if __name__ == "__main__":
    main()
