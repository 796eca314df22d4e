"""The table of settings in docs/operating.md, made of .env.example and docker-compose.yml."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs/operating.md"
BEGIN = "<!-- settings: written by `make docs` from .env.example -->"
END = "<!-- end of settings -->"
# The reader of the settings under each heading of .env.example.
READERS = {
    "api, worker and beat": "api, worker, beat",
    "limits": "api, worker, beat",
    "docker-compose.yml alone": "docker compose",
    "what `python main.py` starts": "`python main.py …`",
}
SETTING = re.compile(r"(?:# ?)?([A-Z][A-Z0-9_]*)=(.*)")
# A mark of the sentence does not belong to the URL before it.
URL = re.compile(r"\S+://\S*[^\s.,;]")
READ_BY_COMPOSE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")
# docker-compose.yml sets these for each of our containers, whatever .env says.
SET_BY_COMPOSE = re.compile(r"^  environment: &environment\n((?:    .*\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    meaning: str
    section: str


def settings_of(env_example: str) -> Iterator[Setting]:
    """A comment describes the name right below it; a line of `# ---` describes all names until the next such line."""
    section = ""
    comment: list[str] = []
    for line in env_example.splitlines():
        setting = SETTING.fullmatch(line)
        if setting:
            # A setting that is commented out has no default of its own. Its comment says what applies when.
            default = "" if line.startswith("#") else setting[2]
            yield Setting(setting[1], default, " ".join(comment), section)
            comment = []
        elif line.startswith("# --- "):
            section, comment = line.removeprefix("# --- "), []
        elif line.startswith("# "):
            comment.append(line.removeprefix("# "))
        else:
            comment = []


def table(env_example: str, compose: str) -> str:
    environment = SET_BY_COMPOSE.search(compose)
    if environment is None:
        raise ValueError("docker-compose.yml should have an `environment: &environment` for the tracker's containers")
    # A value that docker-compose.yml reads from .env can be set there.
    fixed = set(re.findall(r"^    ([A-Z][A-Z0-9_]*):", environment[1], re.MULTILINE)) - set(
        READ_BY_COMPOSE.findall(compose)
    )
    rows = ["| setting | default | what it means | who reads it |", "| --- | --- | --- | --- |"]
    for setting in settings_of(env_example):
        readers = READERS[setting.section]
        if setting.name in fixed:
            readers += "; docker-compose.yml sets it"
        default = f"`{setting.default}`" if setting.default else ""
        # Markdown would hide a part in angle brackets as an HTML tag.
        meaning = URL.sub(lambda url: f"`{url[0]}`", setting.meaning).replace("|", r"\|")
        rows.append(f"| `{setting.name}` | {default} | {meaning} | {readers} |")
    return "\n".join(rows)


def rewritten(page: str) -> str:
    """The page with the table as it should be between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"operating.md should hold {BEGIN} and {END}")
    env_example, compose = (ROOT / name for name in (".env.example", "docker-compose.yml"))
    new = table(env_example.read_text(encoding="utf-8"), compose.read_text(encoding="utf-8"))
    return f"{before}{BEGIN}\n{new}\n{END}{after}"
