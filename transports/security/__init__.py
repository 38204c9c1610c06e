"""What stands between a stranger's bytes and the application: limits, names, origins, and TLS."""

from transports.security.config import Limits, SecurityConfig

__all__ = ["Limits", "SecurityConfig"]
