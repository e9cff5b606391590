"""A sample pack of a few seconds, made of tones and noise, with the manifest of the real one."""

import csv

import numpy as np
import soundfile as sf

SAMPLERATE = 44100
COLUMNS = (
    *("path", "stem", "instrument", "midi_pitch", "kind", "seconds", "sr", "channels"),
    *("velocity", "singer", "song_id", "start_s", "gain_db", "bandwidth_hz"),
    *("source_repo", "source_commit", "source_path", "licence", "note"),
)
SPLIT = {
    "left_out": ["bass/kicky"],
    "songs": ["held"],
    "validation_folders": ["vocals/val", "drums/val", "bass/val", "other/val"],
    "test_folders": ["vocals/test", "drums/test", "bass/test", "other/test"],
}


def tone(pitch, seconds, harmonics=8, decay_s=None):
    """(n, 1) of a harmonic tone."""
    t = np.arange(int(seconds * SAMPLERATE)) / SAMPLERATE
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    out = sum(np.sin(2 * np.pi * hertz * k * t) / k for k in range(1, harmonics + 1))
    if decay_s:
        out *= np.exp(-t / decay_s)
    return (0.3 * out)[:, None]


def noise(seconds, decay_s, seed=0):
    t = np.arange(int(seconds * SAMPLERATE)) / SAMPLERATE
    return (0.5 * np.random.default_rng(seed).standard_normal(t.size) * np.exp(-t / decay_s))[
        :, None
    ]


def talk(pitch, seconds):
    """Syllables of a harmonic buzz with breaths between."""
    x = tone(pitch, seconds, 20)
    gate = (np.arange(x.shape[0]) // (SAMPLERATE // 5)) % 2 == 0
    return x * gate[:, None]


def make(root, parts=("train", "val", "test")):
    """Write the pack; returns its folder."""
    rows = []

    def put(path, audio, stem, kind, instrument, **more):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        sf.write(root / path, audio, SAMPLERATE)
        row = dict.fromkeys(COLUMNS, "")
        row |= {"path": path, "stem": stem, "kind": kind, "instrument": instrument}
        row |= {"seconds": f"{audio.shape[0] / SAMPLERATE:.3f}", "sr": SAMPLERATE}
        rows.append(row | {"channels": audio.shape[1], "source_path": path, **more})

    for k, part in enumerate(parts):
        for role, decay_s in (("kick", 0.1), ("snare", 0.08), ("hihat closed", 0.02)):
            for layer in (1, 2, 3):
                hit = tone(30, 0.3, 1, decay_s) if role == "kick" else noise(0.2, decay_s, layer)
                name = f"drums/{part}/{role.split()[0]}_v{layer}.wav"
                put(name, hit, "drums", "one-shot", role, velocity=f"{layer}/3")
        put(f"drums/{part}/Drums_120BPM.wav", noise(2, 0.5), "drums", "loop", "drum loop")
        for pitch in (28, 33, 40, 45):
            shot = tone(pitch + k, 1, 4, 0.5)
            more = {"midi_pitch": pitch + k, "velocity": "f"}
            put(f"bass/{part}/{pitch}.wav", shot, "bass", "one-shot", "electric bass", **more)
        for pitch in (48, 55, 60, 67):
            shot = tone(pitch + k, 1, 6, 0.4)
            put(
                f"other/{part}/{pitch}.wav", shot, "other", "one-shot", "grand piano",
                midi_pitch=pitch + k,
            )  # fmt: skip
            put(
                f"vocals/{part}/ah{pitch}.wav", tone(pitch + k, 1.5, 10), "vocals", "one-shot",
                "solo female aa", midi_pitch=pitch + k, singer=f"{part} vowels",
            )  # fmt: skip
        for i in range(3):
            put(
                f"vocals/{part}/phrase{i}.wav", talk(57 + i, 1.5), "vocals", "phrase",
                "house vocal phrase", singer=f"{part} singer", note="124 BPM; A minor",
            )  # fmt: skip
        put(
            f"vocals/{part}/talk.wav", talk(45, 6), "vocals", "speech", "read speech",
            singer=f"{part} speaker",
        )  # fmt: skip
        put(
            f"vocals/{part}/hey.wav", talk(62, 0.3), "vocals", "one-shot", "shout",
            singer=f"{part} shouter",
        )  # fmt: skip
    for song in ("known", "held"):
        for start_s in (0, 2, 10):
            for stem, pitch in (("vocals", 60), ("drums", None), ("bass", 33), ("other", 52)):
                audio = noise(2, 0.05) if pitch is None else tone(pitch, 2)
                put(
                    f"{stem}/{song}/{start_s}.wav", np.repeat(audio, 2, 1) * 0.5, stem,
                    "song-stem", f"{stem} stem", song_id=song, start_s=start_s,
                    singer="the band" if stem == "vocals" else "",
                )  # fmt: skip
    put("bass/kicky/0.wav", tone(30, 1), "bass", "one-shot", "kick in disguise", midi_pitch=30)
    with open(root / "MANIFEST.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return root
