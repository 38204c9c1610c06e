"""A queue of work on a device, and the copies in and out of it. On a CPU everything is done at once."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from engine.errors import EngineError

BUCKETS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256)
"""Batch sizes for which graphs are captured; a batch is filled up to the next one."""

_WARM_UPS = 2  # runs before a capture, for what allocates or compiles on first use


class NotEnoughMemory(EngineError):
    """The model does not fit; the text says what to lower."""


@contextmanager
def enough_memory(device: torch.device) -> Iterator[None]:
    """What is done inside at the start takes memory for good: if there is too little, say what to lower."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; on a CPU it is the plain type
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise NotEnoughMemory(
                f"{device} is out of memory while the model starts: {str(error).splitlines()[0]} "
                "Lower --max-streams, --kv-memory or --context, or use a larger device."
            ) from error
        raise


class Download:
    """A copy to the host that was asked for and may still be under way."""

    def __init__(self, tensor: Tensor, event: "torch.cuda.Event | None") -> None:
        self._tensor = tensor
        self._event = event

    def wait(self) -> npt.NDArray[Any]:
        """The values, as soon as they are there."""
        if self._event is not None:
            self._event.synchronize()
        array: npt.NDArray[Any] = self._tensor.numpy()
        return array


class Lane:
    """Work on one device in the order in which it was given; other lanes run beside it.

    On CUDA a lane is a stream: nothing here waits for the device, but for :meth:`Download.wait` and
    :meth:`finish`. Of work that waits for room on the device, that of the lane of higher ``priority`` goes first.
    What is made in one lane may be used in another only after :meth:`finish`.
    """

    def __init__(self, device: torch.device, *, priority: int = 0) -> None:
        self.device = device
        self._stream = _stream(device, priority) if device.type == "cuda" else None

    @contextmanager
    def work(self) -> Iterator[None]:
        """What is launched inside goes into this lane, without gradients."""
        with torch.inference_mode():
            if self._stream is None:
                yield
            else:
                with torch.cuda.stream(self._stream):
                    yield

    def upload(self, array: npt.NDArray[Any]) -> Tensor:
        """Copy to the device."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        if self._stream is None:
            return tensor
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def download(self, tensor: Tensor) -> Download:
        """Ask for a copy on the host."""
        if self._stream is None:
            return Download(tensor, None)
        host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        host.copy_(tensor, non_blocking=True)
        return Download(host, self._stream.record_event())

    def finish(self) -> None:
        """Wait until all work of the lane is done."""
        if self._stream is not None:
            self._stream.synchronize()


def _stream(device: torch.device, priority: int) -> "torch.cuda.Stream":
    # To CUDA the lower number goes first.
    stream: torch.cuda.Stream = torch.cuda.Stream(device, priority=-priority)  # type: ignore[no-untyped-call]
    return stream


class Captured:
    """A function of tensors with one row per stream, replayed as a CUDA graph where there are graphs.

    Rows of a smaller batch are filled up to the next of ``buckets`` with ``padding``, one value per argument. The
    function must not depend on the host, nor keep its arguments; what it returned is valid until the next call.
    Without ``graphs`` it is simply called, with the rows that there are.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        lane: Lane,
        padding: Sequence[int],
        *,
        graphs: bool,
        largest: int,
    ) -> None:
        self._function = function
        self._lane = lane
        self._padding = tuple(padding)
        self._graphs = graphs
        self.buckets = (*(bucket for bucket in BUCKETS if bucket < largest), largest)
        self._captures: dict[tuple[tuple[int, ...], ...], _Capture] = {}
        self._pool: Any = None

    def __call__(self, *arguments: Tensor) -> Tensor:
        """Run on ``arguments``, whose first axis is the batch."""
        if not self._graphs:
            return self._function(*arguments)
        rows = len(arguments[0])
        bucket = next(bucket for bucket in self.buckets if bucket >= rows)
        key = tuple((bucket, *argument.shape[1:]) for argument in arguments)
        capture = self._captures.get(key) or self._capture(key, arguments)
        for buffer, argument, padding in zip(capture.inputs, arguments, self._padding, strict=True):
            buffer[:rows].copy_(argument)
            buffer[rows:].fill_(padding)
        capture.graph.replay()
        return capture.output[:rows]

    def capture_all(self, *examples: Tensor) -> None:
        """Capture the graphs of all buckets for arguments like these (of any number of rows), largest first."""
        if self._graphs:
            for bucket in reversed(self.buckets):
                self(*(example[:1].expand(bucket, *example.shape[1:]) for example in examples))

    def _capture(self, key: tuple[tuple[int, ...], ...], like: Sequence[Tensor]) -> "_Capture":
        inputs = [
            argument.new_full(shape, padding)
            for argument, shape, padding in zip(like, key, self._padding, strict=True)
        ]
        for _ in range(_WARM_UPS):
            self._function(*inputs)
        self._lane.finish()
        graph = torch.cuda.CUDAGraph()
        # Thread-local: a voice may be encoded meanwhile, on a thread that takes memory as it likes.
        with torch.cuda.graph(
            graph,
            pool=self._pool,
            stream=torch.cuda.current_stream(),
            capture_error_mode="thread_local",
        ):
            output = self._function(*inputs)
        self._pool = self._pool or graph.pool()
        self._captures[key] = capture = _Capture(graph, inputs, output)
        return capture


class _Capture:
    def __init__(self, graph: "torch.cuda.CUDAGraph", inputs: list[Tensor], output: Tensor) -> None:
        self.graph = graph
        self.inputs = inputs
        self.output = output
