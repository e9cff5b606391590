"""The configuration door: what it lets in, what it refuses, and in which words."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemd.cli.check import to_toml
from stemd.config import (
    MAX_FEEDS,
    Config,
    FeedConfig,
    SourceConfig,
    build_config,
    load_config,
    split_endpoint,
)
from stemd.errors import EXIT_CONFIG, ConfigError
from stemd.spec import PROFILES, SOURCES, STEMS

CONFIGS = Path(__file__).parent.parent / "configs"
EXAMPLES = sorted(CONFIGS.glob("*.toml"))
BROKEN = sorted((CONFIGS / "broken").glob("*.toml"))
EXPECT = "# expect: "


def write(folder: Path, content: str) -> Path:
    path = folder / "stemd.toml"
    path.write_text(content, encoding="utf-8")
    return path


# -- examples --------------------------------------------------------------------------------------


def test_examples_are_there():
    assert {"live", "tight", "recording"} <= {path.stem for path in EXAMPLES}
    assert len(BROKEN) >= 20


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_loads(path):
    config = load_config(path)
    assert config.spec.n_feeds == len(config.feed)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_every_key_of_an_example_is_explained(path):
    """A comment on its line, or on the line above."""
    lines = path.read_text().splitlines()
    explained = explained_elsewhere(path)
    unexplained = []
    for above, line in zip(["", *lines], lines, strict=False):
        if "=" not in line.partition("#")[0]:
            continue
        key = line.split("=")[0].strip()
        if "#" in line or above.lstrip().startswith("#"):
            explained.add(key)  # also where a later section of the file has it again
        elif key not in explained:
            unexplained.append(line)
    assert unexplained == []


def explained_elsewhere(path: Path) -> set[str]:
    """live.toml explains every common key; the other examples explain what they add."""
    if path.stem == "live":
        return set()
    return {
        line.partition("=")[0].strip()
        for line in (CONFIGS / "live.toml").read_text().splitlines()
        if "=" in line
    }


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_broken_configuration_is_refused_with_its_sentence(path):
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(EXPECT)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert first.removeprefix(EXPECT) in str(refused.value)
    assert refused.value.exit_code == EXIT_CONFIG


@pytest.mark.parametrize("path", BROKEN, ids=lambda p: p.stem)
def test_every_refusal_names_file_and_line(path):
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    if path.stem == "bad_syntax":  # tomllib says line and column in its own words
        assert str(refused.value).startswith(f"{path}: ")
        assert "line 2" in str(refused.value)
        return
    place = str(refused.value).removeprefix(f"{path}:").partition(":")[0]
    # the first line is the comment, so the mistake stands below
    assert int(place) >= 2


# -- defaults --------------------------------------------------------------------------------------


def test_defaults_need_no_file():
    assert load_config() == Config(
        record=dataclasses.replace(Config().record, directory=str(Path.cwd() / "recordings"))
    )


def test_empty_file_is_the_defaults(tmp_path):
    loaded = load_config(write(tmp_path, ""))
    assert loaded == Config(
        record=dataclasses.replace(Config().record, directory=str(tmp_path / "recordings"))
    )


def test_missing_file_is_a_sentence(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml.*expected a readable UTF-8 file"):
        load_config(tmp_path / "none.toml")


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(ConfigError, match="expected a readable UTF-8 file"):
        load_config(tmp_path)


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "latin.toml"
    path.write_bytes(b'profile = "li\xe9"')
    with pytest.raises(ConfigError, match="expected a readable UTF-8 file"):
        load_config(path)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("asked", "inside"), [(44_100, 44_100), (48_000, 48_000), (96_000, 48_000), (32_000, 48_000)]
)
def test_spec_follows_profile_and_rate(profile, asked, inside):
    config = build_config({"profile": profile, "source": {"samplerate": asked}})
    assert config.spec.samplerate == inside
    assert config.spec.hop_length == PROFILES[profile].hop_length


def test_config_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load_config().profile = "tight"


# -- lines -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('\n\n[source]\nsamplerate = "x"\n', 4),
        ('source.samplerate = "x"\n', 1),
        ('\nsource = { samplerate = "x" }\n', 2),  # the line of what holds it
        ('[[feed]]\nname = "a"\n[[feed]]\nname = "b"\nchannels = "x"\n', 5),
        ('[mixer]\n[mixer.gain_db]\nbass = "x"\n', 3),
        ('[output]\npairs = [\n  "vocals",\n  "x",\n]\n', 2),
        ('  [ source ]  # spaced\n  samplerate="x"\n', 2),
    ],
)
def test_line_of_the_mistake(tmp_path, content, line):
    path = write(tmp_path, content)
    with pytest.raises(ConfigError) as refused:
        load_config(path)
    assert str(refused.value).startswith(f"{path}:{line}: ")


# -- paths -----------------------------------------------------------------------------------------


def test_relative_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    path = write(
        tmp_path,
        '[source]\nkind = "file"\npath = "songs/a.wav"\n'
        '[model]\nname = "mine.onnx"\n[record]\ndirectory = "takes"\n',
    )
    config = load_config(path)
    assert config.source.path == str(tmp_path / "songs/a.wav")
    assert config.model.name == str(tmp_path / "mine.onnx")
    assert config.record.directory == str(tmp_path / "takes")


def test_absolute_and_home_paths_stay(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    config = build_config({"record": {"directory": "~/takes"}, "source": {"path": "/a.wav"}})
    assert config.record.directory == "/home/me/takes"
    assert config.source.path == "/a.wav"


def test_a_stranger_s_home_is_refused():
    with pytest.raises(ConfigError, match=r"record\.directory.*expected a home folder that exists"):
        build_config({"record": {"directory": "~nobody-of-this-name/takes"}})


def test_a_model_s_name_is_not_a_path():
    assert build_config({"model": {"name": "oak"}}).model.name == "oak"


# -- overrides -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("override", "get", "value"),
    [
        ("profile=tight", lambda c: c.profile, "tight"),
        ('profile="tight"', lambda c: c.profile, "tight"),
        ("source.samplerate=44100", lambda c: c.source.samplerate, 44_100),
        ("source.device=Scarlett 2i2 USB", lambda c: c.source.device, "Scarlett 2i2 USB"),
        ("source.device=a=b", lambda c: c.source.device, "a=b"),
        ("source.device=", lambda c: c.source.device, ""),
        ("osc.enabled=false", lambda c: c.osc.enabled, False),
        ("osc.rate_hz=30", lambda c: c.osc.rate_hz, 30.0),
        ("mixer.gain_db.bass=-6", lambda c: c.mixer.gain_db, {"bass": -6.0}),
        ("mixer.mute=['drums']", lambda c: c.mixer.mute, ("drums",)),
        ("feed.channels=[3,4]", lambda c: c.feed[0].channels, (3, 4)),
        ("osc.targets=[]", lambda c: c.osc.targets, ()),
        (" osc.prefix =/desk", lambda c: c.osc.prefix, "/desk"),
    ],
)
def test_override(override, get, value):
    assert get(load_config(None, [override])) == value


def test_overrides_win_over_the_file_and_the_last_wins(tmp_path):
    path = write(tmp_path, 'profile = "quality"\n[osc]\nrate_hz = 10\n')
    config = load_config(path, ["profile=tight", "osc.rate_hz=20", "osc.rate_hz=30"])
    assert (config.profile, config.osc.rate_hz) == ("tight", 30.0)


@pytest.mark.parametrize("override", ["", "profile", "=tight", ".=1", "a..b=1", "source.=1"])
def test_override_without_key_or_value_is_refused(override):
    with pytest.raises(ConfigError, match="--set"):
        load_config(None, [override])


def test_a_mistake_in_an_override_is_not_blamed_on_the_file(tmp_path):
    path = write(tmp_path, "[source]\nsamplerate = 48000\n")
    with pytest.raises(ConfigError, match=r"^--set: source\.samplerate: got 5"):
        load_config(path, ["source.samplerate=5"])


def test_override_into_what_is_no_table(tmp_path):
    with pytest.raises(ConfigError, match="expected 'live' to be one"):
        load_config(write(tmp_path, 'profile = "live"\n'), ["profile.name=x"])


# -- endpoints -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("127.0.0.1:9701", ("127.0.0.1", 9701)),
        ("desk.local:1", ("desk.local", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_endpoint(text, pair):
    assert split_endpoint(text) == pair


@pytest.mark.parametrize("text", ["", ":1", "a", "a:", "a:0", "a:65536", "a:-1", "a:1.0", "a:²"])
def test_no_endpoint(text):
    with pytest.raises(ConfigError, match="expected host:port"):
        split_endpoint(text)


# -- laws ------------------------------------------------------------------------------------------

scalars = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.dates(),
    st.sampled_from(["", "~", "~x", "a:1", "0.0.0.0", "vocals", "vocals+drums", "x.onnx", "\0"]),
)
known_keys = sorted(
    {field.name for field in dataclasses.fields(Config)}
    | {
        field.name
        for section in dataclasses.fields(Config)
        if dataclasses.is_dataclass(section.default_factory)
        for field in dataclasses.fields(section.default_factory)
    }
    | {field.name for field in dataclasses.fields(FeedConfig)}
    | set(STEMS)
)
keys = st.one_of(st.sampled_from(known_keys), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def refusal(call: Callable[[], Config]) -> str:
    """The sentence a configuration is refused with, empty if it is none; all else is raised."""
    try:
        config = call()
    except ConfigError as error:
        return str(error)
    assert isinstance(config, Config)
    return ""


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(keys, values, max_size=5))
def test_any_table_is_a_config_or_a_config_error(table):
    sentence = refusal(lambda: build_config(table))
    assert not sentence or ": got " in sentence
    assert len(sentence) < 1000


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_a_config_or_a_config_error(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8", errors="ignore")
    sentence = refusal(lambda: load_config(path))
    assert not sentence or sentence.startswith(str(path))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=30) | st.builds("{}={}".format, keys, st.text(max_size=20))))
def test_any_override_is_a_config_or_a_config_error(overrides):
    sentence = refusal(lambda: load_config(None, overrides))
    assert not sentence or "got " in sentence


@pytest.mark.parametrize(
    "content",
    [
        f"version = {'9' * 5000}",  # more digits than Python reads
        f"version = 0x{'f' * 5000}",  # reads, but does not write
        f"feed = {'[' * 5000}{']' * 5000}",  # deeper than the parser's stack
        f"profile = 0x{'f' * 5000}",
        f"[source]\nkind = 0x{'f' * 5000}",
        f"[[mapping]]\nsource = 'mix.level'\nosc = '/a'\noutput = [0x{'f' * 500}, 1]",
        f"[osc]\ntargets = ['a:{'1' * 5000}']",
    ],
    ids=["digits", "hex", "deep", "choice", "literal", "float", "port"],
)
def test_monstrous_values_are_refused_in_one_sentence(tmp_path, content):
    with pytest.raises(ConfigError) as refused:
        load_config(write(tmp_path, content + "\n"))
    assert len(str(refused.value)) < 500


def test_monstrous_override_is_refused():
    with pytest.raises(ConfigError):
        load_config(None, [f"feed={'[' * 5000}"])


@st.composite
def good_tables(draw: Any) -> dict[str, Any]:
    """Tables that keep every rule we document."""
    names = draw(
        st.lists(
            st.from_regex(r"[a-z0-9][a-z0-9_-]{0,31}", fullmatch=True).filter(
                lambda n: n not in (*SOURCES, "all")
            ),
            min_size=1,
            max_size=4,
            unique=True,
        )
    )
    channel = st.integers(1, 128)
    printable = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=20)
    return {
        "profile": draw(st.sampled_from(sorted(PROFILES))),
        "source": {
            "kind": draw(st.sampled_from(["auto", "device", "tone", "demo", "stdin"])),
            "device": draw(printable),
            "samplerate": draw(st.integers(8000, 192_000)),
            "level_db": draw(st.floats(-120, 0)),
            "loop": draw(st.booleans()),
        },
        "feed": [
            {"name": name, "channels": draw(st.lists(channel, min_size=1, max_size=2))}
            for name in names
        ],
        "mixer": {
            "gain_db": draw(st.dictionaries(st.sampled_from(STEMS), st.floats(-120, 20))),
            "mute": draw(st.lists(st.sampled_from(STEMS), unique=True)),
        },
        "osc": {"rate_hz": draw(st.floats(1, 240)), "targets": ["10.0.0.1:9701"]},
        "output": {"feed": draw(st.sampled_from(["", *names]))},
    }


@settings(max_examples=100, deadline=None)
@given(good_tables())
def test_a_good_table_loads_and_says_what_it_was_told(table):
    config = build_config(table)
    assert config.profile == table["profile"]
    assert [f.name for f in config.feed] == [f["name"] for f in table["feed"]]
    assert dict(config.mixer.gain_db) == table["mixer"]["gain_db"]
    assert config.source == dataclasses.replace(SourceConfig(), **table["source"])


@settings(max_examples=100, deadline=None)
@given(good_tables())
def test_the_effective_configuration_is_a_configuration(table):
    """What `stemd check` prints loads again and means the same."""
    config = build_config(table)
    again = build_config(tomllib.loads(to_toml(config.to_dict())))
    assert again == config


@pytest.mark.parametrize("extra", [0, 1])
def test_number_of_feeds(extra):
    n = MAX_FEEDS + extra
    table = {"feed": [{"name": f"f{i}"} for i in range(n)]}
    if extra:
        with pytest.raises(ConfigError, match=f"got {n} feeds"):
            build_config(table)
    else:
        assert build_config(table).spec.n_feeds == n


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_number_that_is_none(bad):
    with pytest.raises(ConfigError, match=r"osc\.rate_hz"):
        build_config({"osc": {"rate_hz": bad}})


@pytest.mark.parametrize("bind", ["0.0.0.0", "192.0.2.7", "::", "stage.local"])
def test_beyond_loopback_keys_are_asked_for(bind):
    table = {"zeromq": {"bind": bind}, "inserts": {"enabled": True}}
    table["inserts"]["endpoint"] = f"tcp://{bind if ':' not in bind else '[::]'}:5580"
    config = build_config(table)
    assert config.zeromq_guarded
    assert config.inserts_guarded
    assert config.insecure == ()


def test_an_open_network_must_be_asked_for():
    table = {
        "zeromq": {"bind": "0.0.0.0", "insecure": True},
        "inserts": {"enabled": True, "endpoint": "tcp://192.0.2.7:5580", "insecure": True},
        "osc": {"listen": "0.0.0.0:9700", "insecure": True},
    }
    config = build_config(table)
    assert not config.zeromq_guarded
    assert not config.inserts_guarded
    assert config.insecure == (
        "zeromq at 0.0.0.0 without keys",
        "inserts at 192.0.2.7 without keys",
        "osc at 0.0.0.0 for all, in clear",
    )


def test_loopback_asks_for_keys_when_told():
    table = {"inserts": {"endpoint": "tcp://127.0.0.1:5580"}}
    assert not build_config(table).zeromq_guarded
    assert not build_config(table).inserts_guarded
    table["security"] = {"loopback": True, "keys": "k"}
    config = build_config(table, Path("/somewhere"))
    assert config.zeromq_guarded
    assert config.inserts_guarded
    assert config.security.folder == Path("/somewhere/k")


@pytest.mark.parametrize("key", ["a\\nb", "\\u0000", "x" * 500], ids=["line", "nul", "long"])
def test_a_key_that_is_no_name_is_refused_in_one_line(tmp_path, key):
    with pytest.raises(ConfigError, match="got an unknown key") as refused:
        load_config(write(tmp_path, f'"{key}" = 1\n'))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 700


@pytest.mark.parametrize("override", ["x" * 5000, "profile=1", f"profile.{'x' * 5000}.y=1"])
def test_a_long_override_is_refused_in_a_short_sentence(override):
    with pytest.raises(ConfigError) as refused:
        load_config(None, ["profile=live", override])
    assert len(str(refused.value)) < 500
