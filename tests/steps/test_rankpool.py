"""The stage: what it writes, that nothing changes a bit of it, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dmdbt import params
from dmdbt.cohort import Case, Problem, write_quarantine, write_table
from dmdbt.errors import DmdbtError, InputDataError, IntegrityError
from dmdbt.imaging import read_gray
from dmdbt.rankpool import interior_point as solver
from dmdbt.rankpool import pool_slices, rank_pool, to_uint8
from dmdbt.steps import rankpool as step
from dmdbt.terms import Label, Laterality, View
from stages import rankpool
from tests.support.stages import store
from tests.support.volumes import edge_cases, smooth_volume

SETTINGS = params.Rankpool(pooler="ranksvm", rho=0.1, mapping="symmetric", quantile=0.995)
VOLUMES = {
    "a": smooth_volume(12),
    "b": edge_cases(9)["black start"],
    "c": np.full((8, 5, 4), 30, np.uint8),
    "d": smooth_volume(4),
}


def case(case_id):
    return Case(case_id, "P1", Laterality.LEFT, View.CC, Label.BENIGN, f"{case_id}.dcm", f"dbt/{case_id}.avi")


def run(folder: Path, settings=SETTINGS, volumes=VOLUMES, quarantined=()):
    """Files of the cases and the metrics, as bytes and as JSON."""
    for case_id, slices in volumes.items():
        if not (folder / "slices" / case_id).exists():
            store(folder / "slices" / case_id, slices)
    write_table(folder / "cases.csv", [case(case_id) for case_id in volumes])
    write_quarantine(folder / "quarantine.csv", quarantined)
    return run_on_table(folder, settings)


def run_on_table(folder: Path, settings=SETTINGS):
    metrics = folder / "metrics.json"
    rankpool.main(
        cases=folder / "cases.csv",
        slices=folder / "slices",
        quarantine=folder / "quarantine.csv",
        output=folder / "dynamic",
        metrics=metrics,
        settings=settings,
    )
    files = [path for path in (folder / "dynamic").iterdir() if path.name != "manifest.json"]
    return {path.name: path.read_bytes() for path in files}, json.loads(metrics.read_text())


def test_every_case_has_its_image_weights_and_certificate(tmp_path):
    files, _ = run(tmp_path)
    assert set(files) == {f"{case_id}.{kind}" for case_id in VOLUMES for kind in ("png", "json")}
    for case_id, slices in VOLUMES.items():
        expected = rank_pool(slices, 0.1)
        record = json.loads(files[f"{case_id}.json"])
        assert record["weights"] == expected.weights.tolist()
        for name in ("rho", "lam", "lam_max", "primal", "dual", "gap", "iterations", "misranked"):
            assert record[name] == getattr(expected, name)
        assert (record["pooler"], record["slices"], record["slice_order"]) == (
            "ranksvm",
            len(slices),
            "instance number",
        )
        image = read_gray(tmp_path / "dynamic" / f"{case_id}.png")
        np.testing.assert_array_equal(image, to_uint8(expected.image, quantile=0.995))


def test_the_summary_has_the_worst_gap_the_misranked_pairs_and_the_flagged_cases(tmp_path):
    _, metrics = run(tmp_path)
    poolings = [rank_pool(slices, 0.1) for slices in VOLUMES.values()]
    assert metrics["volumes"] == 4
    assert metrics["worst_gap"] == max(pooling.gap for pooling in poolings)
    assert metrics["mean_misranked"] == pytest.approx(np.mean([p.misranked for p in poolings]), abs=1e-6)
    assert metrics["flagged"] == {"blank_border": ["b", "c"], "constant": ["c"], "few_slices": ["d"]}


def test_the_summary_counts_the_quarantined_cases(tmp_path):
    problems = [Problem("z", role, "DM-NOT-DICOM", "damage", "Mend it.") for role in ("dm", "dbt")]
    assert run(tmp_path / "one", volumes={"d": VOLUMES["d"]}, quarantined=problems)[1]["quarantined"] == 1
    assert run(tmp_path / "none", volumes={"d": VOLUMES["d"]})[1]["quarantined"] == 0


def test_a_cohort_without_volumes_has_an_empty_folder_and_a_summary_of_nothing(tmp_path):
    write_table(tmp_path / "cases.csv", [replace(case("a"), dbt="")])
    write_quarantine(tmp_path / "quarantine.csv", [])
    files, metrics = run_on_table(tmp_path)
    assert files == {}
    assert (tmp_path / "dynamic/manifest.json").is_file()
    assert metrics == {
        "volumes": 0,
        "quarantined": 0,
        "flagged": {"blank_border": [], "constant": [], "few_slices": []},
    }


def test_a_pair_without_a_volume_is_left_out(tmp_path):
    expected = run(tmp_path, volumes={"a": VOLUMES["a"]})
    write_table(tmp_path / "cases.csv", [case("a"), replace(case("m"), dbt="")])
    assert run_on_table(tmp_path) == expected


def test_neither_workers_nor_the_order_of_cases_change_a_byte(tmp_path, monkeypatch):
    monkeypatch.setenv("DMDBT_WORKERS", "1")
    expected = run(tmp_path / "one")
    monkeypatch.setenv("DMDBT_WORKERS", "3")
    assert run(tmp_path / "three") == expected
    assert run(tmp_path / "other", volumes=dict(reversed(VOLUMES.items()))) == expected
    alone, _ = run(tmp_path / "alone", volumes={"b": VOLUMES["b"]})
    assert alone.items() <= expected[0].items()


def test_the_approximate_pooler_is_the_closed_form_whatever_rho(tmp_path):
    files, _ = run(tmp_path / "closed", replace(SETTINGS, rho=1.0))
    approximate, metrics = run(tmp_path / "approximate", replace(SETTINGS, pooler="approximate", rho=0.01))
    assert approximate["a.png"] == files["a.png"]
    assert json.loads(approximate["a.json"]) == json.loads(files["a.json"]) | {"pooler": "approximate"}
    assert metrics["worst_gap"] <= 1e-12


@pytest.mark.parametrize("pooler", ["mean", "max", "central"])
def test_an_image_in_gray_levels_is_stored_in_gray_levels(tmp_path, pooler):
    files, metrics = run(tmp_path, replace(SETTINGS, pooler=pooler), {"a": VOLUMES["a"]})
    stored = read_gray(tmp_path / "dynamic/a.png")
    assert np.abs(stored - pool_slices(VOLUMES["a"], pooler)).max() <= 0.5
    assert set(json.loads(files["a.json"])) == {
        "pooler",
        "rho",
        "mapping",
        "quantile",
        "slices",
        "slice_order",
        "flags",
    }
    assert set(metrics) == {"volumes", "flagged", "quarantined"}


@pytest.mark.parametrize("pooler", ["std", "svr"])
def test_another_image_is_mapped_as_the_dynamic_image_is(tmp_path, pooler):
    run(tmp_path, replace(SETTINGS, pooler=pooler), {"a": VOLUMES["a"]})
    expected = to_uint8(pool_slices(VOLUMES["a"], pooler), quantile=0.995)
    np.testing.assert_array_equal(read_gray(tmp_path / "dynamic/a.png"), expected)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "E-SLICES-MISSING case=a file=dbt/a.avi (manifest.json)"),
        (lambda folder: (folder / "0002.png").write_bytes(b"x"), "E-SLICES-CHANGED case=a file=dbt/a.avi (0002.png)"),
        (lambda folder: (folder / "0002.png").unlink(), "E-SLICES-CHANGED case=a file=dbt/a.avi (0002.png)"),
    ],
)
def test_a_folder_that_differs_from_its_manifest_is_refused_with_its_case(tmp_path, spoil, message):
    store(tmp_path / "slices/a", VOLUMES["a"])
    spoil(tmp_path / "slices/a")
    with pytest.raises(IntegrityError) as caught:
        run(tmp_path, volumes={"a": VOLUMES["a"]})
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("slices", "changes", "message"),
    [
        ([np.zeros((4, 5), np.uint8)], {}, "E-SLICES-FEW case=a .*at least 2 slices, found 1 "),
        ([np.zeros((4, 5), np.uint8)], {"slices": []}, "E-SLICES-FEW case=a .*at least 2 slices, found 0 "),
        (
            [np.zeros((4, 5), np.uint8), np.zeros((1, 5), np.uint8)],
            {},
            r"E-SLICES-SIZE case=a .*\(0002.png\) .*uint8 \(4, 5\) .*found uint8 \(1, 5\)",
        ),
        ([np.zeros((4, 5), np.uint16)] * 2, {}, r"E-SLICES-SIZE case=a .*\(0001.png\) .*found uint16 \(4, 5\)"),
    ],
)
def test_slices_that_are_too_few_or_unequal_are_refused_with_their_case(tmp_path, slices, changes, message):
    store(tmp_path / "slices/a", slices, **changes)
    with pytest.raises(DmdbtError, match=message):
        run(tmp_path, volumes={"a": slices})


def test_an_empty_folder_is_refused_with_its_case(tmp_path):
    (tmp_path / "slices/a").mkdir(parents=True)
    with pytest.raises(DmdbtError, match="E-SLICES-MISSING case=a .*found none"):
        run(tmp_path, volumes={"a": VOLUMES["a"]})


def test_a_volume_without_certificate_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(solver, "_MOST_ITERATIONS", 2)
    store(tmp_path / "slices/a", VOLUMES["a"])
    with pytest.raises(InputDataError, match="E-RANKPOOL-UNCERTIFIED case=a file=dbt/a.avi cause=expected a relative"):
        step._pool([case("a")], slices=tmp_path / "slices", folder=tmp_path, settings=SETTINGS, on_card=False)
    assert not list(tmp_path.glob("a.*"))


@pytest.mark.slow
@pytest.mark.parametrize("device", ["cpu-batched", "cpu-batched,cpu-batched"])
def test_on_cards_the_closed_form_has_the_same_bytes(tmp_path, monkeypatch, device):
    """1,000 volumes of all kinds in one run of the stage; `cpu-batched` is the code for cards on a CPU."""
    volumes = random_volumes(1000 if device == "cpu-batched" else 40)
    settings = replace(SETTINGS, rho=1.0)
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    expected, metrics = run(tmp_path, settings, volumes)
    monkeypatch.setenv("DMDBT_REDO", "1")
    monkeypatch.setenv("DMDBT_DEVICE", device)
    assert run_on_table(tmp_path, settings) == (expected, metrics)
    assert len(expected) == 2 * len(volumes)


def random_volumes(number):
    """2 to 123 slices of mixed sizes: noise, smooth ones, palindromes, duplicates, static borders, black and white."""
    rng, found = np.random.default_rng(17), {}
    for index in range(number):
        n_slices = int(rng.integers(2, 124)) if index % 20 == 0 else int(rng.integers(2, 14))
        shape = (n_slices, *rng.integers(1, 30, 2))
        volume = rng.integers(0, 256, shape).astype(np.uint8)
        kind = index % 8
        if kind == 1:
            volume = np.concatenate([volume, volume[::-1]])
        elif kind == 2:
            volume = np.repeat(volume, 2, axis=0)
        elif kind == 3:
            volume[:, : shape[1] // 2] = 77
        elif kind == 4:
            volume[: n_slices // 2], volume[-1] = 0, 255
        elif kind == 5:
            volume = 255 * (volume > 127).astype(np.uint8)
        elif kind == 6:
            volume = smooth_volume(n_slices, shape[1] + 4, shape[2] + 4, seed=index)
        elif kind == 7:
            volume[:] = volume[0]
        found[f"v{index}"] = volume
    return found


def test_on_cards_a_small_rho_is_certified_and_the_key_tells_the_device(tmp_path, monkeypatch):
    volumes = random_volumes(60)
    monkeypatch.setenv("DMDBT_DEVICE", "cpu")
    run(tmp_path, SETTINGS, volumes)
    of_cpu = step.rankpool_step([case("v0")], tmp_path / "slices", SETTINGS).parameters
    monkeypatch.setenv("DMDBT_DEVICE", "cpu-batched")
    files, metrics = run_on_table(tmp_path, SETTINGS)  # computed anew, because the key is another
    assert step.rankpool_step([case("v0")], tmp_path / "slices", SETTINGS).parameters != of_cpu
    assert 0 <= metrics["worst_gap"] <= 1e-6
    for case_id, slices in volumes.items():
        alone = rank_pool(slices, SETTINGS.rho)
        assert json.loads(files[f"{case_id}.json"])["primal"] == pytest.approx(alone.primal, rel=1e-6)
        levels = to_uint8(alone.image, quantile=SETTINGS.quantile).astype(int)
        assert np.abs(read_gray(tmp_path / "dynamic" / f"{case_id}.png") - levels).max() <= 1


def test_a_volume_without_certificate_is_named_in_its_batch(tmp_path, monkeypatch):
    monkeypatch.setattr(solver, "_MOST_ITERATIONS", 2)
    for name in "ab":
        store(tmp_path / "slices" / name, VOLUMES["d" if name == "a" else "a"][: 2 if name == "a" else None])
    with pytest.raises(InputDataError, match="E-RANKPOOL-UNCERTIFIED case=b file=dbt/b.avi cause=expected a relative"):
        step._pool([case("a"), case("b")], slices=tmp_path / "slices", folder=tmp_path, settings=SETTINGS, on_card=True)


def test_a_batch_that_does_not_fit_gives_the_same_files(tmp_path, monkeypatch):
    most, sizes = 2, []
    pooled = step.rank_pool_batch

    def with_little_room(volumes, *arguments, **names):
        sizes.append(len(volumes))
        if len(volumes) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return pooled(volumes, *arguments, **names)

    monkeypatch.setattr(step, "rank_pool_batch", with_little_room)
    monkeypatch.setattr("dmdbt.running.devices._fits", {})
    for name, slices in VOLUMES.items():
        store(tmp_path / "slices" / name, slices)
    settings = replace(SETTINGS, rho=1.0)
    cases = [case(name) for name in VOLUMES]
    for on_card in (False, True):
        folder = tmp_path / str(on_card)
        folder.mkdir()
        for group in [cases] if on_card else [[one] for one in cases]:
            step._pool(group, slices=tmp_path / "slices", folder=folder, settings=settings, on_card=on_card)
    assert sizes == [4, 2, 2]
    for path in (tmp_path / "False").iterdir():
        assert path.read_bytes() == (tmp_path / "True" / path.name).read_bytes()
