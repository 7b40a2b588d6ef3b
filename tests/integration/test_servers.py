import asyncpg

from tests.harness import RunningServers


async def test_servers_answer(servers: RunningServers) -> None:
    run = servers.environment["FOOTLIGHT_RUN_DIR"]
    connection = await asyncpg.connect(host=run, user="footlight", database="footlight")
    assert await connection.fetchval("select 1") == 1
    await connection.close()
