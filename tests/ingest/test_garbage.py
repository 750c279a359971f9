"""Damage inside compressed slices, seeded: the rates of ``benchmarks/garbage.py`` on few and small volumes."""

import pytest

from benchmarks.garbage import FORMATS, damage_counts, odd_slices, sound_volume


@pytest.mark.parametrize("name", FORMATS)
def test_grave_damage_is_noticed(name):
    found = damage_counts(name, 600, tries=100 if "AVI" in name else 50, size=96)
    assert found["grave"] >= 5
    assert found["noticed"] >= (0.85 if "2000" in name else 0.95) * found["grave"]


@pytest.mark.parametrize("seed", range(700, 712))
def test_sound_volumes_of_any_spacing_noise_and_ends_are_not_flagged(seed):
    assert odd_slices(sound_volume(seed, size=96)) == []
