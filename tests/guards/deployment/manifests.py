"""Read the manifests in deploy/."""

from tests.servers import ROOT

KUBERNETES = ROOT / "deploy/kubernetes"


def of_kind(manifests, kind):
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def settings_files(kustomization):
    return {file for generator in kustomization["configMapGenerator"] for file in generator["envs"]}
