"""Each command that prints texts of users, on a history with control characters in them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from click.testing import CliRunner

from infra.cli.main import main
from infra.embedded.set_file import ProcessInfo, S3Info, ServiceInfo, SetFile, encode_set, write_set
from infra.embedded.set_lock import hold
from services.collections.app import SERVICE
from shared.contracts.collections import ProjectCreated
from shared.eventstore import Context, EventStore, StreamAppend
from shared.eventstore.migrate import migrate
from shared.handling import parking
from shared.handling.delivery import Message
from shared.handling.parking import SCHEMA

EVIL = "\x1b[2Jred\x07\x9b31m\u202eerutuf\r\nforged \x7f\u2028 [red]markup[/]"
PROJECT = UUID(int=0xE71)


@pytest_asyncio.fixture
async def data(database: str, tmp_path: Path) -> AsyncIterator[Path]:
    """The folder of a set whose collections service has such a project, and such a parked event."""
    async with EventStore.open(database, SERVICE.codec()) as store:
        created = ProjectCreated(PROJECT, uuid4(), EVIL, is_default=False)
        await store.append([StreamAppend(PROJECT, 0, [created])], Context(command_id=uuid4(), actor=EVIL))
        await migrate(store.dsn, SCHEMA)
        async with store.pool.connection() as connection:
            message = Message(EVIL, EVIL, {"ce-type": EVIL}, EVIL.encode())
            await parking.park(connection, EVIL, message, status="parked", error=EVIL)
    process = ProcessInfo(name="collections-1", state="ready", pid=1, url="http://127.0.0.1:1", tells_health=True)
    set_file = SetFile(
        url="http://127.0.0.1:1",
        pid=1,
        replicas=1,
        issuer="x",
        audience="x",
        development_user=UUID(int=1),
        issuer_key_file="x",
        jwks_file="x",
        grant_key_file="x",
        postgres_url=database,
        nats_url="nats://127.0.0.1:1",
        s3=S3Info(endpoint="http://127.0.0.1:1", access_key="x", secret_key="x", bucket="x"),
        services={"collections": ServiceInfo(urls=[], database_url=database, nats_url="nats://127.0.0.1:1")},
        ports={},
        processes=[process],
    )
    write_set(tmp_path, encode_set(set_file))
    with hold(tmp_path):  # as its supervisor does, while it runs
        yield tmp_path


COMMANDS = [
    ["events", "--service", "collections"],
    ["events", "--service", "collections", "--json"],
    ["events", "--service", "collections", "--stream", str(PROJECT)],
    ["state", "--service", "collections", str(PROJECT)],
    ["state", "--service", "collections", str(PROJECT), "--json"],
    ["parked", "list", "--service", "collections"],
    ["parked", "list", "--service", "collections", "--json"],
    ["parked", "inspect", "--service", "collections", "1"],
    ["projections", "list", "--service", "collections"],
    ["status"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_control_characters_of_users_are_printed_escaped(data: Path, command: list[str]) -> None:
    """The output has no control character and no forged line, and JSON decodes to what was recorded."""
    result = CliRunner().invoke(main, [*command, "--data", str(data)])
    assert "Traceback" not in result.output
    assert result.output.replace("\n", "").isprintable()
    assert not [line for line in result.output.splitlines() if line.startswith("forged")]
    if command[0] in {"events", "state", "parked"}:
        assert r"\x1b" in result.output or r"\u001b" in result.output, "it was shown, escaped"
    if command[0] == "events" and "--json" in command:
        assert json.loads(result.output)["event"]["name"] == EVIL
