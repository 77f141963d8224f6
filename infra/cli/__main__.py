"""`python -m infra.cli`: the same as `emprops`, whose script can't name an interpreter with a quote in its path."""

from infra.cli.main import main

main(prog_name="emprops")
