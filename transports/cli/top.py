"""``parrotfish top``: how servers are doing, live in a terminal."""

import asyncio
import dataclasses
import json
from collections import deque
from collections.abc import Sequence
from time import monotonic

import click
import httpx
from rich.console import Console
from rich.live import Live

from transports.cli.types import Number
from transports.top import Figures, NoMetrics, Reading, View, figures, read, show

DEFAULT_URL = "http://127.0.0.1:8080"
WINDOW_SECONDS = 60.0
"""What happened in so much time is shown."""
_PATIENCE_SECONDS = 5.0
_MOST_BYTES = 8 * 1024 * 1024


class _Server:
    """One server that is asked again and again."""

    def __init__(self, url: str, client: httpx.AsyncClient) -> None:
        self._url = url
        self._client = client
        self._readings: deque[Reading] = deque()

    async def view(self) -> View:
        """How it is doing now, and since the first time, but no longer ago than the window."""
        try:
            now = read(await self._page(), monotonic())
        except (_NoPage, NoMetrics) as error:
            self._readings.clear()
            return View(self._url, None, str(error))
        while self._readings and now.at - self._readings[0].at > WINDOW_SECONDS:
            self._readings.popleft()
        before = self._readings[0] if self._readings else None
        self._readings.append(now)
        return View(self._url, figures(now, before))

    async def _page(self) -> str:
        page = bytearray()
        try:
            async with (
                asyncio.timeout(_PATIENCE_SECONDS),
                self._client.stream("GET", _metrics_url(self._url)) as response,
            ):
                if not response.is_success:
                    raise _NoPage(_refusal(response.status_code))
                async for piece in response.aiter_bytes():
                    page += piece
                    if len(page) > _MOST_BYTES:
                        raise _NoPage(f"a page of more than {_MOST_BYTES} bytes")
        except TimeoutError:
            raise _NoPage(f"no answer within {_PATIENCE_SECONDS:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _NoPage(f"cannot be reached: {error or type(error).__name__}") from None
        return page.decode(errors="replace")


class _NoPage(Exception):
    """A server has not given its metrics."""


@click.command(context_settings={"show_default": True})
@click.argument("urls", nargs=-1, metavar="[URL]...")
@click.option("--interval", default=2.0, type=Number(0.2), metavar="SECONDS", help="Between two looks.")
@click.option(
    "--once", is_flag=True, help="Look once, print what has been since each server started, and end."
)
@click.option("--json", "as_json", is_flag=True, help="A line of JSON for each look instead of tables.")
@click.option(
    "--token",
    envvar="PARROTFISH_METRICS_TOKEN",
    hide_input=True,
    show_envvar=True,
    help="The servers' --metrics-token, if they have one.",
)
def top(urls: tuple[str, ...], interval: float, once: bool, as_json: bool, token: str | None) -> None:
    """Show how the servers at URL are doing: streams, onsets, underruns, refusals, the engine, the event loop.

    \b
    Without a URL it is the one on this machine. Times are those of the last
    minute. Ends with Ctrl-C; with --once it fails if a server did not answer.
    """
    try:
        well = asyncio.run(_run(urls or (DEFAULT_URL,), interval, once=once, as_json=as_json, token=token))
    except KeyboardInterrupt:
        return
    if not well:
        raise click.exceptions.Exit(1)


async def _run(urls: Sequence[str], interval: float, *, once: bool, as_json: bool, token: str | None) -> bool:
    """Whether every server answered, when asked once; for ever else."""
    headers = {"Accept": "text/plain", **({"Authorization": f"Bearer {token}"} if token else {})}
    async with httpx.AsyncClient(headers=headers, timeout=_PATIENCE_SECONDS, trust_env=False) as client:
        servers = [_Server(url, client) for url in urls]
        if once or as_json:
            while True:
                views = await asyncio.gather(*(server.view() for server in servers))
                if as_json:
                    click.echo(json.dumps([_fields(view) for view in views]))
                else:
                    Console().print(show(views))
                if once:
                    return all(view.figures is not None for view in views)
                await asyncio.sleep(interval)
        with Live(auto_refresh=False, screen=True) as live:
            while True:
                views = await asyncio.gather(*(server.view() for server in servers))
                live.update(show(views), refresh=True)
                await asyncio.sleep(interval)


def _metrics_url(url: str) -> str:
    """Where a server's metrics are: a URL may name them itself."""
    url = url if "://" in url else f"http://{url}"
    return url if url.rstrip("/").endswith("/metrics") else f"{url.rstrip('/')}/metrics"


def _refusal(status: int) -> str:
    match status:
        case 401:
            return "asks for its --metrics-token: give it as --token"
        case 403:
            return "lets nobody read its metrics: start it with --metrics-token or --metrics-port"
        case 404:
            return "has no metrics"
        case _:
            return f"answers {status}"


def _fields(view: View) -> dict[str, object]:
    found: Figures | None = view.figures
    return {"url": view.url, "problem": view.problem or None} | (dataclasses.asdict(found) if found else {})
