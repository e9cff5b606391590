"""The scripts for TouchDesigner against a stand-in for the few calls they make.

TouchDesigner runs on no machine of ours. The stand-in knows the operators and parameters of its
documentation that are used here, and nothing more: a misspelt one fails. What it cannot prove: that
this list is right, that TouchDesigner cooks a Script CHOP as often as it draws, and anything seen.
"""

from __future__ import annotations

import fnmatch
import importlib.util
import py_compile
import types

import pytest

from stemd.spec import FEATURES, SOURCES
from stemd.wire import directory
from tests.sinks.support import make_hop, mini_daemon

from .support import BRIDGE, wait_until

FOLDER = BRIDGE / "touchdesigner"

# Parameters by their names in scripts, from each operator's page.
KINDS = {
    "baseCOMP": set(),
    "oscinCHOP": {"port"},
    "selectCHOP": {"channames"},
    "nullCHOP": set(),
    "oscoutDAT": {"netaddress", "port"},
    "chopexecuteDAT": {"chop", "channel", "valuechange"},
    "textTOP": {"text"},
    "textDAT": set(),
    "scriptCHOP": {"callbacks", "setuppars"},
}


class Parameter:
    def __init__(self, value=None):
        self.value, self.pulses, self.default = value, 0, None

    def eval(self):
        return self.value

    def pulse(self):
        self.pulses += 1


class Parameters:
    def __init__(self, names):
        object.__setattr__(self, "_all", {name: Parameter() for name in names})

    def __getattr__(self, name):
        try:
            return self._all[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name, value):
        self._all[name].value = value


class Connector:
    def __init__(self, node):
        self.node = node

    def connect(self, other):
        other.inputs.append(self.node)


class Node:
    def __init__(self, kind, name, parent=None):
        self.kind, self.name, self._parent = kind, name, parent
        self.children, self.inputs, self.text = {}, [], ""
        self.nodeX = self.nodeY = 0
        self.par = Parameters(KINDS[kind])
        self.outputConnectors = [Connector(self)]

    @property
    def path(self):
        return f"{self._parent.path}/{self.name}" if self._parent else f"/{self.name}"

    def create(self, kind, name):
        assert name not in self.children
        self.children[name] = Node(kind, name, self)
        return self.children[name]

    def op(self, name):
        return self.children.get(name)

    def destroy(self):
        del self._parent.children[self.name]


@pytest.fixture
def touch():
    """The globals of a textport, with an empty project."""
    project = Node("baseCOMP", "project1")
    space = {kind: kind for kind in KINDS}
    space["op"] = {"/project1": project}.get
    exec((FOLDER / "build.py").read_text("utf-8"), space)
    return space, project


def test_both_scripts_compile(tmp_path):
    for name in ("build.py", "zeromq_chop.py"):
        py_compile.compile(str(FOLDER / name), str(tmp_path / "out.pyc"), doraise=True)


def test_it_builds_and_builds_again(touch, capsys):
    space, project = touch
    first = space["build"](str(FOLDER))
    base = space["build"](str(FOLDER))
    assert first is not base
    assert list(project.children) == ["stemd"]
    assert "by hand" not in capsys.readouterr().out
    assert base.op("osc_in").par.port.eval() == 9701
    assert base.op("control").par.port.eval() == 9700
    assert base.op("zeromq_callbacks").text == (FOLDER / "zeromq_chop.py").read_text("utf-8")
    assert base.op("zeromq").par.callbacks.eval() == "zeromq_callbacks"
    assert base.op("zeromq").par.setuppars.pulses == 1
    for name, _ in space["GROUPS"]:
        (select,) = base.op(name).inputs
        assert select.inputs == [base.op("osc_in")]
    places = [(node.nodeX, node.nodeY) for node in base.children.values()]
    assert len(set(places)) == len(places)
    compile(base.op("on_hit").text, "on_hit", "exec")


def test_another_version_is_told_what_to_do_by_hand(touch, capsys):
    space, _ = touch
    KINDS["oscinCHOP"].remove("port")
    try:
        space["build"](str(FOLDER))
    finally:
        KINDS["oscinCHOP"].add("port")
    assert "osc_in has no parameter port; set it to 9701 by hand" in capsys.readouterr().out


def test_each_group_selects_channels_that_are_sent(touch):
    space, _ = touch
    channels = [address[1:] for address in directory.outgoing("/stemd", ("main",))]
    for name, patterns in space["GROUPS"]:
        for pattern in patterns.split():
            assert fnmatch.filter(channels, pattern), (name, pattern)
    counted = [f"stemd/drums/{drum}/count" for drum in space["HITS"]]
    assert set(counted) <= set(channels)


def test_the_picture_is_of_the_network(touch):
    space, _ = touch
    base = space["build"](str(FOLDER))
    spec = importlib.util.spec_from_file_location("td_picture", FOLDER / "picture.py")
    picture = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(picture)
    sketched = picture.network()
    assert [node.name for node in sketched] == list(base.children)
    assert (FOLDER / "network.svg").read_text("utf-8") == picture.drawn(sketched), (
        "run bridge/touchdesigner/picture.py"
    )


# -- the Script CHOP ------------------------------------------------------------------------------


class Page:
    def __init__(self, node):
        self.node = node

    def _append(self, name, **_):
        self.node.par._all[name] = Parameter()
        return [self.node.par._all[name]]

    appendToggle = appendStr = appendInt = _append


class ScriptChop:
    """What onCook may touch."""

    def __init__(self):
        self.par = Parameters(())
        self.channels, self.stored = {}, {}
        self.numSamples, self.isTimeSlice = 0, True

    def appendCustomPage(self, name):
        return Page(self)

    def clear(self):
        self.channels = {}

    def appendChan(self, name):
        assert name not in self.channels
        self.channels[name] = [0.0] * self.numSamples
        return self.channels[name]

    def store(self, name, value):
        self.stored[name] = value

    def fetch(self, name, default, search=True):
        return self.stored.get(name, default)

    def unstore(self, name):
        del self.stored[name]

    def value(self, name):
        return self.channels.get(name, [None])[0]


@pytest.fixture
def callbacks():
    space = {"absTime": types.SimpleNamespace(frame=1)}
    exec((FOLDER / "zeromq_chop.py").read_text("utf-8"), space)
    return space


@pytest.fixture
def chop(callbacks):
    one = ScriptChop()
    callbacks["onSetupParameters"](one)
    yield one
    one.par.Active = False
    callbacks["onCook"](one)
    assert one.stored == {}, "the socket was not given back"


def test_it_is_off_until_it_is_turned_on(callbacks, chop):
    callbacks["onCook"](chop)
    assert chop.channels == {}
    assert chop.stored == {}
    assert set(callbacks["EVENTS"]) <= set(FEATURES)


def test_it_reads_every_feature_and_misses_no_hit(callbacks, chop):
    def cook():
        callbacks["onCook"](chop)

    with mini_daemon() as daemon:
        chop.par.Port = daemon.sink.features_port
        chop.par.Active = True
        cook()  # before anything came
        assert chop.channels == {}
        daemon.wait_for_topic(b"stemd/1/f/main/drums/")
        wait_until(lambda: cook() or chop.stored["link"].names, "the welcome")
        daemon.send(make_hop(0, rms=0.1, kick=0.0))
        wait_until(lambda: cook() or chop.value("drums/rms") is not None, "the first row")
        assert set(chop.channels) == {f"{s}/{name}" for s in SOURCES for name in FEATURES}
        assert all(len(samples) == 1 for samples in chop.channels.values())
        assert chop.value("drums/rms") == pytest.approx(0.1)
        # Four hops within one frame, a kick and an onset in the second.
        hops = [
            {"kick": 0.7, "onset": 1.0, "onset_strength": 0.8} if k == 2 else {} for k in range(5)
        ]
        daemon.send(*[make_hop(k, rms=0.2 + k, **hops[k]) for k in range(1, 5)])
        wait_until(
            lambda: (
                chop.stored["link"].take()
                or chop.stored["link"]._new.get("other", {}).get("rms", 0) > 4
            ),
            "all four",
        )
        cook()
        assert chop.value("drums/rms") == pytest.approx(4.2)
        assert chop.value("drums/kick") == pytest.approx(0.7)
        assert chop.value("drums/onset") == 1.0
        assert chop.value("drums/onset_strength") == pytest.approx(0.8)
        cook()  # nothing new: values hold, what happened is over
        assert chop.value("drums/rms") == pytest.approx(4.2)
        assert chop.value("drums/kick") == 0.0
        # Another daemon is another socket.
        link = chop.stored["link"]
        chop.par.Port = daemon.sink.features_port + 1
        cook()
        assert chop.stored["link"] is not link
        assert chop.channels == {}
