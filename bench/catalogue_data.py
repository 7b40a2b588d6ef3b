"""A made-up catalogue of any size, written by PostgreSQL itself with generate_series.

It is as uneven as real ones are: a few channels, categories, tags and words have most of it. The same
seed makes the same catalogue.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

# Words that titles are made of, the commonest of which is in every sixth; categories and tags likewise.
WORDS, CATEGORIES, TAGS = 5000, 500, 300
LANGUAGES = ["en", "en", "en", "en", "en", "de", "es", "fr", "ja", "pt"]
# Videos with a chat, and how many messages of it belong to a minute.
MESSAGES_A_VIDEO = 5000
# Rows of one statement.
BATCH = 100_000
# Small numbers are drawn much more often.
_INSERT_VIDEOS = """
insert into videos (
    channel_id, kind, status, title, description, category, tags, language, visibility,
    stream_id, created_at, started_at, published_at, ready_at, duration_s, size_bytes, views,
    width, height, renditions, poster, storyboard)
select
    ($1::bigint[])[1 + floor(power(random(), 3) * cardinality($1::bigint[]))::int],
    (array['broadcast', 'broadcast', 'broadcast', 'upload', 'highlight'])[1 + i % 5],
    'ready',
    'Stream w' || pg_temp.uneven(5000) || ' w' || pg_temp.uneven(5000) || ' w' || pg_temp.uneven(5000)
        || ' number ' || i,
    repeat('What it is about. ', 20),
    'Category ' || pg_temp.uneven(500),
    array['tag' || pg_temp.uneven(300), 'tag' || pg_temp.uneven(300)],
    ($5::text[])[1 + i % cardinality($5::text[])],
    case when i % 20 = 0 then 'private' when i % 20 = 1 then 'unlisted' else 'public' end,
    i, at, at, at, at, 600 + random() * 20000, 1e9 + random() * 1e10,
    power(random(), 8) * 1e6, 1920, 1080, $4::jsonb, '{"version": 1}',
    '{"interval_s": 10, "columns": 5, "rows": 5, "width": 160, "height": 90, "count": 9}'
from (
    select i, now() - interval '1000 days' * (1 - i::float / $6::int) - random() * interval '1 day' as at
    from generate_series($2::int, $3::int) i) times
"""
_UNEVEN = """
create function pg_temp.uneven(most int) returns int language sql volatile
as 'select floor(power(random(), 3) * most)::int'
"""


@dataclass(frozen=True)
class Size:
    """How large a catalogue is."""

    videos: int
    messages: int

    @property
    def channels(self) -> int:
        """One for every thousand videos, and ten at least."""
        return max(10, self.videos // 1000)


async def fill(connection: asyncpg.Connection, size: Size) -> None:
    """Add a catalogue to an empty database, and count it (ANALYZE)."""
    await connection.execute("select setseed(0.42)")
    await connection.execute("set synchronous_commit = off")
    await connection.execute(_UNEVEN)
    await connection.execute(
        """
        with made as (
            insert into users (login, display_name)
            select 'bench_' || i, 'Bench ' || i from generate_series(1, $1::int) i
            returning id)
        insert into channels (id) select id from made
        """,
        size.channels,
    )
    # Building an index anew is many times quicker than adding to it row by row.
    async with _without_indexes(connection, "videos"):
        await _videos(connection, size)
    async with _without_indexes(connection, "video_messages"):
        await _messages(connection, size)
    for table in ("users", "channels", "videos", "video_messages", "video_chats"):
        await connection.execute(f"vacuum analyze {table}")


@contextlib.asynccontextmanager
async def _without_indexes(connection: asyncpg.Connection, table: str) -> AsyncIterator[None]:
    """A table's indexes, but those of its constraints, are gone until the block is left."""
    rows = await connection.fetch(
        "select indexname, indexdef from pg_indexes where tablename = $1 and indexname like 'ix\\_%'",
        table,
    )
    for row in rows:
        await connection.execute(f"drop index {row['indexname']}")
    yield
    await connection.execute("set maintenance_work_mem = '256MB'")
    for row in rows:
        await connection.execute(row["indexdef"])


async def _videos(connection: asyncpg.Connection, size: Size) -> None:
    channels = await connection.fetchval(
        "select array_agg(id order by id) from users where login like 'bench\\_%'"
    )
    for first in range(0, size.videos, BATCH):
        await connection.execute(
            _INSERT_VIDEOS,
            channels,
            first + 1,
            min(first + BATCH, size.videos),
            RENDITIONS,
            LANGUAGES,
            size.videos,
        )


RENDITIONS = (
    "["
    + ", ".join(
        f'{{"name": "{name}", "codecs": "avc1.64001f,mp4a.40.2", "width": {width}, "height": {height}, '
        f'"frame_rate": 30, "bandwidth": {width * height * 3}, "average_bandwidth": {width * height * 2}}}'
        for name, width, height in (("source", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480))
    )
    + "]"
)


async def _messages(connection: asyncpg.Connection, size: Size) -> None:
    """Long chats beside some videos: a table that large is mostly of those."""
    each = min(MESSAGES_A_VIDEO, max(1, size.messages))
    chats = size.messages // each
    step = max(1, size.videos // max(1, chats))
    ids = await connection.fetch(
        "select id, started_at, channel_id from videos where stream_id % $1::int = $2 order by id limit $3",
        step,
        # Public ones, where not every video has a chat.
        min(2, step - 1),
        chats,
    )
    for first in range(0, len(ids), max(1, BATCH // each)):
        some = [row["id"] for row in ids[first : first + max(1, BATCH // each)]]
        await connection.execute(
            """
            insert into video_messages (video_id, at_s, message_id, at, user_id, text, data)
            select v.id, n * v.duration_s / $2::int, gen_random_uuid(),
                v.started_at + n * v.duration_s / $2::int * interval '1 second',
                (n * 7919) % 100000, 'Message number ' || n || ' of somebody who watches',
                '{"user": {"login": "somebody", "name": "Somebody", "color": "#8A2BE2", "badges": []}}'
            from videos v, generate_series(0, $2::int - 1) n where v.id = any($1::bigint[])
            """,
            some,
            each,
        )
    await connection.execute(
        "insert into video_chats (video_id, channel_id, began_at, ended_at, copied_at)"
        " select id, channel_id, started_at, started_at, now() from videos"
    )
