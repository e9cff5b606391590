"""Get the stems of a track from the daemon as a DAW's plugin does, exactly aligned.

The cells begin with `# %%`: run them one after the other in VS Code, Spyder or Jupyter (jupytext),
or all at once: `python bridge/python/insert.py`. A daemon must be running: `stemd run --inserts`.
"""

# %% The track and where its stems go
from pathlib import Path

TRACK = Path("stems/mix.wav")  # what stems.py wrote, or any other file at 44.1 to 192 kHz
FOLDER = Path("stems")
SESSION = 0  # of the daemon, as in its [inserts]
BLOCK = 441  # what a host sends at once; any size does

# %% Connect; offline the daemon takes its time and drops nothing, and asks us to wait for it
import numpy as np
import soundfile

from stemd.spec import STEMS
from stemd.wire.insert import InsertClient

audio, samplerate = soundfile.read(TRACK, dtype="float32", always_2d=True)
audio = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
bounce = InsertClient(session=SESSION, samplerate=samplerate, offline=True, name="bounce")
welcome = bounce.greet()
print(f"{welcome['model']}, hops of {welcome['hop']}, credit {welcome['credit']} frames")

# %% Bounce: (stems, channels, frames), aligned with the track, which they sum to
stems = bounce.separate(audio)
bounce.close()
difference = np.abs(stems.sum(axis=0) - audio.T).max()
print(f"largest difference between the sum of the stems and the track: {difference:.1g}")
FOLDER.mkdir(exist_ok=True)
for name, stem in zip(STEMS, stems, strict=True):
    soundfile.write(FOLDER / f"{name}.wav", stem.T, samplerate, subtype="FLOAT")

# %% The same in real time: a block every block's time, stems when they come
import time

host = InsertClient(session=SESSION, samplerate=samplerate, block=BLOCK, name="host")
host.greet()
heard, times_ms = [], []
began_s = time.monotonic()
for first in range(0, min(len(audio), 4 * samplerate), BLOCK):
    host.send(audio[first : first + BLOCK])
    due_s = began_s + (first + BLOCK) / samplerate
    while (left_s := due_s - time.monotonic()) > 0:
        if answer := host.receive(left_s):
            heard.append(answer)
            times_ms.append((time.monotonic_ns() - answer.t_ns) * 1e-6)
host.close()

# %% Stems say by `position` which frames of input they are of: no clock is needed to align them
live = np.concatenate([answer.audio for answer in heard], axis=-1)
begin = heard[0].position
track = audio[begin : begin + live.shape[2]].T
live_difference = np.abs(live.sum(axis=0) - track).max()
p50, p99 = np.percentile(times_ms, [50, 99])
print(f"live: the sum differs by {live_difference:.1g}, stems after {p50:.1f} ms (p99 {p99:.1f})")
print(
    f"a host that reports {host.hello.latency} frames of latency hears no hole on a quiet machine"
)
