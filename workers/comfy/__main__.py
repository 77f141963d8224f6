"""`python -m workers.comfy`."""

from workers.comfy.run import main

if __name__ == "__main__":
    main()
