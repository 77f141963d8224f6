"""`emprops up` with proxies between its processes: `python -m tests.support.behind_proxies ROUTES.json up …`.

ROUTES.json maps `process/target` to the proxy's `host:port`; the target is a server (`postgres`, `nats`, `s3`) or a
process (`credits-2`). Only what that one process is told of that one target is changed; probes and the command line go
straight, so that they see what an operator would.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from infra.cli.main import main as emprops
from infra.embedded import up
from infra.embedded.plan import Plan
from infra.embedded.process import ProcessSpec

LOOPBACK = "127.0.0.1"


def with_proxies(plan: Plan, routes: dict[str, str]) -> Plan:
    """The same set, its processes told the proxies' addresses instead of their targets'."""
    ports = plan.file.ports

    def behind(spec: ProcessSpec) -> ProcessSpec:
        mine = {
            target: proxy
            for route, proxy in routes.items()
            for process, _, target in [route.partition("/")]
            if process == spec.name
        }
        environment = dict(spec.environment)
        for target, proxy in mine.items():
            direct = f"{LOOPBACK}:{ports[target]}"
            environment = {name: value.replace(direct, proxy) for name, value in environment.items()}
        return dataclasses.replace(spec, environment=environment)

    stages = [dataclasses.replace(stage, processes=tuple(map(behind, stage.processes))) for stage in plan.stages]
    return dataclasses.replace(plan, stages=stages)


def main() -> None:
    routes = json.loads(Path(sys.argv.pop(1)).read_text())
    make_plan = up.make_plan

    def make_plan_behind_proxies(*arguments: Any, **options: Any) -> Plan:
        return with_proxies(make_plan(*arguments, **options), routes)

    up.make_plan = make_plan_behind_proxies
    emprops()


if __name__ == "__main__":
    main()
