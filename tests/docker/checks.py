"""What is asked of an image once it is built: each check says what it saw, or raises ``CheckError``."""

from __future__ import annotations

import shutil
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.docker.builder import Image
from tests.docker.container import Container, running
from tests.docker.roots import mounted, size

STOP = 10.0  # seconds that engines wait after SIGTERM before they kill
_ASK = (
    "import sys, urllib.request, urllib.error\n"
    "try: answer = urllib.request.urlopen('http://127.0.0.1:7860' + sys.argv[1], timeout=60)\n"
    "except urllib.error.HTTPError as error: answer = error\n"
    "print(answer.status, answer.read(400).decode(errors='replace'))"
)
# As a browser does that has the page open: the stream stays open until the server ends it.
_STREAM = (
    "import http.client\n"
    "one = http.client.HTTPConnection('127.0.0.1', 7860)\n"
    "one.request('GET', '/gradio_api/heartbeat/runner')\n"
    "print(one.getresponse().status, flush=True)\n"
    "one.sock.recv(1 << 20)\n"
    "import time; time.sleep(3600)"
)
_OUTSIDE = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=3)"


class CheckError(AssertionError):
    """The image does not do what it should."""


def expect(holds: object, message: str) -> None:
    """Raise ``CheckError`` unless ``holds``."""
    if not holds:
        raise CheckError(message)


def contents(image: Image, scratch: Path, compilers: bool) -> str:
    """No pip cache, no build folder, no compilers (unless they belong there), and the licences."""
    with mounted(image.layers, scratch / "reading") as root:
        for name in ("root/.cache", "build", "var/lib/apt/lists/lock"):
            expect(not (root / name).exists(), f"/{name} is in the image")
        found = [name for name in ("gcc", "g++", "cc", "make") if (root / "usr/bin" / name).exists()]
        expect(bool(found) == compilers, f"compilers in the image: {found}")
        for name in ("LICENSE", "NOTICE", "README.md"):
            expect((root / "usr/share/doc/rallrec" / name).is_file(), f"/usr/share/doc/rallrec/{name} is missing")
        expect(any((root / "opt/rallrec").rglob("ml-latest-small.zip")), "the dataset's archive is missing")
        writable = [
            str(path.relative_to(root))
            for top in ("opt/rallrec", "opt/seed")
            for path in (root / top).rglob("*")
            if not path.is_symlink() and (path.stat().st_mode & stat.S_IWOTH or not path.stat().st_mode & stat.S_IROTH)
        ]
        expect(not writable, f"not readable, or writable, by all: {writable[:3]}")
    return f"licences there, no caches, compilers: {', '.join(found) or 'none'}"


def first_start(image: Image, data: Path, scratch: Path, predict: bool) -> str:
    """Empty volume, no network: healthy, ready, nothing written outside the volume, gone at SIGTERM."""
    with running(image, data, scratch) as container:
        seconds = container.wait_healthy()
        expect("Copying" in container.log.read_text(), "the empty volume was not filled")
        expect(container.exec(["python3", "-c", _OUTSIDE])[0] != 0, "there is a network")
        said = [f"healthy after {seconds:.1f} s", _who(container)]
        for path in ("/readyz", "/", "/library"):
            started = time.perf_counter()
            code, answer = container.exec(["python3", "-c", _ASK, path])
            expect(code == 0 and answer.startswith("200 "), f"{path} answers: {answer[-600:]}")
            said.append(f"{path} 200 in {time.perf_counter() - started:.1f} s")
        code, _ = container.exec(image.healthcheck, env={"RALLREC_PORT": "1"})
        expect(code == 1, f"the health check of a port where nobody listens exits {code}")
        if predict:
            command = ["rallrec", "predict", "--user", "15", "--item", "1", "--traces", "2", "--json"]
            code, answer = container.exec(command, timeout=400)
            expect(code == 0, f"{' '.join(command)} exited {code}:\n{answer[-3000:]}")
            said.append(f"a prediction with the model: exit 0, {len(answer)} characters of JSON")
        _nothing_outside(container)
        said.append(_stop(container))
    return "; ".join([*said, f"volume {size(data) / 1e6:,.0f} MB"])


def second_start(image: Image, data: Path, scratch: Path) -> str:
    """The same volume again: nothing is copied; ends in time though a page is open."""
    with running(image, data, scratch) as container:
        seconds = container.wait_healthy()
        expect("Copying" not in container.log.read_text(), "the volume was filled again")
        target = ["nsenter", f"--target={container.pid}", "--net", "python3", "-c", _STREAM]
        page = subprocess.Popen(target, stdout=subprocess.PIPE, text=True)
        try:
            line = page.stdout.readline().strip() if page.stdout else ""
            expect(line == "200", f"the page's stream answers {line}")
            _nothing_outside(container)
            stopped = _stop(container)
        finally:
            page.kill()
            page.wait()
    return f"healthy after {seconds:.1f} s; with a page open, {stopped}"


def early_stop(image: Image, data: Path, scratch: Path) -> str:
    """SIGTERM while it still starts."""
    with running(image, data, scratch) as container:
        while container.pid < 0:
            time.sleep(0.01)
        time.sleep(1.5)
        return "while starting, " + _stop(container)


def broken_fill(image: Image, data: Path, scratch: Path) -> str:
    """Killed while it fills the volume, the next start ends with every piece whole."""
    with running(image, data, scratch) as container:
        while not (data / ".seeding").exists():
            expect(container.wait(0.01) is None, container.log.read_text())
        container.kill()
    left = (data / ".seeding").exists()
    with running(image, data, scratch, command=["true"]) as container:
        expect(container.wait(120) == 0, container.log.read_text())
    for layer in image.layers:
        for group in (layer / "opt/seed").glob("*"):
            expect(size(group) == size(data / group.name), f"{group.name} was not copied whole")
    expect(not (data / ".seeding").exists(), "half a piece was left")
    return f"killed with {'a' if left else 'no'} half piece there; the next start left every piece whole"


def other_owners(image: Image, data: Path, scratch: Path) -> str:
    """A folder of somebody else is refused in plain words; with ``--user`` of its owner it works."""
    data.chmod(0o755)
    subprocess.run(["chown", "4242:4242", str(data)], check=True)
    with running(image, data, scratch, command=["rallrec", "settings"]) as container:
        code = container.wait(60)
        said = container.log.read_text()
    expect(code == 1 and "cannot be written by" in said, f"exit {code}: {said}")
    with running(image, data, scratch, user="4242:4242") as container:
        seconds = container.wait_healthy()
        code, answer = container.exec(["rallrec", "settings", "--json"], timeout=120)
        expect(code == 0, f"rallrec settings exited {code}:\n{answer[-2000:]}")
        _nothing_outside(container)
        stopped = _stop(container)
    return f"refused: {said.splitlines()[0]} With --user 4242:4242 healthy after {seconds:.1f} s, {stopped}"


def run_all(
    image: Image, scratch: Path, predict: bool, compilers: bool, tell: Callable[[str], None]
) -> list[tuple[str, str]]:
    """Every check, each told as it ends; (name, what was seen or what failed) of those that failed."""
    failed = []
    main = fresh(scratch / "data", image)
    checks: dict[str, Callable[[], str]] = {
        "contents": lambda: contents(image, scratch, compilers),
        "first start": lambda: first_start(image, main, scratch, predict),
        "second start": lambda: second_start(image, main, scratch),
        "early stop": lambda: early_stop(image, main, scratch),
        "broken fill": lambda: broken_fill(image, fresh(scratch / "broken", image), scratch),
        "other owners": lambda: other_owners(image, fresh(scratch / "owned", image), scratch),
    }
    for name, check in checks.items():
        try:
            tell(f"ok      {name}: {check()}")
        except (CheckError, RuntimeError, subprocess.CalledProcessError) as error:
            failed.append((name, str(error)))
            tell(f"FAILED  {name}: {error}")
    return failed


def fresh(data: Path, image: Image) -> Path:
    """An empty volume, owned as the image has its place."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    place = image.volumes[0].strip("/")
    owner = next(layer / place for layer in reversed(image.layers) if (layer / place).exists()).stat()
    subprocess.run(["chown", f"{owner.st_uid}:{owner.st_gid}", str(data)], check=True)
    return data


def _who(container: Container) -> str:
    status = Path(f"/proc/{container.pid}/status").read_text()
    facts = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    uid, inside = facts["Uid"].split()[1], facts["NSpid"].split()[-1]
    expect(uid != "0" and inside == "1", f"uid {uid}, process {inside}")
    command = Path(f"/proc/{container.pid}/cmdline").read_text().replace("\0", " ").strip()
    return f"process 1 is {command} as uid {uid}"


def _stop(container: Container) -> str:
    seconds, code = container.terminate(STOP)
    expect(code is not None, f"it goes on {STOP:g} s after SIGTERM:\n{container.log.read_text()[-1500:]}")
    return f"gone {seconds:.1f} s after SIGTERM (exit {code})"


def _nothing_outside(container: Container) -> None:
    written = container.written()
    expect(not written, f"written outside the volume: {written[:10]}")
