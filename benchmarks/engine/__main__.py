"""``python -m benchmarks.engine``: what a frame takes and why, first audio, and live streams."""

import argparse
import asyncio
import gc
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.engine import machine, report
from benchmarks.engine.checkpoint import checkpoint
from benchmarks.engine.first import measure_first
from benchmarks.engine.floor import Speed
from benchmarks.engine.launches import launches
from benchmarks.engine.live import plan, run, segment_seconds, summarise
from benchmarks.engine.parts import measure_parts, measure_whole, position_ms, profile_steps
from benchmarks.engine.results import Results
from benchmarks.engine.rig import Rig
from benchmarks.engine.setting import Setting
from benchmarks.engine.step import Told, measure_prefills, measure_step
from benchmarks.engine.voices import write_voices
from benchmarks.screen import screen
from engine import Engine, EngineError
from engine.models.base import SpeechModel
from engine.models.codec.config import real_config
from engine.models.codec.random import tiny_config
from engine.models.dual_ar import DualAROptions, load_dual_ar
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
    """Run what the command line asks for; 1 if a section failed or nothing could be measured."""
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
    console = screen()
    try:
        setting = _setting(options)
        if set(options.only) != {"launches"}:
            checkpoint(setting.folder, options.like, options.scale, options.seed, console)
        options.out.mkdir(parents=True, exist_ok=True)
    except (EngineError, ValueError, OSError) as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    with console.status("") as status:
        run = _Run(setting, options, status.update, console)
        run.measure()
    report.show(run.results, console)
    for path in report.save(run.results, options.out):
        console.print(f"Numbers: {path}", soft_wrap=True)
    try:
        if report.draw(run.results, options.out / "engine.png"):
            console.print(f"The picture: {options.out / 'engine.png'}", soft_wrap=True)
    except ImportError:
        console.print("No picture: that needs matplotlib, which comes with parrotfish\\[bench]")
    return int(bool(run.results.failed))


class _Run:
    """One run. A section that fails is told and leaves the others alone; what there is is saved after each."""

    def __init__(self, setting: Setting, options: argparse.Namespace, told: Told, console: Console) -> None:
        self.results = Results(setting, machine.facts(setting.device))
        self._setting = setting
        self._options = options
        self._only = set(options.only)
        self._told = told
        self._console = console

    def measure(self) -> None:
        """Fill in the results."""
        options, setting, results = self._options, self._setting, self.results
        if "launches" in self._only:
            with self._section("launches"):
                codec = real_config() if options.scale is Scale.FULL else tiny_config()
                results.launches = launches(preset(options.like, options.scale), codec)
        if self._only == {"launches"}:
            return
        self._told("the device's speed")
        results.speed = machine.speed(setting.device, setting.dtype)
        if self._only & {"step", "parts"}:
            with self._section("the parts of the model"):
                self._measure_parts(results.speed)
            gc.collect()
            machine.release(setting.device)
        if self._only & {"parts", "first", "live"}:
            with self._section("the model as it is served"):
                self._measure_engine()

    @contextmanager
    def _section(self, name: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._console.print_exception()
            self.results.failed[name] = f"{type(error).__name__}: {error}"
        report.save(self.results, self._options.out)

    def _measure_parts(self, speed: Speed) -> None:
        """What is measured on the parts of the model."""
        results, told = self.results, self._told
        told("loading the transformers")
        rig = Rig(self._setting)
        results.floor, results.frame_seconds = rig.floor, rig.frame_seconds
        results.weights_bytes = rig.weights_bytes
        if "step" in self._only:
            with self._section("step"):
                for batch in self._setting.batches:
                    results.steps.append(measure_step(rig, batch, speed, told))
            with self._section("prefill"):
                results.prefills = measure_prefills(rig, speed, told)
        if "parts" in self._only:
            with self._section("parts"):
                for batch in self._setting.batches:
                    results.parts.append(measure_parts(rig, batch, told))
            with self._section("costs"):
                results.position_ms = position_ms(rig, told)
                results.codec_latency_ms = 1e3 * rig.first_audio(_AUDIO_CALLS)
            with self._section("profile"):
                results.profiles = profile_steps(rig, told)

    def _measure_engine(self) -> None:
        """What is measured on the model as it is served."""
        setting, told = self._setting, self._told
        machine.forget_peak(setting.device)
        with tempfile.TemporaryDirectory() as place:
            told("recording voices")
            cached, new = write_voices(Path(place), _VOICES, setting.new_runs, setting.seed)
            told("loading the model")
            model = load_dual_ar(setting.folder, _options(setting, Path(place), cached))
        self.results.model = model.info.details
        if "parts" in self._only:
            with self._section("the whole model"):
                told("warming the model")
                model.warm()
                for batch in setting.batches:
                    self.results.whole.append(measure_whole(model, batch, setting, told))
        if self._only & {"first", "live"}:
            asyncio.run(self._measure_served(model, cached, new))
        else:
            model.close()
        self.results.engine_peak_bytes = machine.peak_bytes(setting.device)

    async def _measure_served(self, model: SpeechModel, cached: Sequence[str], new: Sequence[str]) -> None:
        setting, results, told = self._setting, self.results, self._told
        told("warming the model")
        async with Engine(lambda: model) as engine:
            if "first" in self._only:
                with self._section("first"):
                    results.first = [
                        await measure_first(engine, "cached", cached, setting.runs, told),
                        await measure_first(engine, "new", new, setting.new_runs, told),
                    ]
            if "live" in self._only:
                with self._section("live"):
                    told("how long sentences are")
                    seconds = await segment_seconds(engine, cached)
                    for listeners in setting.batches:
                        told(f"{listeners} listeners")
                        turns = plan(listeners, setting.seconds, seconds, cached, setting.seed)
                        results.live.append(summarise(listeners, turns, await run(engine, turns)))
                        report.save(results, self._options.out)


def _options(setting: Setting, voices: Path, warm: tuple[str, ...]) -> DualAROptions:
    return DualAROptions(
        device=str(setting.device),
        dtype="bfloat16" if setting.dtype.itemsize == 2 else "float32",
        max_streams=setting.largest,
        graphs=setting.graphs,
        compile=setting.compile,
        voices=voices,
        warm_voices=warm,
    )


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
