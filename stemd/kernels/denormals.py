"""Denormal numbers as zero, for the thread that calls.

A filter whose state has decayed below 1e-38 runs 20 times slower, so silence would be the most
expensive programme.  The switch is a bit of the FPU control register of each thread; threads made
afterwards inherit it on x86-64 Linux, but callers set it at the start of each thread that computes.
"""

from __future__ import annotations

import platform

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

FTZ_DAZ = 0x8040  # MXCSR bits: flush results to zero, read denormals as zero
FPCR_FZ = 1 << 24  # AArch64: flush to zero, inputs and results

_MACHINE = platform.machine().lower()
_X86 = _MACHINE in ("x86_64", "amd64")
_ARM = _MACHINE in ("aarch64", "arm64")


@intrinsic
def _swap_mxcsr(typingctx, clear, set_):
    """MXCSR & ~clear | set_, returning what it was."""

    def codegen(context, builder, signature, args):
        i32, pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        transfer = ir.FunctionType(ir.VoidType(), [pointer])
        # LLVM's own names, not inline assembly: without an assembly parser that aborts the process
        store = cgutils.get_or_insert_function(builder.module, transfer, "llvm.x86.sse.stmxcsr")
        load = cgutils.get_or_insert_function(builder.module, transfer, "llvm.x86.sse.ldmxcsr")
        slot = cgutils.alloca_once(builder, i32)
        builder.call(store, [builder.bitcast(slot, pointer)])
        before = builder.load(slot)
        builder.store(builder.or_(builder.and_(before, builder.not_(args[0])), args[1]), slot)
        builder.call(load, [builder.bitcast(slot, pointer)])
        return before

    return types.uint32(types.uint32, types.uint32), codegen


@intrinsic
def _swap_fpcr(typingctx, clear, set_):
    """FPCR & ~clear | set_, returning what it was."""

    def codegen(context, builder, signature, args):
        i64 = ir.IntType(64)
        read = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(i64, []), "llvm.aarch64.get.fpcr"
        )
        write = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [i64]), "llvm.aarch64.set.fpcr"
        )
        before = builder.call(read, [])
        builder.call(write, [builder.or_(builder.and_(before, builder.not_(args[0])), args[1])])
        return before

    return types.uint64(types.uint64, types.uint64), codegen


def _make_swap():
    """Compiled register swap for this processor and its bits, or None where it is not known."""
    if _X86:

        @njit("uint32(uint32, uint32)", nogil=True)
        def swap_mxcsr(clear, set_):
            return _swap_mxcsr(clear, set_)  # type: ignore[call-arg]

        return swap_mxcsr, FTZ_DAZ
    if _ARM:

        @njit("uint64(uint64, uint64)", nogil=True)
        def swap_fpcr(clear, set_):
            return _swap_fpcr(clear, set_)  # type: ignore[call-arg]

        return swap_fpcr, FPCR_FZ
    return None, 0


_SWAP, _BITS = _make_swap()


def flush_denormals(on: bool = True) -> bool:
    """Treat denormals as zero in the calling thread from now on, or no longer.

    Returns
    -------
    bool
        Whether it is in force; False on a processor whose register is not known.  The processors
        work without it: what enters them below 1e-15 is set to 0.
    """
    if _SWAP is None:
        return False
    _SWAP(0 if on else _BITS, _BITS if on else 0)
    return on and denormals_are_flushed()


def denormals_are_flushed() -> bool:
    """Ask the processor rather than the register: half the smallest normal number, is it 0?"""
    smallest = np.full(1, np.finfo(np.float32).tiny)
    return bool((smallest * np.float32(0.5))[0] == 0.0)
