"""The manifests in deploy/, parsed."""

import pytest
import yaml

from tests.guards.deployment.manifests import KUBERNETES, settings_files


@pytest.fixture
def kustomization():
    return yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))


@pytest.fixture
def manifests(kustomization):
    return [
        manifest
        for name in kustomization["resources"]
        for manifest in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
    ]


@pytest.fixture
def manifest_settings(kustomization):
    lines = [
        line
        for name in settings_files(kustomization)
        for line in (KUBERNETES / name).read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    return dict(line.split("=", 1) for line in lines)
