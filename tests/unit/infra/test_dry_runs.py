"""A dry run changes nothing: the command says so when a service does not answer, whatever the edge says."""

import asyncio
import sys
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

DETAIL = "generation did not answer; it may have been done or not; sent with an Idempotency-Key, it is safe"
JOB = "00000000-0000-0000-0000-000000000001"


async def refuse(_: web.Request) -> web.Response:
    return web.json_response({"code": "UNAVAILABLE", "detail": DETAIL, "details": []}, status=503)


@pytest.mark.parametrize(
    "words",
    [("workflows", "import", "LIBRARY"), ("jobs", "resume", JOB)],
    ids=["workflows import", "jobs resume"],
)
async def test_what_may_have_been_done_is_not_said_of_a_dry_run(tmp_path: Path, words: tuple[str, ...]) -> None:
    folder = tmp_path / "echo"
    folder.mkdir()
    (folder / "form.json").write_text('{"fields": []}')
    (folder / "job.json").write_text('{"service_required": "echo"}')
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", refuse)
    async with TestServer(app) as server:
        arguments = [str(tmp_path) if word == "LIBRARY" else word for word in words]
        url = str(server.make_url("")).rstrip("/")
        for dry_run, is_unsure in ((["--dry-run"], False), ([], True)):
            command = [sys.executable, "-m", "infra.cli", *arguments, *dry_run, "--url", url, "--token", "t"]
            streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
            process = await asyncio.create_subprocess_exec(*command, **streams)
            output = (await process.communicate())[0].decode()
            assert process.returncode == 1, output
            assert ("may have been done" in output) == is_unsure, output
            assert ("nothing was changed" in output) == (not is_unsure), output
            assert "Idempotency-Key" not in output, "a command has no such option"
