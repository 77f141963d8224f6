"""Process managers over a service's own store."""

from shared.processes.process import Process, ProcessRunner

__all__ = ["Process", "ProcessRunner"]
