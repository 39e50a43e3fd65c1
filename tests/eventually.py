"""Wait for a condition, with a deadline: the only way a test waits for what it cannot await."""

from services.testing.eventually import eventually

__all__ = ["eventually"]
