"""HTTP → command or query → response."""

from litestar.types import ControllerRouterHandler

from services.collections.routes.archiving import archive_collection, restore_collection
from services.collections.routes.collections import (
    feed,
    get_collection,
    get_history,
    get_public_collection,
    list_published_collections,
)
from services.collections.routes.component_assets import list_assets_of_component
from services.collections.routes.creation import create_collection, remix_collection
from services.collections.routes.custody import transfer_custody
from services.collections.routes.editing import configure_preview, edit_collection, set_receivers
from services.collections.routes.metadata import get_collection_metadata, get_token, get_token_metadata
from services.collections.routes.packages import cancel_package, get_package, request_package
from services.collections.routes.pages import show_collection, show_token
from services.collections.routes.pins import report_pin
from services.collections.routes.projects import (
    choose_current_collection,
    create_project,
    create_untitled_project,
    get_current_collection,
    list_collections_of_project,
    list_projects,
    rename_project,
)
from services.collections.routes.publication import call_off_publication, publish_collection
from services.collections.routes.revisions import list_revisions
from services.collections.routes.series import choose_series, get_series, list_tokens
from services.collections.routes.templates import create_from_template
from services.collections.routes.variables import get_variables, set_variables

ROUTES: list[ControllerRouterHandler] = [
    list_projects,
    create_project,
    create_untitled_project,
    rename_project,
    list_collections_of_project,
    get_current_collection,
    create_collection,
    edit_collection,
    set_receivers,
    set_variables,
    list_published_collections,
    get_collection,
    get_history,
    get_public_collection,
    get_variables,
    get_collection_metadata,
    get_token,
    get_token_metadata,
    list_tokens,
    list_revisions,
    get_series,
    choose_series,
    request_package,
    get_package,
    cancel_package,
    report_pin,
    publish_collection,
    call_off_publication,
    archive_collection,
    restore_collection,
    configure_preview,
    choose_current_collection,
    remix_collection,
    create_from_template,
    transfer_custody,
    feed,
    list_assets_of_component,
    show_collection,
    show_token,
]
