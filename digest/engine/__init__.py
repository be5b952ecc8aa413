"""Where tasks run: in this process, or on any number of workers."""

from digest.engine.local import LocalEngine

__all__ = ["LocalEngine"]
