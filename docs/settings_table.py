"""Write the table of settings in operating.md anew, from .env.example and docker-compose.yml: what `make docs` runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/operating.md"
BEGIN = "<!-- settings: written by `make docs` from .env.example -->"
END = "<!-- end of settings -->"
# Who reads what stands under a heading of .env.example.
READERS = {
    "api, worker and beat": "api, worker, beat",
    "limits": "api, worker, beat",
    "docker-compose.yml alone": "docker compose",
    "what `python main.py` starts": "`python main.py …`",
}
SETTING = re.compile(r"(?:# ?)?([A-Z][A-Z0-9_]*)=(.*)")
URL = re.compile(r"\S+://\S+")
READ_BY_COMPOSE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)")
# What docker-compose.yml gives to each container of ours, whatever .env says.
GIVEN = re.compile(r"^  environment: &environment\n((?:    .*\n)+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    meaning: str
    section: str


def settings_of(env_example: str) -> Iterator[Setting]:
    """A comment speaks of the name right below it, a line of `# ---` of all names until the next one."""
    section, comment = "", []
    for line in env_example.splitlines():
        setting = SETTING.fullmatch(line)
        if setting:
            # One that is commented out has no default of its own: its comment says when it is which.
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
    given = GIVEN.search(compose)
    if given is None:
        raise ValueError("docker-compose.yml should say what it gives to each container of the tracker")
    # What it takes from .env itself may be set there.
    fixed = set(re.findall(r"^    ([A-Z][A-Z0-9_]*):", given[1], re.MULTILINE)) - set(READ_BY_COMPOSE.findall(compose))
    rows = ["| setting | default | what it means | who reads it |", "| --- | --- | --- | --- |"]
    for setting in settings_of(env_example):
        readers = READERS[setting.section]
        if setting.name in fixed:
            readers += "; docker-compose.yml sets it"
        default = f"`{setting.default}`" if setting.default else ""
        # What looks like a tag to HTML would not be seen.
        meaning = URL.sub(lambda url: f"`{url[0]}`", setting.meaning).replace("|", r"\|")
        rows.append(f"| `{setting.name}` | {default} | {meaning} | {readers} |")
    return "\n".join(rows)


def rewritten(page: str) -> str:
    """The page with the table as it should be, between its two marks."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"operating.md should hold {BEGIN} and {END}")
    env_example, compose = (ROOT / name for name in (".env.example", "docker-compose.yml"))
    new = table(env_example.read_text(encoding="utf-8"), compose.read_text(encoding="utf-8"))
    return f"{before}{BEGIN}\n{new}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
