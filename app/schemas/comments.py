"""The shape of comments, of their versions, and of the requests for them."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, fields, post_load, validate

from app.models.comments.comment import MAX_BODY_LENGTH, MAX_MENTIONS
from app.queries.comments import COMMENT_SORTS, CommentQuery
from app.schemas.base import DelimitedList, Moment, PageQuery, StrictSchema, page_schema
from app.schemas.projects import ProjectKey
from app.schemas.tasks.queries import MAX_FILTER_VALUES
from app.services.comments.read import CommentEvent


class MarkdownText(fields.String):
    """Text that is kept exactly as it was written, with the blanks around it."""

    default_error_messages = {  # noqa: RUF012
        "nul": "Must not contain a NUL character.",
        "blank": "Must not be blank.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> str:
        text: str = super()._deserialize(value, attr, data, **kwargs)
        if "\x00" in text:
            raise self.make_error("nul")
        if text and not text.strip():
            raise self.make_error("blank")
        return text


class CommentInput(StrictSchema):
    body = MarkdownText(
        required=True,
        validate=validate.Length(min=1, max=MAX_BODY_LENGTH),
        metadata={
            "description": "Markdown, kept exactly as written; `@username` mentions somebody who can see the task, "
            f"at most {MAX_MENTIONS} people"
        },
    )


class CommentListQuery(PageQuery):
    as_of = Moment(metadata={"description": "the comments and their text as they were at this time"})
    deleted = fields.Boolean(
        load_default=False, metadata={"description": "`true`: only deleted comments; managers and admins"}
    )
    sort = fields.String(
        load_default=COMMENT_SORTS[0],
        validate=validate.OneOf(COMMENT_SORTS),
        metadata={"description": "oldest first, or with `-` newest first"},
    )

    @post_load
    def _query(self, values: dict[str, Any], **_kwargs: Any) -> CommentQuery:
        return CommentQuery(**values)


class CommentExportQuery(StrictSchema):
    project = DelimitedList(
        ProjectKey(),
        max_length=MAX_FILTER_VALUES,
        load_default=(),
        metadata={"description": "one or more, separated by commas"},
    )


def _html_field() -> fields.String:
    return fields.String(
        required=True,
        metadata={"description": "the body as HTML that is safe to show; nothing in it loads from elsewhere"},
    )


def _mentions_field() -> fields.List[str]:
    return fields.List(fields.String(), required=True, metadata={"description": "usernames"})


class Comment(Schema):
    id = fields.Integer(required=True)
    task_id = fields.Integer(required=True)
    task = fields.String(required=True, metadata={"example": "OPS-42", "description": "the ref of the task"})
    author = fields.String(required=True, metadata={"description": "a username"})
    body = fields.String(required=True, metadata={"description": "Markdown, exactly as written"})
    body_html = _html_field()
    mentions = _mentions_field()
    created_at = fields.AwareDateTime(required=True)
    edited_at = fields.AwareDateTime(required=True, allow_none=True)
    deleted_at = fields.AwareDateTime(required=True, allow_none=True)
    deleted_by = fields.String(required=True, allow_none=True, metadata={"description": "a username"})
    version = fields.Integer(
        required=True, metadata={"description": "rises with each change; the `ETag` stands for it"}
    )


CommentPage = page_schema(Comment, "CommentPage")


class CommentVersion(Schema):
    version = fields.Integer(required=True, metadata={"description": "counts from 1"})
    at = fields.AwareDateTime(required=True)
    until = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "null for the version that the comment has now"}
    )
    event = fields.String(required=True, validate=validate.OneOf(list(CommentEvent)))
    actor = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "who made the change; null if it bypassed the API"},
    )
    request_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "the `X-Request-ID` of the request that made the change"},
    )
    body = fields.String(required=True)
    body_html = _html_field()
    mentions = _mentions_field()


CommentVersionPage = page_schema(CommentVersion, "CommentVersionPage")
