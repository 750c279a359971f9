import errno
import os
import signal

import pytest

from dmdbt.errors import InputDataError, ParameterError, SurroundingsError
from dmdbt.running import map_cases, worker_count


def square(number):
    return number * number


def refuse_odd(number):
    if number % 2:
        raise InputDataError("ODD", case=str(number), cause="expected an even number", remedy="Double it.")
    return number


def die_at_two(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fill_the_disk(_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_an_error_of_the_surroundings():
    with pytest.raises(SurroundingsError, match=r"7: expected room .* No space left on device. Free disk space"):
        map_cases(fill_the_disk, [7], description="fill")


@pytest.mark.parametrize("workers", ["1", "3"])
def test_results_come_in_the_order_of_the_items_whatever_the_number_of_workers(monkeypatch, workers):
    monkeypatch.setenv("DMDBT_WORKERS", workers)
    assert map_cases(square, range(20), description="square") == [number**2 for number in range(20)]


def test_every_case_is_tried_and_every_failure_named():
    with pytest.raises(InputDataError, match="E-ODD case=1") as caught:
        map_cases(refuse_odd, range(6), description="refuse")
    assert [note.split()[1] for note in caught.value.__notes__[1:]] == ["case=3", "case=5"]


def test_a_killed_worker_is_an_error_of_the_surroundings(monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    with pytest.raises(SurroundingsError, match=r"a worker process was killed.*DMDBT_WORKERS=1"):
        map_cases(die_at_two, range(4), description="die")


def test_a_number_of_workers_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "many")
    with pytest.raises(ParameterError, match="DMDBT_WORKERS: expected a whole number from 1, got 'many'"):
        worker_count()
