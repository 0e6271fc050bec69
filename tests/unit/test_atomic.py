import os

import pytest

from emulator.atomic import atomic_file, atomic_folder


def test_atomic_file_keeps_the_old_one_until_the_end(tmp_path):
    path = tmp_path / "file"
    with atomic_file(path) as file:
        file.write(b"old")
    with pytest.raises(TypeError), atomic_file(path) as file:
        file.writelines([b"new", None])
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o022))
    with pytest.raises(FileExistsError, match="not a regular file"), atomic_file(tmp_path):
        pass


def test_atomic_folder_follows_a_link_and_keeps_it(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with atomic_folder(tmp_path / "link", replace=True) as new:
        (new / "a").write_text("a")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "a").read_text() == "a"
    with pytest.raises(FileExistsError), atomic_folder(tmp_path / "link"):
        pass
