import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from dmdbt.errors import InputDataError, ParameterError, SystemResourceError
from dmdbt.running import map_cases, worker_count
from tests.support import ROOT


def square(number):
    return number * number


def refuse_odd(number):
    if number % 2:
        raise InputDataError("ODD", case=str(number), cause="expected an even number", remedy="Double it.")
    return number


def fill_the_disk(_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_system_resource_error():
    with pytest.raises(SystemResourceError, match=r"7: expected room .* No space left on device. Free disk space"):
        map_cases(fill_the_disk, [7], description="fill")


@pytest.mark.parametrize("workers", ["1", "3"])
def test_results_come_in_the_order_of_the_items_whatever_the_number_of_workers(monkeypatch, workers):
    monkeypatch.setenv("DMDBT_WORKERS", workers)
    assert map_cases(square, range(20), description="square") == [number**2 for number in range(20)]


def test_every_case_is_tried_and_every_failure_named():
    with pytest.raises(InputDataError, match="E-ODD case=1") as caught:
        map_cases(refuse_odd, range(6), description="refuse")
    assert [note.split()[1] for note in caught.value.__notes__[1:]] == ["case=3", "case=5"]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_is_a_system_resource_error_that_names_its_case(workers):
    expected = r"^2: expected its worker process to finish, but it ended with SIGKILL. .* DMDBT_WORKERS=1"
    with pytest.raises(SystemResourceError, match=expected):
        map_cases(end_at_two, range(4), description="die", workers=workers)


def end_at_two(number, *, how=signal.SIGKILL):
    if number == 2:
        os.kill(os.getpid(), how)
    return number


def test_what_runs_while_a_worker_dies_is_finished_and_nothing_else_is_begun(tmp_path):
    finished = []
    die = partial(die_in_company, folder=tmp_path)
    with pytest.raises(SystemResourceError, match="^1: expected its worker process to finish"):
        map_cases(die, range(9), description="die", workers=3, on_result=lambda number, _: finished.append(number))
    assert sorted(finished) == [0, 2]
    assert {path.name for path in tmp_path.iterdir()} == {"0", "1", "2"}


def die_in_company(number, *, folder):
    """Die as item 1 once items 0 and 2 have begun, which outlive it."""
    (folder / str(number)).touch()
    wait_until(lambda: len(list(folder.iterdir())) == 3)
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_end_without_a_signal_is_named_by_its_exit_code():
    with pytest.raises(SystemResourceError, match="^7: expected its worker process to finish, but .* exit code 3"):
        map_cases(leave, [7], description="leave", seconds=60)


def leave(_):
    os._exit(3)


LIMITS = {"seconds": 60, "memory": 2**40}


@pytest.mark.parametrize("how", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL])
def test_a_file_that_crashes_its_decoder_is_bad_data_under_limits_and_the_others_are_examined(how):
    finished = []
    expected = (
        f"^E-CASE-CRASH case=2 file=- cause=expected a file that can be decoded, found .* signal {how.name} remedy"
    )
    with pytest.raises(InputDataError, match=expected):
        end = partial(end_at_two, how=how)
        map_cases(end, range(5), description="x", on_result=lambda n, _: finished.append(n), workers=2, **LIMITS)
    assert sorted(finished) == [0, 1, 3, 4]


def test_a_crash_without_limits_and_a_kill_under_limits_are_system_resource_errors():
    with pytest.raises(SystemResourceError, match="^2: .* ended with SIGSEGV"):
        map_cases(partial(end_at_two, how=signal.SIGSEGV), range(3), description="crash")
    with pytest.raises(SystemResourceError, match="^2: .* ended with SIGKILL"):
        map_cases(end_at_two, range(3), description="kill", **LIMITS)


def test_an_item_over_time_is_bad_data_and_the_others_go_on():
    finished = []
    expected = "^E-CASE-TIME case=1 .* cause=expected an examination within 0.5 s, found none .reading.seconds. remedy"
    with pytest.raises(InputDataError, match=expected):
        options = {"seconds": 0.5, "workers": 2, "on_result": lambda number, _: finished.append(number)}
        map_cases(sleep_at_one, range(6), description="sleep", **options)
    assert sorted(finished) == [0, 2, 3, 4, 5]


def sleep_at_one(number):
    time.sleep(600 if number == 1 else 0)


@pytest.mark.parametrize("take", ["take_memory", "hide_lack_of_memory"])
def test_an_item_over_memory_is_bad_data_and_the_others_go_on(take):
    finished = []
    expected = r"^E-CASE-MEMORY case=1 .* within 64 GiB of memory, found that it takes more .reading.memory_gib. remedy"
    with pytest.raises(InputDataError, match=expected):
        options = {"memory": 2**36, "workers": 1, "on_result": lambda number, _: finished.append(number)}
        map_cases(globals()[take], range(3), description="take", **options)
    assert finished == [0, 2]


def take_memory(number):
    return len(bytearray(2**37 if number == 1 else 1))  # calloc: where it is had, it is not touched


def hide_lack_of_memory(number):
    """As a reader does that takes whatever a decoder raises for damage."""
    try:
        return take_memory(number)
    except Exception as exc:
        raise InputDataError("DAMAGED", cause="expected a file, found none", remedy="None.") from exc


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no limit of memory here")
def test_a_limit_of_memory_counts_what_the_item_takes_and_not_the_libraries():
    assert map_cases(take_mebibytes, [50], description="take", memory=2**27) == [50]
    with pytest.raises(InputDataError, match=r"^E-CASE-MEMORY case=300 .* within 0.125 GiB of memory"):
        map_cases(take_mebibytes, [300], description="take", memory=2**27)


def take_mebibytes(number):
    return len(bytearray(number * 2**20)) >> 20


def test_a_lack_of_memory_without_a_limit_is_a_system_resource_error():
    with pytest.raises(SystemResourceError, match="^5: expected enough memory, got none. Free memory"):
        map_cases(take_all_memory, [5], description="take")


def take_all_memory(_):
    return bytearray(2**62)


LEFT = []


@pytest.mark.parametrize("fail", [os.abort, partial(bytearray, 2**62)], ids=["crash", "memory"])
def test_what_another_item_left_in_a_worker_decides_nothing(fail):
    act = partial(fail_where_something_is_left, fail=fail)
    assert map_cases(act, range(4), description="leave", workers=1, **LIMITS) == [0, 1, 2, 3]


def fail_where_something_is_left(number, *, fail):
    if number == 2 and LEFT:
        fail()
    LEFT.append(number)
    return number


def test_four_gibibytes_of_address_space_hold_the_readers_and_a_large_volume(tmp_path):
    with started(READERS, tmp_path) as parent:
        assert parent.wait(120) == 0


READERS = """
from dmdbt.running import map_cases
def load(_):
    import PIL.Image, av, dmdbt.ingest, dmdbt.readers, numpy, pydicom
    return int(numpy.ones(2**31, numpy.uint8)[-1])
if __name__ == "__main__":
    map_cases(load, range(2), description="load", memory=4 * 2**30, preload=["dmdbt.ingest"])
"""


def started(text, folder, *arguments, **options):
    """A Python process of its own that runs a script."""
    (folder / "script.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, folder / "script.py", *arguments], env=environment, **options)


def test_bad_data_is_handed_over_and_left_out_of_the_results():
    failures = []
    results = map_cases(refuse_odd, range(6), description="x", on_failure=lambda n, error: failures.append((n, error)))
    assert results == [0, 2, 4]
    assert [(n, error.code, error.case) for n, error in sorted(failures)] == [(n, "ODD", str(n)) for n in (1, 3, 5)]


def test_system_resource_errors_and_of_parameters_are_not_handed_over():
    with pytest.raises(SystemResourceError, match="^2: "):
        map_cases(end_at_two, range(4), description="x", on_failure=pytest.fail)
    with pytest.raises(ParameterError, match="epochs"):
        map_cases(refuse_parameter, range(4), description="x", on_failure=pytest.fail)


def refuse_parameter(_):
    raise ParameterError("train.epochs", expected="epochs", found=0, remedy="Raise it.")


def test_any_other_error_comes_with_the_traceback_of_the_worker():
    with pytest.raises(ZeroDivisionError) as caught:
        map_cases(divide, range(3), description="divide")
    assert "0, in a worker process:" in caught.value.__notes__[0]
    assert "in divide" in caught.value.__notes__[0]


def divide(number):
    return 1 / number


class TwoPartError(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


def raise_in_two_parts(_):
    raise TwoPartError(1, 2)


def give_lambda(_):
    return lambda: None


@pytest.mark.parametrize(
    ("function", "items", "expected"),
    [
        (square, [1, lambda: 2], "map_cases: expected an item .number 1. that can be pickled, got: "),
        (lambda number: number, [1], "map_cases: expected a function that can be pickled, got: "),
        (give_lambda, [1], "map_cases: expected a result .function. that can be pickled, got: "),
        (raise_in_two_parts, [1], "TwoPartError: 1 2"),
    ],
    ids=["item", "function", "result", "exception"],
)
def test_what_cannot_be_pickled_is_told(function, items, expected):
    with pytest.raises((TypeError, RuntimeError), match=expected):
        map_cases(function, items, description="pickle", workers=2)


IDLE_PARENT = """
import os, pathlib, sys, time
from dmdbt.running import map_cases
def sleep(_):
    pathlib.Path(sys.argv[1], str(os.getpid())).touch()
    time.sleep(600)
if __name__ == "__main__":
    try:
        map_cases(sleep, range(4), description="sleep", workers=2)
    except KeyboardInterrupt:
        sys.exit(130)
"""


@pytest.mark.parametrize(
    ("send", "number", "code"),
    [(os.killpg, signal.SIGINT, 130), (os.kill, signal.SIGINT, 130), (os.kill, signal.SIGKILL, -signal.SIGKILL)],
    ids=["Ctrl-C", "interrupt", "kill"],
)
def test_a_parent_that_ends_leaves_no_worker_and_no_traceback(tmp_path, send, number, code):
    (tmp_path / "pids").mkdir()
    options = {"stderr": subprocess.PIPE, "start_new_session": True}
    with started(IDLE_PARENT, tmp_path, tmp_path / "pids", **options) as parent:
        wait_until(lambda: len(list((tmp_path / "pids").iterdir())) == 2)
        workers = [psutil.Process(int(path.name)) for path in (tmp_path / "pids").iterdir()]
        send(parent.pid, number)
        _, messages = parent.communicate(timeout=30)
    assert (parent.returncode, b"Traceback" in messages) == (code, False)
    wait_until(lambda: not any(is_alive(worker) for worker in workers))


def is_alive(process):
    """Whether it runs; in a container, nobody may take note that an orphan has ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.mutation
def test_thirty_random_kills_never_hang_and_name_the_case(tmp_path):
    for seed in range(30):
        marks = tmp_path / str(seed)
        marks.mkdir()
        killed = []
        killer = threading.Thread(target=kill_one, args=(marks, random.Random(seed), killed))
        killer.start()
        try:
            map_cases(partial(work_marked, marks=marks), range(12), description="work", workers=3)
            named = "idle"
        except SystemResourceError as exc:
            named = str(exc).partition(": expected its worker process to finish, but it ended with SIGKILL")[0]
        killer.join()
        last = (marks / str(killed[0])).read_text()
        assert last in ("idle", named)


def kill_one(marks, generator, killed):
    """Kill a worker after a random time."""
    wait_until(lambda: len(list(marks.glob("[0-9]*"))) > 0)
    time.sleep(generator.uniform(0, 0.15))
    killed.append(int(generator.choice(sorted(marks.glob("[0-9]*"))).name))
    if psutil.pid_exists(killed[0]):
        os.kill(killed[0], signal.SIGKILL)


def work_marked(number, *, marks):
    """Work for a while, with the number of the item in a file of the process's name."""
    mark(marks, str(number))
    time.sleep(0.02)
    mark(marks, "idle")


def mark(marks, text):
    temporary = marks / f".{os.getpid()}"
    temporary.write_text(text)
    temporary.replace(marks / str(os.getpid()))


def test_a_number_of_workers_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "many")
    with pytest.raises(ParameterError, match="DMDBT_WORKERS: expected a whole number from 1, got 'many'"):
        worker_count()


def test_workers_that_are_spawned_do_not_wait_for_what_others_preload(tmp_path):
    with started(SPAWNED, tmp_path, stdout=subprocess.PIPE) as parent:
        assert parent.communicate(timeout=120)[0] == b"[False, False] [True, True]\n"


SPAWNED = """
import sys
from dmdbt.running import begin_workers, map_cases
def has_wave(_):
    return "wave" in sys.modules
if __name__ == "__main__":
    begin_workers(["wave"])
    print(*(map_cases(has_wave, range(2), description="look", start=start) for start in ("spawn", "forkserver")))
"""
