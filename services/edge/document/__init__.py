"""The public OpenAPI document, merged from those of the services, and its viewer."""
