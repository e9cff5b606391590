"""What OSC may order besides turning knobs; what takes time is answered when it is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..errors import ProtocolError
from ..wire import addresses, osc
from ..wire.control import LOCAL_OPS, Request, Setting
from .osc_inlet import Arguments, Peer, is_local, numbers, word
from .osc_mixer import Mixer

MAX_PENDING = 16

Answer = dict[str, Any]
Poll = Callable[[], Answer | None]
Answerer = Callable[[Request, bool], Answer | Poll]


class OscOrders:
    """Panic, tap, ping, sync, status, preset, and what only the daemon can do.

    Parameters
    ----------
    prefix : str
    feeds : sequence of str
    mixer : Mixer
    status : callable
        What `/stemd/status` is answered.
    answer : callable or None
        Passes requests on to the daemon, as the control socket does; None: nobody can.
    reply : callable
        Takes a packet and who it is for.
    """

    def __init__(
        self,
        prefix: str,
        feeds: Sequence[str],
        mixer: Mixer,
        status: Callable[[], Sequence[float]],
        answer: Answerer | None,
        reply: Callable[[bytes, Peer], None],
    ) -> None:
        self._prefix = prefix
        self._mixer = mixer
        self._status = status
        self._answer = answer
        self._reply = reply
        self._n_feeds = len(feeds)
        # Who waits for what, in the order asked: an answer waits for those before it.
        self._pending: list[tuple[Poll, str, Peer]] = []
        self.verbs: dict[str, Callable[[Arguments, Peer], None]] = {
            f"{prefix}/{name}": verb
            for name, verb in {
                addresses.PANIC: self._panic,
                addresses.PING: self._ping,
                addresses.SYNC: self._sync,
                addresses.STATUS: self._say_status,
                addresses.PRESET: self._preset,
                addresses.RELOAD: self._reload,
                addresses.MODEL: lambda arguments, peer: self._named("model", arguments, peer),
                addresses.PROFILE: lambda arguments, peer: self._named("profile", arguments, peer),
            }.items()
        }
        for b, base in enumerate(addresses.bases(prefix, feeds)):
            self.verbs[f"{base}/{addresses.TAP}"] = self._tapper(b)

    def service(self) -> None:
        """Answer what has been done since."""
        while self._pending:
            poll, address, peer = self._pending[0]
            try:
                if poll() is None:
                    return
            except ProtocolError as error:
                self._fail(address, str(error), peer)
            else:
                if address != addresses.SYNC:
                    self._succeed(address, peer)
            self._pending.pop(0)

    def _panic(self, arguments: Arguments, peer: Peer) -> None:
        """Everything dry, now; the way back is `/bypass 0`."""
        if not _let_go(arguments):
            self._mixer.set([Setting("bypass", b, 0, 1.0) for b in range(self._n_feeds)])

    def _tapper(self, feed: int) -> Callable[[Arguments, Peer], None]:
        def tap(arguments: Arguments, peer: Peer) -> None:
            if not _let_go(arguments):
                self._mixer.tap(feed)

        return tap

    def _ping(self, arguments: Arguments, peer: Peer) -> None:
        self._reply(osc.message(f"{self._prefix}/{addresses.PONG}", *_first_int(arguments)), peer)

    def _sync(self, arguments: Arguments, peer: Peer) -> None:
        packet = osc.message(f"{self._prefix}/{addresses.SYNCED}", *_first_int(arguments))
        if not self._pending:
            self._reply(packet, peer)
            return

        def poll() -> Answer:
            self._reply(packet, peer)
            return {}

        self._wait(poll, addresses.SYNC, peer)

    def _say_status(self, arguments: Arguments, peer: Peer) -> None:
        self._reply(osc.message(f"{self._prefix}/{addresses.STATUS_REPLY}", *self._status()), peer)

    def _preset(self, arguments: Arguments, peer: Peer) -> None:
        address = f"{self._prefix}/{addresses.PRESET}"
        try:
            self._mixer.preset(word(arguments))
        except ProtocolError as error:
            self._fail(address, str(error), peer)
        else:
            self._succeed(address, peer)

    def _reload(self, arguments: Arguments, peer: Peer) -> None:
        if not _let_go(arguments):
            self._order("reload", {}, peer)

    def _named(self, op: str, arguments: Arguments, peer: Peer) -> None:
        self._order(op, {"name": word(arguments)}, peer)

    def _order(self, op: str, fields: dict[str, Any], peer: Peer) -> None:
        address = f"{self._prefix}/{op}"
        assert op in LOCAL_OPS
        try:
            if self._answer is None:
                raise ProtocolError(f"{op}: got no daemon to ask, expected one")
            answer = self._answer(Request(op, None, fields), is_local(peer))
            if callable(answer):
                self._wait(answer, address, peer)
            else:
                self._succeed(address, peer)
        except ProtocolError as error:
            self._fail(address, str(error), peer)

    def _wait(self, poll: Poll, address: str, peer: Peer) -> None:
        if len(self._pending) >= MAX_PENDING:
            raise ProtocolError("orders: got too many at once, expected fewer")
        self._pending.append((poll, address, peer))

    def _succeed(self, address: str, peer: Peer) -> None:
        self._reply(osc.message(f"{self._prefix}/{addresses.DONE}", address), peer)

    def _fail(self, address: str, why: str, peer: Peer) -> None:
        self._reply(osc.message(f"{self._prefix}/{addresses.FAIL}", address, why[:240]), peer)


def _let_go(arguments: Arguments) -> bool:
    """A button sends 1, and 0 when the finger leaves it."""
    found = numbers(arguments[:1])
    return bool(found) and found[0] < 0.5


def _first_int(arguments: Arguments) -> list[int]:
    return [osc.clip_int(int(number)) for number in numbers(arguments[:1])]
