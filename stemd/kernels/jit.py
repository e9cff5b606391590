"""`kernel`: numba with one fixed signature, compiled when the module is imported.

One signature means that a wrong layout or type is a TypeError at once instead of a compile of half
a second in the middle of a show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

KERNELS: list[Any] = []  # every compiled kernel, for `warm` and for the test that counts signatures


def kernel(signature: str, *, fastmath: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Compile for exactly `signature`; cached on disk where numba finds a writable place.

    signature : numba type string, arrays as float32[:, ::1]
    fastmath : allow reassociation; only where a NaN is not part of the meaning
    """

    def compile_(function: Callable[..., Any]) -> Any:
        options: dict[str, Any] = {"nogil": True, "fastmath": fastmath, "error_model": "numpy"}
        try:
            compiled = njit(signature, cache=True, **options)(function)
        except (RuntimeError, OSError) as error:
            # hardened units and non-root containers have no writable cache (numba#5566), or a full
            if isinstance(error, RuntimeError) and "no locator" not in str(error):
                raise
            compiled = njit(signature, **options)(function)
        KERNELS.append(compiled)
        return compiled

    return compile_


FLUSH = np.float32(1e-15)
"""-300 dB: below this a sample is set to 0, so that no product in a transform becomes denormal."""
