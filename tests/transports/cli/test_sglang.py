"""``--engine sglang``: its options, and what cannot be."""

import sys
from pathlib import Path

import pytest

from tests.transports.cli.test_model import chosen, parrotfish
from transports.cli.sglang import sglang_options

EVERY = ["--tp", "2", "--sglang-python", sys.executable]


def test_every_option_says_how_sglang_runs() -> None:
    choice = chosen("--engine", "sglang", "--model", "x", *EVERY, "--context", "2048")
    how = sglang_options(choice.options)
    assert (how.tensor_parallel, how.python) == (2, Path(sys.executable))
    assert choice._dual_ar_options(3).context == 2048
    assert chosen(*choice.arguments()) == choice


def test_without_options_it_is_one_gpu_and_this_python() -> None:
    how = sglang_options(chosen("--engine", "sglang", "--model", "x").options)
    assert (how.tensor_parallel, how.python) == (1, None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tp", "2", "--model", "x"], "--tp is for --engine sglang"),
        (["--engine", "sglang"], "--engine sglang needs --model: a checkpoint of S2-Pro"),
        (
            ["--engine", "sglang", "--model", "x", "--engine-url", "http://h/v1"],
            "--engine-url is for --engine",
        ),
        (["--engine", "sglang", "--model", "x", "--tp", "0"], "--tp"),
    ],
)
def test_what_does_not_go_together(arguments: list[str], told: str) -> None:
    code, output = parrotfish("voices", *arguments)
    assert code == 2
    assert told in output
