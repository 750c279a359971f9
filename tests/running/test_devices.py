"""Devices by name, work spread over several, and cards that fail; `cpu-batched` stands in for a card."""

import os
import time

import pytest
import torch

from dmdbt.errors import ParameterError, SystemResourceError
from dmdbt.running import (
    by_room,
    card_count,
    card_workers,
    check_card_memory,
    compute_device,
    compute_devices,
    device_kind,
    map_cases,
)


@pytest.mark.parametrize(
    ("text", "devices", "kind", "cards"),
    [
        ("cpu", ["cpu"], "cpu", 0),
        ("cpu-batched", ["cpu"], "cpu-batched", 1),
        ("cpu-batched,cpu-batched", ["cpu", "cpu"], "cpu-batched", 2),
    ],
)
def test_devices_have_a_kind_and_a_number(monkeypatch, text, devices, kind, cards):
    monkeypatch.setenv("DMDBT_DEVICE", text)
    assert compute_devices() == devices
    assert compute_device() == devices[0]
    assert (device_kind(), card_count(), card_workers()) == (kind, cards, 2 * cards or None)


@pytest.mark.usefixtures("three_cards")
@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda", ["cuda:0", "cuda:1", "cuda:2"]),
        ("cuda:1", ["cuda:1"]),
        ("cuda:2,cuda:0", ["cuda:2", "cuda:0"]),
    ],
)
def test_cards_are_all_or_those_that_are_named(monkeypatch, text, devices):
    monkeypatch.setenv("DMDBT_DEVICE", text)
    assert compute_devices() == devices
    assert (device_kind(), card_count()) == ("cuda", len(devices))


@pytest.mark.usefixtures("three_cards")
@pytest.mark.parametrize("text", ["tpu", "cuda:3", "cuda:0,cpu", "cpu,", "cuda:00", " cuda"])
def test_what_torch_does_not_find_is_refused(monkeypatch, text):
    monkeypatch.setenv("DMDBT_DEVICE", text)
    with pytest.raises(ParameterError, match="DMDBT_DEVICE: expected cpu, or what torch finds of cuda"):
        compute_devices()


@pytest.fixture
def three_cards(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)


def test_workers_have_numbers_of_their_own_and_one_that_is_replaced_keeps_it():
    found = map_cases(number_of_worker, range(12), description="count", workers=3, seconds=60, on_failure=lambda *_: 0)
    assert set(found) == {"0", "1", "2"}


def number_of_worker(item):
    time.sleep(0.1)
    if item == 3:
        os.abort()
    return os.environ["DMDBT_WORKER_NUMBER"]


def no_room(items, most):
    if len(items) > most:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB.")
    return [item * 10 for item in items]


def test_a_batch_without_room_is_halved_and_that_is_remembered(capsys):
    calls = []

    def work(items):
        calls.append(len(items))
        return no_room(items, 3)

    assert by_room("a test", work, list(range(10))) == [10 * n for n in range(10)]
    assert calls == [10, 5, 2, 2, 2, 2, 2]
    calls.clear()
    assert by_room("a test", work, [1, 2, 3, 4]) == [10, 20, 30, 40]
    assert calls == [2, 2]
    assert capsys.readouterr().err.count("a test: no memory on cpu for") == 2


def test_one_item_without_room_and_other_errors_pass():
    with pytest.raises(torch.OutOfMemoryError):
        by_room("another", lambda items: no_room(items, 0), [1, 2])
    with pytest.raises(RuntimeError, match="shape"):
        by_room("a third", lambda _: raised(RuntimeError("shape")), [1, 2])


def raised(error):
    raise error


def out_of_memory(item):
    return raised(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB.\nmore")) if item == 1 else item


def test_a_card_without_memory_is_a_fault_of_the_machine_that_names_the_case():
    expected = (
        r"^1: expected a card with room for it, got: CUDA out of memory. Tried to allocate 3 GiB. End other programs"
    )
    with pytest.raises(SystemResourceError, match=expected):
        map_cases(out_of_memory, range(3), description="pool")


def lose_card(item):
    time.sleep(0.2)
    if os.environ["DMDBT_WORKER_NUMBER"] == "0":
        raise RuntimeError("CUDA error: an illegal memory access was encountered")
    return item


def test_the_other_cards_take_over_from_one_that_fails():
    assert map_cases(lose_card, range(6), description="pool", workers=2) == list(range(6))


def test_without_any_card_left_the_case_is_named():
    with pytest.raises(SystemResourceError, match=r"^0: expected a card with room for it, got: CUDA error: an illegal"):
        map_cases(lose_card, range(2), description="pool", workers=1)


@pytest.mark.usefixtures("three_cards")
def test_work_that_exceeds_a_card_is_refused_before_it_begins(monkeypatch):
    monkeypatch.setenv("DMDBT_DEVICE", "cuda:1")
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (6 * 10**9, 8 * 10**9))
    check_card_memory(5 * 10**9, "train alexnet", "Lower heads.filters")
    words = "train alexnet: expected 13.1 GB of free memory on cuda:1, found 6.0 of 8.0 GB. Lower heads.filters, or set"
    with pytest.raises(SystemResourceError, match=words):
        check_card_memory(13_100_000_000, "train alexnet", "Lower heads.filters")
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    check_card_memory(10**15, "train alexnet", "Lower heads.filters")
