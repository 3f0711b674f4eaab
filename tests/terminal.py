"""A fresh clone and a terminal in it, for what a page tells its reader to type.

The clone is a copy of what the programs need, with an environment that is ready made. Ports that
pages name stand for free ones: they are exchanged in what is typed, and back in what is seen. Of a
terminal all is as a person sees it, but for colours.
"""

import codecs
import fcntl
import os
import pty
import re
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from deploy.ports import held_port
from tests.documents import ANY_LINES, ROOT, Command, agrees

NEEDED = ("engine", "deploy", "config", "Makefile", "docker-compose.yml", ".dockerignore")
PATTERNS = ("*.py", "Dockerfile.*", "requirements*.txt")
PORTS = (8080, 9001, 9002)  # that pages name
COLUMNS = 160
# Not a reader's: settings of a deployment, and what `make` tells a make below it (which says more).
OF_WHO_CALLS = ("EXECUTOR_", "MAKE", "MFLAGS")
SIGN = "\x02"  # the prompt: nothing else prints it
CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")
INTERRUPT = b"\x03"


class Clone:
    """A copy of this project in `folder`, whose ports are free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        paths = [ROOT / name for name in NEEDED]
        for path in (*paths, *(it for pattern in PATTERNS for it in ROOT.glob(pattern))):
            if path.is_dir():
                ignored = shutil.ignore_patterns("__pycache__")
                shutil.copytree(path, folder / path.name, ignore=ignored)
            else:
                shutil.copy2(path, folder / path.name)
        self._make_environment(folder / ".venv")
        self._held = ExitStack()
        held = (self._held.enter_context(held_port()) for _ in PORTS)
        self._ports = dict(zip(map(str, PORTS), map(str, held), strict=True))
        master = f"127.0.0.1:{self.port(8080)}"
        variables = {k: v for k, v in os.environ.items() if not k.startswith(OF_WHO_CALLS)}
        self.variables = {
            **variables,
            "PATH": f"{os.environ['PATH']}:{self._stand_ins(folder / '.stand-ins')}",
            "PORT": self.port(8080),  # of `make run`
            "EXECUTOR_MASTER": f"http://{master}",  # of client.py
            "PUBLISH": master,  # of docker-compose
        }

    @staticmethod
    def _make_environment(folder: Path) -> None:
        """Make the environment that `make` would make, out of the one that runs this."""
        folder.mkdir()
        for name in ("bin", "lib", "pyvenv.cfg"):
            if (Path(sys.prefix) / name).exists():
                (folder / name).symlink_to(Path(sys.prefix) / name)
        for done in ("runtime", "dev"):
            (folder / done).touch()

    @staticmethod
    def _stand_ins(folder: Path) -> Path:
        """Make programs for machines that have none of their own: they come last in the path."""
        folder.mkdir()
        curl = folder / "curl"
        curl.write_text(f'#!/bin/sh\nexec {sys.executable} {ROOT}/tests/curl.py "$@"\n')
        curl.chmod(0o755)
        return folder

    def close(self) -> None:
        """Let its ports go, after whoever listened there."""
        self._held.close()

    def port(self, named: int) -> str:
        """Return the port that stands for one that pages name."""
        return self._ports[str(named)]

    def typed(self, text: str) -> str:
        """Return a command with our ports in it."""
        return _exchanged(text, self._ports)

    def seen(self, text: str) -> str:
        """Return output with the pages' ports in it."""
        return _exchanged(text, {ours: named for named, ours in self._ports.items()})


class Terminal:
    """An interactive shell in a clone."""

    def __init__(self, clone: Clone) -> None:
        self._clone = clone
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, COLUMNS, 0, 0))
        modes = termios.tcgetattr(theirs)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        looks = {"PS1": SIGN, "PS2": "", "TERM": "dumb", "COLUMNS": str(COLUMNS), "LINES": "50"}
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"],
            cwd=clone.folder,
            env={**clone.variables, **looks, "VIRTUAL_ENV_DISABLE_PROMPT": "1"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._text = ""
        self._decode = codecs.getincrementaldecoder("utf-8")().decode  # a read may end in a letter
        self._until_prompt()

    def type(self, line: str) -> list[str]:
        """Type a line and return what is printed until the next prompt."""
        self._write(line)
        return self._until_prompt()

    def carry_out(self, command: Command) -> None:
        """Type a command of a page, and fail unless it does what the page shows.

        One whose output the page leaves out must not fail, and may print what it likes.
        """
        seen = self.type(command.typed)
        if set(command.shown) - {ANY_LINES}:
            assert agrees(command.shown, seen), _differing(command, seen)
        else:
            assert self.type("echo $?") == ["0"], _differing(command, seen)

    def begin(self, command: Command) -> None:
        """Type a command that goes on, and return when it has printed what the page shows."""
        self._write(command.typed)
        seen: list[str] = []
        while not agrees((*command.shown, ANY_LINES), seen):
            line, ended = self._line()
            seen.append(line)
            assert not ended, _differing(command, seen)

    def interrupt(self) -> list[str]:
        """Interrupt what goes on here and return what is printed until the next prompt."""
        os.write(self._ours, INTERRUPT)
        return self._until_prompt()

    def end(self) -> None:
        """Interrupt what goes on here, wait until it has ended, and leave the shell."""
        self.interrupt()
        self._write("exit")
        self._shell.wait()
        os.close(self._ours)

    def _write(self, line: str) -> None:
        os.write(self._ours, (self._clone.typed(line) + "\n").encode())

    def _until_prompt(self) -> list[str]:
        while SIGN not in self._text:
            self._read()
        before, _, self._text = self._text.partition(SIGN)
        return self._clone.seen(before).splitlines()

    def _line(self) -> tuple[str, bool]:
        """Return the next line, and whether there is a prompt in its place."""
        while "\n" not in self._text and SIGN not in self._text:
            self._read()
        line, mark, self._text = re.split(f"([\n{SIGN}])", self._text, maxsplit=1)
        return self._clone.seen(line), mark == SIGN

    def _read(self) -> None:
        with suppress(OSError):  # Linux's word for the end of a terminal
            piece = self._decode(os.read(self._ours, 65536))
            self._text += CONTROL_SEQUENCE.sub("", piece).replace("\r", "")
            return
        raise AssertionError(f"the shell has ended: {self._text}")


def _exchanged(text: str, ports: Mapping[str, str]) -> str:
    return re.sub(rf"\b({'|'.join(ports)})\b", lambda found: ports[found[1]], text)


def _differing(command: Command, seen: Sequence[str]) -> str:
    return "\n".join((f"$ {command.typed}", "should print", *command.shown, "but prints", *seen))
