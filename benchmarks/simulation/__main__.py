"""``python -m benchmarks.simulation``: onset and continuity of many streams by policy, in virtual time."""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from benchmarks.screen import screen
from benchmarks.simulation import report
from benchmarks.simulation.costs import PRESETS, Costs, Measured
from benchmarks.simulation.policies import POLICIES
from benchmarks.simulation.results import SCENARIOS, Case, Setting, measure
from benchmarks.simulation.workload import Workload

_ABOUT = """\
What callers of Fish S2-Pro would hear, by the number of streams and by who is served first. The scheduler is the
engine's own; time, callers and the model are simulated. Some 15 s; the same for the same seed.

policies
  deadline     ours: the silent first, then who is nearest to running dry; nobody far ahead of his listener
  first-come   the oldest stream first, until all it has to say is said
  round-robin  everybody in turn

costs
  floor        of one H200, by arithmetic from bandwidth and peak
  plausible    a quarter more and 1.2 ms of gaps: 6.0 ms for a frame of one stream, 8.7 ms for 64
  half         a machine of half that speed

steady: turns begin at random (Poisson) such that so many streams are being listened to on average, each of some
        segments of 2 to 8 s, as a language model writes them. burst: all begin at once, on an idle machine.

onset    from a turn's first segment to its first sound, network excluded
wait     the longest silence after that for lack of audio
C100     share of turns that never waited longer than 100 ms
in time  share of turns of which that is true and that began within 150 ms
RTF      mean step over the length of a frame
rows     streams in a step; busy: share of time in steps. The model runs ahead of its listeners, so it is busy
         long before it is at its limit.
waste    share of frames that were computed and, for an interruption, not listened to
KV       most memory that keys and values of open streams took
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.simulation", description=_ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    default = Setting()
    add = parser.add_argument
    add("--streams", nargs="+", type=_positive, default=[16, 32, 64, 128, 256], help="16 32 64 128 256")
    add("--policy", nargs="+", choices=list(POLICIES), default=list(POLICIES), help="all of them")
    add("--scenario", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="both")
    add(
        "--costs",
        nargs="+",
        type=_costs,
        default=[_costs("plausible"), _costs("half")],
        metavar="NAME|FILE",
        help=f"{', '.join(PRESETS)}, or a JSON file of measured ones, at least\n"
        '{"decode_ms": {"1": 5.1, "64": 8.0}} by batch; plausible and half unless given',
    )
    add("--seconds", type=float, default=default.seconds, help=f"of turns that count ({default.seconds:g})")
    add("--seed", type=int, default=default.seed, help=f"({default.seed})")
    add("--max-batch", type=_positive, default=default.max_batch, help=f"rows ({default.max_batch})")
    add("--max-prefills", type=_positive, default=default.max_prefills, help=f"({default.max_prefills})")
    add("--chunk", type=_positive, default=default.chunk, help=f"new tokens a step reads ({default.chunk})")
    add("--max-ahead", type=float, default=default.max_ahead, help=f"seconds ({default.max_ahead:g})")
    add("--max-streams", type=_positive, help="beyond which deadline refuses; nobody is refused unless given")
    add("--cached", type=float, default=0.9, help="share of turns whose voice is in the prefix cache (0.9)")
    add("--out", type=Path, default=Path(__file__).parents[1] / "out", help="where simulation.{json,png} go")
    options = parser.parse_args(arguments)
    setting = Setting(
        seconds=options.seconds,
        seed=options.seed,
        max_batch=options.max_batch,
        max_prefills=options.max_prefills,
        max_ahead=options.max_ahead,
        chunk=options.chunk,
        max_streams=options.max_streams,
        workload=Workload(cached=options.cached),
    )
    console = screen()
    results = []
    with console.status("") as status:
        cases = itertools.product(options.costs, options.scenario, options.streams, options.policy)
        for (name, costs), scenario, streams, policy in cases:
            status.update(f"{name}, {scenario}, {streams} streams, {policy}")
            results.append(measure(Case(name, scenario, streams, policy), costs, setting))
    report.show(results, console)
    options.out.mkdir(parents=True, exist_ok=True)
    report.save(results, setting, options.out / "simulation.json")
    console.print(f"All numbers: {options.out / 'simulation.json'}", soft_wrap=True)
    try:
        report.draw(results, options.out / "simulation.png")
        console.print(f"The picture: {options.out / 'simulation.png'}", soft_wrap=True)
    except ImportError:
        console.print("No picture: that needs matplotlib, which comes with parrotfish\\[bench]")


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _costs(text: str) -> tuple[str, Costs]:
    if text in PRESETS:
        return text, PRESETS[text]
    try:
        return Path(text).stem, Measured.read(Path(text))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    main()
