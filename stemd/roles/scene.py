"""What a configuration means for a stream that runs: where its knobs go, and which model it has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..config import Config, MixerConfig
from ..desk import Desk
from ..processors.catalogue import find_model
from ..processors.modelcard import read_card
from ..spec import DRUMS, SOURCES, STEMS
from ..status import Status
from ..wire.control import SETTINGS, Setting, check_value, gain_of_db

_OF_SOURCES = ("onset_threshold", "pitch_confidence", "pitch_low_hz", "pitch_high_hz")


def settings_of(mixer: MixerConfig, n_feeds: int) -> list[Setting]:
    """A set of levels and thresholds, for every feed."""
    return [one for feed in range(n_feeds) for one in _of_feed(mixer, feed)]


def apply_mixer(status: Status, config: Config) -> None:
    """Put every knob where `[mixer]` says."""
    feeds = [feed.name for feed in config.feed]
    Desk(status, feeds).set(settings_of(config.mixer, len(feeds)))


# The stream's own, not kept over an end: a daemon that was paused, or recorded, does not start so.
_SWITCHES = [name for name, limits in SETTINGS.items() if limits.scope == "stream"]
_KEPT = [name for name in SETTINGS if name not in _SWITCHES]
_NAMES = {"stem": STEMS, "source": SOURCES, "drum": DRUMS, "feed": ("",)}


def knobs_of(status: Status, feeds: Sequence[str]) -> dict[str, Any]:
    """Where every knob stands, by name, feed and source."""
    desk = Desk(status, feeds)
    knobs: dict[str, Any] = {}
    for name, feed, source, place in _places(feeds):
        value = round(desk.value(name, feed, source), 6)
        knobs.setdefault(name, {}).setdefault(feeds[feed], {})[place] = value
    return knobs


def turn_back(status: Status, feeds: Sequence[str], knobs: Any) -> list[str]:
    """Put knobs where `knobs_of` found them; what is unknown or out of range stays.

    Returns
    -------
    turned : list of str
        What is now elsewhere than before, in words.
    """
    desk = Desk(status, feeds)
    settings, turned = [], []
    for name, feed, source, place in _places(feeds):
        try:
            value = check_value(name, float(knobs[name][feeds[feed]][place]))
        except (KeyError, TypeError, ValueError, OverflowError):  # ProtocolError is a ValueError
            continue
        if abs(value - desk.value(name, feed, source)) > 1e-5:
            settings.append(Setting(name, feed, source, value))
            turned.append(" ".join(part for part in (feeds[feed], place, name) if part)
                          + f" {value:g}")  # fmt: skip
    if settings:
        desk.set(settings)
    return turned


def switches_of(status: Status) -> dict[str, float]:
    """Whether the stream is paused, recorded, held, by name."""
    return {name: float(status.mixer[name]) for name in _SWITCHES}


def switch_back(status: Status, switches: Mapping[str, float]) -> None:
    """Put the stream where `switches_of` found it."""
    Desk(status, ()).set([Setting(name, 0, 0, value) for name, value in switches.items()])


def _places(feeds: Sequence[str]) -> Iterator[tuple[str, int, int, str]]:
    """Every knob: its setting, feed, number and name of what it belongs to."""
    for name in _KEPT:
        scope = SETTINGS[name].scope
        for feed in range(len(feeds)):
            for i, place in enumerate(_NAMES[scope]):
                yield name, feed, i + (scope == "stem"), place


def check_model(config: Config) -> None:
    """Whether the stream could start with this configuration's model.

    Raises
    ------
    ModelError
        When it could not.
    """
    read_card(find_model(config.model.name, config.profile), config.spec)


def _of_feed(mixer: MixerConfig, feed: int) -> list[Setting]:
    settings = [Setting("bypass", feed, 0, float(mixer.bypass))]
    for i, stem in enumerate(STEMS, 1):
        settings += [
            Setting("gain", feed, i, gain_of_db(mixer.gain_db.get(stem, 0.0))),
            Setting("mute", feed, i, float(stem in mixer.mute)),
            Setting("solo", feed, i, float(stem in mixer.solo)),
        ]
    for name in _OF_SOURCES:
        for source, value in getattr(mixer, name).items():
            settings.append(Setting(name, feed, SOURCES.index(source), value))
    for drum, value in mixer.drum_threshold.items():
        settings.append(Setting("drum_threshold", feed, DRUMS.index(drum), value))
    for name in ("tempo_low_bpm", "tempo_high_bpm"):
        if getattr(mixer, name) > 0.0:
            settings.append(Setting(name, feed, 0, max(getattr(mixer, name), 20.0)))
    return settings
