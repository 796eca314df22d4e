import pytest
from argon2 import PasswordHasher, Type, extract_parameters

from app.auth.passwords import MAX_PASSWORD_LENGTH, generate_password, hash_password, is_password, needs_rehash

COMPOSED, DECOMPOSED = "caf\u00e9 by the harbour", "cafe\u0301 by the harbour"


class TestGeneratePassword:
    @pytest.mark.parametrize(("min_length", "length"), [(8, 16), (12, 16), (64, 64), (128, 128)])
    def test_is_as_long_as_the_rules_ask(self, min_length, length):
        assert len(generate_password(min_length)) == length

    def test_is_another_one_each_time(self):
        assert len({generate_password(12) for _ in range(20)}) == 20


class TestHashPassword:
    def test_uses_argon2id_with_at_least_the_parameters_of_owasp(self):
        parameters = extract_parameters(hash_password("correct horse"))

        assert parameters.type is Type.ID
        assert parameters.memory_cost >= 19 * 1024
        assert parameters.time_cost >= 2

    def test_two_hashes_of_one_password_differ(self):
        assert hash_password("correct horse") != hash_password("correct horse")

    def test_the_hash_does_not_contain_the_password(self):
        assert "correct" not in hash_password("correct horse")


class TestIsPassword:
    @pytest.mark.parametrize(
        "password", ["correct horse", " with spaces ", "пароль 密码 🔑", "x" * MAX_PASSWORD_LENGTH]
    )
    def test_the_password_matches(self, password):
        assert is_password(password, hash_password(password))

    @pytest.mark.parametrize("wrong", ["Correct horse", "correct horse ", "correct hors", ""])
    def test_another_password_does_not_match(self, wrong):
        assert not is_password(wrong, hash_password("correct horse"))

    @pytest.mark.parametrize(("set_as", "typed"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
    def test_another_keyboard_may_write_the_same_letters_in_another_way(self, set_as, typed):
        assert is_password(typed, hash_password(set_as))

    @pytest.mark.parametrize("typed", [COMPOSED, DECOMPOSED])
    def test_a_hash_of_an_earlier_release_still_matches_what_was_typed(self, typed):
        as_typed = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1).hash(typed)

        assert is_password(typed, as_typed)

    def test_the_whole_password_counts(self):
        assert not is_password("x" * MAX_PASSWORD_LENGTH, hash_password("x" * (MAX_PASSWORD_LENGTH - 1)))

    @pytest.mark.parametrize("guess", ["", "nobody has this password, and nobody may log in with it"])
    def test_no_password_matches_when_there_is_no_user(self, guess):
        assert not is_password(guess, None)

    @pytest.mark.parametrize("broken", ["", "plain text", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"])
    def test_a_broken_hash_matches_nothing(self, broken):
        assert not is_password("correct horse", broken)


class TestNeedsRehash:
    def test_todays_parameters_need_no_rehash(self):
        assert not needs_rehash(hash_password("correct horse"))

    def test_weaker_parameters_need_a_rehash(self):
        weaker = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash("correct horse")

        assert needs_rehash(weaker)
        assert is_password("correct horse", weaker)
