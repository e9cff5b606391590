"""A mixture becomes four stems: `HopSeparator` for hops of many feeds, `Separator` for any block.

Whatever the model does, the stems sum to the delayed input: the first three come from the masks,
`other` is the delayed input minus the three.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
import numpy.typing as npt

from stemd.kernels.masking import (
    apply_complex,
    apply_real,
    find_usable,
    move_fades,
    project_complex,
    project_real,
)
from stemd.kernels.overlap import close_sum
from stemd.processors.rest import Rest
from stemd.processors.stft import Analysis, Complex64Array, Float32Array, Synthesis
from stemd.spec import N_CHANNELS, N_STEMS, StreamSpec

HOLD_MS = 50.0  # a late model's last masks still fit the sound for about as long as a short note
CROSS_MS = 40.0  # from the masks of one model to those of another
FADE_MS = 20.0  # to dry and back; each step of it is smoothed again by the overlap-add


class MaskModel(Protocol):
    """What the separator needs of a model: `MaskNet`, `DeadlineModel`."""

    complex_masks: bool

    def process(
        self, spectra: Complex64Array, deadline: float | None = None
    ) -> Float32Array | None:
        """Masks (b, s, c, f), or (b, s, c, f, 2) if complex; None: none in time."""

    def reset(self, slot: int | None = None) -> None:
        """Forget one feed's past, or every feed's."""


class HopSeparator:
    """Separate n_feeds stereo feeds, one hop per call.

    With no masks in time the previous ones are held for `hold_hops`, then the mix fades over
    `fade_hops` into `other`; it fades back when masks return.

    Parameters
    ----------
    spec : StreamSpec
    model : MaskModel or None
        May be replaced at any time through the attribute `model`; None is dry.

    Attributes
    ----------
    rest : Rest or None
        Asked whether the model may rest; the masks stay as they are then. None: it never does.
    resting : bool
        The model did not hear the newest hop, because there was nothing to hear.
    spectra, frames : of the newest frame, see `Analysis`
    masked : (b, 3, c, f) complex64
        Masked spectra of vocals, drums, bass of the newest frame; `other` is `spectra` minus them.
    masked_frames : (b, 3, c, n_fft) float32
        The same in time, under the analysis window.
    late_hops, dry_hops, bad_hops : (b,) int64
        Since start: hops with no masks from a model that is there; hops any part of which is dry;
        hops refused because a mask was NaN or infinite (these count as late too).
    late, dry, fading : (b,) bool
        Of the newest hop: its masks were not in time; some or all of it is dry; the fade between
        dry and separated, or from one model to another, moved, so a rise in a stem is no onset.

    Latency:  hop_length samples from `process`'s input to its output.  Collecting the hop takes
              another hop_length, and the sum of both is `spec.latency`, which is published.
    """

    def __init__(self, spec: StreamSpec, model: MaskModel | None = None) -> None:
        assert spec.lookahead_hops == 0  # masks are of the newest frame, and so is their spectrum
        self.spec = spec
        self.latency = spec.latency - spec.hop_length
        self.model = model
        self.rest: Rest | None = None
        self.resting = False
        self.hold_hops = math.ceil(spec.samples(HOLD_MS) / spec.hop_length)
        self.fade_hops = max(2, math.ceil(spec.samples(FADE_MS) / spec.hop_length))
        self._analysis = Analysis(spec)
        self._synthesis = Synthesis(spec)
        n_feeds = spec.n_feeds
        shape = (n_feeds, N_STEMS - 1, N_CHANNELS, spec.n_bins)
        self.spectra = self._analysis.spectra
        self.frames = self._analysis.frames
        self.masked = np.zeros(shape, np.complex64)
        self.masked_frames = self._synthesis.frames
        self._held = np.zeros(shape, np.float32)
        self._held_complex = np.zeros(shape, np.complex64)
        self._masks_shape = (n_feeds, N_STEMS, N_CHANNELS, -1)
        self._complex = False
        self._arrived = np.zeros(n_feeds, np.bool_)
        self._delayed = spec.n_fft - spec.hop_length - self.latency
        self._counts = np.zeros((2, n_feeds), np.int64)
        self.late_hops, self.dry_hops = self._counts
        self.bad_hops = np.zeros(n_feeds, np.int64)
        self._flags = np.zeros((3, n_feeds), np.bool_)
        self.late, self.dry, self.fading = self._flags
        self._bypass = np.zeros(n_feeds, np.bool_)
        self._walk = np.zeros((2, n_feeds), np.int64)  # see move_fades
        self._wet = np.zeros(n_feeds, np.float32)
        # raised cosine: no corner at either end of the fade
        fade = np.arange(self.fade_hops + 1) / self.fade_hops
        self._fade = (0.5 - 0.5 * np.cos(np.pi * fade)).astype(np.float32)
        self._cross_hops = math.ceil(spec.samples(CROSS_MS) / spec.hop_length)
        self._crossing = 0  # hops of a cross-fade to go
        self._from = np.zeros(shape, np.complex64)  # the masks it comes from
        self._forget(slice(None))

    def process(
        self,
        hop: Float32Array,
        stems_out: Float32Array,
        mix_out: Float32Array,
        deadline: float | None = None,
    ) -> None:
        """Take the next hop, hand out the one before it.

        Parameters
        ----------
        hop : (b, c, hop_length) float32
            Full scale 1. Not modified.
        stems_out : (b, s, c, hop_length) float32
            Overwritten; sums over s to `mix_out`.
        mix_out : (b, c, hop_length) float32
            Overwritten with the input, `latency` samples late.
        deadline : float or None
            Passed to the model: when its masks must be there, on its clock.
        """
        self.analyse(hop)
        model = self.model
        self.resting = self._may_rest(hop)
        if self.resting:
            self._fade_on(model)
        else:
            masks = None if model is None else model.process(self.spectra, deadline)
            self.take(masks, model)
        self.synthesise(stems_out, mix_out)

    def analyse(self, hop: Float32Array) -> None:
        """The first part of `process`: `spectra` and `frames` of the newest frame."""
        self._analysis.process(hop)

    def take(self, masks: Float32Array | None, model: MaskModel | None) -> None:
        """The middle part of `process`: keep good masks, move each feed's fade one hop on.

        Parameters
        ----------
        masks : (b, s, c, f) or (b, s, c, f, 2) float32, or None
            Of the newest frame, from `model`; None: none in time.
        model : MaskModel or None
            What they came from; only asked of what kind they are, and to forget where they are
            not numbers.
        """
        arrived = self._arrived
        crossing = self._crossing > 0
        if masks is None or model is None:
            arrived.fill(False)
        else:
            if model.complex_masks != self._complex:
                self._complex = model.complex_masks
                self._held.fill(0.0)
                self._held_complex.fill(0.0)
            find_usable(masks.reshape(self.spec.n_feeds, -1), arrived)
            masks = masks.reshape(self._masks_shape)
            if self._complex:
                project_complex(masks, arrived, self._held_complex)
            else:
                project_real(masks, arrived, self._held)
            if self._crossing:
                self._cross(arrived)
            if not arrived.all():
                self.bad_hops += ~arrived
                for feed in np.flatnonzero(~arrived):
                    model.reset(int(feed))  # a NaN in a recurrent state stays for ever
        self._fade_on(model)
        if crossing:  # only now: the flags have just been written anew
            self.fading |= arrived

    def _may_rest(self, hop: Float32Array) -> bool:
        """Silence, and the masks of the hop before were there: none are on their way."""
        if self.rest is None or not self.rest.process(hop) or self.model is None:
            return False
        return bool(self._arrived.all()) and not self._crossing

    def _fade_on(self, model: MaskModel | None) -> None:
        """Move each feed's fade one hop on."""
        move_fades(
            self._arrived,
            self._bypass,
            model is not None,
            # the masks of a model that was taken away are faded out at once
            0 if model is None else self.hold_hops,
            self._fade,
            self._walk,
            self._counts,
            self._flags,
            self._wet,
        )

    def cross_fade(self) -> None:
        """Go over to another model softly: the attribute `model` is about to change."""
        self._crossing = self._cross_hops
        np.copyto(self._from, self._held_complex if self._complex else self._held)

    def _cross(self, arrived: npt.NDArray[np.bool_]) -> None:
        """Masks on their way from the old model's last ones to the new one's."""
        passed = 1.0 - self._crossing / (self._cross_hops + 1)
        share = np.float32(0.5 + 0.5 * math.cos(math.pi * passed))  # of the old
        held = self._held_complex if self._complex else self._held
        start = self._from if self._complex else self._from.real
        for feed in np.flatnonzero(arrived):
            held[feed] += share * (start[feed] - held[feed])
        self._crossing -= 1

    def synthesise(self, stems_out: Float32Array, mix_out: Float32Array) -> None:
        """The last part of `process`: apply the masks held, finish the hop before the newest."""
        spectra = self.spectra
        if self._complex:
            apply_complex(self._held_complex, spectra, self._wet, self.masked)
        else:
            apply_real(self._held, spectra, self._wet, self.masked)
        self._synthesis.process(self.masked, stems_out)
        close_sum(self._analysis.history, self._delayed, stems_out, mix_out)

    def set_bypass(self, on: bool, feed: int | None = None) -> None:
        """Lead one feed, or all, dry through `other`; cross-faded. The model goes on listening."""
        self._bypass[slice(None) if feed is None else feed] = on

    def reset(self, feed: int | None = None) -> None:
        """Forget one feed's past, or every feed's; the model's too. Bypass and counts stay."""
        self._analysis.reset(feed)
        self._synthesis.reset(feed)
        self._forget(slice(None) if feed is None else slice(feed, feed + 1))
        if self.rest is not None:
            self.rest.reset()
        if self.model is not None:
            self.model.reset(feed)

    def _forget(self, feeds: slice) -> None:
        """State of a feed that starts: separated at once if masks come, dry at once if not."""
        self.masked[feeds] = 0.0
        self._held[feeds] = 0.0
        self._held_complex[feeds] = 0.0
        self._walk[0, feeds] = -1
        self._walk[1, feeds] = 0
        self._flags[:, feeds] = False


class Separator:
    """Separate one feed in blocks of any size: as many samples out as in.

    Parameters
    ----------
    spec : StreamSpec
        One feed.
    model : MaskModel or None
        `MaskNet` for results that do not depend on time.

    Latency:  spec.latency samples, always: block sizes do not change a bit of the output.
    """

    def __init__(self, spec: StreamSpec, model: MaskModel | None = None) -> None:
        assert spec.n_feeds == 1
        self.spec = spec
        self.latency = spec.latency
        self.core = HopSeparator(spec, model)
        self._hop = np.zeros((1, N_CHANNELS, spec.hop_length), np.float32)
        self._stems = np.zeros((1, N_STEMS, N_CHANNELS, spec.hop_length), np.float32)
        self._mix = np.zeros((1, N_CHANNELS, spec.hop_length), np.float32)
        self._fill = 0

    @classmethod
    def load(
        cls,
        profile: str = "live",
        samplerate: int = 48000,
        model: str = "default",
        provider: str = "auto",
    ) -> Separator:
        """A separator with a released model.

        Parameters
        ----------
        profile : str
            A name in `spec.PROFILES`.
        samplerate : int
            Hz, 44100 or 48000.
        model, provider : see `find_model`, `MaskNet`

        Raises
        ------
        ModelError
            If there is no such model, or it does not fit.
        """
        # the runtime only when asked for
        from stemd.processors.catalogue import find_model
        from stemd.processors.masknet import MaskNet

        spec = StreamSpec.of(profile, samplerate)
        return cls(spec, MaskNet(find_model(model, profile), spec, provider))

    def process(
        self, block: npt.NDArray[np.floating], out: Float32Array | None = None
    ) -> Float32Array:
        """Separate the next block.

        Parameters
        ----------
        block : (n,), (1, n) or (2, n)
            Full scale 1; mono is heard on both channels. Not modified.
        out : (s, 2, n) float32 or None
            Overwritten and returned; made when None.

        Returns
        -------
        stems : (s, 2, n) float32
            Order is `spec.STEMS`; sums to the input `latency` samples ago.

        Raises
        ------
        ValueError
            If the shapes do not fit.
        """
        n_samples = block.shape[-1]
        if block.ndim > 2 or (block.ndim == 2 and block.shape[0] not in (1, N_CHANNELS)):
            raise ValueError(f"block: got shape {block.shape}, expected (n,), (1, n) or (2, n)")
        shape = (N_STEMS, N_CHANNELS, n_samples)
        if out is None:
            out = np.empty(shape, np.float32)
        elif out.shape != shape or out.dtype != np.float32:
            raise ValueError(f"out: got {out.dtype} {out.shape}, expected float32 {shape}")
        hop_length = self.spec.hop_length
        done = 0
        while done < n_samples:
            take = min(n_samples - done, hop_length - self._fill)
            here, there = slice(self._fill, self._fill + take), slice(done, done + take)
            self._hop[0, :, here] = block[..., there]
            out[:, :, there] = self._stems[0, :, :, here]
            self._fill += take
            done += take
            if self._fill == hop_length:
                self.core.process(self._hop, self._stems, self._mix)
                self._fill = 0
        return out

    def reset(self) -> None:
        """Start again as if new."""
        self.core.reset()
        self._stems.fill(0.0)
        self._fill = 0
