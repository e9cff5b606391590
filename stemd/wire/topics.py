"""Topic strings. Every one ends in `/`, because a subscription is a prefix: bass is not bassoon."""

from __future__ import annotations

from ..errors import ProtocolError
from ..spec import SOURCES
from .header import STEM_ALL, VERSION_MAJOR

ROOT = f"stemd/{VERSION_MAJOR}/"
STATUS = f"{ROOT}s/".encode()
WELCOME = f"{ROOT}w/".encode()
ALL = "all"
SEPARATOR = b"\0"  # between topic and content of a single-frame message


def audio(feed: str, stem: str) -> bytes:
    """Topic of one stem's audio; `all` is the four stems in one payload."""
    return f"{ROOT}a/{feed}/{stem}/".encode()


def opus(feed: str, stem: str) -> bytes:
    """Topic of one stem's audio in Opus packets; there is no `all`."""
    return f"{ROOT}o/{feed}/{stem}/".encode()


def features(feed: str, source: str) -> bytes:
    """Topic of one stem's features, single-frame."""
    return f"{ROOT}f/{feed}/{source}/".encode()


def events(feed: str) -> bytes:
    """Topic of one feed's events."""
    return f"{ROOT}e/{feed}/".encode()


def split(topic: bytes) -> tuple[str, str, str]:
    """Kind, feed and stem of a topic; the last two are empty where the kind has none.

    Raises
    ------
    ProtocolError
        When it is not one of ours.
    """
    try:
        parts = topic.decode("ascii").split("/")
    except UnicodeDecodeError as error:
        raise ProtocolError(f"topic: got {topic[:60]!r}, expected ASCII") from error
    n_names = {"a": 2, "o": 2, "f": 2, "e": 1, "s": 0, "w": 0}
    if len(parts) < 4 or "/".join(parts[:2]) + "/" != ROOT or parts[-1] != "":
        raise ProtocolError(f"topic: got {topic[:60]!r}, expected {ROOT}<kind>/…/")
    kind, names = parts[2], parts[3:-1]
    if len(names) != n_names.get(kind, -1) or not all(names):
        raise ProtocolError(f"topic: got {topic[:60]!r}, expected {ROOT} and a/o/f/e/s/w")
    feed, stem = [*names, "", ""][:2]
    return kind, feed, stem


def stem_code(stem: str) -> int:
    """Number of a stem in the header."""
    return STEM_ALL if stem == ALL else SOURCES.index(stem)
