"""From a thread to the event loop."""

import asyncio
from collections.abc import Callable


def post(loop: asyncio.AbstractEventLoop, call: Callable[..., None], *args: object) -> None:
    """Run ``call`` on the event loop, from another thread; a closed loop has nobody left to tell."""
    try:
        loop.call_soon_threadsafe(call, *args)
    except RuntimeError:
        if not loop.is_closed():
            raise
