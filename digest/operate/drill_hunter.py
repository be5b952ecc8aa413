"""Who kills the sender of a drill: at a step that is told, or a moment after it."""

import subprocess
import threading


class Hunter:
    """Kills a process so many steps from now, or a moment later. Steps come from any thread."""

    def __init__(self) -> None:
        """Aims at nobody."""
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._left = 0
        self._delay = 0.0
        self.steps = 0  # of all senders

    def aim(self, process: "subprocess.Popen[bytes]", steps: int, delay: float) -> None:
        """This one, at that step."""
        with self._turn:
            self._process, self._left, self._delay = process, steps, delay

    def step(self) -> None:
        """Something happened."""
        with self._turn:
            self.steps += 1
            self._left -= 1
            if self._process is None or self._left > 0:
                return
            process, self._process = self._process, None
        if self._delay:
            threading.Timer(self._delay, process.kill).start()
        else:
            process.kill()

    def rest(self) -> None:
        """No more of it."""
        with self._turn:
            self._process = None
