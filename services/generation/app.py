"""The composition root of the generation service."""

from datetime import timedelta
from pathlib import Path

from services.generation.consumers import consumers
from services.generation.deciders import DECIDERS
from services.generation.domain.turns import Limits
from services.generation.engine.dispatch.dispatch_queue import DispatchQueue
from services.generation.engine.dispatch.dispatcher import Dispatcher
from services.generation.engine.dispatch.wanted_worker import wanted_worker_process
from services.generation.engine.dispatch.watchdog import Watchdog
from services.generation.engine.dispatch.work_stopper import WorkStopper
from services.generation.engine.intake.announcement_intake import AnnouncementIntake
from services.generation.engine.intake.checkpoints import Checkpoints
from services.generation.engine.intake.results_intake import ResultsIntake
from services.generation.engine.intake.secret_requests import SecretRequests
from services.generation.engine.jobs.archived_collections import ArchivedCollections
from services.generation.engine.jobs.canceller import cancel_process
from services.generation.engine.jobs.expiry import JobExpiry
from services.generation.engine.jobs.preview_settler import settle_process
from services.generation.engine.jobs.reporter import report_process
from services.generation.engine.jobs.starter import GenerationStarter
from services.generation.event_stream.hub import JobEventHub
from services.generation.event_stream.wait_reports import WaitReports
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.job_control import JobControl
from services.generation.handlers.job_requests import JobRequests, announced_models
from services.generation.handlers.secrets import Secrets
from services.generation.handlers.workflow_import import import_workflows
from services.generation.handlers.workflow_registry import WorkflowRegistry
from services.generation.handlers.workflow_tests import WorkflowTests
from services.generation.health import add_health_checks
from services.generation.projections.generations import GENERATIONS
from services.generation.projections.job_events import JOB_EVENTS
from services.generation.projections.job_history import JOB_HISTORY
from services.generation.projections.jobs import JOBS
from services.generation.projections.models import MODELS
from services.generation.projections.open_steps import OPEN_STEPS
from services.generation.projections.previews import PREVIEWS
from services.generation.projections.workflows import WORKFLOWS
from services.generation.queries.collection_source import CollectionSources
from services.generation.queries.job import Queries
from services.generation.queries.job_breakdown import JobBreakdowns
from services.generation.queries.job_waits import JobWaits
from services.generation.queries.preview import PreviewQueries
from services.generation.queries.workflow import WorkflowQueries
from services.generation.routes import ROUTES
from services.generation.settings import GenerationSettings
from services.generation.tables.collection_versions import CollectionVersions
from services.generation.tables.stored_files import StoredFiles
from services.generation.workers.broker import Broker
from services.generation.workers.connected_workers import ConnectedWorkers
from services.generation.workers.upload_grants import GrantSigner
from shared.contracts.generation import EVENTS, UPCASTERS
from shared.messaging import StreamLimits
from shared.runtime import Parts, Runtime, ServiceDefinition

BUILT_IN = Path(__file__).parent / "workflows"

SERVICE = ServiceDefinition(
    name="generation",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=DECIDERS,
    projections=(JOBS, GENERATIONS, JOB_HISTORY, JOB_EVENTS, WORKFLOWS, MODELS, OPEN_STEPS, PREVIEWS),
    migrations=Path(__file__).parent / "migrations",
    tables_rest=0.0,  # a job's followers receive its events from a read table
)


async def build(runtime: Runtime) -> Parts:
    settings = runtime.settings
    assert isinstance(settings, GenerationSettings), "generation runs with its own settings"
    handlers = CommandHandlers(runtime.store, runtime.clock, runtime.new_id, settings.s3_bucket)
    await import_workflows(handlers, sorted(path for path in BUILT_IN.iterdir() if path.is_dir()))
    broker, signer = _broker(settings), _signer(settings)
    workers, versions = ConnectedWorkers(), CollectionVersions(runtime.store)
    hub = JobEventHub(runtime.store, broker)
    job_waits = JobWaits(runtime.store, workers, runtime.clock)
    sources = CollectionSources(runtime.store, versions, runtime.history, settings.adoption_wait)
    job_requests = _job_requests(settings, handlers, sources, workers)
    checkpoints = Checkpoints(handlers, broker)
    queue = _dispatch_queue(settings, handlers, broker, signer, checkpoints, workers)
    stored_files = StoredFiles(runtime.store, settings.public_url)
    watchdog = _watchdog(settings, handlers, workers, stored_files)
    starter = GenerationStarter(handlers, settings.job_window, settings.open_generations)
    intake = ResultsIntake(handlers, broker, stored_files, runtime.history.arrivals)
    add_health_checks(runtime, broker, intake, watchdog, queue, workers, step_deadline=settings.step_deadline)
    return Parts(
        route_handlers=ROUTES,
        dependencies={
            "handlers": handlers,
            "queries": Queries(runtime.store),
            "registry": WorkflowRegistry(handlers),
            "workflow_queries": WorkflowQueries(runtime.store, handlers.workflow_definitions),
            "workflow_tests": WorkflowTests(handlers, job_requests),
            "job_requests": job_requests,
            "job_control": _job_control(settings, handlers, sources),
            "preview_queries": PreviewQueries(runtime.store),
            "hub": hub,
            "signer": signer,
            "workers": workers,
            "job_waits": job_waits,
            "job_breakdowns": JobBreakdowns(runtime.store),
            "runtime": runtime,
        },
        consumers=consumers(handlers, stored_files, versions),
        processes=[
            starter.process(),
            queue.process(),
            report_process(handlers),
            cancel_process(handlers),
            settle_process(handlers),
            ArchivedCollections(handlers, runtime.history).process(),
            WorkStopper(broker).process(),
            wanted_worker_process(settings.http_worker_wanted_file),
        ],
        background=[
            broker.run,
            AnnouncementIntake(broker, workers).run,
            hub.run,
            WaitReports(hub, job_waits.of_open).run,
            intake.run,
            checkpoints.run,
            SecretRequests(Secrets(runtime.store, settings.emprops_secrets_key), broker).run,
            watchdog.run,
            JobExpiry(handlers, workers, timedelta(seconds=settings.max_queue_seconds)).run,
        ],
    )


def _job_requests(
    settings: GenerationSettings, handlers: CommandHandlers, sources: CollectionSources, workers: ConnectedWorkers
) -> JobRequests:
    return JobRequests(
        handlers,
        sources,
        verdict_wait=settings.verdict_wait,
        available_models=lambda: announced_models(workers),
    )


def _job_control(settings: GenerationSettings, handlers: CommandHandlers, sources: CollectionSources) -> JobControl:
    return JobControl(handlers, sources, cancel_wait=settings.cancel_wait, verdict_wait=settings.verdict_wait)


def _broker(settings: GenerationSettings) -> Broker:
    limits = StreamLimits(
        settings.nats_work_stream_max_age, settings.nats_work_stream_max_bytes, settings.nats_work_stream_replicas
    )
    return Broker(settings.nats_url, "generation-engine", limits)


def _signer(settings: GenerationSettings) -> GrantSigner:
    return GrantSigner(
        settings.grant_key_file,
        settings.storage_url,
        settings.auth_audience,
        retired_jwks_file=settings.grant_retired_jwks_file,
    )


def _dispatch_queue(
    settings: GenerationSettings,
    handlers: CommandHandlers,
    broker: Broker,
    signer: GrantSigner,
    checkpoints: Checkpoints,
    workers: ConnectedWorkers,
) -> DispatchQueue:
    dispatcher = Dispatcher(
        handlers,
        broker,
        signer,
        checkpoints,
        step_deadline=timedelta(seconds=settings.step_deadline),
        max_queue=timedelta(seconds=settings.max_queue_seconds),
    )
    limits = Limits(settings.user_concurrency, settings.workflow_limits())
    return DispatchQueue(handlers, broker, dispatcher, workers, timedelta(seconds=settings.missing_after), limits)


def _watchdog(
    settings: GenerationSettings, handlers: CommandHandlers, workers: ConnectedWorkers, stored_files: StoredFiles
) -> Watchdog:
    return Watchdog(
        handlers,
        workers,
        stored_files,
        step_deadline=timedelta(seconds=settings.step_deadline),
        lost_after=timedelta(seconds=settings.attempt_lost_after),
    )
