"""The public pages of published collections in HTML: what they show, and the templates that say how.

`services.collections.queries.page` reads what a page shows, and `services.collections.routes.pages` answers it.
"""
