"""procrastinate by itself, with a task that does nothing.

`python -m benchmarks.bare_tasks URL prepare|work|defer [COUNT]`
"""

import asyncio
import sys

import procrastinate


def main(url: str, part: str, count: int = 0) -> None:
    """One part, to its end, or until it is told to stop."""
    kind = procrastinate.PsycopgConnector if part == "work" else procrastinate.SyncPsycopgConnector
    app = procrastinate.App(connector=kind(conninfo=url))

    @app.task(name="nothing")
    def nothing() -> None:
        pass

    if part == "work":
        asyncio.run(_work(app))
        return
    with app.open():
        if part == "prepare":
            app.schema_manager.apply_schema()
        else:
            nothing.batch_defer(*({} for _ in range(count)))


async def _work(app: procrastinate.App) -> None:
    async with app.open_async():
        await app.run_worker_async(concurrency=4, delete_jobs="successful")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:]))
