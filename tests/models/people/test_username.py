import pytest

from app.models.people.username import skeleton_of


class TestSkeletonOf:
    @pytest.mark.parametrize(
        ("username", "like"),
        [
            ("Ada", "ada"),
            ("\u0430da", "ada"),
            ("\u0410da", "ada"),
            ("ad\u200ba", "ada"),
            ("ad\u115fa", "ada"),
            ("\uff41\uff44\uff41", "ada"),
            ("\u0412ob", "bob"),
            ("\u04cfan", "ian"),
            ("user1", "userl"),
            ("user0", "usero"),
            ("Ada \u00a0 Lovelace", "ada lovelace"),
        ],
    )
    def test_those_that_look_alike_have_the_same(self, username, like):
        assert skeleton_of(username) == skeleton_of(like)

    @pytest.mark.parametrize(
        ("username", "other"), [("Marnie", "Mamie"), ("Ian", "Lan"), ("jos\u00e9", "jose"), ("\u03a9", "o")]
    )
    def test_those_that_can_be_told_apart_have_not(self, username, other):
        assert skeleton_of(username) != skeleton_of(other)

    def test_what_shows_nothing_has_none(self):
        assert skeleton_of("\u200b\u3164\ufe0f") == ""
