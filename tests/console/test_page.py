"""The console in a real browser, on sound that is known."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

import stemd.client
from stemd.processors.catalogue import find_model
from stemd.spec import STEMS
from tests.bridge.browser import OFFLINE, browser
from tests.device.conftest import port_overrides
from tests.sinks.support import free_port

from .conftest import LEFT_DB, RIGHT_DB, TOKEN, served, write_sweep
from .relay import relay

NOISE = "--autoplay-policy=no-user-gesture-required"
# Of each column of a lane's canvas its brightest row, 0 at the bottom, 1 at the top; -1: dark.
BRIGHTEST = """(() => {
    const canvas = document.querySelector('[data-source=mix] .view');
    const { width, height } = canvas;
    const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
    const heights = [];
    for (let x = Math.round(width / 8); x < width; x += 2) {  // words stand at the left
        let best = 0, at = -1;
        for (let y = 0; y < height - 20; y++) {  // onset marks stand at the bottom
            const k = 4 * (y * width + x);
            const light = pixels[k] + pixels[k + 1] + pixels[k + 2];
            if (light > best) { best = light; at = y; }
        }
        heights.push(best > 200 ? 1 - at / height : -1);
    }
    return heights;
})()"""


def sized(page, width, height):
    page.ask(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 500,
    )


@pytest.fixture(scope="module")
def page(console, tmp_path_factory):
    with browser(tmp_path_factory.mktemp("browser"), OFFLINE, NOISE, size="1366,768") as tab:
        sized(tab, 1366, 768)
        tab.open(console.url)
        tab.until("window.stemd && stemd.pictures() > 10")
        yield tab
        assert tab.complaints == []


def test_meters_show_the_level_of_each_side(page):
    page.value(
        "stemd.peaks = [0, 0]; stemd.link.addEventListener('picture', ({detail}) => {"
        "const values = new Float32Array(detail, 16, 2);"
        "stemd.peaks = stemd.peaks.map((peak, c) => Math.max(peak, values[c])); })"
    )
    page.until("stemd.peaks[1] > 0")
    time.sleep(1)
    peaks = 20 * np.log10(page.value("stemd.peaks"))
    np.testing.assert_allclose(peaks, [LEFT_DB, RIGHT_DB], atol=0.3)
    # What a person reads, and what a screen reader says.
    page.until("document.querySelector('[data-source=mix] .peak').textContent.slice(1) === '12.0'")
    page.until("document.querySelector('[data-source=mix] .meter').ariaValueNow === '-12'")


def test_the_meter_is_lit_up_to_the_level(page):
    lit = page.until(
        "(() => { const c = document.querySelector('[data-source=mix] .meter');"
        "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "const green = (x, y) => { const k = 4 * (y * c.width + x);"
        "return d[k + 1] > 90 && d[k] < 90 };"
        "const sides = [0.18, 0.33].map((s) => { const x = Math.round(s * c.width);"
        "let n = 0; for (let y = 0; y < c.height; y++) n += green(x, y); return n / c.height; });"
        "return sides[0] > sides[1] && sides[1] > 0.2 && sides; })()"
    )
    assert lit[0] < 0.95


def test_the_spectrogram_shows_the_sweep(page):
    """Ten seconds are in the picture, and so at least one whole rise."""
    page.until("stemd.pictures() > 330")
    heights = np.array(page.value(BRIGHTEST))
    seen = heights[heights >= 0]
    assert len(seen) > 100
    # 40 Hz to 16 kHz from bottom to top, by octaves: 200 Hz stand at 0.27, 8 kHz at 0.88.
    assert seen.min() < 0.35, heights
    assert seen.max() > 0.8, heights
    steps = np.diff(seen)
    falls = steps < -0.3  # the sweep begins anew
    assert 1 <= falls.sum() <= 4, heights
    assert (steps[~falls] > -0.05).mean() > 0.95, heights


def test_mute_silences_the_stem_on_the_wire(page, console):
    with stemd.client.connect(control_port=console.control) as client:
        blocks = [client.read_block(5.0) for _ in range(100)]
        loudest = int(np.argmax([sum(np.abs(b.stems[s]).sum() for b in blocks) for s in range(4)]))
        name = STEMS[loudest]
        mute = f"document.querySelector('[data-source={name}] .mute')"
        page.value(f"{mute}.click()")
        page.until(f"{mute}.ariaPressed === 'true'")
        assert client.control("get")["feeds"]["main"]["stems"][name]["mute"]
        silent = 0  # blocks in a row; those from before the click come first, as many as there are
        for _ in range(6000):
            silent = 0 if client.read_block(5.0).stems[loudest].any() else silent + 1
            if silent == 300:
                break
        assert silent == 300
        page.until(f"document.querySelector('[data-source={name}]').classList.contains('silent')")
        page.value(f"{mute}.click()")
        page.until(f"{mute}.ariaPressed === 'false'")
        # The sweep wanders from stem to stem: a whole round is heard.
        assert any(client.read_block(5.0).stems[loudest].any() for _ in range(2000))


def test_faders_follow_hands_and_other_clients(page, console):
    fader = "document.querySelector('[data-source=bass] .fader input')"
    page.value(f"{fader}.value = -6; {fader}.dispatchEvent(new Event('input'))")
    page.until("stemd.mixer().feeds.main.stems.bass.gain_db === -6")
    with stemd.client.connect(control_port=console.control) as client:
        assert client.control("get")["feeds"]["main"]["stems"]["bass"]["gain_db"] == -6.0
        client.control("set", stem="bass", gain_db=0.0)
    page.until(f"{fader}.valueAsNumber === 0")


DRUMS_MUTED = "stemd.mixer().feeds.main.stems.drums.mute"
BYPASSED = "stemd.mixer().feeds.main.bypass"


def down(page, code, key, again=False):
    """Press a key, or hold it on until the system repeats it."""
    page.ask("Input.dispatchKeyEvent", type="keyDown", code=code, key=key, autoRepeat=again)


def strike(page, code, key):
    """Press a key and let it go."""
    down(page, code, key)
    page.ask("Input.dispatchKeyEvent", type="keyUp", code=code, key=key)


def test_keys_mute_and_bypass(page):
    for code, key, what in (("Digit2", "2", DRUMS_MUTED), ("KeyB", "b", BYPASSED)):
        strike(page, code, key)
        page.until(f"{what} === true")
        strike(page, code, key)
        page.until(f"{what} === false")


def test_a_held_key_is_struck_once(page):
    """What comes of a key has come when a later key's work is seen: orders keep their order."""
    down(page, "Escape", "Escape")
    for _ in range(3):
        down(page, "Escape", "Escape", again=True)
    strike(page, "Digit2", "2")
    page.until(f"{DRUMS_MUTED} === true")
    assert page.value(BYPASSED) is False  # one Escape is no Panic, however long it lasts
    down(page, "KeyB", "b")
    page.until(f"{BYPASSED} === true")
    down(page, "KeyB", "b", again=True)
    strike(page, "Digit2", "2")
    page.until(f"{DRUMS_MUTED} === false")
    assert page.value(BYPASSED) is True
    strike(page, "KeyB", "b")
    page.until(f"{BYPASSED} === false")


def test_a_stem_is_heard_in_the_browser(page, console):
    page.value("document.querySelector('[data-source=mix] .listen').click()")
    page.until("document.getElementById('ear-health').textContent.includes('waiting')")
    assert page.value("document.querySelector('[data-source=mix] .listen').ariaPressed") == "true"
    page.until("stemd.listeners = stemd.state(), true")
    with stemd.client.connect(control_port=console.control) as client:
        assert client.status()["console"]["listeners"] == 1
    page.value("document.getElementById('ear-stop').click()")
    page.until("document.getElementById('ear').hidden")


@pytest.mark.parametrize(("width", "height"), [(320, 640), (768, 1024), (1366, 768), (3840, 2160)])
def test_nothing_sticks_out(page, width, height):
    sized(page, width, height)
    page.until(f"innerWidth === {width}")
    assert page.until("document.documentElement.scrollWidth") <= width
    wide = page.value(
        "[...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() &&"
        f"e.getBoundingClientRect().right > {width} + 1 && !e.closest('.feeds, .hidden'))"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    # What a finger or an arrow key must reach has a size and a name.
    small = page.value(
        "[...document.querySelectorAll('button, select, input, a')].filter((e) =>"
        "e.checkVisibility() && (e.getBoundingClientRect().height < 24 ||"
        "!(e.ariaLabel || e.labels?.[0]?.textContent || e.textContent).trim()))"
        ".map((e) => e.outerHTML.slice(0, 80))"
    )
    assert small == []


def test_the_page_survives_a_new_daemon(sweep, tmp_path):
    port, ports = free_port(), port_overrides()
    with browser(tmp_path, OFFLINE, size="800,600") as page:
        with served(sweep, port=port, ports=ports) as first:
            page.open(first.url)
            page.until("window.stemd && stemd.pictures() > 5")
        page.until("document.body.dataset.link === 'gone'")
        page.until("!document.getElementById('gone').hidden")
        assert page.value("document.getElementById('state').textContent") == "GONE"
        seen = page.value("stemd.pictures()")
        with served(sweep, port=port, ports=ports):
            page.until(f"stemd.pictures() > {seen} + 10")
            page.until("document.getElementById('state').textContent === 'RUNNING'")
            page.until("document.getElementById('gone').hidden")
        assert page.complaints == []


def test_the_page_comes_back_when_a_connection_fell_silent(console, tmp_path):
    """Nothing is closed: neither its websocket, nor what it would fetch anything over again."""
    with relay(console.port) as path, browser(tmp_path, OFFLINE, size="800,600") as page:
        page.open(f"http://127.0.0.1:{path.port}/")
        page.until("window.stemd && stemd.pictures() > 5")
        assert path.cut() > 0
        page.until("document.body.dataset.link === 'gone'")
        seen = page.value("stemd.pictures()")
        page.until(f"stemd.pictures() > {seen} + 10")
        page.until("document.getElementById('gone').hidden")
        assert page.complaints == []


def test_what_is_heard_follows_the_rate_of_the_stream(sweep, tmp_path):
    port, ports = free_port(), port_overrides()
    path = tmp_path / "slower.wav"
    write_sweep(path, rate=44_100)
    slower = f'source={{kind="file", path="{path}", loop=true}}'
    listen = "document.querySelector('[data-source=mix] .listen')"
    with browser(tmp_path / "browser", OFFLINE, NOISE, size="800,600") as page:
        with served(sweep, port=port, ports=ports) as first:
            page.open(first.url)
            page.until("window.stemd && stemd.pictures() > 3")
            page.value(f"{listen}.click()")
            page.until("document.getElementById('ear-health').textContent.includes('waiting')")
            assert page.value("stemd.ear.rate") == 48_000
        page.until("document.body.dataset.link === 'gone'")
        with served(slower, port=port, ports=ports):
            page.until("stemd.ear.rate === 44100")
            hears = "({ detail }) => { stemd.waiting = detail.waiting_ms; }"
            page.value(f"stemd.ear.addEventListener('health', {hears})")
            page.until("stemd.waiting > 0")
            page.until(f"{listen}.ariaPressed === 'true'")
        assert page.complaints == []


def test_a_token_is_asked_for_and_remembered(locked, tmp_path):
    with browser(tmp_path, OFFLINE, size="800,600") as page:
        page.open(locked.url)
        page.until("document.getElementById('door').open")
        enter = (
            "document.getElementById('door-token').value = '{}';"
            "document.getElementById('door-form').requestSubmit()"
        )
        page.value(enter.format("wrong-wrong-wrong"))
        page.until("document.getElementById('door-wrong').textContent !== ''")
        assert page.value("stemd.pictures()") == 0
        page.value(enter.format(TOKEN))
        page.until("stemd.pictures() > 3")
        page.open(locked.url)
        page.until("window.stemd && stemd.pictures() > 3")


def test_the_input_that_was_confirmed_is_asked_for(console, tmp_path):
    """Although the list of devices comes, and the options with it, while the page asks."""
    with browser(tmp_path, OFFLINE, size="800,600") as page:
        page.open(console.url)
        page.until("window.stemd && stemd.pictures() > 3")
        page.value(
            "stemd.asked = []; stemd.link.ask = (fields) => fields.op === 'devices'"
            " ? new Promise((resolve) => { stemd.list = resolve })"
            " : (stemd.asked.push(fields), Promise.resolve({ text: '' }));"
            "stemd.select = document.getElementById('device');"
            "stemd.select.dispatchEvent(new Event('focus'));"
            "const demo = [...stemd.select.options].find((one) => one.text === 'demo loop');"
            "stemd.select.value = stemd.chosen = demo.value;"
            "stemd.select.dispatchEvent(new Event('change'))"
        )
        page.until("document.getElementById('ask').open")
        assert "demo loop" in page.value("document.getElementById('ask-title').textContent")
        page.value(
            "stemd.list({ devices: [{ name: 'A', host_api: 'JACK', max_input_channels: 2 }] })"
        )
        page.until("[...stemd.select.options].some((one) => one.text === 'A (JACK)')")
        page.value("document.querySelector('#ask [value=yes]').click()")
        page.until("stemd.asked.length")
        assert page.value("stemd.asked") == [
            {"op": "device", "kind": "demo", "host_api": "", "name": ""}
        ]
        assert page.until("stemd.select.value") == page.value("stemd.chosen")
        assert page.complaints == []


def copied_model(folder: Path) -> Path:
    """The default model under the name `other`."""
    path = find_model("default", "live")
    shutil.copy(path, folder / "other.onnx")
    card = json.loads(path.with_suffix(".json").read_text())
    (folder / "other.json").write_text(json.dumps({**card, "name": "other"}))
    return folder / "other.onnx"


def test_pickers_say_what_there_is_and_what_runs(sweep, tmp_path):
    other = copied_model(tmp_path)
    more = f'model.name="{other}"', "preset={quiet={gain_db={bass=-20.0}}}"
    pick = (
        "stemd.select.value = '{}'; stemd.select.dispatchEvent(new Event('change'));"
        "document.querySelector('#ask [value={}]').click()"
    )
    with (
        browser(tmp_path / "browser", OFFLINE, size="800,600") as page,
        served(sweep, *more) as ours,
    ):

        def open_page():
            page.open(ours.url)
            page.until("window.stemd && stemd.pictures() > 3")
            page.value("stemd.select = document.getElementById('model')")

        def seen(expression):
            """Wait while the daemon prints a line a second, or it waits for who reads them."""
            assert any(page.value(expression) or not ours.running.next_status() for _ in range(120))

        open_page()
        assert page.value("document.getElementById('preset-field').checkVisibility()")
        page.value(
            "const preset = document.getElementById('preset'); preset.value = 'quiet';"
            "preset.dispatchEvent(new Event('change'))"
        )
        page.until("stemd.mixer().feeds.main.stems.bass.gain_db === -20")
        assert page.value("stemd.state().model") == "other"
        assert page.value("stemd.select.value") == str(other)
        page.value(pick.format("band_live", "yes"))
        seen("document.getElementById('toast').textContent === 'reloading'")
        # Who then leaves it at that goes back to what was asked for.
        page.value(pick.format("band_tight", "no"))
        page.until("stemd.select.value !== 'band_tight'")
        assert page.value("stemd.select.value") == "band_live"
        seen("stemd.state().model === 'band_live'")
        assert page.value("stemd.select.value") == "band_live"
        open_page()
        assert page.value("stemd.select.value") == "band_live"
        assert page.complaints == []
