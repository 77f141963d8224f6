"""`python -m workers.studio`."""

# Imported inside: rendering processes load this module again when they start, and should not carry the worker.


def run() -> None:
    from workers.studio.run import main  # noqa: PLC0415 - as said above

    main()


if __name__ == "__main__":
    run()
