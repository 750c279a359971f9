"""A pair from the form to its result, and what happens where there is none."""

import asyncio
import time

import numpy as np
import psutil
import pytest
from PIL import Image

from dmdbt.__main__ import main
from dmdbt.prediction.result import NOTICE
from dmdbt.readers import read_volume
from dmdbt.service.cases import Cases
from tests.support.browser import Parsed
from tests.support.service import answered, form, running, with_reading

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>.dcm"
NONSENSE = ("dm", HOSTILE, b"nonsense")


def pair(cohort, number=1):
    return [
        (role, f"{role}.{end}", (cohort / f"{number}.{end}").read_bytes())
        for role, end in (("dm", "dcm"), ("dbt", "avi"))
    ]


def workers():
    """The processes that predict for the services of this process."""
    return {child for child in psutil.Process().children() if "dmdbt.service.work" in child.cmdline()}


@pytest.fixture(scope="module")
def by_path(service):
    return service.result(("patient", "P01"), ("dm_path", "1.dcm"), ("dbt_path", "1.avi"))


@pytest.fixture(scope="module")
def by_command(bundle, cohort, tmp_path_factory):
    """The same pair, predicted on the command line."""
    output = tmp_path_factory.mktemp("command") / "output"
    files = ["--dm", str(cohort / "1.dcm"), "--dbt", str(cohort / "1.avi"), "--patient", "P01"]
    assert main(["predict", "--model", str(bundle), *files, "--output", str(output)]) == 0
    return output / "cases"


def test_the_page_and_the_numbers_are_those_of_the_command(service, by_path, by_command):
    address, numbers = by_path
    page = service.ask(address)
    assert (page.status, numbers.status) == (200, 200)
    assert page.content == (by_command / "case.html").read_bytes()
    assert numbers.content == (by_command / "case.json").read_bytes()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert numbers.headers["content-type"] == "application/json"
    assert numbers.json["notice"] == NOTICE
    assert len(numbers.json["folds"]) == 1


def test_the_policy_of_the_page_is_its_own_and_in_the_header_too(service, by_path):
    page = service.ask(by_path[0])
    policy = page.headers["content-security-policy"]
    (stated,) = [tag["content"] for tag in Parsed(page.text).all("meta") if "Policy" in tag.get("http-equiv", "")]
    assert policy == f"{stated}; frame-ancestors 'none'"
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


@pytest.mark.parametrize("n_sent", [1, 2])
def test_files_that_are_sent_give_the_same_numbers_and_leave_the_disk(service, cohort, by_path, n_sent):
    parts = [*pair(cohort)[:n_sent], *[("dbt_path", "1.avi")][: 2 - n_sent]]
    address, numbers = service.result(("patient", "P01"), *parts)
    assert numbers.content == by_path[1].content
    assert sorted(path.name for path in (service.folder / address.split("/")[-1]).iterdir()) == [
        "page.html",
        "prediction.json",
    ]
    page = service.ask(address).text
    assert not [name for name in ("mammogram.dcm", "dm.dcm", "1.avi") if name in page]


def test_slices_of_a_folder_one_image_alone_side_and_view(service, cohort, tmp_path):
    parts = []
    for number, image in enumerate(read_volume(cohort / "1.avi")):
        Image.fromarray(image).save(tmp_path / "slice.png")
        parts.append(("dbt", f"slice{number}.png", (tmp_path / "slice.png").read_bytes()))
    _, numbers = service.result(("laterality", "R"), ("view", "MLO"), *parts[::-1])
    assert numbers.status == 200
    assert (numbers.json["laterality"], numbers.json["view"], numbers.json["patient_id"]) == ("R", "MLO", "")
    assert numbers.json["p"]["dm"] is None
    _, alone = service.result(("dbt_path", "1.avi"))
    assert numbers.json["p"]["dbt"] == pytest.approx(alone.json["p"]["dbt"], abs=1e-6)


def test_while_a_pair_is_predicted_its_page_says_so_and_asks_again(service):
    answer = service.send(NONSENSE)
    page = service.ask(answer.headers["location"])
    parsed = Parsed(page.text)
    assert page.status == 200
    assert {"http-equiv": "refresh", "content": "1"} in parsed.all("meta")
    assert parsed.all("img") == []
    assert f"Sent: {HOSTILE}" in parsed.text
    assert service.wait(answer.headers["location"]).status == 422


def test_a_refused_file_gives_code_cause_and_remedy_and_its_name_is_text(service):
    address, refused = service.result(NONSENSE)
    page = service.ask(address)
    parsed = Parsed(page.text)
    error = refused.json["error"]
    assert (page.status, refused.status) == (422, 422)
    assert error["code"] == "DM-NOT-DICOM"
    assert f"{error['code']}: {error['cause']}. {error['remedy']}" in parsed.text
    assert f"Sent: {HOSTILE}" in parsed.text
    assert parsed.all("img") == []
    assert parsed.all("script") == []
    assert list((service.folder / address.split("/")[-1]).iterdir()) == []


def test_slices_are_named_in_an_error_as_they_were_sent(service, cohort):
    image = (cohort / "1.dcm").read_bytes()
    _, refused = service.result(("dbt", "1.dcm", image), ("dbt", "Thumbs <b>.db", b"x"))
    assert refused.json["error"]["code"] == "FOLDER-CONTENT"
    assert refused.json["error"]["cause"].endswith("found 1 that are none: Thumbs <b>.db")


@pytest.mark.parametrize(
    ("parts", "status", "words"),
    [
        ([], 422, "FORM-EMPTY: expected a mammogram, a volume or both, found none"),
        ([("dm", "", b"")], 422, "FORM-EMPTY"),
        ([NONSENSE, ("patient", "Doe^Jane")], 422, "FORM-VALUE: patient: expected letters A to Z, digits"),
        ([NONSENSE, ("laterality", "left")], 422, "FORM-VALUE: laterality: expected L, R, found 'left'"),
        ([NONSENSE, ("view", "<i>")], 422, "FORM-VALUE: view: expected CC, MLO, found '<i>'"),
        ([NONSENSE, ("dm_path", "1.dcm")], 400, "FORM: expected a file or a path for dm, found both"),
        ([("dm_path", "../secret")], 403, "PATH: expected a path relative to the permitted folder"),
        ([("dm_path", "/etc/passwd")], 403, "PATH: expected a path relative to the permitted folder"),
        ([("other", "x")], 400, "FORM: expected the fields of the page, found another"),
    ],
)
def test_a_form_that_cannot_be_predicted_is_refused_at_once_and_leaves_nothing(service, parts, status, words):
    before = sorted(service.folder.iterdir())
    answer = service.send(*parts)
    assert answer.status == status
    assert words in Parsed(answer.text).text
    assert sorted(service.folder.iterdir()) == before


def test_a_file_of_the_permitted_folder_that_is_missing_is_told(service):
    _, refused = service.result(("dm_path", "none.dcm"))
    assert refused.json["error"]["code"] == "DM-MISSING"


def test_without_a_permitted_folder_there_are_no_paths(bundle):
    with running(bundle) as service:
        assert "_path" not in service.ask("/").text
        assert service.send(("dm_path", "1.dcm")).status == 403


def test_limits_of_the_bundle_bound_what_is_sent_and_what_is_read(bundle, tmp_path):
    Image.fromarray(np.zeros((600, 600), np.uint16)).save(tmp_path / "large.png")
    limited = with_reading(bundle, tmp_path / "bundle", file_gib=0.001, dm_megapixels=0.01)
    with running(limited) as service:
        assert 'data-limit="1073741"' in service.ask("/").text
        refused = service.send(("dm", "a.dcm", b"0" * 2**21))
        assert refused.status == 413
        assert "TOO-LARGE: expected GiB of dm up to 0.001" in Parsed(refused.text).text
        _, unread = service.result(("dm", "a.png", (tmp_path / "large.png").read_bytes()))
        assert (unread.status, unread.json["error"]["code"]) == (422, "TOO-LARGE")


def test_a_sender_that_goes_away_is_forgotten_and_others_are_told_to_wait(bundle):
    with running(bundle, most_waiting=1) as service:
        kind, content = form(NONSENSE)
        headers = {"Content-Type": kind, "Origin": service.origin, "Content-Length": str(len(content))}
        slow = service.connect("POST", "/cases", headers)
        slow.send(content[:100])
        while not list(service.folder.glob("*/sent")):
            time.sleep(0.01)
        busy = service.send(NONSENSE)
        assert (busy.status, busy.headers["retry-after"]) == (503, "30")
        assert "BUSY: expected at most 1 pairs that wait, found as many" in Parsed(busy.text).text
        slow.close()
        while list(service.folder.glob("*/sent")):
            time.sleep(0.01)
        assert service.result(NONSENSE)[1].status == 422


def test_senders_that_send_nothing_more_make_room_for_others(bundle):
    kind, content = form(NONSENSE)
    headers = {"Content-Type": kind, "Content-Length": str(len(content))}
    with running(bundle, most_waiting=2, pause=1) as service:
        stalled = [service.connect("POST", "/cases", headers | {"Origin": service.origin}) for _ in range(2)]
        for connection in stalled:
            connection.send(content[:20])
        while len(list(service.folder.glob("*/sent"))) < 2:
            time.sleep(0.01)
        assert service.send(NONSENSE).status == 503
        for connection in stalled:
            answer = answered(connection)
            assert (answer.status, "UPLOAD-TIME" in answer.text) == (408, True)
        assert service.result(NONSENSE)[1].status == 422


def test_pairs_wait_for_each_other_and_the_oldest_result_goes(bundle):
    with running(bundle, most_waiting=3, most_kept=2) as service:
        addresses = [service.send(NONSENSE).headers["location"] for _ in range(3)]
        assert {len(address) for address in addresses} == {len("/results/") + 22}  # of 128 random bits
        waiting = Parsed(service.ask(addresses[2]).text).text
        assert "2 pairs come first." in waiting or "1 pair comes first." in waiting
        assert service.wait(addresses[2]).status == 422
        assert [service.ask(address).status for address in addresses] == [404, 422, 422]
        kept = {path.name for path in service.folder.iterdir()} & {address.split("/")[-1] for address in addresses}
        assert kept == {address.split("/")[-1] for address in addresses[1:]}


def test_a_small_file_that_takes_much_memory_ends_its_pair_and_not_the_service(bundle, cohort, tmp_path):
    Image.fromarray(np.zeros((11000, 11000), np.uint16)).save(tmp_path / "bomb.png")
    bomb = (tmp_path / "bomb.png").read_bytes()
    assert len(bomb) < 400_000
    with running(with_reading(bundle, tmp_path / "bundle", memory_gib=0.5, dm_megapixels=200)) as service:
        _, refused = service.result(("dm", "bomb.png", bomb))
        assert (refused.status, refused.json["error"]["code"]) == (422, "CASE-MEMORY")
        assert service.result(*pair(cohort)[:1])[1].status == 200


def test_a_process_that_is_killed_ends_its_pair_and_not_the_service(bundle, cohort):
    others = workers()
    with running(bundle) as service:
        address = service.send(*pair(cohort)).headers["location"]
        while service.ask(f"{address}.json").json != {"state": "working"}:
            time.sleep(0.01)
        (worker,) = workers() - others
        worker.kill()
        ended = service.wait(address)
        assert (ended.status, ended.json["error"]["code"]) == (500, "CASE-ENDED")
        assert service.result(*pair(cohort))[1].status == 200
    assert workers() == others


def test_a_pair_that_takes_too_long_ends(bundle, tmp_path):
    async def predict():
        cases = Cases(bundle, tmp_path / "t", seconds=0.01, most_waiting=1, most_kept=1)
        (tmp_path / "t").mkdir()
        work = asyncio.create_task(cases.run())
        case = cases.add()
        cases.submit(case, {"dm": tmp_path / "none.dcm"}, patient_id="", laterality="", view="")
        while not case.finished:
            await asyncio.sleep(0.01)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return case.failure

    others = workers()
    failure = asyncio.run(predict())
    assert (failure.status, failure.code) == (422, "CASE-TIME")
    assert failure.cause == "expected a prediction within 0.1 s (reading.seconds of the bundle), found none"
    assert workers() == others
    assert not (tmp_path / "t").exists()
