"""The registry of workflows: what operators register, test and deprecate, and what users see of it."""

import asyncio
import json
import shlex
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from tests.integration.generation.test_workflow_types import component, definition, registered
from tests.integration.generation.working import Worker
from tests.support.apps.client import ALICE
from tests.support.apps.generation import Api, created, data
from tests.support.patience import PATIENCE
from tests.support.printed import shell_blocks
from tests.support.running_set import ROOT

LIBRARY = ROOT / "tests" / "fixtures" / "component_library"
GUIDE = ROOT / "docs" / "how-to" / "import-your-components.md"
EXPLAINED = {
    "drawn-in-the-editor": "API format",
    "price-only": "it has none of them",
    "priced-elsewhere": "defines no function computeCost",
}
"""Of the library's folders, those that are refused, with words of the reason."""


async def operator(api: Api, method: str, path: str, body: Any = None) -> Any:
    return await api.send(method, path, ALICE, "operator", json=body if body is not None else {})


async def test_a_workflow_is_added_changed_deprecated_and_shown(api: Api) -> None:
    """Each change is a version; the same again changes nothing; the next version ends a deprecation."""
    echo = definition("echo")
    assert (await registered(api, "echo"))["outcome"] == "added"
    assert (await registered(api, "echo"))["outcome"] == "unchanged"
    changed = {**echo, "credits": "function computeCost() { return {cost: 2} }"}
    answer = await operator(api, "PUT", "/workflows/echo", {"definition": changed, "type": "direct_job"})
    assert (answer.data["outcome"], answer.data["version"]) == ("new version", 2)
    assert (await operator(api, "POST", "/workflows/echo/deprecate", {"reason": "old"})).data["deprecated"] == "old"
    view = (await api.get("/workflows/echo")).data
    assert (view["version"], view["deprecated"], view["cost"], view["definition"]) == (2, "old", None, changed)
    again = await operator(api, "PUT", "/workflows/echo", {"definition": changed})
    assert (again.data["outcome"], again.data["version"]) == ("new version", 3)
    assert (await api.get("/workflows/echo")).data["deprecated"] is None


async def test_a_step_of_a_deprecated_workflow_runs_with_a_warning(
    api: Api, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """In the dry run, in the answer to the request, and in that to the same request again."""
    await registered(api, "echo")
    collection = await created(collections, data(component("echo", document="x")))
    assert (await api.generate(collection, dry_run=True)).data["warnings"] == []
    await operator(api, "POST", "/workflows/echo/deprecate", {"reason": "use sketch"})
    expected = [{"pointer": "/data/steps/0/nodeName", "message": "echo is deprecated: use sketch"}]
    assert (await api.generate(collection, dry_run=True)).data["warnings"] == expected
    first = await api.generate(collection, key="once")
    assert (first.status, first.data["warnings"]) == (202, expected)
    again = await api.generate(collection, key="once")
    assert (again.data["job_id"], again.data["warnings"]) == (first.data["job_id"], expected)
    job = await api.ended(first.data["job_id"])
    assert [(cost["step_id"], cost["details"]) for cost in job["breakdown"]] == [(7, {"type": "free"})]


async def test_members_of_a_step_that_its_workflow_does_not_know_are_a_warning(
    api: Api, collections: Any, credits_: Any
) -> None:
    """In the dry run, in the answer to the request, and in that to the same request again."""
    await registered(api, "echo")
    collection = await created(collections, data(component("echo", document="x", documant="y")))
    message = "echo has no 'documant': it is ignored; did you mean document?"
    expected = [{"pointer": "/data/steps/0/nodePayload/documant", "message": message}]
    assert (await api.generate(collection, dry_run=True)).data["warnings"] == expected
    for _ in range(2):
        assert (await api.generate(collection, key="once")).data["warnings"] == expected


WRONG: list[tuple[str, str, Any, int, list[str] | None]] = [
    ("POST", "/workflows", {"name": "a/b", "definition": {}}, 400, ["/definition"]),
    ("POST", "/workflows", {"name": "x", "definition": {"job": {}, "form": {}}}, 400, None),
    ("POST", "/workflows", {"name": "x", "definition": {"job": {}}, "type": "fetch_api"}, 400, ["/type"]),
    ("PUT", "/workflows/nobody", {"definition": {}}, 404, []),
    ("PUT", "/workflows/sketch", {"definition": {}, "name": "other"}, 400, ["/name"]),
    ("POST", "/workflows/nobody/test", {}, 404, []),
    ("POST", "/workflows/sketch/test", {"values": {"width": 1}}, 400, ["/values/prompt", "/values/width"]),
    ("POST", "/models", {"kind": "", "name": "x", "sha256": "?", "size": -1}, 400, ["/kind", "/sha256", "/size"]),
]


async def test_what_is_wrong_is_told_with_its_place(api: Api) -> None:
    for method, path, body, status, pointers in WRONG:
        answer = await operator(api, method, path, body)
        assert answer.status == status, body
        if pointers is not None:
            assert [detail["pointer"] for detail in answer.body["details"]] == pointers, body
        assert (await api.send(method, path, ALICE, json=body)).status == 403, body


async def test_a_test_runs_one_step_that_is_not_charged(api: Api, credits_: Any, worker_: Worker) -> None:
    """It is marked, and has the workflow's test values; one is replaced by the request's."""
    await registered(api, "colour-field")
    answer = await operator(api, "POST", "/workflows/colour-field/test", {"values": {"height": 48}})
    assert answer.status == 202
    job = await api.ended(answer.data["job_id"])
    assert (job["job_type"], job["credits"]["captured"]) == ("workflow_test", Decimal(0))
    inputs = worker_.worked[0].payload["graph"]["1"]["inputs"]
    assert (inputs["width"], inputs["height"]) == (32, 48)
    await credits_.settled(("10", "0", "0"))


async def test_a_job_draws_what_its_dry_run_showed_or_is_refused(
    api: Api, collections: Any, credits_: Any, worker_: Worker
) -> None:
    """Page by page; a workflow that has changed since refuses the token."""
    await registered(api, "echo")
    style = {"name": "style", "type": "pick", "value": {"values": list("abcdef"), "display_names": list("abcdef")}}
    instructions = data(component("echo", document="{{style}}"), variables=[style], generations={"generations": 30})
    collection = await created(collections, instructions)
    first = (await api.generate(collection, dry_run=True)).data
    token = first["dry_run_token"]
    assert (len(first["generations"]), first["breakdown"][0]["details"]) == (20, {"type": "free"})
    more = await api.generate(collection, dry_run=True, dry_run_token=token, cursor=first["next_cursor"])
    view = first["generations"] + more.data["generations"]
    assert (len(view), more.data["next_cursor"], more.data["dry_run_token"]) == (30, None, token)
    job = await api.ended((await api.generate(collection, dry_run_token=token)).data["job_id"])
    assert [(generation["hash"], generation["variables"]) for generation in job["generations"]] == [
        (item["hash"], item["variables"]) for item in view
    ]
    assert (await api.generate(collection, dry_run_token=token, generations=2)).code == (409, "CONFLICT")
    await registered(api, "echo", {**definition("echo"), "credits": "function computeCost() { return {cost: 0.1} }"})
    assert (await api.generate(collection, dry_run_token=token)).code == (409, "CONFLICT")
    assert (await api.generate(collection, dry_run=True, cursor=first["next_cursor"])).status == 400


async def test_models_are_those_that_workflows_name_and_operators_describe(api: Api) -> None:
    await registered(api, "landscape")
    vae = {"kind": "vae", "name": "ae.safetensors", "source_url": "https://x.test/ae", "sha256": "ab" * 32, "size": 9}
    assert (await operator(api, "POST", "/models", vae)).status == 201
    assert (await operator(api, "PUT", "/models", {**vae, "size": 10})).status == 200
    listed = {model["name"]: model for model in (await api.get("/models")).data}
    assert listed["ae.safetensors"] == {**vae, "size": 10, "workflows": ["landscape"]}
    assert listed["landscape-v2.safetensors"]["source_url"] is None
    of_one = (await api.get("/workflows/landscape/models")).data
    assert [model["name"] for model in of_one] == ["landscape-v2.safetensors", "ae.safetensors"]
    batch = await api.send("POST", "/models/batch", json={"names": ["vae/ae.safetensors", "none"]})
    assert [model["name"] for model in batch.data] == ["ae.safetensors"]


class Terminal:
    """Runs `emprops` as an operator against the service instead of a set."""

    def __init__(self, api: Api, folder: Path, user: UUID = ALICE) -> None:
        folder.mkdir(exist_ok=True)
        token = api.issuer.token(user, "user", "operator")
        self._options, self._folder = f"--url {api.url} --token {token}", folder
        (folder / ".venv").symlink_to(sys.prefix)

    async def run(self, script: str) -> tuple[int, str]:
        text = "set -e\n" + script.replace("--data data/set", self._options)
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", text), cwd=self._folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode()


async def test_a_library_is_imported_with_no_refusal_that_is_not_explained(api: Api, tmp_path: Path) -> None:
    """Again, nothing changes; a changed folder is a new version; a dry run changes nothing."""
    terminal = Terminal(api, tmp_path)
    command = f".venv/bin/emprops workflows import {shlex.quote(str(LIBRARY))} --data data/set --json"
    for outcome in ("added", "added", "unchanged"):
        line = command + " --dry-run" if not (tmp_path / "dry").exists() else command
        (tmp_path / "dry").touch()
        code, output = await terminal.run(line)
        reports = {report["name"]: report for report in json.loads(output)}
        refused = {name: report for name, report in reports.items() if report["outcome"] == "refused"}
        assert (code, refused.keys()) == (1, EXPLAINED.keys())
        for name, words in EXPLAINED.items():
            assert words in refused[name]["reasons"][0]["message"]
        assert {report["outcome"] for name, report in reports.items() if name not in EXPLAINED} == {outcome}


async def test_the_guide_does_what_it_says(api: Api, tmp_path: Path, credits_: Any, worker_: Worker) -> None:
    """docs/how-to/import-your-components.md, its commands as printed."""
    terminal = Terminal(api, tmp_path)
    output = []
    for _, line, commands in shell_blocks(GUIDE):
        code, text = await terminal.run(commands)
        assert code == 0, f"line {line}: {text}"
        output.append(text)
    assert output[1].count("added       hello  version 1  direct_job") == 2
    view = (await api.get("/workflows/hello")).data
    assert (view["deprecated"], view["produces"]) == ("use sketch", "image")
    await api.ended(output[2].split()[1])
