"""A line's report as the fields that files and sockets tell it in. Times are in seconds, to the millisecond."""

from typing import Any

from realtime.dubbing import LineReport


def asked_fields(report: LineReport) -> dict[str, Any]:
    """What a caption asked for."""
    caption = report.caption
    voice = {"voice": caption.voice} if caption.voice else {}
    return {"id": caption.id, **voice, "asked_start": _ms(caption.start), "asked_end": _ms(caption.end)}


def line_fields(report: LineReport) -> dict[str, Any]:
    """What a caption asked for, and what became of it."""
    fields = {**asked_fields(report), "outcome": report.outcome}
    if report.start is None or report.end is None or report.drift is None:
        return {**fields, "reason": report.reason} if report.reason else fields
    return {
        **fields,
        "start": _ms(report.start),
        "end": _ms(report.end),
        "drift": _ms(report.drift),
        "overrun": _ms(max(0.0, report.end - report.caption.end)),
        "speed": round(report.speed, 3),
        "trimmed": _ms(report.trimmed),
        "unsaid": _ms(report.unsaid),
    }


def _ms(seconds: float) -> float:
    return round(seconds, 3) + 0.0  # no -0.0
