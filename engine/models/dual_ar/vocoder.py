"""From the codes of many streams to their samples: how many frames at a time, and in which batches."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from engine.models.codec import Decoder
from engine.models.lane import Captured, Lane
from engine.speech import Pcm

PIECES = (4, 2, 1)
"""How many frames the codec is given at once: more is cheaper, fewer are heard sooner."""

_CALM = 2.0  # a listener's lead is to be so many times as long as it takes to make the next piece


class Lead:
    """How far what one stream has made is ahead of its listener, who hears it as soon as it is there.

    Pure: times are seconds of any one clock.
    """

    def __init__(self, *, paced: bool) -> None:
        self._paced = paced
        self._dry_at = -np.inf

    def made(self, seconds: float, now: float) -> None:
        """So much speech has been handed out."""
        self._dry_at = max(self._dry_at, now) + seconds

    def piece(self, now: float, frame_cost: float) -> int:
        """How many frames to collect for the codec, if a frame takes ``frame_cost`` seconds to make.

        One for a listener who hears nothing, more for one who would not run dry meanwhile; the most if nobody
        listens live.
        """
        if not self._paced:
            return PIECES[0]
        calm = (self._dry_at - now) / _CALM
        return next((frames for frames in PIECES if frames * frame_cost <= calm), PIECES[-1])


class Vocoder:
    """A codec's decoder with a state for each of ``slots`` streams."""

    def __init__(
        self,
        decoder: Decoder,
        lane: Lane,
        *,
        slots: int,
        largest: int,
        graphs: bool = False,
        compiled: Callable[[Callable[..., torch.Tensor]], Callable[..., torch.Tensor]] | None = None,
    ) -> None:
        self._lane = lane
        self._codebooks = decoder.config.codebooks
        self.frame_samples = decoder.config.frame_samples
        with torch.inference_mode():
            self._state = state = decoder.state(slots + 1)  # the last one is nobody's, for padding
        wrap = compiled or (lambda function: function)
        stream = wrap(lambda codes, at: decoder.stream(codes, at, state))
        self._stream = Captured(stream, lane, (0, slots), graphs=graphs, largest=largest)
        self._nobody = slots

    @property
    def nbytes(self) -> int:
        """Memory of the streams' states."""
        return self._state.nbytes

    def reset(self, slot: int) -> None:
        """The slot belongs to a new stream."""
        with self._lane.work():
            self._state.reset(self._lane.upload(np.array([slot])))

    def decode(self, codes: Mapping[int, Sequence[npt.NDArray[np.int64]]]) -> dict[int, Pcm]:
        """The speech of the frames of some slots, each a sequence of ``(codebooks,)``, in their order.

        Frames are decoded in the largest pieces that they can be cut into, those of all slots together.
        """
        left = {slot: list(frames) for slot, frames in codes.items() if len(frames)}
        speech: dict[int, list[Pcm]] = {slot: [] for slot in left}
        while left:
            batches: dict[int, list[int]] = {}
            for slot, frames in left.items():
                piece = next(piece for piece in PIECES if piece <= len(frames))
                batches.setdefault(piece, []).append(slot)
            for piece, slots in batches.items():
                block = np.stack([np.stack(left[slot][:piece], axis=1) for slot in slots])
                for slot, pcm in zip(slots, self._run(block, slots), strict=True):
                    speech[slot].append(pcm)
                    del left[slot][:piece]
            left = {slot: frames for slot, frames in left.items() if frames}
        return {slot: np.concatenate(ones) if len(ones) > 1 else ones[0] for slot, ones in speech.items()}

    def capture(self) -> None:
        """Capture all graphs, so that no stream waits for it."""
        with self._lane.work():
            slots = torch.tensor([self._nobody], device=self._lane.device)
            for piece in PIECES:
                self._stream.capture_all(slots.new_zeros((1, self._codebooks, piece)), slots)
        self._lane.finish()

    def _run(self, codes: npt.NDArray[np.int64], slots: Sequence[int]) -> npt.NDArray[np.float32]:
        with self._lane.work():
            upload = self._lane.upload
            pcm = self._stream(upload(codes), upload(np.array(slots)))
            download = self._lane.download(pcm)
        # The buffer may be used again: what is handed out is a copy.
        return np.array(download.wait(), np.float32)
