"""What the stems do, as arrays and as a picture.

The cells begin with `# %%`: run them one after the other in VS Code, Spyder or Jupyter (jupytext),
or all at once: `python bridge/python/features.py`. A daemon must be running: `stemd run`.
"""

# %% Where the daemon is, what to look at and for how long
HOST, CONTROL_PORT = "127.0.0.1", 5572
SECONDS = 8.0

# %% Connect: the daemon says what it sends
import numpy as np

import stemd.client

client = stemd.client.connect(HOST, control_port=CONTROL_PORT)
names = client.info["features"]
rate = client.samplerate / client.hop_length
print(f"{client.info['profile']}: {len(names)} features of {', '.join(client.info['sources'])}")
print(
    f"{rate:.1f} rows a second, {1e3 * client.info['feature_latency'] / client.samplerate:.1f} ms"
)

# %% Collect: one row per source and hop; content_pos is the input sample a row is about
rows = {source: [] for source in client.info["sources"]}
first = None
for row in client.features(timeout_s=2.0):
    first = row.header.content_pos if first is None else first
    second = (row.header.content_pos - first) / client.samplerate
    if second >= SECONDS:
        break
    rows[row.source].append((second, *row.values))
client.close()

# (n, 1 + n_features): the time, then the features in the order of `names`
table = {source: np.array(heard) for source, heard in rows.items() if heard}


def column(source, name):
    """One feature of one source over time."""
    return table[source][:, 1 + names.index(name)]


# %% Numbers
for source in table:
    level_db = 20 * np.log10(np.maximum(column(source, "rms").mean(), 1e-6))
    onsets = int(column(source, "onset").sum())
    print(f"{source:7} {level_db:6.1f} dBFS  {onsets:3} onsets")

# A velocity is there in the one hop in which something was hit or a note began, else 0.
for drum in ("kick", "snare", "hihat"):
    print(f"{drum:7} {np.count_nonzero(column('drums', drum)):3} hits")
begins = column("bass", "note_velocity") > 0
print("bass notes (MIDI):", column("bass", "note")[begins].astype(int).tolist())
print(f"tempo: {column('mix', 'tempo_bpm')[-1]:.1f} bpm, 0 while unknown")

# %% Picture (needs matplotlib)
import matplotlib.pyplot as plt

figure, axes = plt.subplots(len(table), 1, sharex=True, sharey=True, figsize=(9, 7))
for axis, source in zip(axes, table, strict=True):
    when = table[source][:, 0]
    axis.fill_between(when, column(source, "rms"), alpha=0.5)
    axis.vlines(when[column(source, "onset") > 0], 0, column("mix", "rms").max(), "C3", lw=0.7)
    axis.set_ylabel(source)
kicks = column("drums", "kick")
axes[list(table).index("drums")].plot(
    table["drums"][kicks > 0, 0], 0.9 * column("mix", "rms").max() * kicks[kicks > 0], "kv"
)
axes[-1].set_xlabel("seconds; red: onsets; black: kicks, as high as they were hit")
figure.tight_layout()
plt.show()
