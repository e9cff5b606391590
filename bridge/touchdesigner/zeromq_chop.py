# Callbacks of a Script CHOP: every feature of every stem, straight from stemd over ZeroMQ.
#
# Needs pyzmq in TouchDesigner's own Python: pip install --target <folder> pyzmq, with the same
# Python version, and that folder under Preferences > DATs > Python 64-bit Module Path.
#
# One sample a channel, `drums/rms`, `drums/kick`, …: the newest value; what lasts one hop only
# (onsets, hits, beats, the begin of a note) is the strongest since the last frame.

import json
import struct

MAGIC = b"STMD"
WELCOME = b"stemd/1/w/"
EVENTS = {"onset", "note_velocity", "kick", "snare", "hihat", "beat"}
MOST = 2000  # messages taken in one frame


def onSetupParameters(scriptOp):
    page = scriptOp.appendCustomPage("stemd")
    page.appendToggle("Active")
    page.appendStr("Host", label="Host")[0].default = "127.0.0.1"
    page.appendInt("Port", label="Features Port")[0].default = 5571
    page.appendStr("Sources", label="Sources")[0].default = "mix vocals drums bass other"
    scriptOp.par.Host = "127.0.0.1"
    scriptOp.par.Port = 5571
    scriptOp.par.Sources = "mix vocals drums bass other"
    return


def onPulse(par):
    return


def onCook(scriptOp):
    _ = absTime.frame  # noqa: F821 (TouchDesigner's; what was read makes it cook every frame)
    link = scriptOp.fetch("link", None, search=False)
    wanted = (scriptOp.par.Host.eval(), int(scriptOp.par.Port.eval()))
    if link is not None and (link.wanted != wanted or not scriptOp.par.Active.eval()):
        link.close()
        scriptOp.unstore("link")
        link = None
    scriptOp.clear()
    scriptOp.isTimeSlice = False
    scriptOp.numSamples = 1
    if not scriptOp.par.Active.eval():
        return
    if link is None:
        link = Link(wanted)
        scriptOp.store("link", link)
    link.take()
    for source in scriptOp.par.Sources.eval().split():
        for name, value in link.row(source).items():
            scriptOp.appendChan(f"{source}/{name}")[0] = value
    return


class Link:
    """A subscription, read without waiting."""

    def __init__(self, wanted):
        import zmq

        self.wanted = wanted
        self.zmq = zmq
        self.names = []
        self._new = {}
        self._last = {}
        self.socket = zmq.Context.instance().socket(zmq.SUB)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, MOST)
        # The welcome, with the names of the features, comes only to who waits for it first.
        self.socket.setsockopt(zmq.SUBSCRIBE, WELCOME)
        self.socket.setsockopt(zmq.SUBSCRIBE, b"stemd/1/f/")
        self.socket.connect(f"tcp://{wanted[0]}:{wanted[1]}")

    def take(self):
        """All that has come."""
        for _ in range(MOST):
            try:
                message = self.socket.recv(self.zmq.NOBLOCK)
            except self.zmq.Again:
                return
            topic, _, content = message.partition(b"\0")
            if topic.startswith(WELCOME):
                welcome = json.loads(content)
                self.names = welcome["features"]
                self.feed = welcome["feeds"][0]
            elif self.names and content[:4] == MAGIC:
                self._row(topic, content)

    def _row(self, topic, content):
        _, _, _, feed, source, _ = topic.decode().split("/")
        if feed != self.feed:
            return
        (header_length,) = struct.unpack_from("<H", content, 6)
        count = min(len(self.names), (len(content) - header_length) // 4)
        values = struct.unpack_from(f"<{count}f", content, header_length)
        new = dict(zip(self.names, values))  # noqa: B905 (its Python may be 3.9)
        old = self._new.get(source)
        if old:
            # Every hop has a strength; what an onset has is that of its own hop.
            strengths = [one["onset_strength"] for one in (old, new) if one.get("onset")]
            new["onset_strength"] = max(strengths, default=new["onset_strength"])
            for name in EVENTS & new.keys():
                new[name] = max(new[name], old[name])
        self._new[source] = new

    def row(self, source):
        """Newest values of a source; what happened is said once."""
        new = self._new.pop(source, None)
        if new is not None:
            self._last[source] = new
            return new
        return {n: 0.0 if n in EVENTS else v for n, v in self._last.get(source, {}).items()}

    def close(self):
        self.socket.close(linger=0)
