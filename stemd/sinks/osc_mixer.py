"""The mixer over OSC: knobs turned and asked for, and everybody else told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..errors import ProtocolError
from ..wire import addresses, osc
from ..wire.control import SETTINGS, Setting, db_of_gain, gain_of_db
from ..wire.directory import Knob, knobs
from .osc_inlet import Arguments, Peer, numbers
from .osc_levels import Element

PATTERNS_PER_SERVICE = 16  # one takes some ms when it is made to
CLAMPED = 1e-6  # what differs by more from what was asked is news to who asked


class Mixer(Protocol):
    """What OSC in needs of the desk."""

    @property
    def rev(self) -> int: ...
    @property
    def presets(self) -> Mapping[str, Sequence[Setting]]: ...
    def set(self, settings: Sequence[Setting]) -> None: ...
    def value(self, name: str, feed: int, source: int) -> float: ...
    def tap(self, feed: int) -> None: ...
    def preset(self, name: str) -> None: ...


Tell = Callable[[Sequence[Element], Peer], None]  # everybody but this one


class OscMixer:
    """Every address that takes a setting.

    Parameters
    ----------
    prefix : str
    feeds : sequence of str
    mixer : Mixer
    reply : callable
        Takes a packet and who it is for.
    tell : callable
        Takes what has changed, and who knows already.
    """

    def __init__(
        self,
        prefix: str,
        feeds: Sequence[str],
        mixer: Mixer,
        reply: Callable[[bytes, Peer], None],
        tell: Tell,
    ) -> None:
        self._mixer = mixer
        self._reply = reply
        self._tell = tell
        self._knobs = knobs(prefix, feeds)
        self._rev = -1
        self._last: dict[str, float] = {}
        self._turned_by: dict[Knob, Peer] = {}
        self._patterns = 0

    def service(self) -> None:
        """Tell what anybody changed since the last time."""
        self._patterns = 0
        rev = self._mixer.rev
        if rev == self._rev:
            return
        first = self._rev < 0
        self._rev = rev
        news: dict[Peer, list[Element]] = {}
        for address, knob in self._knobs.items():
            value = self.reading(address)
            if value != self._last.get(address):
                self._last[address] = value
                element = (address, osc.head(address, osc.number_tag(value)), value)
                news.setdefault(self._turned_by.get(_plain(knob)), []).append(element)
        self._turned_by.clear()
        if not first:  # where things stand at start is no change
            for turner, elements in news.items():
                self._tell(elements, turner)

    def knows(self, address: str) -> bool:
        """Whether an address is a setting."""
        return address in self._knobs

    def takes(self, address: str) -> bool:
        """Whether an address is a setting, or a pattern that may mean some."""
        return address in self._knobs or addresses.is_pattern(address)

    def take(self, address: str, arguments: Arguments, peer: Peer) -> None:
        """Turn or tell.

        Raises
        ------
        ProtocolError
            When a pattern means nothing, or there are too many, or the argument is no number.
        """
        if address in self._knobs:
            if arguments:
                self._turn([address], arguments, peer)
            else:
                self._reply(osc.message(address, self.reading(address)), peer)
            return
        self._patterns += 1
        if self._patterns > PATTERNS_PER_SERVICE:
            raise ProtocolError(f"patterns: got too many, expected {PATTERNS_PER_SERVICE}")
        found = addresses.matching(address, self._knobs)
        if not found:
            raise ProtocolError(f"{address}: got no address it matches, expected one")
        if arguments:
            self._turn(found, arguments, peer)
        else:
            for one in found:
                self._reply(osc.message(one, self.reading(one)), peer)

    def reading(self, address: str) -> float:
        """What an address says of its knob: switches are ints, the rest floats."""
        knob = self._knobs[address]
        value = self._mixer.value(knob.name, knob.feed, knob.source)
        if SETTINGS[knob.name].switch:
            return int(value)
        return db_of_gain(value) if knob.in_db else float(value)

    def _turn(self, found: Sequence[str], arguments: Arguments, peer: Peer) -> None:
        asked = numbers(arguments)[0]
        settings = []
        for address in found:
            knob = self._knobs[address]
            low, high = knob.limits
            value = min(max(asked, low), high)
            if abs(value - asked) <= CLAMPED:
                self._turned_by[_plain(knob)] = peer
            else:
                self._turned_by.pop(_plain(knob), None)
                self._last.pop(address, None)  # so that who asked hears what it became
            settings.append(Setting(knob.name, knob.feed, knob.source, _kept(knob, value)))
        self._mixer.set(settings)


def _plain(knob: Knob) -> Knob:
    """The same for both addresses of a gain."""
    return Knob(knob.name, knob.feed, knob.source)


def _kept(knob: Knob, value: float) -> float:
    if SETTINGS[knob.name].switch:
        return 1.0 if value >= 0.5 else 0.0
    return gain_of_db(value) if knob.in_db else value
