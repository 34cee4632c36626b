"""A process started from an image as an engine would start it: process 1 of its own namespaces, as the image's user,
with a network that has nothing but itself, and with all that it writes outside the volume on record."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.docker.builder import Image
from tests.docker.roots import mounted, run

# From inside the new network: its loopback is down at first. The rest are each other's last act, so that the image's
# own command ends up as process 1.
_ENTER = 'ip link set lo up && exec "$@"'


class Container:
    """``user``: "uid:gid" in place of the image's, as with ``docker run --user``."""

    def __init__(
        self,
        image: Image,
        root: Path,
        upper: Path,
        log: Path,
        command: Sequence[str],
        user: str,
        env: Mapping[str, str],
    ) -> None:
        self.image, self.root, self.upper, self.log, self._user = image, root, upper, log, user
        self._env = [f"{key}={value}" for key, value in {**image.env, **env}.items()]
        spaces = ["unshare", "--pid", "--fork", "--kill-child", "--net", "--ipc", "--uts", f"--mount-proc={root}/proc"]
        inside = ["chroot", f"--userspec={user}", "--groups=", str(root), "env", "-i", f"--chdir={image.workdir}"]
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [*spaces, "sh", "-c", _ENTER, "sh", *inside, *self._env, *image.entrypoint, *command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        """Of its process 1, as this machine sees it; -1 where it has ended."""
        try:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        except FileNotFoundError:
            return -1
        return int(children[0]) if children else -1

    def exec(
        self, command: Sequence[str], timeout: float = 60, env: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a command beside it, as ``docker exec`` does: exit code and output."""
        uid, _, gid = self._user.partition(":")
        spaces = [
            "nsenter",
            f"--target={self.pid}",
            "--pid",
            "--net",
            "--ipc",
            "--uts",
            "--mount",
            f"--root={self.root}",
        ]
        spaces += [f"--setuid={uid}", f"--setgid={gid}", "--wdns=" + self.image.workdir]
        more = [f"{key}={value}" for key, value in (env or {}).items()]
        try:
            done = subprocess.run(
                [*spaces, "/usr/bin/env", "-i", *self._env, *more, *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            return 124, f"no end within {timeout:g} s"
        return done.returncode, done.stdout

    def wait_healthy(self, timeout: float = 180) -> float:
        """Seconds until the image's own health check passes. Raises ``RuntimeError`` with the log's end."""
        started = time.perf_counter()
        said = ""
        while time.perf_counter() - started < timeout and self._process.poll() is None:
            if self.pid > 0:
                code, said = self.exec(self.image.healthcheck, timeout=10)
                if code == 0:
                    return time.perf_counter() - started
            time.sleep(0.2)
        ended = self._process.poll()
        state = f"not healthy after {timeout:g} s: {said.strip()}" if ended is None else f"ended with exit code {ended}"
        raise RuntimeError(f"{state}\n{self.log.read_text()[-4000:]}")

    def wait(self, timeout: float) -> int | None:
        """Its exit code, or None if it goes on after ``timeout`` seconds."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def terminate(self, timeout: float = 10) -> tuple[float, int | None]:
        """SIGTERM to process 1: seconds until it ended, and its exit code (None: it had not ended)."""
        started = time.perf_counter()
        os.kill(self.pid, signal.SIGTERM)
        code = self.wait(timeout)
        return time.perf_counter() - started, code

    def kill(self) -> None:
        """End it at once, if it goes on."""
        if self._process.poll() is None:
            if self.pid > 0:
                os.kill(self.pid, signal.SIGKILL)
            self._process.wait(10)

    def written(self) -> list[str]:
        """What it wrote into the image's layers: everything but the volumes' contents."""
        volumes = {volume.strip("/") for volume in self.image.volumes} | {"dev", "proc"}
        found = []
        for path in sorted(self.upper.rglob("*")):
            place = path.relative_to(self.upper)
            if str(place) not in volumes and not path.is_dir():
                found.append(f"/{place}")
        return found


@contextmanager
def running(
    image: Image,
    data: Path,
    scratch: Path,
    command: Sequence[str] = (),
    user: str = "",
    env: Mapping[str, str] | None = None,
) -> Iterator[Container]:
    """A started container with ``data`` as its volume."""
    upper = scratch / "container"
    shutil.rmtree(upper, ignore_errors=True)
    with ExitStack() as stack:
        root = stack.enter_context(mounted(image.layers, upper))
        run(["mount", "--bind", str(data), str(root / image.volumes[0].strip("/"))])
        container = Container(
            image, root, upper, scratch / "container.log", command or image.cmd, user or image.user, env or {}
        )
        stack.callback(container.kill)
        yield container
