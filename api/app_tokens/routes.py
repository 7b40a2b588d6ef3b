"""Operations on app tokens."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus

from sqlalchemy import select

from api import audit, limits, pages
from api.app_tokens import tokens
from api.app_tokens.schemas import NewTokenView, TokenBody, TokenPage, TokenView
from api.operations import Call, Operations, Page
from core.db.models import AppToken

app_tokens = Operations("App tokens")


@app_tokens.get("/me/app-tokens", "Your app tokens", query=Page, answer=TokenPage)
async def list_app_tokens(call: Call[None, Page]) -> TokenPage:
    """Tokens that were not deleted, without their secrets; those that have run out, too."""
    query = select(AppToken).where(AppToken.user_id == call.actor.id, AppToken.revoked_at.is_(None))
    async with call.api.database.session() as session:
        rows, cursor = await pages.fetch(session, query, call.query, "app-tokens", AppToken.id)
    return TokenPage(items=[TokenView.of(row.AppToken) for row in rows], next_cursor=cursor)


@app_tokens.post(
    "/me/app-tokens",
    "Make an app token",
    body=TokenBody,
    answer=NewTokenView,
    status=201,
    errors={
        HTTPStatus.CONFLICT: ("too_many_tokens",),
        HTTPStatus.TOO_MANY_REQUESTS: ("rate_limited",),
    },
)
async def create_app_token(call: Call[TokenBody, None]) -> NewTokenView:
    """Answers the token itself, this once.

    Whoever has it can act for you in chat as far as its scopes go: give each program its own.
    """
    api, actor, body = call.api, call.actor, call.body
    await api.limiter.charge("app_token", [(limits.APP_TOKENS_ACCOUNT, str(actor.id))])
    days = body.expires_in_days
    life = None if days is None else timedelta(days=days)
    scopes = list(dict.fromkeys(body.scopes))
    async with api.database.session() as session:
        row, token = await tokens.add_token(session, actor.id, body.name, scopes, life)
        audit.record(
            session,
            "app_token.created",
            actor_id=actor.id,
            target=f"user:{actor.id}",
            address=call.address,
            token_id=row.id,
            scopes=row.scopes,
        )
    return NewTokenView(**TokenView.of(row).model_dump(), token=token.text)


@app_tokens.delete(
    "/me/app-tokens/{id}",
    "Delete an app token",
    errors={HTTPStatus.NOT_FOUND: ("app_token_not_found",)},
)
async def delete_app_token(call: Call[None, None]) -> None:
    """Programs that use it are cut off within seconds."""
    async with call.api.database.session() as session:
        await tokens.revoke_token(session, call.actor.id, call.id())
        audit.record(
            session,
            "app_token.revoked",
            actor_id=call.actor.id,
            target=f"user:{call.actor.id}",
            address=call.address,
            token_id=call.id(),
        )
