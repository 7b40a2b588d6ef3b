"""The chat beside a playing stream: two people and a moderator, each in a browser of their own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Locator, expect

from bench.stage import Channel
from tests.e2e.stage import Stage, Streamer, kill
from tests.e2e.ui import DESKTOP, PASSWORD, PHONE, Visitor, broadcast, shown, visitor
from tests.harness import eventually_async

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
]


def box(person: Visitor) -> Locator:
    """Where they write."""
    return person.page.get_by_label("Your message")


def line(person: Visitor, text: str) -> Locator:
    """A message that they see."""
    return person.page.get_by_test_id("message").filter(has_text=text)


async def say(person: Visitor, text: str) -> None:
    await box(person).fill(text)
    await person.page.keyboard.press("Enter")


async def moderate(channel: Channel, method: str, path: str, body: Any = None) -> Any:
    """Ask for something about the channel, as its owner."""
    answer = await channel.client.request(
        method, f"/api/v1/channels/{channel.login}/{path}", json=body
    )
    assert answer.is_success, answer.text
    return answer.json() if answer.content else None


@dataclass
class Room:
    """A channel with people in its chat, each with a page of the channel: two viewers and a moderator."""

    channel: Channel
    people: dict[str, Visitor]
    #: Their logins.
    names: dict[str, str]

    @property
    def ann(self) -> Visitor:
        return self.people["ann"]

    @property
    def bob(self) -> Visitor:
        return self.people["bob"]

    @property
    def mod(self) -> Visitor:
        return self.people["mod"]


async def emotes_there(stage: Stage) -> None:
    """Wait until a new instance has its own emotes: it draws them after it is ready."""
    async with httpx.AsyncClient(base_url=stage.http, timeout=10) as client:

        async def drawn() -> bool:
            return bool((await client.get("/api/v1/emotes/global")).json()["items"])

        await eventually_async(drawn, within_s=60, what="the site's own emotes")


@contextlib.asynccontextmanager
async def room(stage: Stage, browser: Browser, *who: str) -> AsyncIterator[Room]:
    """Those of "ann", "bob" and "mod" that are named are in and may write."""
    await emotes_there(stage)
    async with stage.channel() as channel, contextlib.AsyncExitStack() as stack:
        people = {
            name: await stack.enter_async_context(visitor(browser, stage.http)) for name in who
        }
        names = {name: await person.register() for name, person in people.items()}
        if "mod" in names:
            await moderate(channel, "PUT", f"moderation/moderators/{names['mod']}")
        for person in people.values():
            await person.open(f"/{channel.login}")
            await expect(person.page.locator("[data-chat=open]")).to_be_visible(timeout=20_000)
        yield Room(channel, people, names)


async def test_people_talk_beside_a_playing_stream(stage: Stage, browser: Browser) -> None:
    async with room(stage, browser, "ann", "bob") as those:
        ann, bob, names = those.ann, those.bob, those.names
        async with Streamer(stage, those.channel.key, broadcast()) as streamer:
            await streamer.sending()
            await those.channel.wait_for("live")
            await ann.plays()

            await say(ann, "good evening Lit")
            seen = line(bob, "good evening")
            await shown(seen)
            await shown(seen.get_by_role("img", name="Lit"))

            await seen.hover()
            await seen.get_by_role("button", name="Reply to").click()
            await say(bob, "and to you")
            answer = line(ann, "and to you")
            await shown(answer.get_by_text(f"Reply to @{names['ann']}"))

            # Completed by keyboard: a name, then an emote; the player's keys stay out of it.
            await box(bob).press_sequentially(f"@{names['ann'][:5]}")
            await shown(bob.page.get_by_role("option").first)
            await bob.page.keyboard.press("Tab")
            await box(bob).press_sequentially("mk :Pop")
            await bob.page.keyboard.press("Tab")
            await bob.page.keyboard.press("Enter")
            await shown(line(ann, f"@{names['ann']} mk").get_by_role("img", name="Popcorn"))
            assert await bob.video("video.muted") is False

            # What is refused says why, and the text stays.
            await say(ann, "twice")
            await shown(line(ann, "twice"))
            await say(ann, "twice")
            await shown(ann.page.get_by_test_id("refused"))
            await expect(box(ann)).to_have_value("twice")
            await ann.plays()


async def test_a_moderator_at_work(stage: Stage, browser: Browser) -> None:
    async with room(stage, browser, "ann", "bob", "mod") as those:
        ann, bob, mod, names = those.ann, those.bob, those.mod, those.names
        await say(ann, "something rude")
        seen = line(mod, "something rude")
        await seen.hover()
        await seen.get_by_role("button", name="Delete message").click()
        await expect(line(bob, "something rude")).to_have_count(0)

        await say(mod, "/slow 30")
        await shown(bob.page.get_by_text("Slow mode: one message every 30 s."))
        await say(bob, "one")
        await shown(bob.page.get_by_test_id("countdown").filter(has_text="Slow mode"))
        await say(mod, "/slowoff")
        await expect(bob.page.get_by_test_id("countdown")).to_have_count(0)

        await say(ann, "before the timeout")
        await shown(line(bob, "before the timeout"))
        await say(mod, f"/timeout {names['ann']} 600 calm down")
        await shown(ann.page.get_by_test_id("countdown").filter(has_text="timed out"))
        await expect(line(bob, "before the timeout")).to_have_count(0)
        await say(mod, f"/untimeout {names['ann']}")
        await expect(ann.page.get_by_test_id("countdown")).to_have_count(0)
        await say(ann, "back again")
        await shown(line(bob, "back again"))

        # The user card bans; who is banned may ask to come back.
        await line(mod, "back again").get_by_role("button", name=names["ann"]).first.click()
        card = mod.page.get_by_test_id("user-card")
        await card.get_by_role("button", name="Ban", exact=True).click()
        await shown(ann.page.get_by_test_id("banned"))
        await ann.button("Ask to come back").click()
        dialog = ann.page.get_by_role("dialog")
        await dialog.get_by_role("textbox").fill("It will not happen again.")
        await dialog.get_by_role("button", name="Send").click()
        await shown(ann.page.get_by_text("The moderators have it."))

        await mod.open(f"/moderation/{those.channel.login}")
        await mod.page.get_by_role("tab", name="Requests").click()
        await shown(mod.page.get_by_text("It will not happen again."))
        await mod.button("Let back in").click()
        await ann.page.keyboard.press("Escape")
        await shown(box(ann))
        await mod.page.get_by_role("tab", name="Log").click()
        await shown(mod.page.get_by_text(f"banned {names['ann']}").first)


async def test_held_messages_polls_and_raids(stage: Stage, browser: Browser) -> None:
    async with room(stage, browser, "ann", "bob", "mod") as those:
        ann, bob, mod, channel = those.ann, those.bob, those.mod, those.channel
        await moderate(
            channel,
            "PATCH",
            "moderation/settings",
            {"links_from": "moderators", "links_action": "hold"},
        )
        await mod.open(f"/moderation/{channel.login}")
        await expect(mod.page.locator("[data-chat=open]")).to_be_visible(timeout=20_000)

        await say(ann, "look at https://example.org/this")
        await shown(ann.page.get_by_test_id("note"))
        held = mod.page.get_by_test_id("held")
        await shown(held.get_by_text("look at https://example.org/this"))
        assert await line(bob, "look at").count() == 0
        # By keyboard alone: to the queue, allow.
        # Beside the name, which leads to the channel.
        await mod.page.locator("h1").click(position={"x": 4, "y": 4})
        await mod.page.keyboard.press("h")
        await expect(held).to_be_focused()
        await mod.page.keyboard.press("a")
        await shown(line(bob, "look at").get_by_role("link"))
        await expect(held).to_have_count(0)

        await mod.button("Poll").click()
        dialog = mod.page.get_by_role("dialog", name="Ask the chat")
        await dialog.get_by_label("Question").fill("Another one?")
        await dialog.get_by_label("Choice 1").fill("Yes")
        await dialog.get_by_label("Choice 2").fill("No")
        await dialog.get_by_role("button", name="Start the poll").click()
        poll = ann.page.get_by_test_id("poll")
        await poll.get_by_role("button", name="Yes").click()
        await shown(bob.page.get_by_test_id("poll").get_by_text("1 vote"))
        await mod.page.get_by_test_id("poll").get_by_role("button", name="End it").click()
        await shown(poll.get_by_text("ended"))

        async with stage.channel() as target:
            await moderate(channel, "POST", "raids", {"channel": target.login})
            await shown(ann.page.get_by_test_id("raid").get_by_text("you come along"))
            await ann.button("Stay here").click()
            await expect(ann.page.get_by_test_id("raid")).to_have_count(0)
            await moderate(channel, "DELETE", "raids")
            await expect(bob.page.get_by_test_id("raid")).to_have_count(0)


async def test_a_killed_chat_process_loses_no_message(stage: Stage, browser: Browser) -> None:
    async with room(stage, browser, "ann", "bob") as those:
        ann, bob = those.ann, those.bob
        await say(ann, "number 0")
        await shown(line(bob, "number 0"))
        kill(stage.instance.pid("chat"))
        await expect(bob.page.locator("[data-chat=waiting]")).to_have_count(1)
        await expect(ann.page.locator("[data-chat=open]")).to_be_visible(timeout=30_000)

        async def spoken() -> bool:
            await say(ann, "number 1")
            await shown(line(ann, "number 1"), within_s=3)
            return True

        await eventually_async(spoken, within_s=30, what="a message after the restart")
        await shown(line(bob, "number 1"), within_s=30)
        await expect(line(bob, "number 0")).to_have_count(1)
        await expect(bob.page.get_by_text("are missing")).to_have_count(0)
        # What the browser itself says of a socket that breaks.
        for person in (ann, bob):
            person.complaints = [text for text in person.complaints if "WebSocket" not in text]


_AT_REST = """list => new Promise(done => {
    const look = (before) => {
        if (list.scrollTop === before) done(before);
        else setTimeout(look, 150, list.scrollTop);
    };
    look(-1);
})"""


async def test_reading_back_holds_the_place(stage: Stage, browser: Browser) -> None:
    async with room(stage, browser, "ann", "mod") as those:
        ann, mod = those.ann, those.mod
        for number in range(40):
            await moderate(
                those.channel, "POST", "announcements", {"text": f"line {number} of many"}
            )
        await shown(line(ann, "line 39 of many"))
        log = ann.page.get_by_test_id("messages")
        await log.hover()
        await ann.page.mouse.wheel(0, -600)
        await shown(ann.page.get_by_text("to the newest"))
        # A turn of the wheel goes on for a while.
        top = await log.evaluate(_AT_REST)
        await say(mod, "something new")
        newer = ann.page.get_by_role("button", name="1 new message")
        await shown(newer)
        assert abs(await log.evaluate("list => list.scrollTop") - top) < 2
        # Only what can be seen is in the page.
        assert await ann.page.get_by_test_id("message").count() < 40
        await newer.click()
        await shown(line(ann, "something new"))


async def test_follow_and_a_report_that_an_admin_decides(stage: Stage, browser: Browser) -> None:
    admin = stage.instance.info["admin"]
    async with room(stage, browser, "ann", "bob") as those, visitor(browser, stage.http) as judge:
        ann, bob = those.ann, those.bob
        await ann.button(f"Follow {those.channel.login}").click()
        await shown(ann.button(f"Following {those.channel.login}"))

        await say(bob, "buy my things at once")
        await (
            line(ann, "buy my things").get_by_role("button", name=those.names["bob"]).first.click()
        )
        await ann.page.get_by_test_id("user-card").get_by_role("button", name="Report").click()
        dialog = ann.page.get_by_role("dialog", name="Report")
        await dialog.get_by_label("What is it about?").select_option("spam")
        await dialog.get_by_role("button", name="Send report").click()
        await shown(ann.page.get_by_text("Thank you. Somebody will look at it."))

        await judge.context.request.post(
            f"{stage.http}/api/v1/auth/login",
            data={"login": admin["login"], "password": admin["password"], "session": "cookie"},
        )
        await judge.open("/admin")
        report = judge.page.get_by_role("listitem").filter(has_text=those.names["bob"])
        await report.get_by_role("button", name="Take it").click()
        await judge.page.get_by_role("tab", name="Taken by me").click()
        await report.get_by_role("button", name="Decide…").click()
        decision = judge.page.get_by_role("dialog")
        await decision.get_by_label("Decision").select_option("suspended")
        await decision.get_by_label("Reason").fill("Advertising in chats.")
        await decision.get_by_role("button", name="Suspend them").click()
        await shown(judge.page.get_by_text("Decided."))
        for area in ("users", "suspensions", "appeals", "streams", "audit"):
            await judge.open(f"/admin/{area}")
            await expect(judge.page.get_by_role("alert")).to_have_count(0)
            await judge.no_sideways_scroll()

        await bob.open("/settings")
        await shown(bob.heading("Your account is suspended"))
        await bob.page.get_by_label("Why is it wrong?").fill("They were gifts.")
        await bob.button("Send the appeal").click()
        await shown(bob.page.get_by_text("Your appeal waits"))
        bob.forgive(403)


async def test_the_broadcaster_sets_up_the_chat(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http) as owner, visitor(browser, stage.http) as friend:
        login = await owner.register()
        name = await friend.register()
        page = owner.page
        await owner.open("/dashboard/chat")
        await page.get_by_label("Slow mode").select_option("10")
        await page.get_by_role("switch", name="Emotes only").click()
        await page.get_by_label("How much is held").select_option("2")
        await page.get_by_label("Block", exact=True).fill("spoiler*")
        await (
            page.locator("form").filter(has_text="Block").get_by_role("button", name="Add").click()
        )
        await shown(owner.button("Remove spoiler*"))
        await page.get_by_label("Add to Moderators").fill(name)
        await page.keyboard.press("Enter")
        await shown(owner.button(f"Remove {name} from Moderators"))
        await page.reload()
        await expect(page.get_by_label("Slow mode")).to_have_value("10")
        await expect(page.get_by_role("switch", name="Emotes only")).to_be_checked()
        await expect(page.get_by_label("How much is held")).to_have_value("2")

        await owner.open("/settings")
        await owner.button("New token").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("What is it for?").fill("A bot")
        await dialog.get_by_role("button", name="Make the token").click()
        await dialog.get_by_role("button", name="Show password for chat programs").click()
        token = await dialog.get_by_label("Password for chat programs", exact=True).input_value()
        assert token.startswith("oauth:flat_")
        await dialog.get_by_role("button", name="Done").click()
        assert token not in await page.content()
        await owner.button("Revoke token A bot").click()
        await shown(page.get_by_text("“A bot” can no longer be used."))
        await friend.open(f"/moderation/{login}")
        await shown(friend.page.get_by_text("Nothing waits for you."))


async def test_every_page_of_the_chat_fits(stage: Stage, browser: Browser) -> None:
    async with visitor(browser, stage.http, viewport=PHONE) as owner:
        login = await owner.register()
        for path in (
            f"/{login}",
            f"/{login}/chat",
            f"/overlay/chat/{login}",
            f"/moderation/{login}",
            "/dashboard/chat",
        ):
            await owner.page.set_viewport_size(PHONE)
            await owner.open(path)
            for size in (PHONE, DESKTOP):
                await owner.page.set_viewport_size(size)
                await shown(owner.page.locator("h1").first)
                await owner.no_sideways_scroll()
                await expect(owner.page.get_by_role("main")).to_have_count(1)
                await expect(owner.page.locator("h1")).to_have_count(1)


async def test_overlay_and_a_visitor_without_a_login(stage: Stage, browser: Browser) -> None:
    async with stage.channel() as channel, visitor(browser, stage.http) as guest:
        await moderate(channel, "POST", "announcements", {"text": "Welcome to the stage"})
        await guest.open(f"/overlay/chat/{channel.login}?size=40&boxes=1")
        await shown(line(guest, "Welcome to the stage"))
        assert (
            await guest.page.evaluate("getComputedStyle(document.body).backgroundColor")
            == "rgba(0, 0, 0, 0)"
        )
        await guest.open(f"/{channel.login}/chat")
        await shown(line(guest, "Welcome to the stage"))
        await guest.page.get_by_role("link", name="Log in to chat").click()
        await guest.page.get_by_label("Name or e-mail").fill(await _someone(stage, browser))
        await guest.page.get_by_label("Password", exact=True).fill(PASSWORD)
        await guest.button("Log in").click()
        await say(guest, "now I may")
        await shown(line(guest, "now I may"))


async def _someone(stage: Stage, browser: Browser) -> str:
    async with visitor(browser, stage.http) as other:
        return await other.register()


async def test_a_playing_page_asks_for_the_chat_after_its_first_frame(
    stage: Stage, browser: Browser
) -> None:
    async with stage.channel() as channel, visitor(browser, stage.http) as viewer:
        async with Streamer(stage, channel.key, broadcast()) as streamer:
            await streamer.sending()
            await channel.wait_for("live")
            asked: list[str] = []
            viewer.page.on("request", lambda request: asked.append(request.url))
            await viewer.open(f"/{channel.login}")
            await viewer.plays(frames=1)
            await expect(viewer.page.locator("[data-chat=open]")).to_be_visible(timeout=20_000)
            media = next(n for n, url in enumerate(asked) if url.endswith(".m4s") or "part-" in url)
            panel = next(n for n, url in enumerate(asked) if "/panel-" in url)
            assert media < panel
