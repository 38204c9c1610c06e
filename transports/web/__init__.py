"""The demo page: type, choose a voice, hear it speak over the real protocol."""

from transports.web.page import router

__all__ = ["router"]
