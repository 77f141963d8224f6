"""R8, a server that is silent to one replica of each service: the other ones serve, and lead."""

import pytest

from tests.faults import test_silence
from tests.faults.silent import assert_held, silence
from tests.support.load import load
from tests.support.running_set import RunningSet

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

running = test_silence.running
LEASE_SECONDS = 12.0
"""Until another replica leads. Before that, a read that follows a write is refused: its table stands still."""
TAKEOVER_SECONDS = 30.0
"""Then the new leaders catch up, service by service, before a job passes them all."""


@pytest.mark.parametrize("server", ["postgres", "nats"])
async def test_a_server_that_is_silent_to_one_replica_of_each(running: RunningSet, server: str) -> None:
    """Whichever leads: the other ones go on serving, and take over what the silent ones lead, so that jobs end."""
    for number in (1, 2):
        mine = [route for route in test_silence.TO_SERVERS[server] if route.partition("/")[0].endswith(f"-{number}")]
        async with load(running) as users:
            await users.answered_more(within=30)
            async with silence(users, test_silence.SECONDS, lambda mine=mine: running.silent(*mine)):
                await users.answered_more(within=LEASE_SECONDS)
                await users.job_ends(within=TAKEOVER_SECONDS)
        await assert_held(users)
