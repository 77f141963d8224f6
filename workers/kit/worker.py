"""`Worker`: registers handlers, and runs as a process until SIGTERM or SIGINT."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from typing import NoReturn, TypeVar

from shared.http.health import Check
from shared.runtime.delayed_start import wait_for_start
from shared.runtime.settings import SettingsError, from_environment
from shared.telemetry.logging import configure_logging
from shared.telemetry.tracing import setup_tracing
from workers.kit.announcing import Models, instance_name, no_models
from workers.kit.handlers import AsyncHandler, BlockingHandler, Handler
from workers.kit.process import Lifespan, serve
from workers.kit.settings import WorkerSettings

H = TypeVar("H", bound=AsyncHandler | BlockingHandler)
S = TypeVar("S", bound=WorkerSettings)


@contextlib.asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    """The lifespan of a worker that needs none."""
    yield


class Worker:
    """Does the work of steps with its handlers, any number of kinds.

    worker = Worker("greeter")

    @worker.handles("greeting")
    async def greet(step: Step) -> str:
        return f"Hello {step.payload['name']}"

    if __name__ == "__main__":
        worker.run()
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "",
        settings: WorkerSettings | None = None,
        lifespan: Lifespan = nothing,
        checks: Mapping[str, Check] | None = None,
        models: Models = no_models,
    ) -> None:
        """`settings` are read from the environment if not given. `lifespan` is entered before the first step is taken.

        `checks` of the worker's own: while one fails, `/health/ready` answers 503. `models` are announced: a job whose
        workflow requires a model that no connected worker has is refused before anything is charged.
        """
        self.name, self._version, self._settings = name, version, settings
        self.lifespan, self._checks, self.models = lifespan, checks or {}, models
        self.handlers: dict[str, Handler] = {}
        """By kind: `direct_job.sketch`."""

    def handles(self, service: str, *, workflow_type: str = "direct_job") -> Callable[[H], H]:
        """Registers a handler of steps that require a service. A plain function runs in a thread of its own.

        Raises ValueError if the kind has a handler, or a name has other characters than letters, digits, - and _.
        """
        for part in (workflow_type, service):
            if not part.replace("-", "").replace("_", "").isalnum() or not part.isascii():
                raise ValueError(f"{part!r} must consist of letters, digits, - and _")
        kind = f"{workflow_type}.{service}"
        if kind in self.handlers:
            raise ValueError(f"{self.name} has a handler of {kind} already")

        def register(function: H) -> H:
            self.handlers[kind] = Handler.of(kind, function)
            return function

        return register

    def chosen(self, settings: WorkerSettings) -> dict[str, Handler]:
        """The handlers of the services that the settings choose. Raises ValueError."""
        if not self.handlers:
            raise ValueError(f"{self.name} has no handlers")
        services = settings.chosen([handler.service for handler in self.handlers.values()])
        return {kind: handler for kind, handler in self.handlers.items() if handler.service in services}

    def run(self) -> None:
        """Runs until SIGTERM or SIGINT. Exits with 2, and a sentence on stderr, if the environment is wrong."""
        settings = self._settings or settings_or_exit(WorkerSettings, self.name)
        try:
            handlers = self.chosen(settings)
        except ValueError as error:
            exit_with(self.name, error)
        wait_for_start()
        instance = instance_name(self.name, settings.service_instance)
        configure_logging(service=self.name, instance=instance, level=settings.log_level)
        tracing = setup_tracing(service=self.name, instance=instance)
        try:
            asyncio.run(self._run(settings, handlers, instance))
        finally:
            if tracing is not None:
                tracing.shutdown()

    async def _run(self, settings: WorkerSettings, handlers: Mapping[str, Handler], instance: str) -> None:
        stopping = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopping.set)
        await serve(
            self.name,
            self._version,
            instance,
            handlers,
            settings,
            self.lifespan,
            self._checks,
            self.models,
            stopping,
        )


def settings_or_exit(settings: type[S], name: str) -> S:
    """The settings from the environment. Exits with 2, and a sentence on stderr, if it is wrong."""
    try:
        return from_environment(settings)
    except SettingsError as error:
        exit_with(name, error)


def exit_with(name: str, error: Exception) -> NoReturn:
    """Exits with 2, and the error as a sentence on stderr: for a worker whose settings are wrong."""
    sys.stderr.write(f"{name}: {error}\n")
    sys.exit(2)
