import numpy as np
import pytest

from dmdbt.imaging import breast_box, framed


def test_all_slices_are_cropped_by_one_box_that_holds_the_breast_of_each():
    images = np.zeros((2, 40, 40), np.uint8)
    images[0, 5:20, :10], images[1, 10:35, :20] = 200, 100
    box = breast_box(images.max(axis=0))
    for image in images:
        rows, columns = breast_box(image)
        assert box[0].start <= rows.start < rows.stop <= box[0].stop
        assert columns.stop <= box[1].stop
    same_size = framed(images, rows=box[0].stop - box[0].start, columns=box[1].stop - box[1].start, crop=True)
    np.testing.assert_allclose(same_size, images[:, *box] / 255, atol=1e-6)
    assert framed(images, rows=40, columns=40, crop=False).max() == pytest.approx(200 / 255)
