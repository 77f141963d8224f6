"""`python -m services.collections serve`."""

from services.collections.app import SERVICE, build
from services.collections.settings import CollectionsSettings
from shared.runtime import main

if __name__ == "__main__":
    main(SERVICE, CollectionsSettings, build)
