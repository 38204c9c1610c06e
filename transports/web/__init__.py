"""The demo page: type and hear it speak, or talk with it, over the real protocols."""

from transports.web.page import router

__all__ = ["router"]
