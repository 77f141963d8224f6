"""The composition root of the credits service."""

from datetime import timedelta

from services.credits.consumers import consumers
from services.credits.engine.overdue_holds import OverdueHolds
from services.credits.handlers import ACCOUNT, CommandHandlers
from services.credits.projections.accounts import ACCOUNTS
from services.credits.projections.entries import ENTRIES
from services.credits.projections.grants import GRANTS
from services.credits.projections.holds import HOLDS
from services.credits.projections.reversals import REVERSALS
from services.credits.queries import Queries
from services.credits.routes import ROUTES
from services.credits.settings import CreditsSettings
from shared.contracts.credits import EVENTS, UPCASTERS
from shared.runtime import Parts, Runtime, ServiceDefinition

SERVICE = ServiceDefinition(
    name="credits",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=(ACCOUNT,),
    projections=(ACCOUNTS, ENTRIES, GRANTS, HOLDS, REVERSALS),
)


async def build(runtime: Runtime) -> Parts:
    settings = runtime.settings
    assert isinstance(settings, CreditsSettings), "credits runs with its own settings"
    handlers = CommandHandlers(runtime.store, runtime.clock)
    hold_time = timedelta(seconds=settings.hold_seconds)
    overdue_holds = OverdueHolds(handlers, runtime.store, hold_time, timedelta(seconds=settings.hold_ask_again_seconds))
    runtime.readiness.followers["holds' watch"] = overdue_holds
    return Parts(
        route_handlers=ROUTES,
        dependencies={"handlers": handlers, "queries": Queries(runtime.store), "runtime": runtime},
        consumers=consumers(handlers, hold_time),
        background=[overdue_holds.run],
    )
