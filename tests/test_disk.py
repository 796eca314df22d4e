import pytest

from app.disk import MEBIBYTE, Room, room_in

GIBIBYTE = 1024 * MEBIBYTE


class TestRoom:
    @pytest.mark.parametrize(
        ("size", "enough"),
        [
            (1000 * GIBIBYTE, GIBIBYTE),
            (10 * GIBIBYTE, GIBIBYTE // 2),
            (GIBIBYTE, 64 * MEBIBYTE),
        ],
    )
    def test_is_low_below_a_gibibyte_or_a_twentieth_and_always_below_64_mebibytes(self, size, enough):
        assert not Room(size, enough).is_low
        assert Room(size, enough - MEBIBYTE).is_low

    def test_is_measured_on_the_disk_of_a_directory(self, tmp_path):
        room = room_in(tmp_path)

        assert 0 < room.free_bytes <= room.size_bytes
