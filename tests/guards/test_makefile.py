"""The first steps of the Makefile, with a Python that lacks something."""

import os
import shutil
import subprocess

import pytest

from tests.servers import ROOT

# A Python like Debian's without python3-venv: it has the module venv, which makes half an environment and fails.
WITHOUT_VENV = """#!/bin/sh
case "$*" in
  *ensurepip*) exit 1 ;;
  *venv*) mkdir -p .venv/bin; touch .venv/bin/python; exit 1 ;;
esac
"""
TOO_OLD = """#!/bin/sh
echo 'TaskTrackerPro needs Python 3.11 or newer' >&2
exit 1
"""


class TestVirtualEnvironment:
    @pytest.mark.parametrize(
        ("python", "message"), [(WITHOUT_VENV, "apt install python3-venv"), (TOO_OLD, "needs Python 3.11 or newer")]
    )
    def test_a_python_that_lacks_something_is_named_each_time_and_leaves_nothing(self, tmp_path, python, message):
        shutil.copy(ROOT / "Makefile", tmp_path)
        (tmp_path / "python").write_text(python, "utf-8")
        (tmp_path / "python").chmod(0o755)

        ended = [make(tmp_path) for _ in range(2)]

        for each in ended:
            assert each.returncode != 0
            assert message in each.stderr
        assert not (tmp_path / ".venv").exists()


def make(directory):
    return subprocess.run(
        ["make", ".venv/bin/python", "PYTHON=./python"],
        cwd=directory,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
