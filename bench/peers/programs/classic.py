"""A small app that does what the first public implementation of the classic API does, to measure ours beside it.

It is written after that implementation's published behaviour, not after its code: Flask with Flask-SQLAlchemy models in
the tables task, task_logger and user; pages kept in Redis by Flask-Caching under their URL; JSON Web Tokens on writes
and none on reads; gunicorn with four sync workers. Where the behaviour leaves a choice, the quicker way is taken: one
query joins the tasks of a page, and a write forgets no cached page.

It runs in a virtual environment of its own: `python classic.py` makes the tables and the user, `gunicorn classic:app`
serves. It imports nothing of the tracker.
"""

import os
from datetime import UTC, date, datetime
from typing import Any

from flask import Flask, Response, jsonify, request
from flask_caching import Cache
from flask_jwt_extended import JWTManager, create_access_token, get_jwt, jwt_required
from flask_sqlalchemy import SQLAlchemy
from werkzeug.security import check_password_hash, generate_password_hash

CACHE_SECONDS = 300

app = Flask(__name__)
app.config.update(
    SQLALCHEMY_DATABASE_URI=os.environ["DATABASE_URL"],
    JWT_SECRET_KEY="a secret of the measurement that is long enough",
    JWT_ACCESS_TOKEN_EXPIRES=False,
    CACHE_TYPE="RedisCache",
    CACHE_REDIS_URL=os.environ["REDIS_URL"],
    CACHE_DEFAULT_TIMEOUT=CACHE_SECONDS,
)
db = SQLAlchemy(app)
cache = Cache(app)
jwt = JWTManager(app)


class User(db.Model):  # type: ignore[misc,name-defined,unused-ignore]
    id = db.Column(db.Integer, primary_key=True)
    username = db.Column(db.String(80), unique=True, nullable=False)
    password = db.Column(db.String(255), nullable=False)
    role = db.Column(db.String(20), nullable=False)


class Task(db.Model):  # type: ignore[misc,name-defined,unused-ignore]
    id = db.Column(db.Integer, primary_key=True)
    task_name = db.Column(db.String(200), nullable=False)
    description = db.Column(db.Text)
    status = db.Column(db.Boolean, nullable=False, default=True)
    priority = db.Column(db.String(20))
    created_at = db.Column(db.DateTime, nullable=False, default=lambda: datetime.now(UTC))
    assigned_user = db.Column(db.String(80))


class TaskLogger(db.Model):  # type: ignore[misc,name-defined,unused-ignore]
    __tablename__ = "task_logger"

    id = db.Column(db.Integer, primary_key=True)
    task_id = db.Column(db.Integer, db.ForeignKey("task.id"), nullable=False)
    date_logged = db.Column(db.Date, nullable=False, index=True)
    status = db.Column(db.Boolean, nullable=False)
    task = db.relationship("Task", lazy="joined")


@app.post("/login")
def log_in() -> Response | tuple[Response, int]:
    values: dict[str, Any] = request.get_json()
    user = User.query.filter_by(username=values["username"]).first()
    if user is None or not check_password_hash(user.password, values["password"]):
        return jsonify(error="Invalid credentials"), 401
    return jsonify(token=create_access_token(str(user.id), additional_claims={"role": user.role}))


@app.get("/tasks")
@cache.cached(query_string=True)  # type: ignore[untyped-decorator]
def list_logged_tasks() -> Response:
    """List log rows in numbered pages, newest day first."""
    query = TaskLogger.query.order_by(TaskLogger.date_logged.desc(), TaskLogger.id)
    if "date" in request.args:
        query = query.filter(TaskLogger.date_logged == date.fromisoformat(request.args["date"]))
    page = query.paginate(
        page=request.args.get("page", 1, int), per_page=request.args.get("per_page", 10, int), error_out=False
    )
    rows = [
        {
            "id": log.id,
            "task_id": log.task_id,
            "date_logged": log.date_logged.isoformat(),
            "status": log.status,
            "task": {"task_name": log.task.task_name, "description": log.task.description},
        }
        for log in page.items
    ]
    return jsonify(tasks=rows, total=page.total, pages=page.pages, page=page.page, current_page=page.page)


@app.post("/task")
@jwt_required()  # type: ignore[untyped-decorator]
def create_task() -> tuple[Response, int]:
    if get_jwt()["role"] not in {"admin", "manager", "user"}:
        return jsonify(error="Forbidden"), 403
    values: dict[str, Any] = request.get_json()
    task = Task(
        task_name=values["task_name"],
        description=values.get("description"),
        priority=values.get("priority"),
        assigned_user=values.get("assigned_user"),
    )
    db.session.add(task)
    db.session.commit()
    return jsonify(id=task.id, task_name=task.task_name), 201


def _prepare() -> None:
    with app.app_context():
        db.create_all()
        db.session.add(User(username="admin", password=generate_password_hash(os.environ["PASSWORD"]), role="admin"))
        db.session.commit()


if __name__ == "__main__":
    _prepare()
