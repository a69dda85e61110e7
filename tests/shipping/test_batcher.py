import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from reswork.shipping.batcher import Batcher


def images(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.float32).reshape(-1, 1, 1, 1)


def test_what_waits_is_answered_together_and_everybody_gets_his_own() -> None:
    sizes: list[int] = []

    def engine(inputs: np.ndarray) -> np.ndarray:
        time.sleep(0.02)  # others come meanwhile
        return inputs[:, 0, 0] * 10

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(8, pool, sizes.append)
            task = asyncio.create_task(batcher.run())
            found = await asyncio.gather(*(batcher.answer(engine, images(k, k + 100)) for k in range(20)))
            task.cancel()
        for k, each in enumerate(found):
            assert each.ravel().tolist() == [10 * k, 10 * k + 1000]

    asyncio.run(main())
    assert sum(sizes) == 40 and max(sizes) == 8 and len(sizes) < 20


def test_a_failing_call_fails_its_requests_and_no_others_and_the_cancelled_are_left_out() -> None:
    asked: list[list[float]] = []

    def engine(inputs: np.ndarray) -> np.ndarray:
        asked.append(inputs.ravel().tolist())
        if 13.0 in inputs:
            raise RuntimeError("unlucky")
        return inputs[:, 0, 0]

    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(1, pool)
            gone = asyncio.create_task(batcher.answer(engine, images(7)))
            await asyncio.sleep(0)
            gone.cancel()
            waiting = [asyncio.create_task(batcher.answer(engine, images(k))) for k in (13, 2)]
            task = asyncio.create_task(batcher.run())
            with pytest.raises(RuntimeError, match="unlucky"):
                await waiting[0]
            assert (await waiting[1]).ravel().tolist() == [2.0]
            task.cancel()

    asyncio.run(main())
    assert asked == [[13.0], [2.0]]


def test_another_engine_is_never_asked_in_the_same_call() -> None:
    async def main() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(100, pool)
            engines = [lambda inputs: inputs[:, 0, 0] + 1, lambda inputs: inputs[:, 0, 0] + 2]
            asks = [asyncio.create_task(batcher.answer(engines[k % 2], images(0))) for k in range(6)]
            task = asyncio.create_task(batcher.run())
            assert [float(each[0, 0]) for each in await asyncio.gather(*asks)] == [1, 2, 1, 2, 1, 2]
            task.cancel()

    asyncio.run(main())
