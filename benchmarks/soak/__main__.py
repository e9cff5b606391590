"""Run the daemon for a while, hurt it on a schedule, write one page about it.

    python -m benchmarks.soak --minutes 120            # or: make soak MINUTES=120
    python -m benchmarks.soak --minutes 10 --every 15  # a fault each 15 s

The page, its plots and the figures behind them go to --out (build/soak). Where jackd is, the daemon
listens to a sound server that can be torn out, else to the demo loop. As root it runs in network
and mount namespaces of its own, so that the network can be cut and a disk be full; with --clock it
also sets the machine's clock, an hour ahead and back. What cannot be done is left out, and the page
says so. Misses outside the faults are told beside the moments at which the machine itself stood
still (`stops`). Exit code 1: something did not recover, a recording
does not play, or a count does not add up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import soundfile
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.kills import session_of, shared_of
from stemd.cli.machine import realtime
from stemd.processors.catalogue import find_model
from stemd.shared import PLACE
from stemd.sinks.soundfiles import length_of
from stemd.status import State
from tests.device.conftest import START_S
from tests.sinks.support import free_port, free_ports

from .faults import FAULTS, NEEDS_CLOCK, NEEDS_DEVICE, NEEDS_NAMESPACE, Device, Fault, Stage
from .report import write_report
from .watched import Watched

ROLES = ("capture", "separate", "publish", "record", "metrics")
SAMPLE_S, LOOK_S = 1.0, 0.002
SETTLED_S = 2.0  # after a fault misses are still its own
BEGUN_BYTES = 60_000  # more than a recorder writes before a FLAC header tells of the first block
INSIDE = "STEMD_SOAK_INSIDE"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=120.0)
    parser.add_argument("--every", type=float, default=20.0, help="seconds between faults")
    parser.add_argument("--profile", default="live")
    parser.add_argument("--out", type=Path, default=Path("build/soak"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clock", action="store_true", help="step this machine's clock, too")
    parser.add_argument("--only", action="append", default=[], help="some faults, by name")
    options = parser.parse_args()
    if INSIDE not in os.environ and os.geteuid() == 0 and shutil.which("unshare"):
        return _inside(options.out)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        result = soak(options, Path(place))
    write_report(result, options.out)
    print((options.out / "soak.md").read_text())
    return int(bool(result["wrong"]))


def _inside(out: Path) -> int:
    """The same again where lo and a disk are ours alone."""
    out.mkdir(parents=True, exist_ok=True)
    script = 'ip link set lo up && mount -t tmpfs -o size=400m tmpfs /mnt && exec "$@"'
    command = ["unshare", "-n", "-m", "--propagation", "private", "bash", "-c", script, "soak"]
    again = [sys.executable, "-m", "benchmarks.soak", *sys.argv[1:]]
    return subprocess.run(
        [*command, *again], env={**os.environ, INSIDE: "1"}, check=False
    ).returncode


def soak(options: argparse.Namespace, place: Path) -> dict[str, Any]:
    """The run itself: everything the report is made of."""
    inside = INSIDE in os.environ
    disk = Path("/mnt") if inside else place / "disk"
    disk.mkdir(exist_ok=True)
    config = place / "soak.toml"
    metrics = free_port()
    audio, features, control, osc_in, osc_out = free_ports(5)
    device = Device() if shutil.which("jackd") else None
    heard = 'kind = "device"\ndevice = "feed"\ntimeline = "content"' if device else 'kind = "demo"'
    config.write_text(
        f'profile = "{options.profile}"\n[source]\n{heard}\n'
        f"[zeromq]\naudio_port = {audio}\nfeatures_port = {features}\ncontrol_port = {control}\n"
        f'[osc]\nlisten = "127.0.0.1:{osc_in}"\ntargets = ["127.0.0.1:{osc_out}"]\n'
        f"[metrics]\nenabled = true\nport = {metrics}\n"
        f'[record]\nenabled = true\nformat = "flac"\ndirectory = "{disk}/takes"\n'
        f'rotate_min = 1\nkeep_free_mb = 20\n[state]\nfile = "{place}/state.json"\n[mixer]\n'
    )
    models = _two_models(options.profile, place)
    cannot = () if inside else (*NEEDS_NAMESPACE, "full disk")
    cannot += () if device else NEEDS_DEVICE
    cannot += () if options.clock and os.geteuid() == 0 else NEEDS_CLOCK
    faults = [f for f in FAULTS if f.name not in cannot]
    faults = [f for f in faults if not options.only or f.name in options.only]
    it = Watched(config, control, options.out / "stemd.log")
    pids: set[int] = set()
    stop = threading.Event()
    series = options.out / "series.jsonl"
    begin_s = time.monotonic()
    sampler = threading.Thread(target=_sample, args=(metrics, begin_s, series, stop), daemon=True)
    missed: list[tuple[float, int]] = []
    looker = threading.Thread(target=_look, args=(it, begin_s, missed, stop), daemon=True)
    watchers = _watch_machine(options.out)
    events: list[dict[str, Any]] = []
    wrong: list[str] = []
    chance = random.Random(options.seed)
    try:
        it.until_state(State.RUNNING, START_S)
        it.until(lambda: it.status.metrics["ready"] and it.status.record["ready"], START_S, "all")
        sampler.start()
        looker.start()
        stage = Stage(it, config, disk, metrics, osc_in, models, device)
        end_s = time.monotonic() + 60 * options.minutes
        queue: list[Fault] = []
        it.wait(min(20.0, 6 * options.minutes))
        while time.monotonic() < end_s:
            if not queue:
                queue = chance.sample(faults, len(faults))
            pids |= _pids(it)
            events.append(_one(stage, queue.pop(), begin_s, wrong))
            _prune(disk / "takes")
            it.wait(options.every)
        it.wait(5.0)
        final = it.status.snapshot()
        pids |= _pids(it)
    finally:
        stop.set()
        for watcher in watchers:
            watcher.kill()
        code = it.end()
        if device:
            device.close()
    sampler.join(5.0)
    if code:
        wrong.append(f"the daemon ended with {code}, expected 0")
    wrong += _left_behind(it.pid, pids)
    played, broken = _recordings(disk / "takes")
    wrong += broken
    expected = sum(event["restarts"] for event in events)
    restarts = sum(final["daemon"]["restarts"].values())
    if restarts != expected:
        wrong.append(f"{restarts} restarts counted, {expected} caused")
    return {
        "minutes": options.minutes,
        "profile": options.profile,
        "command": "python -m benchmarks.soak " + " ".join(sys.argv[1:]),
        "events": events,
        "left_out": sorted((*cannot, *(() if watchers else ("stops of the machine",)))),
        "missed": missed,
        "stops": _stops(options.out, len(watchers), begin_s),
        "series": [json.loads(line) for line in series.read_text().splitlines()],
        "final": final,
        "recordings": played,
        "expected_restarts": expected,
        "wrong": wrong,
    }


def _one(stage: Stage, fault: Fault, begin_s: float, wrong: list[str]) -> dict[str, Any]:
    """Do it, wait until all is well, and write down what it cost."""
    status = stage.it.status
    before = {k: int(status.separate[k]) for k in ("misses", "late", "lost_input", "hops")}
    overload = os.getloadavg()[0]
    restarts = int(status.daemon["restarts"].sum())
    start_s = time.monotonic()
    failed = ""
    try:
        fault.do(stage)
    except Exception as error:  # the page tells; the run goes on, if it can
        failed = f"{type(error).__name__}: {error}"
        wrong.append(f"{fault.name}: {failed}"[:200])
    took_s = time.monotonic() - start_s
    stage.it.wait(SETTLED_S)
    if fault.restarts is not None:
        restarts = fault.restarts
    else:
        restarts = int(status.daemon["restarts"].sum()) - restarts
    cost = {k: int(status.separate[k]) - before[k] for k in before}
    if took_s > fault.limit_s:
        wrong.append(f"{fault.name}: took {took_s:.1f} s, expected at most {fault.limit_s:g} s")
    if cost["lost_input"] and not fault.costs_audio:
        wrong.append(f"{fault.name}: {cost['lost_input']} samples of input lost, expected none")
    return {
        "name": fault.name,
        "at_s": start_s - begin_s,
        "until_s": time.monotonic() - begin_s,
        "took_s": took_s,
        "limit_s": fault.limit_s,
        "restarts": restarts,
        "machine_load": overload,
        "failed": failed,
        **cost,
    }


def _two_models(profile: str, place: Path) -> tuple[str, str]:
    """The released model, and the same under another name."""
    path = find_model("default", profile)
    for suffix in (".onnx", ".json"):
        shutil.copy(path.with_suffix(suffix), place / f"twin_{profile}{suffix}")
    card = json.loads((place / f"twin_{profile}.json").read_text())
    card["name"] = f"twin_{profile}"
    (place / f"twin_{profile}.json").write_text(json.dumps(card))
    return "default", str(place / f"twin_{profile}.onnx")


def _pids(it: Watched) -> set[int]:
    return {int(getattr(it.status, role)["pid"]) for role in ROLES} - {0}


def _sample(port: int, begin_s: float, series: Path, stop: threading.Event) -> None:
    """What /metrics says, once a second; a metrics process that was killed leaves a hole."""
    with series.open("w") as file:
        while not stop.wait(SAMPLE_S):
            row = {
                "t": time.monotonic() - begin_s,
                "machine_load": os.getloadavg()[0],
            }
            with contextlib.suppress(OSError, ValueError):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as reply:
                    told = reply.read().decode()
                for family in text_string_to_metric_families(told):
                    for sample in family.samples:
                        labels = ",".join(f"{v}" for v in sample.labels.values())
                        row[f"{sample.name}[{labels}]" if labels else sample.name] = sample.value
                print(json.dumps(row), file=file, flush=True)


def _look(
    it: Watched, begin_s: float, missed: list[tuple[float, int]], stop: threading.Event
) -> None:
    """When hops were missed, and how many at once; to two milliseconds or three."""
    section = it.status.separate
    old = int(section["misses"])
    while not stop.wait(LOOK_S):
        new = int(section["misses"])
        if new > old:
            missed.append((time.monotonic() - begin_s, new - old))
        old = new


def _watch_machine(out: Path) -> list[subprocess.Popen[bytes]]:
    """One of `stops` for each processor; none where real-time scheduling is not granted."""
    watchers = []
    granted = realtime().verdict == "ok"
    for n, processor in enumerate(sorted(os.sched_getaffinity(0)) if granted else ()):
        command = [sys.executable, "-m", "benchmarks.soak.stops", str(processor)]
        with (out / f"stops-{n}.txt").open("wb") as file:
            watchers.append(subprocess.Popen(command, stdout=file))
    return watchers


def _stops(out: Path, watchers: int, begin_s: float) -> list[tuple[float, float]]:
    """Begin and end of each moment at which a processor stood still."""
    found = []
    for n in range(watchers):
        for line in (out / f"stops-{n}.txt").read_text().splitlines():
            if len(times := line.split()) == 2:  # the last line may be cut off
                found.append((float(times[0]) - begin_s, float(times[1]) - begin_s))
    return sorted(found)


def _prune(takes: Path) -> None:
    """Keep the newest few: the disk is small, and its being full is another fault."""
    for take in sorted(takes.glob("*"))[:-3]:
        if _take_plays(take) is None:
            shutil.rmtree(take)


def _take_plays(take: Path) -> str | None:
    """What is wrong with a take's files; None: they play."""
    for file in take.glob("*.flac"):
        try:
            frames, heard = length_of(file), 0
            if not frames:
                if file.stat().st_size > BEGUN_BYTES:
                    return f"{file.name}: no length in its header"
                continue
            with soundfile.SoundFile(str(file)) as opened:
                while len(block := opened.read(1 << 16)):
                    heard += len(block)
            if heard != frames:
                return f"{file.name}: {heard} of {frames} samples"
        except (OSError, RuntimeError) as error:
            return f"{file.name}: {error}"
    return None


def _recordings(takes: Path) -> tuple[int, list[str]]:
    found = [(take, _take_plays(take)) for take in sorted(takes.glob("*"))]
    return len(found), [f"{take.name}/{why}" for take, why in found if why]


def _left_behind(daemon: int, pids: set[int]) -> list[str]:
    """Processes and shared memory that should be gone."""
    time.sleep(1.0)
    wrong = [f"process {pid} is still there" for pid in pids if session_of(pid)]
    wrong += [f"{name} is left in {PLACE}" for name in shared_of({daemon})]
    return wrong


if __name__ == "__main__":
    sys.exit(main())
