"""A real PostgreSQL in a temporary folder, from the programs that Debian's package installs."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from sqlalchemy import make_url

SECONDS = 30.0


class NoPostgres(RuntimeError):
    """None is installed; the text says how to."""


@dataclass(frozen=True)
class Postgres:
    """A server that listens on a socket in ``folder``."""

    programs: Path
    folder: Path

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{uuid4().hex}"
        self.run("createdb", "-U", "postgres", "--strategy=file_copy", name).check_returncode()
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def take_away(self, url: str) -> None:
        """Break off all connections to a database, and take no new ones."""
        name = make_url(url).database
        self._sql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        self._sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608

    def give_back(self, url: str) -> None:
        """Take connections to it again."""
        self._sql(f"ALTER DATABASE {make_url(url).database} ALLOW_CONNECTIONS true")

    def run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        """Run one of PostgreSQL's clients."""
        command = [str(self.programs / program), "-h", str(self.folder), *arguments]
        return subprocess.run(command, capture_output=True, timeout=SECONDS)

    def _sql(self, statement: str) -> None:
        self.run("psql", "-U", "postgres", "-c", statement).check_returncode()


@contextmanager
def running() -> Iterator[Postgres]:
    """A server for the time of the context. Raises :class:`NoPostgres`."""
    versions = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if (path / "initdb").exists()]
    if not versions:
        raise NoPostgres("no PostgreSQL in /usr/lib/postgresql: apt install postgresql")
    programs = max(versions, key=lambda path: int(path.parent.name))
    root = os.getuid() == 0  # PostgreSQL refuses to run as root
    become = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if root else ["setpriv"]
    folder = Path(tempfile.mkdtemp(prefix="parrotfish-pg-"))
    try:
        if root:
            shutil.chown(folder, "postgres", "postgres")
        data = folder / "data"
        init = ["initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(
            [*become, str(programs / init[0]), *init[1:]],
            check=True,
            capture_output=True,
            cwd=folder,
            timeout=SECONDS,
        )
        settings = ["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"]
        serve = [str(programs / "postgres"), "-D", str(data), "-k", str(folder), *settings]
        server = subprocess.Popen(
            [*become, "--pdeathsig=QUIT", *serve],  # should this process be killed, so is the server
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            made = Postgres(programs, folder)
            end = time.monotonic() + SECONDS
            while made.run("pg_isready").returncode:
                assert server.poll() is None, "PostgreSQL ended at once"
                assert time.monotonic() < end, "PostgreSQL did not start"
                time.sleep(0.05)
            yield made
        finally:
            server.send_signal(signal.SIGINT)  # at once, whoever is still connected
            server.wait(SECONDS)
    finally:
        shutil.rmtree(folder)
