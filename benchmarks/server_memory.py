"""What the processes of a server have in memory while it is asked."""

import psutil

from reswork.shipping.serving import Server


class Memory:
    """Looks at the server's process and the engine's.

    Args:
        server: that runs.
    """

    def __init__(self, server: Server) -> None:
        assert server.process is not None
        self._front = psutil.Process(server.process.pid)
        self.seen = [self._now()]

    def look(self) -> None:
        """Take note of what they have now."""
        self.seen.append(self._now())

    def grown(self) -> str:
        """What both have more now than at the beginning, and of that in the second half of the looks."""
        self.look()
        half = self.seen[len(self.seen) // 2]
        whole = [(now - first) / 1024**2 for now, first in zip(self.seen[-1], self.seen[0], strict=True)]
        later = [(now - first) / 1024**2 for now, first in zip(self.seen[-1], half, strict=True)]
        if len(self.seen) < 4:
            return f"{whole[0]:+.0f} and {whole[1]:+.0f} MiB"
        told = f"{whole[0]:+.0f} and {whole[1]:+.0f} MiB"
        return f"{told}, in the second half {later[0]:+.0f} and {later[1]:+.0f}"

    def _now(self) -> tuple[int, int]:
        """Of the process that listens, and of the engines."""
        engines = 0
        for each in self._front.children():
            try:
                engines += each.memory_info().rss
            except psutil.NoSuchProcess:  # it was replaced just now
                continue
        return self._front.memory_info().rss, engines
