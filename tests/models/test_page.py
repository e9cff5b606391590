"""The listening page: whole, local, and with a picture that shows where the sound is."""

import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest

for needed in ("matplotlib", "soundfile"):
    pytest.importorskip(needed)

from models import page, testset  # noqa: E402
from stemd.processors.catalogue import find_model  # noqa: E402


class Links(HTMLParser):
    """What a page loads, and whether its tags close."""

    def __init__(self):
        super().__init__()
        self.found, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_picture_is_bright_where_the_tone_is():
    n = np.arange(2 * 44100)
    tone = np.tile(0.9 * np.sin(2 * np.pi * 1000 * n / 44100), (2, 1))
    tone[:, n.size // 2 :] = 0.0
    image = page.picture(tone, 44100)
    assert image.shape == (page.HEIGHT, page.WIDTH)
    row = np.log(1000 / page.LOW_HZ) / np.log(page.HIGH_HZ / page.LOW_HZ) * page.HEIGHT
    assert abs((page.HEIGHT - row) - image[:, 100].argmax()) <= 1.5
    assert image[:, 100].max() > 0.8
    assert image[:, -20:].max() == 0.0  # silence is black


def test_the_stretch_to_hear_is_where_most_stems_sound():
    sources = np.zeros((5, 2, 20 * 100), np.float32)
    sources[0] = 0.1
    sources[1:4, :, 500:1700] = 0.1
    assert page.busiest(sources, 100) == slice(500, 1700)
    assert page.busiest(sources[..., :300], 100).start == 0


def test_a_page_loads_only_files_that_lie_beside_it(tmp_path):
    n = np.arange(44100)
    sources = np.zeros((5, 2, n.size), np.float32)
    for s, freq_hz in enumerate((440, 5000, 70)):
        sources[s] = 0.1 * np.sin(2 * np.pi * freq_hz * n / 44100)
    row = testset.write_item(tmp_path, "songs", "a_song_000s", "a_song", sources)
    testset.write_list(tmp_path, [row], "a test")
    path = find_model("default", "live")
    other = tmp_path / path.name
    for suffix in (".onnx", ".json"):
        shutil.copy(path.with_suffix(suffix), other.with_suffix(suffix))
    index = page.make([other], tmp_path, tmp_path / "page")
    text = index.read_text("utf-8")
    links = Links()
    links.feed(text)
    assert not links.open
    # the mixture, three true stems, four estimates: a picture and a sound each
    assert len(links.found) == 16
    assert all((index.parent / link).is_file() for link in links.found)
    assert "http" not in text
    assert len(re.findall(r'class="score"', text)) == 4
