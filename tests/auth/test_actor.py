from dataclasses import FrozenInstanceError
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.auth.actor import Actor
from app.models.login.api_token import TokenScope
from app.models.people.user import Role
from tests.unhurried import UNHURRIED

SESSION_ID = UUID("0e7a9b8a-6f3c-4b57-9d0a-3a2f1c5d7e90")


class TestJson:
    @given(
        user_id=st.integers(1, 2**53),
        username=st.text(st.characters(exclude_categories=["Cs"]), max_size=64),
        role=st.sampled_from(Role),
        project_ids=st.frozensets(st.integers(1, 2**53), max_size=20),
        session_id=st.none() | st.uuids(),
        token_id=st.none() | st.integers(1, 2**53),
        scopes=st.none() | st.frozensets(st.sampled_from(TokenScope)),
        archived_project_ids=st.frozensets(st.integers(1, 2**53), max_size=20),
    )
    @UNHURRIED
    def test_json_reads_back_as_the_same_actor(
        self, user_id, username, role, project_ids, session_id, token_id, scopes, archived_project_ids
    ):
        actor = Actor(user_id, username, role, project_ids, session_id, token_id, scopes, archived_project_ids)

        assert Actor.from_json(actor.to_json()) == actor


class TestActor:
    @pytest.mark.parametrize("role", [Role.MANAGER, Role.USER, Role.VIEWER])
    def test_only_an_admin_sees_everything(self, role):
        assert not actor_of(role).sees_everything
        assert actor_of(Role.ADMIN).sees_everything

    def test_an_actor_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            actor_of(Role.USER).role = Role.ADMIN


def actor_of(role, *, user_id=1, project_ids=(), scopes=None):
    """An actor who is logged in, or who uses an API token with these scopes."""
    if scopes is None:
        return Actor(user_id, f"user{user_id}", role, frozenset(project_ids), SESSION_ID)
    return Actor(user_id, f"user{user_id}", role, frozenset(project_ids), token_id=1, scopes=frozenset(scopes))
