"""`emprops up` with its processes' environments altered: `python -m tests.support.altered_up ALTERED.json up …`.

ALTERED.json is an `Altered`: proxies between a process and its servers, and additional environment variables. Only the
environment of that process changes; readiness probes and the command line connect directly, as an operator's do.
"""

import dataclasses
import sys
from pathlib import Path
from typing import Any

import msgspec

from infra.cli.main import main as emprops
from infra.embedded import up
from infra.embedded.plan import Plan
from infra.embedded.process import ProcessSpec

LOOPBACK = "127.0.0.1"


class Altered(msgspec.Struct):
    routes: dict[str, str] = {}
    """`process/target` to the proxy's `host:port`; the target is a server (`postgres`, `nats`, `s3`) or a process."""
    environment: dict[str, dict[str, str]] = {}
    """Variables by process."""

    def apply(self, plan: Plan) -> Plan:
        """The plan with these alterations."""

        def alter(spec: ProcessSpec) -> ProcessSpec:
            environment = dict(spec.environment)
            for route, proxy in self.routes.items():
                process, _, target = route.partition("/")
                if process == spec.name:
                    direct = f"{LOOPBACK}:{plan.file.ports[target]}"
                    environment = {name: value.replace(direct, proxy) for name, value in environment.items()}
            return dataclasses.replace(spec, environment=environment | self.environment.get(spec.name, {}))

        stages = [dataclasses.replace(stage, processes=tuple(map(alter, stage.processes))) for stage in plan.stages]
        return dataclasses.replace(plan, stages=stages)


def main() -> None:
    altered = msgspec.json.decode(Path(sys.argv.pop(1)).read_bytes(), type=Altered)
    make_plan = up.make_plan

    def make_altered_plan(*arguments: Any, **options: Any) -> Plan:
        return altered.apply(make_plan(*arguments, **options))

    up.make_plan = make_altered_plan
    emprops()


if __name__ == "__main__":
    main()
