"""The examples are run cell by cell against a daemon, as somebody who reads them would."""

from __future__ import annotations

import contextlib
import io
import re

import numpy as np
import pytest
import soundfile

from stemd.spec import FEATURES, SOURCES, STEMS

from .support import BRIDGE

FOLDER = BRIDGE / "python"


def cells(name):
    """Title and code of each cell; the docstring comes before the first."""
    content = (FOLDER / f"{name}.py").read_text("utf-8")
    return re.findall(r"^# %% ([^\n]*)\n(.*?)(?=^# %%|\Z)", content, re.M | re.S)


def follow(name, *, leave_out=(), **settings):
    """Run cells in one namespace; `settings` replace what the first one defines."""
    space, said = {}, io.StringIO()
    (_, first), *rest = cells(name)
    exec(first, space)
    assert set(settings) <= set(space), "the first cell no longer defines what the test changes"
    space.update(settings)
    with contextlib.redirect_stdout(said):
        for title, code in rest:
            if title not in leave_out:
                exec(compile(code, f"{name}.py: {title}", "exec"), space)
    return space, said.getvalue()


PICTURE = "Picture (needs matplotlib)"


def test_features_are_collected_by_name_and_time(daemon):
    space, said = follow("features", leave_out=[PICTURE], CONTROL_PORT=daemon.control, SECONDS=3.0)
    assert PICTURE in [title for title, _ in cells("features")]
    assert f"live: {len(FEATURES)} features of {', '.join(SOURCES)}" in said
    table, column = space["table"], space["column"]
    assert set(table) == set(SOURCES)
    for rows in table.values():
        assert rows.shape[1] == 1 + len(FEATURES)
        assert (np.diff(rows[:, 0]) > 0).all()
    assert column("mix", "rms").mean() > 1e-3  # the demo loop sounds
    assert column("mix", "onset").sum() >= 2
    assert set(np.unique(column("drums", "onset"))) <= {0.0, 1.0}
    assert re.search(r"^kick +\d+ hits$", said, re.M)
    assert re.search(r"^tempo: \d+\.\d bpm", said, re.M)


def test_features_can_be_drawn(daemon, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    space, _ = follow("features", CONTROL_PORT=daemon.control, SECONDS=2.0)
    assert len(space["figure"].axes) == len(SOURCES)


def test_stems_are_written_and_add_up(daemon, tmp_path):
    folder = tmp_path / "stems"
    space, said = follow("stems", CONTROL_PORT=daemon.control, SECONDS=2.0, FOLDER=folder)
    assert space["error_db"] < -100, said  # float32 sums
    heard = {}
    for name in (*STEMS, "mix"):
        audio, rate = soundfile.read(folder / f"{name}.wav", dtype="float32")
        assert rate == 48_000
        assert audio.shape[1] == 2
        assert len(audio) >= 2 * rate
        heard[name] = audio
    assert np.abs(heard["drums"]).max() > 0.01
    np.testing.assert_allclose(sum(heard[s] for s in STEMS), heard["mix"], atol=1e-5, rtol=0)
    assert "samples invented or lost on the way: 0, 0" in said


def test_knobs_are_turned_and_turned_back(daemon):
    _, said = follow("control", CONTROL_PORT=daemon.control, OSC_PORT=daemon.osc_in)
    assert "after:  {'gain': 0.251" in said
    assert re.search(r"refused: .*gain.*99", said)
    assert "OSC says: /stemd/vocals/gain [0.251" in said
    assert "OSC says: /stemd/drums/mute [1]" in said
    assert "OSC says: [7]" in said
    assert re.search(
        r"now:    {'gain': 1\.0, .*}.*{'gain': 1\.0, 'gain_db': 0\.0, 'mute': False", said
    )
