"""`python -m infra.cli`: same as `emprops`. For paths with a quote, which a script's `#!` line can't contain."""

from infra.cli.main import main

main(prog_name="emprops")
