import pytest

from tests.prediction.conftest import bundle, cohort, trained  # noqa: F401
from tests.support.service import running


@pytest.fixture(scope="session")
def service(bundle, cohort):  # noqa: F811
    """The service with the training cohort as the permitted folder."""
    with running(bundle, permitted=cohort) as started:
        yield started
