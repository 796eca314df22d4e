"""/docs and /redoc: the API for people to read and try, from files of our own; nothing loads from elsewhere."""

from flask import Blueprint, Response, make_response, render_template

from app.http.authentication import public

blueprint = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

# Both viewers write styles into the page as they render, and ReDoc searches in a worker made of a blob.
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


def _page(template: str) -> Response:
    response = make_response(render_template(template))
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"
    return response
