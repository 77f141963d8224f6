"""`python -m services.credits serve`."""

from services.credits.app import SERVICE, build
from services.credits.settings import CreditsSettings
from shared.runtime import main

if __name__ == "__main__":
    main(SERVICE, CreditsSettings, build)
