"""Writes the generated documents: the Postman collection, the reference in APIDOCS.md and the table of settings."""
