"""``python -m tests.engine.process.parent SPEC``: an engine with two workers, which tells of itself and waits.

Its first line is what of the models is imported here, then come the ids of the workers' processes.
"""

import asyncio
import sys

from engine import Engine, EngineConfig, Segment, StreamOptions
from engine.process import ModelSpec

MODELS = ("torch", "onnxruntime", "hibari", "engine.models.hibari", "engine.models.dual_ar")


async def main(spec: ModelSpec) -> None:
    """Speak once, tell, and wait to be killed."""
    async with Engine([spec, spec], EngineConfig(max_streams=2)) as engine:
        utterance = engine.open(StreamOptions((engine.info.default_voice,)))
        utterance.say(Segment("Hello."))
        utterance.finish()
        seconds = sum([len(frame.pcm) / engine.info.sample_rate async for frame in utterance])
        print("imported:", *(name for name in MODELS if name in sys.modules))
        print("spoken:", seconds)
        print(*(worker.pid for worker in engine.numbers()), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(ModelSpec.unpacked(sys.argv[1])))
