"""A device is chosen by name and host API, never by index."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stemd.errors import DeviceError
from stemd.portaudio import DeviceInfo, choose


def device(
    index: int, name: str, api: str, n_in: int, n_out: int, default: bool = False
) -> DeviceInfo:
    return DeviceInfo(index, name, api, n_in, n_out, 48_000.0, 0.0, 0.0, default, default)


DEVICES = [
    device(0, "HDA Intel PCH: ALC257 (hw:0,0)", "ALSA", 2, 2),
    device(1, "Scarlett 18i20 USB: Audio (hw:1,0)", "ALSA", 18, 20),
    device(2, "default", "ALSA", 32, 32, default=True),
    device(3, "system", "JACK Audio Connection Kit", 18, 20),
    device(4, "HDMI 0", "ALSA", 0, 2),
    device(5, "Scarlett", "JACK Audio Connection Kit", 2, 0),
]


@pytest.mark.parametrize(
    ("direction", "name", "api", "index"),
    [
        ("input", "", "", 2),  # the default
        ("input", "scarlett 18", "", 1),  # part of a name, any case
        ("input", "", "jack", 3),  # the default is of another API: the first of this one
        ("input", "SCARLETT", "", 5),  # a whole name beats a part of one
        ("input", "scarlett", "alsa", 1),
        ("output", "hdmi", "", 4),
        ("output", "", "", 2),
    ],
)
def test_the_device_a_person_means(direction: str, name: str, api: str, index: int) -> None:
    assert choose(DEVICES, direction, name, api, "source").index == index


@pytest.mark.parametrize(
    ("direction", "name", "api", "sentence"),
    [
        ("input", "hdmi", "", "^source.device: got 'hdmi', expected one of the inputs: HDA Intel"),
        ("input", "scarlett", "wasapi", "got 'scarlett' on 'wasapi', expected one of the inputs"),
        ("output", "ear", "", r"expected one of the outputs: .*HDMI 0 \(ALSA\)$"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_those_that_are(
    direction: str, name: str, api: str, sentence: str
) -> None:
    with pytest.raises(DeviceError, match=sentence):
        choose(DEVICES, direction, name, api, "source")


def test_no_device_at_all_is_said_so() -> None:
    with pytest.raises(DeviceError, match="got any, expected one of the inputs: none"):
        choose([], "input", "", "", "source")


def test_a_servers_rate_is_taken_and_alsas_is_not_believed() -> None:
    assert device(0, "system", "JACK Audio Connection Kit", 2, 2).rates == (48_000,)
    assert replace(DEVICES[2], default_samplerate=44_100.0).rates == (48_000, 44_100)
    assert replace(DEVICES[3], default_samplerate=96_000.0).rates == (96_000,)
