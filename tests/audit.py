"""Known vulnerabilities of what ``pip install parrotfish`` brings, with the extras that users have.

Part of ``make check``.
Asks the Python Package Index by pip-audit. Where it cannot be reached this is said, and is no failure.
"""

import json
import subprocess
import sys
import tempfile
import urllib.request
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

from tests.test_licences import brought

_EXTRAS = "bench,postgres,redis,s2,s3,silero,whisper"
# Long known to be vulnerable: an index that does not say so, as many mirrors do not, knows of nothing.
_PROBE = "https://pypi.org/pypi/jinja2/2.10/json"
_CACHE = Path(".venv/pip-audit")
_SECONDS = 120.0


def main() -> int:
    """Print what is known; 1 if anything is."""
    try:
        with urllib.request.urlopen(_PROBE, timeout=5.0) as answer:
            knows = bool(json.load(answer).get("vulnerabilities"))
    except (OSError, ValueError) as error:
        return _unaudited(f"{_PROBE} does not answer: {error}")
    if not knows:
        return _unaudited("what answers for pypi.org here knows of no vulnerabilities")
    pinned = _pinned()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pinned))
        file.flush()
        command = ["pip-audit", "--requirement", file.name, "--disable-pip", "--no-deps", "--format", "json"]
        command += ["--cache-dir", str(_CACHE), "--progress-spinner", "off", "--timeout", "10"]
        try:
            audit = subprocess.run(
                [sys.executable, "-m", "pip_audit", *command[1:]],
                capture_output=True,
                text=True,
                timeout=_SECONDS,
            )
            found = json.loads(audit.stdout)["dependencies"]
        except subprocess.TimeoutExpired:
            return _unaudited(f"no answer within {_SECONDS:g} s")
        except (ValueError, KeyError):
            return _unaudited(audit.stderr.strip().splitlines()[-1] if audit.stderr.strip() else "no answer")
    return _told(found, len(pinned))


def _pinned() -> list[str]:
    """Everything that is installed of what users may have, with its version."""
    found = {}
    for extra in ("", *_EXTRAS.split(",")):
        try:
            for one in brought(f"parrotfish[{extra}]" if extra else "parrotfish"):
                found[one.name.lower()] = f"{one.name}=={one.version.partition('+')[0]}"
        except PackageNotFoundError as error:
            print(f"not audited: what [{extra}] needs, {error.name}, is not installed")
    found.pop("parrotfish", None)
    return sorted(found.values())


def _told(dependencies: list[dict[str, Any]], asked: int) -> int:
    bad, skipped = 0, 0
    for one in dependencies:
        if reason := one.get("skip_reason"):
            skipped += 1
            print(f"not audited: {reason}")
        for known in one.get("vulns", []):
            bad += 1
            fixed = ", ".join(known["fix_versions"]) or "no version"
            print(f"{one['name']} {one['version']}: {known['id']}; mended in {fixed}")
    print(f"{asked - skipped} of {asked} dependencies audited: {bad or 'no'} known vulnerabilities")
    return 1 if bad else 0


def _unaudited(reason: str) -> int:
    print(f"dependencies NOT audited: {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
