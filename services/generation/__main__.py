"""`python -m services.generation serve`."""

from services.generation.app import SERVICE, build
from services.generation.settings import GenerationSettings
from shared.runtime import main

if __name__ == "__main__":
    main(SERVICE, GenerationSettings, build)
