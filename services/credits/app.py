"""The composition root of the credits service."""

from services.credits.consumers import consumers
from services.credits.handlers import ACCOUNT, CommandHandlers
from services.credits.projections.accounts import ACCOUNTS
from services.credits.projections.entries import ENTRIES
from services.credits.projections.grants import GRANTS
from services.credits.projections.holds import HOLDS
from services.credits.projections.reversals import REVERSALS
from services.credits.queries import Queries
from services.credits.routes import ROUTES
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
    handlers = CommandHandlers(runtime.store, runtime.clock)
    return Parts(
        route_handlers=ROUTES,
        dependencies={"handlers": handlers, "queries": Queries(runtime.store), "runtime": runtime},
        consumers=consumers(handlers),
    )
