import numpy as np
import pytest

from dmdbt.importers.gray import gray_of_counts, gray_of_ratio


def test_more_attenuation_is_brighter_by_either_mapping():
    depth = np.linspace(0, 5, 50).reshape(5, 10)
    by_ratio, by_counts = (
        gray_of_ratio(np.exp(depth)),
        gray_of_counts(np.rint(60000 * np.exp(-depth)).astype(np.uint16)),
    )
    np.testing.assert_allclose(by_ratio / 65535, depth / 5, atol=1e-4)
    np.testing.assert_allclose(by_counts / 65535, depth / 5, atol=1e-3)
    noisy = np.exp(depth)
    noisy[0, :3] = [np.nan, np.inf, -4]  # outside the field
    np.testing.assert_array_equal(gray_of_ratio(noisy)[0, :3], 0)
    for mapping in (gray_of_ratio, gray_of_counts):
        with pytest.raises(ValueError, match="expected tissue in the image"):
            mapping(np.ones((3, 3)))
