"""What a renderer prefers where musicians differ."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Taste:
    """Chances, unless said otherwise."""

    natural: float = 0.3  # phrases left as they were sung, where key and company allow
    natural_song: float = 0.4  # the same of a real song's voices
    upbeats: float = 0.0  # phrases that begin before their bar
    low_lines: float = 0.0  # riffs of `other` where basses play
    glides: float = 0.0  # tunes of a synthesiser whose notes slide into each other
    wild_kits: float = 0.0  # drum kits bent out of shape, see `wild`
    other_db: tuple = (-2.0, 4.0)  # level of `other`: mean, deviation
    faint_other: float = 0.12  # takes where it is 8 to 18 dB below that
    heard: bool = False  # compressors go by what sounds; else by silence between notes, too


# Of the test set, the validation takes and the music of benchmarks/features: with another taste
# they would be other music.
FIRST = Taste()
# Found by reading what nets are taught: voices that were nearly all resynthesised, nothing but
# voices that glides, nothing but basses that is low, two drum kits, and compressors that lift the
# noise between sparse notes to the level of the notes.
TRAINING = Taste(
    natural=0.65,
    natural_song=0.7,
    upbeats=0.5,
    low_lines=0.5,
    glides=0.4,
    wild_kits=0.4,
    other_db=(-0.5, 4.0),
    faint_other=0.06,
    heard=True,
)
