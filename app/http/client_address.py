"""Which address a request comes from, in canonical form, for every limit and log line."""

from flask import request

from app.auth.networks import clean_address


def client_address() -> str:
    return clean_address(request.remote_addr)
