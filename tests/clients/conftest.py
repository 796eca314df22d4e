"""The tools that read the OpenAPI document, each installed apart from the project, and the document itself."""

import shutil
import subprocess
import venv

import pytest

from docs.generator.contract import PATH, read_contract
from tests.local.tracker import Tracker

PYTHON_TOOLS = ("openapi-spec-validator==0.9.0", "openapi-python-client==0.29.1")
NODE_TOOLS = ("@redocly/cli@2.77.0", "openapi-typescript@7.13.0", "typescript@5.9.3")
TOOL_SECONDS = 300


class Tools:
    """Programs of a virtual environment and of a directory of npm."""

    def __init__(self, directory):
        self._directory = directory
        self._python = directory / "python"
        self._node = directory / "node"

    def install(self):
        venv.create(self._python, with_pip=True)
        self.python("pip", "install", "--quiet", "--disable-pip-version-check", *PYTHON_TOOLS)
        self._node.mkdir()
        npm = shutil.which("npm")
        assert npm is not None, "npm is not installed; install Node.js"
        self._run(npm, "install", "--no-audit", "--no-fund", "--silent", "--prefix", self._node, *NODE_TOOLS)

    def python(self, program, *arguments, cwd=None):
        return self._run(self._python / "bin" / program, *arguments, cwd=cwd)

    def node(self, program, *arguments):
        return self._run(self._node / "node_modules/.bin" / program, *arguments)

    def _run(self, program, *arguments, cwd=None):
        """Return all that the program wrote. Fails with that if the program fails."""
        done = subprocess.run(
            [str(part) for part in (program, *arguments)],
            cwd=cwd or self._directory,
            capture_output=True,
            text=True,
            timeout=TOOL_SECONDS,
            check=False,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output


@pytest.fixture(scope="session")
def tools(tmp_path_factory):
    tools = Tools(tmp_path_factory.mktemp("tools"))
    tools.install()
    return tools


@pytest.fixture(scope="session")
def document(tmp_path_factory):
    """The document in a file, as the app serves it."""
    file = tmp_path_factory.mktemp("document") / PATH.rpartition("/")[2]
    file.write_text(read_contract().text)
    return file


@pytest.fixture(scope="session")
def running(tmp_path_factory):
    tracker = Tracker(tmp_path_factory.mktemp("running"))
    try:
        tracker.start().wait_until_ready()
        yield tracker
    finally:
        tracker.stop()
