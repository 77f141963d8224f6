"""`emprops jobs`."""

import click

from infra.cli.jobs_watch import watch


@click.group()
def jobs() -> None:
    """Jobs: watch one while it runs.

    The set must be running.
    """


jobs.add_command(watch)
