"""Secrets at rest and on their way: encrypted in a table, answered to who may ask, and nowhere else."""

import asyncio
import base64
import os
import sys
from uuid import uuid4

import msgspec
import psycopg
import pytest
import pytest_asyncio

from services.generation.handlers.secret_rotation import reencrypt
from services.generation.handlers.secrets import NoSecret, Secrets
from shared.contracts.generation import SecretDeleted, SecretSet
from shared.contracts.problem import Problem
from shared.contracts.work import SecretAnswer, secret_subject
from shared.eventstore import Context
from shared.messaging import connected
from tests.support.apps.generation import SECRETS_KEY, Api
from tests.support.patience import PATIENCE

VALUE = "s3cret-value-äöü-0123456789"


def context() -> Context:
    return Context(command_id=uuid4(), actor="operator:olga")


@pytest_asyncio.fixture
async def secrets(api: Api) -> Secrets:
    return Secrets(api.store, SECRETS_KEY)


async def test_a_value_is_set_replaced_and_deleted(api: Api, secrets: Secrets):
    await secrets.set("KEY", "first-value", context())
    await secrets.set("KEY", VALUE, context())
    await secrets.set("OTHER", "other-value", context())
    assert await secrets.value("KEY") == VALUE
    assert [entry.name for entry in await secrets.names()] == ["KEY", "OTHER"]
    await secrets.delete("KEY", context())
    assert [entry.name for entry in await secrets.names()] == ["OTHER"]
    with pytest.raises(NoSecret, match="emprops secrets set KEY"):
        await secrets.value("KEY")
    with pytest.raises(Problem):
        await secrets.delete("KEY", context())
    assert await api.store.pool.rows("select count(*) from secret_values", ()) == [(1,)]


async def test_another_key_is_put_in_the_place_of_the_first_one(api: Api, secrets: Secrets, database: str):
    """Twice, as after an interruption, it changes nothing more; what no key opens is named and left."""
    new_key = base64.b64encode(bytes(range(1, 33))).decode()
    await secrets.set("KEY", VALUE, context())
    await secrets.set("OTHER", "other-value", context())
    other_key = base64.b64encode(bytes(range(2, 34))).decode()
    await Secrets(api.store, other_key).set("LOST", "lost-value", context())
    for _ in range(2):
        with psycopg.connect(database, autocommit=True) as connection:
            assert reencrypt(connection, SECRETS_KEY, new_key) == ["LOST"]
    rotated = Secrets(api.store, new_key)
    assert [await rotated.value(name) for name in ("KEY", "OTHER")] == [VALUE, "other-value"]
    assert await Secrets(api.store, other_key).value("LOST") == "lost-value"
    with pytest.raises(NoSecret, match="can't be read"):
        await secrets.value("KEY")


async def test_the_commands_run_with_the_settings_of_a_container(api: Api, secrets: Secrets, database: str):
    """As `run-service generation infra.cli secrets …` does."""
    environment = {**os.environ, "DATABASE_URL": database, "EMPROPS_SECRETS_KEY": SECRETS_KEY}

    async def run(*words: str, variables: dict[str, str] = environment) -> tuple[int | None, str]:
        command = [sys.executable, "-m", "infra.cli", "secrets", *words]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command, env=variables, stdout=pipe, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    assert await run("set", "KEY", "--value", VALUE) == (0, "KEY is set\n")
    assert await secrets.value("KEY") == VALUE
    code, out = await run("list", variables={**environment, "EMPROPS_SECRETS_KEY": ""})
    assert (code, "give --data DIR" in out) == (2, True)


async def test_the_events_name_the_secret_and_who_set_it(api: Api, secrets: Secrets):
    await secrets.set("KEY", VALUE, context())
    await secrets.delete("KEY", context())
    rows = await api.store.pool.rows("select type, data from events where type like 'secret%%' order by position", ())
    assert [kind for kind, _ in rows] == ["secret_set.v1", "secret_deleted.v1"]
    assert msgspec.json.decode(rows[0][1], type=SecretSet).actor == "operator:olga"
    assert msgspec.json.decode(rows[1][1], type=SecretDeleted).name == "KEY"


async def test_the_database_has_no_value(api: Api, secrets: Secrets):
    """In no column of any table."""
    await secrets.set("KEY", VALUE, context())
    tables = await api.store.pool.rows("select tablename from pg_tables where schemaname = 'public'", ())
    assert ("secret_values",) in tables
    for (table,) in tables:
        rows = await api.store.pool.rows(f'select row_to_json(t)::text from "{table}" t', ())
        for (row,) in rows:
            assert VALUE not in row
            assert VALUE.encode().hex() not in row


async def test_with_another_key_the_value_can_t_be_read(api: Api, secrets: Secrets):
    await secrets.set("KEY", VALUE, context())
    other = Secrets(api.store, base64.b64encode(os.urandom(32)).decode())
    with pytest.raises(NoSecret) as fault:
        await other.value("KEY")
    assert fault.value.code == "SECRET_UNREADABLE"
    with pytest.raises(ValueError, match="32 bytes"):
        Secrets(api.store, "c2hvcnQ=")


async def test_who_asks_over_nats_is_answered(api: Api, secrets: Secrets, nats_url: str):
    await secrets.set("KEY", VALUE, context())
    async with connected(nats_url, "asker") as client:

        async def ask(name: str) -> SecretAnswer:
            answer = await client.request(secret_subject(name), b"", timeout=PATIENCE)
            return msgspec.json.decode(answer.data, type=SecretAnswer)

        assert (await ask("KEY")).value == VALUE
        missing = await ask("OTHER")
    assert missing.value is None
    assert missing.error is not None
    assert (missing.error.code, missing.error.retryable) == ("SECRET_MISSING", False)
