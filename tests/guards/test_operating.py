"""The commands and links in the documents, compared with the repository."""

import re
import subprocess

import pytest
import yaml

from app.local.arguments import make_parser
from docs.generator import settings_table
from tests.servers import ROOT

PAGE = ROOT / "docs/operating.md"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
NOT_OURS = {".venv", ".data", ".git", "node_modules"}

CODE_BLOCK = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`[^`\n]+`")
# A link with or without a title; a link with a scheme leads elsewhere.
LINK = re.compile(r"\]\((?![a-z]+:)([^)\s]+)(?: \"[^\"]*\")?\)")
HEADING = re.compile(r"^#{1,6} (.+?) *$", re.MULTILINE)
# A command in code: at the start of a line, after another command, or after the value of a variable.
MAKE = re.compile(r"(?:^|`|[;&|(]|=\S+) *make ([a-z][a-z-]*)", re.MULTILINE)
SUBCOMMAND = re.compile(r"python3? main\.py ([a-z]+)")
TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)
DEPLOYED = re.compile(r"`(deploy/[^`\s]*)`")


class TestSettings:
    def test_every_setting_has_a_description(self):
        settings = list(settings_table.settings_of((ROOT / ".env.example").read_text("utf-8")))

        assert settings
        assert [setting.name for setting in settings if not setting.meaning] == []

    def test_only_the_url_itself_is_shown_as_code(self):
        env_example = (
            "# --- limits\n# like https://a.example,http://b.example:3000; or amqp://c//, or redis://d.\nNAME=\n"
        )

        table = settings_table.table(env_example, "  environment: &environment\n    HOST: 0.0.0.0\n")

        meaning = table.splitlines()[-1].split("|")[3].strip()
        assert meaning == "like `https://a.example,http://b.example:3000`; or `amqp://c//`, or `redis://d`."


class TestAlerts:
    def test_each_alert_has_a_heading_and_each_heading_an_alert(self):
        groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]

        documented = section_of(PAGE.read_text("utf-8"), "Alerts")

        assert re.findall(r"^### (.+)$", documented, re.MULTILINE) == [
            rule["alert"] for group in groups for rule in group["rules"]
        ]

    def test_each_section_has_severity_checks_actions_and_losses(self):
        groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
        severities = {rule["alert"]: rule["labels"]["severity"] for group in groups for rule in group["rules"]}

        documented = section_of(PAGE.read_text("utf-8"), "Alerts").split("\n### ")[1:]

        assert len(documented) == len(severities)
        for section in documented:
            name, _, text = section.partition("\n")
            assert text.strip().startswith(f"*{severities[name]}.*"), name
            assert re.findall(r"^- \*\*(.+?):\*\*", text, re.MULTILINE) == ["Look", "Do", "Lost meanwhile"], name


class TestCommands:
    def test_every_target_of_make_exists(self, pages):
        targets = set(TARGET.findall((ROOT / "Makefile").read_text("utf-8")))

        named = {(path, target) for path, text in pages.items() for target in MAKE.findall(code_of(text))}

        assert len(named) > 10
        assert sorted((str(path), target) for path, target in named if target not in targets) == []

    def test_every_subcommand_of_the_program_exists(self, pages):
        named = {(path, word) for path, text in pages.items() for word in SUBCOMMAND.findall(text)}

        assert {word for _path, word in named} >= {"prepare", "logs"}
        for path, word in sorted(named):
            with pytest.raises(SystemExit) as ended:
                make_parser().parse_args([word, "--help"])
            assert ended.value.code == 0, f"{path} names `python main.py {word}`"


class TestUpgrade:
    def test_the_worker_is_never_older_than_the_api(self):
        """An older worker would ignore the options of an import that only a newer api knows."""
        upgrade, rollback, _downgrade = CODE_BLOCK.findall(section_of(PAGE.read_text("utf-8"), "Upgrade and rollback"))

        assert re.findall(r"docker compose (?:run --rm|up -d) ?([a-z ]*\b)?", upgrade) == ["migrate", "worker beat", ""]
        assert re.findall(r"docker compose up -d ?([a-z ]*\b)?", rollback) == ["api", ""]


class TestSecrets:
    """The commands for a new signing key, run in a directory with an .env; docker compose is left out."""

    @pytest.mark.parametrize(
        ("before", "previous"),
        [
            # An .env of a release before the setting, whose last line does not end.
            ("JWT_SECRET_KEY=old-key\nTIME_ZONE=UTC", "old-key"),
            ("JWT_SECRET_KEY=old-key\nJWT_PREVIOUS_SECRET_KEYS=\nTIME_ZONE=UTC\n", "old-key"),
            (
                "JWT_SECRET_KEY=old-key\nJWT_PREVIOUS_SECRET_KEYS=older,oldest\nTIME_ZONE=UTC\n",
                "old-key,older,oldest",
            ),
        ],
        ids=["no line", "an empty line", "earlier keys"],
    )
    def test_a_new_signing_key_keeps_the_old_ones(self, tmp_path, before, previous):
        (tmp_path / ".env").write_text(before)
        functions, rotation = CODE_BLOCK.findall(section_of(PAGE.read_text("utf-8"), "Secrets"))[:2]
        script = "\n".join(["docker() { :; }", *map(lines_of, (functions, rotation))])

        subprocess.run(["/bin/sh", "-euc", script], cwd=tmp_path, check=True)

        after = [line.partition("=")[::2] for line in (tmp_path / ".env").read_text().split()]
        assert sorted(name for name, _value in after) == ["JWT_PREVIOUS_SECRET_KEYS", "JWT_SECRET_KEY", "TIME_ZONE"]
        assert dict(after)["JWT_PREVIOUS_SECRET_KEYS"] == previous
        assert re.fullmatch(r"[0-9a-f]{64}", dict(after)["JWT_SECRET_KEY"])
        assert dict(after)["TIME_ZONE"] == "UTC"


class TestLinks:
    def test_every_link_leads_to_a_file_and_to_one_of_its_headings(self, pages):
        broken = [
            f"{path}: {link}"
            for path, text in pages.items()
            for link in LINK.findall(prose_of(text))
            if not leads_somewhere(path, link)
        ]

        assert broken == []

    def test_every_file_of_deploy_that_is_named_exists(self, pages):
        named = {(path, name) for path, text in pages.items() for name in DEPLOYED.findall(text)}

        assert named
        assert sorted((str(path), name) for path, name in named if not (ROOT / name).exists()) == []


def section_of(page, heading):
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    return section


def prose_of(page):
    """Remove code, where brackets and number signs do not belong to Markdown."""
    return CODE.sub("", CODE_BLOCK.sub("", page))


def lines_of(code_block):
    """Remove the marks around a block of code."""
    return "\n".join(code_block.splitlines()[1:-1])


def code_of(page):
    return "\n".join([*CODE_BLOCK.findall(page), *CODE.findall(CODE_BLOCK.sub("", page))])


def leads_somewhere(path, link):
    name, _, anchor = link.partition("#")
    target = (ROOT / path).parent / name if name else ROOT / path
    if not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors_of(target.read_text("utf-8")))


def anchors_of(page):
    """List the anchors that GitHub makes; a repeated heading gets a number."""
    anchors: list[str] = []
    for heading in HEADING.findall(CODE_BLOCK.sub("", page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        name = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        repetition = sum(1 for anchor in anchors if re.fullmatch(rf"{re.escape(name)}(-\d+)?", anchor))
        anchors.append(f"{name}-{repetition}" if repetition else name)
    return anchors


@pytest.fixture
def pages():
    """Each Markdown file of the repository, by its path in it."""
    headings = {path.relative_to(ROOT): path for path in ROOT.rglob("*.md")}
    own = {name: path.read_text("utf-8") for name, path in headings.items() if not NOT_OURS & set(name.parts)}
    assert {str(name) for name in own} >= {"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/operating.md"}
    return own
