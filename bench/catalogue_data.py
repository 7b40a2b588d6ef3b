"""A made-up catalogue of any size, written by PostgreSQL itself with generate_series.

It is as uneven as real ones are: a few channels, categories, tags and words have most of it. The same
seed makes the same catalogue, but for the ids and for when it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg

# Words that titles are made of, the commonest of which is in every sixth; categories and tags likewise.
WORDS, CATEGORIES, TAGS = 5000, 500, 300
LANGUAGES = ["en", "en", "en", "en", "en", "de", "es", "fr", "ja", "pt"]
# Of a video with a chat. So many videos have none.
MESSAGES_A_VIDEO = 5000
CLIPS_A_VIDEO = 0.5
# Rows of one statement.
BATCH = 100_000
# Small numbers are drawn much more often.
_UNEVEN = """
create function pg_temp.uneven(most int) returns int language sql volatile
as 'select floor(power(random(), 3) * most)::int'
"""
_CHANNELS = """
with made as (
    insert into users (login, display_name)
    select 'bench_' || i, 'Bench ' || i from generate_series(1, $1::int) i
    returning id)
insert into channels (id) select id from made
"""
_VIDEOS = """
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
    '{"interval_s": 10, "columns": 5, "rows": 5, "width": 160, "height": 90, "count": 9, "whole": true}'
from (
    select i, now() - interval '1000 days' * (1 - i::float / $6::int) - random() * interval '1 day' as at
    from generate_series($2::int, $3::int) i) times
"""
_CHATS = """
insert into video_chats (video_id, channel_id, began_at, ended_at, copied_at)
select id, channel_id, started_at, started_at, now() from videos
"""
_MESSAGES = """
insert into video_messages (video_id, at_s, message_id, at, user_id, text, data)
select v.id, n * v.duration_s / $2::int, gen_random_uuid(),
    v.started_at + n * v.duration_s / $2::int * interval '1 second',
    (n * 7919) % 100000, 'Message number ' || n || ' of somebody who watches',
    '{"user": {"login": "somebody", "name": "Somebody", "color": "#8A2BE2", "badges": []}}'
from videos v, generate_series(0, $2::int - 1) n where v.id = any($1::bigint[])
"""
_CLIPS = """
insert into clips (
    id, channel_id, video_id, creator_id, title, status, start_s, duration_s, started_at, created_at,
    views, width, height, renditions)
select left(replace(gen_random_uuid()::text, '-', ''), 11), channel_id, id, channel_id,
    'Clip of ' || title, 'ready', 60, 30, started_at, started_at + interval '1 hour',
    power(random(), 8) * 1e6, 1920, 1080, '[]'
from videos where random() < $1
"""
_SUSPENSIONS = """
insert into suspensions (user_id, scope, reason, until)
select id, 'channel', 'Made up', now() + interval '1 year' from users
where login like 'bench\\_%' and split_part(login, '_', 2)::int % 20 = 7
"""
_INDEXES = """
select indexname, indexdef from pg_indexes where tablename = $1 and indexname like 'ix\\_%'
"""
_KEYS = """
select c.conname, pg_get_constraintdef(c.oid) as definition from pg_constraint c
where c.conrelid = $1::text::regclass and c.contype = 'p' and not exists
    (select from pg_constraint f where f.confrelid = c.conrelid and f.contype = 'f')
"""
# How closely the values of indexes' expressions are counted.
_COUNTED = """
select format('alter index %s alter column %s set statistics %s',
    a.attrelid::regclass, a.attnum, a.attstattarget) as statement
from pg_index i join pg_attribute a on a.attrelid = i.indexrelid
where i.indrelid = $1::text::regclass and a.attstattarget > 0
"""
RENDITIONS = (
    "["
    + ", ".join(
        f'{{"name": "{name}", "codecs": "avc1.64001f,mp4a.40.2", "width": {width}, "height": {height}, '
        f'"frame_rate": 30, "bandwidth": {width * height * 3}, "average_bandwidth": {width * height * 2}}}'
        for name, width, height in (("source", 1920, 1080), ("720p", 1280, 720), ("480p", 854, 480))
    )
    + "]"
)

Connect = Callable[[], Awaitable[asyncpg.Connection]]


@dataclass(frozen=True)
class Size:
    """How large a catalogue is."""

    videos: int
    messages: int

    @property
    def channels(self) -> int:
        """One for every thousand videos, and ten at least. Every twentieth is suspended."""
        return max(10, self.videos // 1000)


async def fill(connect: Connect, size: Size) -> None:
    """Add a catalogue to an empty database, and count it (ANALYZE). Its owner must be a superuser."""
    connection = await connect()
    try:
        await _prepare(connection)
        await connection.execute("select setseed(0.42)")
        await connection.execute(_CHANNELS, size.channels)
        async with _without_indexes(connection, "videos"):
            await _videos(connection, size)
        await connection.execute(_SUSPENSIONS)
        await connection.execute(_CHATS)
        await connection.execute(_CLIPS, CLIPS_A_VIDEO)
        # What is lost by a crash of the machine is made again; its log would be as large as itself.
        await connection.execute("alter table video_messages set unlogged")
        async with _without_indexes(connection, "video_messages"):
            await _messages(connect, await _with_chat(connection, size), size)
        for table in ("users", "channels", "suspensions", "videos", "video_chats", "clips"):
            await connection.execute(f"vacuum analyze {table}")
        await connection.execute("analyze video_messages")
    finally:
        await connection.close()


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.execute("set synchronous_commit = off")
    await connection.execute("set maintenance_work_mem = '512MB'")
    # Every reference holds: it was just read. Checked one by one they take longer than everything else.
    await connection.execute("set session_replication_role = replica")
    await connection.execute(_UNEVEN)


@contextlib.asynccontextmanager
async def _without_indexes(connection: asyncpg.Connection, table: str) -> AsyncIterator[None]:
    """A table's indexes, but its key where others refer to that, are gone until the block is left:
    building one anew is many times quicker than adding to it row by row.
    """
    indexes = await connection.fetch(_INDEXES, table)
    keys = await connection.fetch(_KEYS, table)
    counted = await connection.fetch(_COUNTED, table)
    for row in indexes:
        await connection.execute(f"drop index {row['indexname']}")
    for row in keys:
        await connection.execute(f"alter table {table} drop constraint {row['conname']}")
    yield
    for row in keys:
        text = f"alter table {table} add constraint {row['conname']} {row['definition']}"
        await connection.execute(text)
    for row in indexes:
        await connection.execute(row["indexdef"])
    for row in counted:
        await connection.execute(row["statement"])


async def _videos(connection: asyncpg.Connection, size: Size) -> None:
    channels = await connection.fetchval(
        "select array_agg(id order by id) from users where login like 'bench\\_%'"
    )
    for first in range(0, size.videos, BATCH):
        await connection.execute(
            _VIDEOS,
            channels,
            first + 1,
            min(first + BATCH, size.videos),
            RENDITIONS,
            LANGUAGES,
            size.videos,
        )


def _each(size: Size) -> int:
    return min(MESSAGES_A_VIDEO, max(1, size.messages))


async def _with_chat(connection: asyncpg.Connection, size: Size) -> list[int]:
    """Public videos, spread over all the time."""
    chats = size.messages // _each(size)
    step = max(1, size.videos // max(1, chats))
    rows = await connection.fetch(
        "select id from videos where stream_id % $1::int = $2 order by stream_id limit $3",
        step,
        min(2, step - 1),
        chats,
    )
    return [row["id"] for row in rows]


async def _messages(connect: Connect, videos: Sequence[int], size: Size) -> None:
    """Long chats beside some videos, by as many writers as there are processors."""
    each = _each(size)
    most = max(1, BATCH // each)
    batches = iter([videos[first : first + most] for first in range(0, len(videos), most)])

    async def write() -> None:
        connection = await connect()
        try:
            await _prepare(connection)
            for batch in batches:
                await connection.execute(_MESSAGES, batch, each)
        finally:
            await connection.close()

    async with asyncio.TaskGroup() as writers:
        for _ in range(os.cpu_count() or 1):
            writers.create_task(write())
