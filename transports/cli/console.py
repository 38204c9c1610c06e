"""What the operator of a server reads while it runs."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from engine import EngineState
from transports.accounts.auth import is_loopback
from transports.services import Services
from transports.settings import Settings


@contextlib.contextmanager
def _told_by_models(tell: Callable[[str], None]) -> Iterator[None]:
    """Pass on what models log while they are loaded, whatever the log level."""

    class Teller(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell(record.getMessage())

    models, teller = logging.getLogger("engine.models"), Teller(logging.INFO)
    for handler in logging.getLogger().handlers:  # these write no more than before
        handler.setLevel(models.getEffectiveLevel())
    models.setLevel(min(models.getEffectiveLevel(), logging.INFO))
    models.addHandler(teller)
    try:
        yield
    finally:
        models.removeHandler(teller)
        models.setLevel(logging.NOTSET)


class OperatorConsole:
    """What the operator reads: plain lines, and colours if it is a terminal.

    ``keys_needed`` says whether callers need an API key.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._console = Console(soft_wrap=True, highlight=False)
        self._loading = contextlib.ExitStack()
        self._started = time.monotonic()
        self._url = ""
        self.keys_needed = False

    def listening(self, port: int) -> None:
        """The address is taken; connections are accepted from now on, and the model is being loaded."""
        host = self._settings.host
        everywhere = host in ("0.0.0.0", "::")  # noqa: S104
        name = "127.0.0.1" if everywhere else f"[{host}]" if ":" in host else host
        scheme = "https" if self._settings.security.tls_cert else "http"
        self._url = f"{scheme}://{name}:{port}"
        self._console.print(f"[bold]{self._url}[/]")
        if everywhere:
            self._console.print("  and on every other address of this machine")
        if self._settings.open_to_all and not is_loopback(host):
            self._console.print("  [yellow]open to whoever reaches it, without an API key[/]")
        if not self._console.is_terminal:
            self._console.print("loading the voice ...")
            return
        columns = (SpinnerColumn(), TextColumn("[dim]{task.description}[/]"), TimeElapsedColumn())
        progress = Progress(*columns, console=self._console, transient=True)
        task = progress.add_task("loading the voice")
        self._loading.enter_context(progress)
        told = _told_by_models(lambda stage: progress.update(task, description=escape(stage)))
        self._loading.enter_context(told)

    def loaded(self) -> None:
        """The model is loaded, or has failed to. Idempotent."""
        self._loading.close()

    def ready(self, services: Services) -> None:
        """The model is warm."""
        self.loaded()
        engine = services.engine
        seconds = time.monotonic() - self._started
        key = '-H "Authorization: Bearer $FISH_API_KEY" ' if self.keys_needed else ""
        curl = (
            f"curl -sS {self._url}/v1/tts -H 'Content-Type: application/json' {key}"
            """-d '{"text": "Hello from parrotfish."}' -o hello.mp3"""
        )
        voices, processes = len(engine.info.voices), sum(one.pid > 0 for one in engine.numbers())
        workers = f", by {processes} worker{'' if processes == 1 else 's'}" if processes else ""
        self._console.print(
            f"[green]ready[/] after {seconds:.1f} s: model {engine.info.name}, {voices} "
            f"voice{'' if voices == 1 else 's'}, {engine.max_streams} streams at once on this machine{workers}"
        )
        for detail in engine.info.details:
            self._console.print(f"  [dim]model[/]   {escape(detail)}")
        self._console.print(f"  [dim]demo[/]    {self._url}/")
        self._console.print("  [dim]try[/]     ", end="")
        self._console.print(curl, markup=False)
        self._console.print("  [dim]stop[/]    Ctrl-C")

    def draining(self, services: Services) -> None:
        """A signal came; what is being said is finished first."""
        if services.engine.state is EngineState.LOADING:
            self._console.print("stopping as soon as the model is loaded; press Ctrl-C again to stop now")
            return
        count = services.engine.speaking_streams
        if not count:
            self._console.print("stopping")
            return
        self._console.print(
            f"finishing {count} {'utterance' if count == 1 else 'utterances'} "
            f"(up to {self._settings.grace_seconds:g} s); press Ctrl-C again to stop now"
        )
