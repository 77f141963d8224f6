"""`python -m workers.http_api`."""

from workers.http_api.run import main

if __name__ == "__main__":
    main()
