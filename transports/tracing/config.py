"""Whether there are traces, and where they go."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transports.tracing.tracer import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class TracingError(Exception):
    """There can be no traces; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class TracingConfig:
    """Spans are sent to ``endpoint``, the base URL of an OTLP receiver over HTTP such as http://localhost:4318.

    None is as OpenTelemetry's environment variables say: without an endpoint there, nothing is traced.
    """

    endpoint: str | None = None

    @property
    def wanted(self) -> bool:
        """Whether there are to be traces."""
        said = os.environ.get
        if (said("OTEL_SDK_DISABLED") or "").lower() == "true":
            return False
        if self.endpoint is not None:
            return True
        return said("OTEL_TRACES_EXPORTER", "otlp") == "otlp" and any(map(said, _ENDPOINTS))

    def tracer(self) -> "Tracer | None":
        """What makes the spans, None if there are none. Raises :class:`TracingError` if that is not to be had."""
        if not self.wanted:
            return None
        try:
            from transports.tracing.tracer import Tracer
        except ModuleNotFoundError as error:
            raise TracingError(f"{error.name} is missing; pip install 'parrotfish[otel]'") from None
        return Tracer(self.endpoint)
