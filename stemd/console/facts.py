"""What browsers are told in words and numbers: health, latency by stage, history."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ..desk import session_text
from ..shared import text
from ..status import ROLES, Status, step_percentile

HISTORY_S = 300  # seconds of load, misses and lost samples a new page is shown
COUNTERS = (
    ("late", "separate", "late", "hops with older masks"),
    ("dry", "separate", "dry", "of those, hops without any"),
    ("misses", "separate", "misses", "hops ready more than a hop late"),
    ("lost", "separate", "lost_input", "input samples that never came"),
    ("concealed", "separate", "concealed", "samples invented in their place"),
    ("overruns", "separate", "overruns", "samples lost before separation"),
    ("gaps", "separate", "discontinuities", "breaks in the input"),
    ("repaired", "separate", "repaired", "input samples that were no numbers"),
    ("host flags", "capture", "host_flags", "alarms of the sound card's driver"),
    ("underruns", "play", "underruns", "output samples that were not there in time"),
    ("record lost", "record", "lost", "samples a slow disk cost the recording"),
    ("console dropped", "console", "dropped", "pictures slow browsers did not get"),
)
"""Name, section, field, meaning of what is counted because it should not happen."""


class History:
    """One row a second: load, hops missed or late, samples lost."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._rows: deque[list[float]] = deque(maxlen=HISTORY_S)
        self._before = self._counted()
        self._due = time.monotonic() + 1.0
        self.count = 0

    @property
    def rows(self) -> list[list[float]]:
        """Oldest first."""
        return list(self._rows)

    def service(self) -> bool:
        """Take down a row when it is time; True then."""
        now = time.monotonic()
        if now < self._due:
            return False
        self._due = max(self._due + 1.0, now)
        counted = self._counted()
        wrong = [max(new - old, 0) for new, old in zip(counted, self._before, strict=True)]
        self._before = counted
        self._rows.append([round(float(self._status.separate["load"]), 4), *wrong])
        self.count += 1
        return True

    def _counted(self) -> tuple[int, int]:
        separate = self._status.separate
        return int(separate["misses"]) + int(separate["late"]), int(separate["lost_input"])


def latency(status: Status) -> list[dict[str, Any]]:
    """Where the milliseconds go, from the sound card's input to the last thing we do."""
    capture, separate, play = status.capture, status.separate, status.play
    rate = int(separate["samplerate"])
    if not rate:
        return []
    hop_ms = 1e3 * int(separate["hop_length"]) / rate
    overlap = int(separate["latency"]) - int(separate["feature_latency"])
    stages = [
        ("device in", int(capture["age_ns"]) * 1e-6, "from the converter to us"),
        ("resample", 1e3 * int(capture["latency"]) / rate, "to a rate models know"),
        ("collect a hop", hop_ms, f"{int(separate['hop_length'])} samples"),
        ("model", step_percentile(separate["steps"], 0.5) * 1e-3, "half of all steps are faster"),
        ("overlap-add", 1e3 * overlap / rate, f"{overlap} samples"),
    ]
    if text(play["device"]):
        its_rate = int(play["samplerate"]) or rate
        stages.append(("device out", 1e3 * int(play["latency"]) / its_rate, text(play["device"])))
    return [
        {"name": name, "ms": round(ms, 2), "note": note}
        for name, ms, note in stages
        if ms > 0.0 or name in ("collect a hop", "model")
    ]


def state(status: Status) -> dict[str, Any]:
    """All that changes slowly."""
    capture, separate, inserts = status.capture, status.separate, status.inserts
    steps = separate["steps"]
    rate = int(separate["samplerate"])
    return {
        "state": status.state.name,
        "reason": status.reason,
        "session": session_text(int(status.daemon["session"])),
        "started_utc_ms": int(status.daemon["started_utc_ns"]) // 1_000_000,
        "config_rev": int(status.daemon["config_rev"]),
        "restarts": dict(zip(ROLES, status.daemon["restarts"].tolist(), strict=True)),
        "source": text(capture["source"]),
        "rate": int(capture["samplerate"]) or rate,
        "channels": int(capture["channels"]),
        "blocksize": int(capture["blocksize"]),
        "model": text(separate["model"]),
        "provider": text(separate["provider"]),
        "load": round(float(separate["load"]), 4),
        "hop_ms": round(1e3 * int(separate["hop_length"]) / rate, 3) if rate else 0.0,
        "step_ms": [round(step_percentile(steps, q) * 1e-3, 3) for q in (0.5, 0.99, 0.999)],
        "hops": int(separate["hops"]),
        "latency": latency(status),
        "latency_samples": int(separate["latency"]),
        "rate_measured": round(float(separate["rate_measured"]), 2),
        "counters": {name: int(getattr(status, part)[field]) for name, part, field, _ in COUNTERS},
        "output": text(status.play["device"]),
        "recorder": bool(status.record["ready"]),
        "recording": bool(status.record["recording"]),
        "record_reason": text(status.record["reason"]),
        "recorded": int(status.record["samples"]),
        "record_path": text(status.record["path"]),
        "inserts": {
            "endpoint": text(inserts["endpoint"]),
            "instances": int(inserts["instances"]),
            "limit": int(inserts["limit"]),
            "names": text(inserts["names"]),
        },
        "midi_sent": int(status.publish["midi_sent"]),
        "osc_sent": int(status.publish["osc_sent"]),
        "zmq_sent": int(status.publish["sent"]),
    }
