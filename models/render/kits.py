"""Drum kits: roles, pieces and velocity layers out of recordings, synthesis, or both."""

import re
from dataclasses import dataclass, field

import numpy as np

from models.library import SAMPLERATE
from models.render import hits
from models.render.audio import fade_out, log_uniform, pick, repitch, stereo

# The first role one of whose words occurs in instrument and file name.
ROLES = {
    "rim": ("side stick", "rimshot", "xstick", "wires off/rim", "_rim", "-rim"),
    "clap": ("clap",),
    "kick": ("kick", "kdrum", "bass drum", "bd_", "ks_", "drum_bass", "sub-a"),
    "snare": ("snare", "sn_", "sc_"),
    "open": ("hihat open", "hatopen", "hat-open", "open-hat", "open-hihat", "hihat half", "_open"),
    "hat": ("hihat", "hat", "pedal"),
    "ride": ("ride", "bell"),
    "crash": ("crash", "china", "splash", "cymbal", "cym"),
    "tom": ("tom", "floor"),
    "shaker": ("shaker", "cabasa", "tamb", "sleigh", "egg", "maraca"),
    "brush": ("brush",),
}
KIT_ROLES = ("kick", "snare", "hat", "open", "ride", "crash", "tom", "rim", "clap", "shaker")
LONGEST_S = {"hat": 0.5, "open": 1.5, "crash": 3.0, "ride": 2.0, "kick": 2.0}
# Taken for kicks by their names ("…blocks_…"). They go on being played where kicks are, so that a
# take stays the take it was, but nobody is told that they are kicks.
NO_KICKS = ("temple blocks",)
LAYER = re.compile(r"[_-]?(v|vl)(\d+)|[_-]?rr(\d+)|[_-]R(\d+)", re.IGNORECASE)


def role_of(entry):
    words = f"{entry['instrument']} {entry['path'].rsplit('/', 1)[-1]}".lower()
    if "brush" in words:
        return "brush"
    for role, keys in ROLES.items():
        if any(key in words for key in keys):
            return role
    return "percussion"


@dataclass
class Piece:
    """One instrument of a kit; `layers` from soft to hard, each a list of takes (c, n)."""

    layers: list[list[np.ndarray]]
    place: float = 0.0  # -1 … 1
    role: str = ""  # what a listener is told it is; empty: what it is played as

    def strike(self, rng, velocity):
        """A take of about this velocity; scaled, since layers were levelled."""
        layer = (velocity * 0.999 + rng.normal(0, 0.06)) * len(self.layers)
        takes = self.layers[int(np.clip(layer, 0, len(self.layers) - 1))]
        return pick(rng, takes), np.float32(0.15 + 0.85 * velocity**1.5)


@dataclass
class Pool:
    """Recorded pieces: {role: [[(layer, entry), …], …]}; a piece is one folder's one instrument."""

    pieces: dict = field(default_factory=dict)

    @classmethod
    def of(cls, entries):
        pool = cls()
        groups = {}
        for entry in entries:
            name = entry["path"].rsplit("/", 1)[-1].rsplit(".", 1)[0]
            layer = [int(m[2]) for m in LAYER.finditer(name) if m[2]]
            stem = LAYER.sub("", name)
            key = (role_of(entry), entry["folder"], stem)
            groups.setdefault(key, []).append((layer[0] if layer else 1, entry))
        for (role, _, _), group in groups.items():
            pool.pieces.setdefault(role, []).append(sorted(group, key=lambda pair: pair[0]))
        return pool

    def folders(self):
        """Folders that hold kick, snare and hat: whole kits."""
        sets = [
            {piece[0][1]["folder"] for piece in self.pieces.get(role, [])}
            for role in ("kick", "snare", "hat")
        ]
        return sorted(set.intersection(*sets))


def draw_kit(rng, library, pool, acoustic):
    """{role: Piece}; acoustic kits keep to one folder, electronic ones go shopping."""
    folders = pool.folders()
    layered = [f for f in folders if _n_layers(pool, "kick", f) > 2]
    draw = rng.random()
    if acoustic and layered:
        home = pick(rng, layered)
    else:
        home = pick(rng, folders) if folders and draw < 0.35 else None
    synthetic = 0.0 if acoustic else float(rng.choice((0.0, 0.15, 0.5, 1.0)))
    stray = 0.2 if acoustic else 0.25
    tuning = 2 ** (rng.normal(0, 1.5) / 12)
    kit = {}
    for role in (*KIT_ROLES, "percussion", "percussion 2", "brush"):
        name = role.split()[0]
        known = pool.pieces.get(name, [])
        near = [piece for piece in known if piece[0][1]["folder"] == home]
        if near and rng.random() > stray:
            known = near
        if not known or rng.random() < synthetic:
            piece = Piece([[hits.hit(rng, name)]])
        else:
            chosen = pick(rng, known)
            piece = _record(rng, library, chosen, name, tuning)
            if chosen[0][1]["instrument"] in NO_KICKS:
                piece.role = "percussion"
        wide = 0.1 if name in ("kick", "snare") else 0.7
        piece.place = float(np.clip(rng.normal(0, wide / 2), -wide, wide))
        kit[role] = piece
    if rng.random() < (0.1 if acoustic else 0.3):
        _double(rng, library, pool, kit)
    return kit


def _n_layers(pool, role, folder):
    return max(
        (len(piece) for piece in pool.pieces[role] if piece[0][1]["folder"] == folder), default=0
    )


def _record(rng, library, piece, role, tuning):
    """Read the takes of one piece, tuned, levelled and cut to a length that fits its role."""
    longest = int(LONGEST_S.get(role, 1.2) * SAMPLERATE)
    ratio = tuning * 2 ** (rng.normal(0, 1) / 12)
    short = longest if rng.random() < 0.7 else int(log_uniform(rng, 0.08, 1.0) * SAMPLERATE)
    layers = {}
    for layer, entry in piece:
        audio = library.read(entry, entry["lead"], int(longest * ratio) + 8)
        audio = repitch(audio, ratio)[:, : min(longest, max(short, 2000))]
        audio = fade_out(stereo(audio).copy(), 1500)
        layers.setdefault(layer, []).append(audio / (np.abs(audio).max(initial=0) + 1e-6))
    return Piece([layers[layer] for layer in sorted(layers)])


def _double(rng, library, pool, kit):
    """Layer a second kick or snare under the first, as producers do."""
    role = pick(rng, ("kick", "snare"))
    if role == "snare" and rng.random() < 0.5:
        extra = kit["clap"]
    elif pool.pieces.get(role) and rng.random() < 0.5:
        extra = _record(rng, library, pick(rng, pool.pieces[role]), role, 1.0)
    else:
        extra = Piece([[hits.hit(rng, role)]])
    under = stereo(extra.layers[-1][0]) * np.float32(rng.uniform(0.2, 0.8))
    for layer in kit[role].layers:
        for i, take in enumerate(layer):
            n = max(take.shape[1], under.shape[1])
            mixed = np.zeros((2, n), np.float32)
            mixed[:, : take.shape[1]] += stereo(take)
            mixed[:, : under.shape[1]] += under
            layer[i] = mixed / (np.abs(mixed).max() + 1e-6)
