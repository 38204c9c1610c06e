"""SGLang's plugin (entry point ``sglang.srt.plugins``): what our model needs beside its own file.

It tells the model what the requests whose prompts are read say beside their tokens, and has SGLang take what the
model has drawn instead of drawing.
"""

from collections.abc import Callable
from typing import Any

_PUT_TOGETHER = "sglang.srt.model_executor.forward_batch_info.ForwardBatch.init_new"
_SAMPLE = "sglang.srt.model_executor.model_runner.ModelRunner.sample"


def install() -> None:
    """Called by SGLang in each of its processes; other models are left alone."""
    from sglang.srt.plugins.hook_registry import HookRegistry, HookType

    HookRegistry.register(_PUT_TOGETHER, _tell, HookType.AFTER)
    HookRegistry.register(_SAMPLE, _take, HookType.AROUND)


def _is_ours(model: Any) -> bool:
    return bool(getattr(getattr(model, "config", None), "parrotfish", None))


def _tell(result: Any, _: type, batch: Any, model_runner: Any, *__: Any, **___: Any) -> Any:
    """After a batch is put together: whose prompts it reads."""
    model = model_runner.model
    if _is_ours(model) and batch.forward_mode.is_extend():
        from engine.models.sglang.models.dual_ar import Told

        model.told = [
            Told(
                request.sampling_params.custom_params or {},
                (request.customized_info or {}).get("frame", []),
            )
            for request in batch.reqs
        ]
    return result


def _take(
    sample: Callable[..., Any], model_runner: Any, logits_output: Any, *others: Any, **named: Any
) -> Any:
    """In place of drawing: the tokens ``[B]`` of the frames that were drawn.

    The frames become lists, as they leave the process by pickle. This runs behind the graph of a step, where a
    copy to the host may be waited for.
    """
    if not _is_ours(model_runner.model):
        return sample(model_runner, logits_output, *others, **named)
    rows = len(logits_output.next_token_logits)
    frames = logits_output.customized_info["frame"][:rows]
    logits_output.customized_info = {"frame": frames.tolist()}
    return frames[:, 0].clone()
