"""/docs and /redoc: pages on which people read and try the API. They load nothing from other hosts."""

from pathlib import Path

from flask import Blueprint, Response, make_response, render_template, send_from_directory

from app.http.identity.access import public

blueprint = Blueprint("web", __name__, template_folder="templates")

STATIC = Path(__file__).parent / "static"
# Vendored files change only with a release, and browsers notice a new release within the hour.
STATIC_MAX_AGE_SECONDS = 3600
# Both viewers write inline styles as they render, and ReDoc searches in a worker that it loads from a blob.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/docs")
@public
def show_swagger_ui() -> Response:
    return _page("docs.html")


@blueprint.get("/redoc")
@public
def show_redoc() -> Response:
    return _page("redoc.html")


@blueprint.get("/static/<path:filename>")
@public
def static(filename: str) -> Response:
    return send_from_directory(STATIC, filename, max_age=STATIC_MAX_AGE_SECONDS)


def _page(template: str) -> Response:
    response = make_response(render_template(template))
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response
