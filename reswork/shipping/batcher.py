"""`Batcher`: requests that wait while the engine is busy are answered together by its next call."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

Answer = Callable[[np.ndarray], np.ndarray]


@dataclass(eq=False)
class _Item:
    engine: Answer
    inputs: np.ndarray
    found: asyncio.Future[np.ndarray]

    def fits(self, other: "_Item") -> bool:
        """Whether both can go into one call: the same engine, images of one size."""
        return self.engine is other.engine and self.inputs.shape[1:] == other.inputs.shape[1:]


class Batcher:
    """Hands images to an engine, one call at a time; nothing waits for a batch to fill.

    Made and used in one event loop.

    Args:
        most: images in a call; a request with more of them has a call of its own.
        executor: with one thread, in which the engine computes.
        told: called with the number of images of each call.
    """

    def __init__(
        self, most: int, executor: Executor, told: Callable[[int], None] = lambda _count: None
    ) -> None:
        self._most, self._executor, self._told = most, executor, told
        self._items: deque[_Item] = deque()
        self._wake = asyncio.Event()

    async def answer(self, engine: Answer, inputs: np.ndarray) -> np.ndarray:
        """The engine's output for some images, (N, C, H, W) float32; what is cancelled is left out of the next call."""
        item = _Item(engine, inputs, asyncio.get_running_loop().create_future())
        self._items.append(item)
        self._wake.set()
        return await item.found

    async def run(self) -> None:
        """Answer, until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._items:
                batch = self._next()
                if batch:
                    await self._compute(batch)

    def _next(self) -> list[_Item]:
        """The oldest request and those behind it that fit into the same call of the same engine."""
        batch = [self._items.popleft()]
        count = len(batch[0].inputs)
        while self._items and self._items[0].fits(batch[0]):
            count += len(self._items[0].inputs)
            if count > self._most:
                break
            batch.append(self._items.popleft())
        return [each for each in batch if not each.found.done()]

    async def _compute(self, batch: list[_Item]) -> None:
        inputs = np.concatenate([each.inputs for each in batch])
        self._told(len(inputs))
        try:
            output = await asyncio.get_running_loop().run_in_executor(self._executor, batch[0].engine, inputs)
        except Exception as error:  # whatever the engine comes up with: these requests fail, the next may not
            for each in batch:
                if not each.found.done():
                    each.found.set_exception(error)
            return
        places = np.cumsum([len(each.inputs) for each in batch])[:-1]
        for each, part in zip(batch, np.split(output, places), strict=True):
            if not each.found.done():
                each.found.set_result(part)
