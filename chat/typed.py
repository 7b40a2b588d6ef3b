"""Typed commands, such as `/timeout ann 600`: what is decided, and what its writer is told.

The codes of the answers are Twitch's IRC message ids, which bots wait for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from chat import commands, facts
from chat.commands import Grant
from chat.decisions import OPERATIONS, Case, Desk
from chat.hub import Notice
from chat.room import FOLLOWERS_MAX_MIN
from chat.rooms import Room
from chat.sessions import Member, Session
from core.app_tokens import Scope
from core.db.models import User
from core.errors import Conflict, DomainError, Forbidden, Invalid

_COLOR = re.compile(r"#[0-9A-Fa-f]{6}")
_ANYBODY = ("poll.vote",)
CLEARED = Notice("clear_success", "The chat has been cleared.", is_told=True)


@dataclass(frozen=True)
class Typed:
    """Obeys typed commands."""

    desk: Desk

    async def obey(
        self, session: Session, room: Room, member: Member, command: commands.Command
    ) -> Notice:
        """Carry out a command: the answer for its writer. Raises what is against it."""
        if isinstance(command, commands.Help):
            return Notice("cmds_available", command.text)
        if isinstance(command, commands.Color):
            return await self._color(session, room, command.value)
        if isinstance(command, commands.ListRole):
            return await self._list(session, room, command.role)
        if isinstance(command, commands.Slow | commands.Followers | commands.Subscribers
                      | commands.EmoteOnly | commands.UniqueChat | commands.Shield):  # fmt: skip
            return await self._mode(session, room, command)
        op, fields, notice = await self._question(command)
        answer = await self._decide(session, room, op, **fields)
        if isinstance(command, commands.Unban) and answer.get("was_timeout"):
            return Notice("untimeout_success", f"{command.login} is no longer timed out.")
        return notice

    async def _decide(self, session: Session, room: Room, op: str, **fields: Any) -> dict[str, Any]:
        if op not in _ANYBODY and session.scopes is not None:
            # Whoever took a bot's token is not to have the tools of its moderator as well.
            if Scope.CHANNEL_MODERATE not in session.scopes:
                raise Forbidden(
                    "The app token has no scope channel:moderate.", code="missing_scope"
                )
        user = session.user
        actor = None if user is None else {"id": user.id, "login": user.login}
        return await self.desk.decide(
            {"op": op, "channel_id": room.id, "actor": actor, "address": session.address, **fields}
        )

    async def _user_id(self, login: str) -> int:
        async with self.desk.database.session() as session:
            return (await facts.user_by_login(session, login)).id

    async def _question(self, command: commands.Command) -> tuple[str, dict[str, Any], Notice]:
        match command:
            case commands.Ban(login, reason):
                fields = {"user_id": await self._user_id(login), "reason": reason}
                return (
                    "ban",
                    fields,
                    Notice("ban_success", f"{login} is now banned from this chat."),
                )
            case commands.Timeout(login, seconds, reason):
                user_id = await self._user_id(login)
                fields = {"user_id": user_id, "duration_s": seconds, "reason": reason}
                text = f"{login} has been timed out for {seconds} seconds."
                return "ban", fields, Notice("timeout_success", text)
            case commands.Unban(login, timeout_only):
                fields = {"user_id": await self._user_id(login), "timeout_only": timeout_only}
                return "unban", fields, Notice("unban_success", f"{login} is no longer banned.")
            case commands.Delete(message_id):
                notice = Notice("delete_message_success", "The message has been deleted.")
                return "message.delete", {"message_id": message_id}, notice
            case commands.Clear():
                return "messages.clear", {}, CLEARED
            case commands.SetRole(login, role, on):
                fields = {"user_id": await self._user_id(login), "role": str(role)}
                name = "mod" if role == Grant.MODERATOR else "vip"
                code = f"{name}_success" if on else f"un{name}_success"
                words = f"{'is now' if on else 'is no longer'} a {'moderator' if name == 'mod' else 'VIP'}"
                return f"role.{'set' if on else 'unset'}", fields, Notice(code, f"{login} {words}.")
            case commands.Warn(login, reason):
                fields = {"user_id": await self._user_id(login), "reason": reason}
                return "warn", fields, Notice("warn_success", f"{login} has been warned.")
            case commands.MarkUser(login, mark):
                status = "none" if mark is None else str(mark)
                fields = {"user_id": await self._user_id(login), "status": status}
                return "suspicious.set", fields, Notice("mark_success", f"{login}: {status}.")
            case _:
                return _of_the_room(command)

    async def _list(self, session: Session, room: Room, role: Grant) -> Notice:
        answer = await self._decide(session, room, "roles.list", role=str(role))
        logins = ", ".join(item["login"] for item in answer["items"])
        if role == Grant.MODERATOR:
            if not logins:
                return Notice("no_mods", "There are no moderators of this channel.")
            return Notice("room_mods", f"The moderators of this channel are: {logins}")
        if not logins:
            return Notice("no_vips", "This channel does not have any VIPs.")
        return Notice("vips_success", f"The VIPs of this channel are: {logins}.")

    async def _mode(self, session: Session, room: Room, command: commands.Command) -> Notice:
        name, value, on, off = _mode_of(command)
        # Asked first: nobody is told of the state of things who may not change it.
        member = session.members[room]
        user = session.user
        OPERATIONS["settings.set"].check(Case(room.channel, user, member.standing.rank, False))
        async with self.desk.database.session() as database:
            before = getattr((await facts.room_facts(database, room.id)).base, name)
        is_off = value is None if name == "followers_min" else not value
        if before == value:
            # The word of the last change may still be on its way, and IRC goes on to tell the state.
            await self.desk.rooms.refresh(room)
            raise Conflict("It is that way already.", code=f"already_{(off if is_off else on)[0]}")
        answer = await self._decide(session, room, "settings.set", changes={name: value})
        # Where the shield asks for more, nothing changes that the room would be told of.
        return Notice(*(off if is_off else on), is_told=name in answer["changed"])

    async def _color(self, session: Session, room: Room, value: str) -> Notice:
        user = session.user
        if user is None:
            raise Forbidden("Log in first.", code="login_required")
        if not _COLOR.fullmatch(value):
            raise Invalid("A colour is #RRGGBB.", code="usage_color")
        async with self.desk.database.session() as database:
            await database.execute(update(User).where(User.id == user.id).values(chat_color=value))
        await self.desk.store.control({"kind": "user", "user": user.id})
        return Notice("color_changed", "Your color has been changed.")


def _of_the_room(command: commands.Command) -> tuple[str, dict[str, Any], Notice]:
    fields: dict[str, Any]
    match command:
        case commands.Announce(text, color):
            fields = {"text": text, "color": str(color)}
            return "announce", fields, Notice("announce_success", "Announced.")
        case commands.Raid(login):
            return "raid.start", {"to": login}, Notice("raid_pending", f"Raiding {login}.")
        case commands.Unraid():
            return "raid.cancel", {}, Notice("unraid_success", "The raid has been cancelled.")
        case commands.Poll(question, choices, seconds):
            fields = {"question": question, "choices": list(choices), "duration_s": seconds}
            return "poll.start", fields, Notice("poll_started", "The poll has started.")
        case commands.EndPoll():
            return "poll.end", {}, Notice("poll_ended", "The poll has ended.")
        case commands.Vote(choice):
            return "poll.vote", {"choice": choice}, Notice("vote_success", "You have voted.")
        case commands.Pin(message_id):
            return "pin.set", {"message_id": message_id}, Notice("pin_success", "Pinned.")
        case commands.Unpin():
            return "pin.clear", {}, Notice("unpin_success", "Nothing is pinned any more.")
    raise DomainError("This command is not known.", code="unrecognized_cmd")


Words = tuple[str, str]


def _mode_of(command: commands.Command) -> tuple[str, Any, Words, Words]:
    """A mode's setting, its value, and the notices of on and off."""
    match command:
        case commands.Slow(seconds):
            on = ("slow_on", f"This room is now in slow mode: one message every {seconds} seconds.")
            return "slow_s", seconds, on, ("slow_off", "This room is no longer in slow mode.")
        case commands.Followers(minutes):
            off = ("followers_off", "This room is no longer in followers-only mode.")
            if not minutes:
                on = ("followers_on_zero", "This room is now in followers-only mode.")
            else:
                on = ("followers_on", f"This room is now in {minutes} minute followers-only mode.")
            return "followers_min", _least(minutes), on, off
        case commands.Subscribers(value):
            on = ("subs_on", "This room is now in subscribers-only mode.")
            return (
                "subscribers_only",
                value,
                on,
                ("subs_off", "This room is no longer in subscribers-only mode."),
            )
        case commands.EmoteOnly(value):
            on = ("emote_only_on", "This room is now in emote-only mode.")
            return (
                "emote_only",
                value,
                on,
                ("emote_only_off", "This room is no longer in emote-only mode."),
            )
        case commands.UniqueChat(value):
            on = ("r9k_on", "This room is now in unique-chat mode.")
            return (
                "unique_chat",
                value,
                on,
                ("r9k_off", "This room is no longer in unique-chat mode."),
            )
        case commands.Shield(value):
            on = ("shield_on", "Shield mode is on.")
            return "shield", value, on, ("shield_off", "Shield mode is off.")
    raise DomainError("This command is not known.", code="unrecognized_cmd")


def _least(minutes: int | None) -> int | None:
    return None if minutes is None else min(minutes, FOLLOWERS_MAX_MIN)
