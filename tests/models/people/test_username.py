import pytest

from app.models.people.username import skeleton_of


class TestSkeletonOf:
    @pytest.mark.parametrize(
        ("username", "skeleton"),
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
    def test_names_that_look_alike_have_the_same_skeleton(self, username, skeleton):
        assert skeleton_of(username) == skeleton_of(skeleton)

    @pytest.mark.parametrize(
        ("username", "other"), [("Marnie", "Mamie"), ("Ian", "Lan"), ("jos\u00e9", "jose"), ("\u03a9", "o")]
    )
    def test_names_that_look_different_have_different_skeletons(self, username, other):
        assert skeleton_of(username) != skeleton_of(other)

    def test_an_invisible_name_has_no_skeleton(self):
        assert skeleton_of("\u200b\u3164\ufe0f") == ""
