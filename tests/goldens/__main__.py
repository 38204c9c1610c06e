"""``python -m tests.goldens DIR [--part lm|codec|sampling] [--device cuda]``; see the package."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from engine.errors import EngineError
from tests.goldens import codec, lm, sampling
from tests.goldens.report import Report

PARTS = {"lm": lm.check, "codec": codec.check, "sampling": sampling.check}


def compare(folder: Path, parts: Sequence[str] = tuple(PARTS), device: str = "cpu") -> Report:
    """Compute what the folder's arrays say, in float32, and compare."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    report = Report()
    with torch.inference_mode():
        for part in parts:
            PARTS[part](folder, report, torch.device(device))
    return report


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if something is beyond its tolerance, 2 if a checkpoint cannot be read."""
    parser = argparse.ArgumentParser("python -m tests.goldens", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="laid out like tests/goldens/data")
    parser.add_argument("--part", choices=PARTS, action="append", help="only this part (may be repeated)")
    parser.add_argument("--device", default="cpu", help="where to compute (default: cpu)")
    asked = parser.parse_args(arguments)
    try:
        report = compare(asked.folder, asked.part or tuple(PARTS), asked.device)
    except (EngineError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(report)
    return int(report.failed)


if __name__ == "__main__":
    sys.exit(main())
