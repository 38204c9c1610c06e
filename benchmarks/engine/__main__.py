"""``python -m benchmarks.engine``: what a frame takes and why, first audio, and live streams."""

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.engine import machine, report
from benchmarks.engine.checkpoint import checkpoint
from benchmarks.engine.first import measure_first
from benchmarks.engine.launches import launches
from benchmarks.engine.live import plan, run, segment_seconds, summarise
from benchmarks.engine.parts import measure_parts, measure_whole, position_ms, profile_steps
from benchmarks.engine.results import Results
from benchmarks.engine.rig import Rig
from benchmarks.engine.setting import Setting
from benchmarks.engine.step import Told, measure_prefills, measure_steps
from benchmarks.engine.voices import write_voices
from engine import Engine, EngineError
from engine.models.codec.config import real_config
from engine.models.codec.random import tiny_config
from engine.models.dual_ar import DualARModel, DualAROptions, load_dual_ar
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.load import pick_device, pick_dtype
from engine.models.dual_ar.presets import Scale, preset

SECTIONS = ("launches", "step", "parts", "first", "live")

_VOICES = 8
_AUDIO_CALLS = 20
_OUT = Path(__file__).parents[1] / "out"

_ABOUT = """\
The engine of Fish S2-Pro and its kin on this machine, with random weights unless --checkpoint has real ones.

launches  kernels of a frame, counted without running it
step      a decode step at each batch, in the batcher and on the device alone, and prompts, against their floor:
          weights and keys read once at the bandwidth of a large copy or sum, products at the speed of a large one
parts     the same frame's slow transformer, fast transformer, sampling and codec, each alone; the whole model's
          step; gaps are the difference
first     first audio of a lone stream through the engine, with a voice that is cached and with one that is not
live      at each batch as many listeners, who come at random (Poisson): onset from what is said to what is heard,
          and C100, the share of turns that never waited longer than 100 ms after it
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if the model cannot be loaded."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.engine", description=_ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--like", type=Layout, choices=list(Layout), default=Layout.S2_PRO, help="s2-pro or s1-mini")
    add("--scale", type=Scale, choices=list(Scale), default=Scale.TINY, help="tiny or full (11 GB)")
    add("--batch", nargs="+", type=_positive, help="1 8 16 64 128, on a CPU 1 4 8")
    add("--only", nargs="+", choices=SECTIONS, default=SECTIONS, metavar="SECTION", help=" ".join(SECTIONS))
    add("--checkpoint", type=Path, metavar="DIR", help="a checkpoint, or where to write the random one")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--dtype", choices=("auto", "bfloat16", "float32"), default="auto", help="of weights and KV cache")
    add("--no-graphs", action="store_true", help="no CUDA graphs")
    add("--compile", action="store_true", help="torch.compile each step first")
    add("--context", type=_positive, default=1000, help="positions of each stream in step and parts (1000)")
    add("--seconds", type=_length, help="of live streams at each batch; 30, on a CPU 6")
    add("--runs", type=_positive, help="of first audio, and half as many with new voices; 40, on a CPU 12")
    add("--seed", type=int, default=0, help="(0)")
    add("--out", type=Path, default=_OUT, help="where engine.json, engine-costs.json and engine.png go")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        results = _measure(options, console)
    except (EngineError, ValueError, OSError) as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    report.show(results, console)
    options.out.mkdir(parents=True, exist_ok=True)
    for path in report.save(results, options.out):
        console.print(f"Numbers: {path}", soft_wrap=True)
    try:
        if report.draw(results, options.out / "engine.png"):
            console.print(f"The picture: {options.out / 'engine.png'}", soft_wrap=True)
    except ImportError:
        console.print("No picture: that needs matplotlib, which comes with parrotfish\\[bench]")
    return 0


def _measure(options: argparse.Namespace, console: Console) -> Results:
    setting = _setting(options)
    results = Results(setting, machine.facts(setting.device))
    only = set(options.only)
    if "launches" in only:
        codec = real_config() if options.scale is Scale.FULL else tiny_config()
        results.launches = launches(preset(options.like, options.scale), codec)
    if only == {"launches"}:
        return results
    checkpoint(setting.folder, options.like, options.scale, options.seed, console)
    with console.status("") as status:
        status.update("the device's speed")
        results.speed = machine.speed(setting.device, setting.dtype)
        if only & {"step", "parts"}:
            _measure_parts(results, only, status.update)
            gc.collect()
            machine.release(setting.device)
        if only & {"parts", "first", "live"}:
            _measure_engine(results, only, status.update)
    return results


def _measure_parts(results: Results, only: set[str], told: Told) -> None:
    """Fill in what is measured on the parts of the model."""
    assert results.speed is not None, "the floor is computed from it"
    told("loading the transformers")
    rig = Rig(results.setting)
    results.floor, results.frame_seconds = rig.floor, rig.frame_seconds
    results.weights_bytes = rig.weights_bytes
    if "step" in only:
        results.steps = measure_steps(rig, results.speed, told)
        results.prefills = measure_prefills(rig, results.speed, told)
    if "parts" in only:
        results.parts = measure_parts(rig, told)
        results.position_ms = position_ms(rig)
        results.codec_latency_ms = 1e3 * rig.first_audio(_AUDIO_CALLS)
        results.profiles = profile_steps(rig, told)


def _measure_engine(results: Results, only: set[str], told: Told) -> None:
    """Fill in what is measured on the model as it is served."""
    setting = results.setting
    machine.forget_peak(setting.device)
    with tempfile.TemporaryDirectory() as place:
        told("recording voices")
        cached, new = write_voices(Path(place), _VOICES, setting.new_runs, setting.seed)
        told("loading the model")
        model = load_dual_ar(
            setting.folder,
            DualAROptions(
                device=str(setting.device),
                dtype="bfloat16" if setting.dtype.itemsize == 2 else "float32",
                max_streams=setting.largest,
                graphs=setting.graphs,
                compile=setting.compile,
                voices=Path(place),
                warm_voices=cached,
            ),
        )
    results.model = model.info.details
    if "parts" in only:
        told("warming the model")
        model.warm()
        results.whole = measure_whole(model, setting, told)
    if only & {"first", "live"}:
        asyncio.run(_measure_served(results, model, only, (cached, new), told))
    else:
        model.close()
    results.engine_peak_bytes = machine.peak_bytes(setting.device)


async def _measure_served(
    results: Results,
    model: DualARModel,
    only: set[str],
    voices: tuple[Sequence[str], Sequence[str]],
    told: Told,
) -> None:
    setting, (cached, new) = results.setting, voices
    told("warming the model")
    async with Engine(lambda: model) as engine:
        if "first" in only:
            results.first = [
                await measure_first(engine, "cached", cached, setting.runs, told),
                await measure_first(engine, "new", new, setting.new_runs, told),
            ]
        if "live" in only:
            told("how long sentences are")
            seconds = await segment_seconds(engine, cached)
            levels = []
            for listeners in setting.batches:
                told(f"{listeners} listeners")
                turns = plan(listeners, setting.seconds, seconds, cached, setting.seed)
                levels.append(summarise(listeners, turns, await run(engine, turns)))
            results.live = levels


def _setting(options: argparse.Namespace) -> Setting:
    device = pick_device(options.device)
    cuda = device.type == "cuda"
    batches = options.batch or ((1, 8, 16, 64, 128) if cuda else (1, 4, 8))
    seconds = options.seconds or (30.0 if cuda else 6.0)
    runs = options.runs or (40 if cuda else 12)
    folder = options.checkpoint or _OUT / "checkpoints" / f"{options.like}-{options.scale}-{options.seed}"
    return Setting(
        folder=folder,
        device=device,
        dtype=pick_dtype(options.dtype, device),
        batches=tuple(sorted(set(batches))),
        context=options.context,
        graphs=cuda and not options.no_graphs,
        compile=options.compile,
        seconds=seconds,
        runs=runs,
        new_runs=-(-runs // 2),
        steps=32 if cuda else 16,
        seed=options.seed,
    )


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is less than 1")
    return number


def _length(text: str) -> float:
    if (seconds := float(text)) <= 0:
        raise argparse.ArgumentTypeError(f"{seconds} is no length of time")
    return seconds


if __name__ == "__main__":
    raise SystemExit(main())
