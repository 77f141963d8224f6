"""The composition root of the credits service."""

from services.credits.consumers import consumers
from services.credits.handlers import ACCOUNT, Ledger
from services.credits.projections.accounts import ACCOUNTS
from services.credits.projections.entries import ENTRIES
from services.credits.projections.grants import GRANTS
from services.credits.projections.holds import HOLDS
from services.credits.routes import routes
from shared.contracts.credits import EVENTS, UPCASTERS
from shared.runtime import Parts, Runtime, ServiceDefinition

SERVICE = ServiceDefinition(
    name="credits",
    events=EVENTS,
    upcasters=UPCASTERS,
    deciders=(ACCOUNT,),
    projections=(ACCOUNTS, ENTRIES, GRANTS, HOLDS),
)


async def build(runtime: Runtime) -> Parts:
    ledger = Ledger(runtime.store, runtime.clock)
    return Parts(
        route_handlers=[routes(ledger, runtime.store)],
        consumers=consumers(ledger),
    )
