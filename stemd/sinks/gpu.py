"""Clocks and temperatures of NVIDIA GPUs, asked of the driver; none where there is no driver."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import pynvml


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """Of one GPU, now."""

    name: str
    clock_hz: float  # of the streaming multiprocessors: it sinks between spaced runs
    temperature_c: float
    used_bytes: int
    busy: float  # share of the last moments in which it did anything


class Gpus:
    """All GPUs the driver shows."""

    def __init__(self) -> None:
        self._handles = []
        with contextlib.suppress(pynvml.NVMLError):
            pynvml.nvmlInit()
            self._handles = [
                pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())
            ]

    def read(self) -> list[GpuFacts]:
        """How they are; those that do not answer are left out."""
        facts = []
        for handle in self._handles:
            with contextlib.suppress(pynvml.NVMLError):
                name = pynvml.nvmlDeviceGetName(handle)
                facts.append(
                    GpuFacts(
                        name=name.decode() if isinstance(name, bytes) else str(name),
                        clock_hz=1e6 * pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
                        temperature_c=float(
                            pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)
                        ),
                        used_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).used),
                        busy=pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
                    )
                )
        return facts
