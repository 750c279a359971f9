import pytest

from dmdbt.bundle.export import Trained, export_bundle
from tests.support.pipelines import BACKBONES, trained_pipeline


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A repository in which two backbones were trained; patient 4 has no mammogram, patient 5 no volume."""
    root = tmp_path_factory.mktemp("trained")
    lacking = {4: ["dm"], 5: ["dbt"]}
    trained_pipeline(root, lacking=lambda n: lacking.get(n, []), backbones=BACKBONES)
    return Trained(root)


@pytest.fixture(scope="session")
def bundle(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "bundle"
    export_bundle(trained, folder, BACKBONES, licence="CC0-1.0")
    return folder


@pytest.fixture(scope="session")
def cohort(trained):
    return trained.root / "cohort"
