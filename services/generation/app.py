"""The wiring of the generation service, and nothing else."""

from datetime import timedelta
from pathlib import Path

from services.generation.broker import Broker
from services.generation.consumers import consumers
from services.generation.engine.results_intake import ResultsIntake
from services.generation.engine.watchdog import Watchdog
from services.generation.event_stream.hub import JobEventHub
from services.generation.handlers import DECIDERS, Engine, import_workflows
from services.generation.health import report
from services.generation.job_requests import GenerationRequests
from services.generation.processes import report_generations
from services.generation.processes.dispatch_steps import Dispatcher
from services.generation.processes.start_generations import FairStarts
from services.generation.projections.generations import GENERATIONS
from services.generation.projections.job_events import JOB_EVENTS
from services.generation.projections.job_history import JOB_HISTORY
from services.generation.projections.jobs import JOBS
from services.generation.projections.open_steps import OPEN_STEPS
from services.generation.projections.workflows import WORKFLOWS
from services.generation.routes import routes
from services.generation.settings import GenerationSettings
from services.generation.stored_files import StoredFiles, file_consumers
from services.generation.upload_grants import GrantSigner
from shared.contracts.generation import EVENTS, UPCASTERS
from shared.messaging import StreamLimits
from shared.runtime import Parts, Runtime, ServiceDefinition

BUILT_IN = Path(__file__).parent / "workflows"

SERVICE = ServiceDefinition(
    name="generation",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=DECIDERS,
    projections=(JOBS, GENERATIONS, JOB_HISTORY, JOB_EVENTS, WORKFLOWS, OPEN_STEPS),
    migrations=Path(__file__).parent / "migrations",
    tables_rest=0.0,  # who follows a job is told what its table shows
)


async def build(runtime: Runtime) -> Parts:
    settings = runtime.settings
    assert isinstance(settings, GenerationSettings), "this service is started with its own settings"
    engine = Engine(runtime.store, runtime.clock, runtime.new_id)
    await import_workflows(engine, sorted(path for path in BUILT_IN.iterdir() if path.is_dir()))
    limits = StreamLimits(
        settings.nats_work_stream_max_age, settings.nats_work_stream_max_bytes, settings.nats_work_stream_replicas
    )
    broker = Broker(settings.nats_url, "generation-engine", limits)
    signer = GrantSigner(settings.grant_key_file, settings.storage_url, settings.auth_audience)
    hub = JobEventHub(runtime.store, broker)
    requests = GenerationRequests(
        engine,
        runtime.history,
        verdict_wait=settings.verdict_wait,
        adoption_wait=settings.adoption_wait,
    )
    dispatcher = Dispatcher(engine, broker, signer, timedelta(seconds=settings.step_deadline))
    files = StoredFiles(runtime.store, settings.public_url)
    watchdog = Watchdog(engine, broker, dispatcher, files, timedelta(seconds=settings.missing_after))
    starts = FairStarts(engine, settings.job_window, settings.open_generations)
    intake = ResultsIntake(engine, broker, files, runtime.history.arrivals)
    report(runtime, broker, intake, watchdog, step_deadline=settings.step_deadline)
    return Parts(
        route_handlers=[routes(requests, hub, runtime.store, signer, settings.public_url)],
        consumers=[*consumers(engine), *file_consumers(files)],
        processes=[starts.process(), dispatcher.process(), report_generations.process(engine)],
        background=[broker.run, hub.run, intake.run, watchdog.run],
    )
