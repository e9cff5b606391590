"""Receive the separated stems and write them to disk, aligned with the input.

The cells begin with `# %%`: run them one after the other in VS Code, Spyder or Jupyter (jupytext),
or all at once: `python bridge/python/stems.py`. A daemon must be running: `stemd run`.
"""

# %% Where the daemon is, where the files go and for how long
from pathlib import Path

HOST, CONTROL_PORT = "127.0.0.1", 5572
FOLDER = Path("stems")
SECONDS = 8.0

# %% Connect; an endless budget keeps late blocks too, as a recorder wants it
import math

import numpy as np
import soundfile

import stemd.client
from stemd.spec import STEMS

client = stemd.client.connect(HOST, control_port=CONTROL_PORT, mix=True, budget_s=math.inf)
latency_ms = 1e3 * client.latency / client.samplerate
print(f"{client.samplerate} Hz, blocks of {client.hop_length}, stems {latency_ms:.1f} ms late")

# %% Receive: block.stems is (stems, channels, samples), block.mix the input as late as they are
blocks = []
for block in client.blocks(timeout_s=2.0):
    blocks.append(block)
    if len(blocks) * client.hop_length >= SECONDS * client.samplerate:
        break
client.close()
stems = np.concatenate([block.stems for block in blocks], axis=-1)  # (s, c, n)
mix = np.concatenate([block.mix for block in blocks], axis=-1)  # (c, n)

# %% Nothing is lost: the stems add up to the input (while no gain was turned)
error_db = 20 * np.log10(max(np.abs(stems.sum(axis=0) - mix).max(), 1e-9))
print(f"largest difference between the sum of the stems and the input: {error_db:.0f} dBFS")
print(f"samples invented or lost on the way: {client.counters.filled}, {client.counters.lost}")

# %% Write
FOLDER.mkdir(exist_ok=True)
for name, audio in zip((*STEMS, "mix"), (*stems, mix), strict=True):
    soundfile.write(FOLDER / f"{name}.wav", audio.T, client.samplerate, subtype="FLOAT")
print(f"{mix.shape[1] / client.samplerate:.1f} s in {FOLDER}/")
