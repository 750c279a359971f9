import shutil

import pytest

from dmdbt.bundle.export import Trained, export_bundle
from tests.support.pipelines import trained_pipeline


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A repository whose pipeline has run."""
    root = tmp_path_factory.mktemp("trained")
    trained_pipeline(root, lacking=lambda n: ["dm"] if n == 4 else [])
    return Trained(root)


@pytest.fixture(scope="session")
def exported(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    export_bundle(trained, folder, ["squeezenet"], licence="CC0-1.0")
    return folder


@pytest.fixture
def bundle(exported, tmp_path):
    """A copy to damage."""
    return shutil.copytree(exported, tmp_path / "bundle")
