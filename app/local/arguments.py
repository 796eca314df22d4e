"""The command line of `python main.py`, and the settings that its commands cannot do without."""

import argparse
from datetime import date

SINGLE_PROCESSES = {"api": "serve HTTP", "worker": "run jobs", "beat": "send jobs when they are due"}
# These start no server, and whoever starts them, such as `run` or a container, gives them their whole environment.
USE_OTHER_SERVERS = frozenset({*SINGLE_PROCESSES, "prepare"})
NEEDED = frozenset({"DATABASE_URL", "REDIS_URL", "JWT_SECRET_KEY"})
NEEDED_SETTINGS = """
The tracker needs three settings from the environment:

  DATABASE_URL     PostgreSQL 15 or newer: postgresql://user:password@host:5432/database
  REDIS_URL        Redis 7 or Valkey: redis://host:6379/0
  JWT_SECRET_KEY   at least 32 bytes, the same for all processes; made once with: openssl rand -base64 48

Put them into a file, one NAME=value a line, and start one process in each container:

  docker run --rm --env-file tracker.env IMAGE prepare                 first: migrates, and creates the first admin
  docker run --env-file tracker.env -p 8000:8000 IMAGE                 serves HTTP
  docker run --env-file tracker.env --no-healthcheck IMAGE worker      runs jobs
  docker run --env-file tracker.env --no-healthcheck IMAGE beat        sends jobs when they are due

`docker run --rm IMAGE --help` lists all commands. In the repository, .env.example describes all settings, and
docker-compose.yml starts everything, including the servers."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="main.py", description="Start, supervise and stop the whole tracker on one machine, or one process of it."
    )
    commands = parser.add_subparsers(dest="command", metavar="command")
    parser.set_defaults(command="run")
    commands.add_parser("run", help="run everything on this machine (default)")
    commands.add_parser("prepare", help="only migrate the database of DATABASE_URL and create the first admin")
    for process, purpose in SINGLE_PROCESSES.items():
        servers = "DATABASE_URL, REDIS_URL, CELERY_BROKER_URL"
        commands.add_parser(process, help=f"only {purpose}, on the servers of {servers}")
    password = commands.add_parser("password", help="set a new password for a user who lost theirs")
    password.add_argument("username")
    reset = commands.add_parser("password-reset", help="make a token with which a user sets a new password once")
    reset.add_argument("username")
    database = commands.add_parser("database", help="open psql or run a program on the bundled database")
    database.add_argument(
        "program", nargs=argparse.REMAINDER, help="runs with DATABASE_URL set and PostgreSQL's programs on the PATH"
    )
    logs = commands.add_parser("logs", help="print a day of the daily log")
    logs.add_argument("--date", type=_day, help="YYYY-MM-DD; the newest logged day by default")
    logs.add_argument("--diff", type=_day, help="an earlier day: print what changed since then")
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is not a day such as 2026-03-09") from None
