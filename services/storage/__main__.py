"""`python -m services.storage serve`."""

from services.storage.app import SERVICE, build
from services.storage.settings import StorageSettings
from shared.runtime import main

if __name__ == "__main__":
    main(SERVICE, StorageSettings, build)
