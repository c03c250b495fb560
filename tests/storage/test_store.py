"""Results on disk survive what happens to files."""

import numpy as np
import pytest
import xarray as xr

from symtheory import InputError
from symtheory.storage import store


def result(value=1.0):
    return xr.Dataset({"x": ("seed", np.full(2000, value))}, attrs={"unit": "1"})


def test_a_saved_result_opens_in_xarray_with_its_labels(tmp_path):
    path = store.save(result(), tmp_path / "deep" / "r.nc")
    assert store.load(path).identical(result())


def test_a_flipped_byte_is_refused_and_the_result_made_again(tmp_path):
    made = []

    def make():
        made.append(1)
        return result(0.25)

    store.cached(tmp_path, "r", {"a": 1}, make)
    store.cached(tmp_path, "r", {"a": 1}, make)
    assert len(made) == 1
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    place = data.find(np.float64(0.25).tobytes() * 3)
    data[place + 6] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="not a readable result"):
        store.load(path)
    again = store.cached(tmp_path, "r", {"a": 1}, make)
    assert len(made) == 2
    assert (again.x == 0.25).all()


def test_another_configuration_is_another_file(tmp_path):
    store.cached(tmp_path, "r", {"a": 1}, result)
    store.cached(tmp_path, "r", {"a": 2}, result)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_failure_while_writing_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), store.replacing(tmp_path / "r.nc") as partial:
        partial.write_bytes(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_missing_result_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no result at"):
        store.load(tmp_path / "none.nc")
