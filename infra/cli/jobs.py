"""`emprops jobs`."""

import click

from infra.cli.jobs_control import cancel, pause, unpause
from infra.cli.jobs_list import list_
from infra.cli.jobs_resume import resume
from infra.cli.jobs_watch import watch


@click.group()
def jobs() -> None:
    """Jobs of all users: list, watch, cancel, resume and pause them.

    Give --data DIR of a set that runs here, or --url and a --token: an operator's, or to watch a job its user's.
    """


for command in (list_, watch, cancel, resume, pause, unpause):
    jobs.add_command(command)
