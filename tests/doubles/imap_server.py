"""A real IMAP server (Dovecot) on loopback, over a Maildir of its own."""

import contextlib
import getpass
import grp
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

import pytest

from tests.doubles.ports import free_port

_NOBODY = 65534
_CONFIG = """\
protocols = imap
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
ssl = {ssl}
{certificate}
disable_plaintext_auth = no
auth_failure_delay = 0
shutdown_clients = yes
listen = 127.0.0.1
mail_location = maildir:{base}/Maildir
{capability}
default_internal_user = {internal}
default_internal_group = {group}
default_login_user = {login}
namespace inbox {{
  inbox = yes
  prefix = {prefix}
  separator = {separator}
}}
passdb {{
  driver = static
  args = password=letmein
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={base}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


class ImapServer:
    """`with ImapServer() as server: server.port, server.tls_port, server.path`; anybody's password is "letmein"."""

    def __init__(self, *, certificate: tuple[Path, Path] | None = None, is_plain: bool = False) -> None:
        """`is_plain`: of an old kind, all of whose folders are under INBOX., and that cannot move mail.

        Skips the test where there is no Dovecot.
        """
        if shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None:
            pytest.skip("needs dovecot")
        self._certificate = certificate
        self._is_plain = is_plain
        self._uid, self._gid = (_NOBODY, _NOBODY) if os.getuid() == 0 else (os.getuid(), os.getgid())
        self.port, self.tls_port = free_port(), free_port()

    def __enter__(self) -> "ImapServer":
        # The paths of its sockets may not be long.
        self._base = Path(tempfile.mkdtemp(prefix="imap-", dir="/tmp"))
        self._base.chmod(0o755)
        for part in (".", "new", "cur", "tmp"):
            (self.path / part).mkdir(exist_ok=True)
            os.chown(self.path / part, self._uid, self._gid)
        (self._base / "dovecot.conf").write_text(self._configure(), encoding="utf-8")
        self._process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(self._base / "dovecot.conf")],
            env=os.environ | {"PATH": f"{os.environ.get('PATH', '')}:/usr/sbin"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline, tick = time.monotonic() + 20, threading.Event()
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self._base / "log").read_text("utf-8") if (self._base / "log").exists() else "no log"
                self.__exit__(None, None, None)
                raise AssertionError(f"dovecot did not start: {log}")
            tick.wait(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)  # asked to end, it takes a second
        self._process.wait(20)
        shutil.rmtree(self._base, ignore_errors=True)

    @property
    def path(self) -> Path:
        """The Maildir, in which mail may be laid by `own`."""
        return self._base / "Maildir"

    def own(self, file: Path) -> None:
        """Give a file to the server's user: it serves nothing that is root's."""
        os.chown(file, self._uid, self._gid)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            return connection.recv(4) == b"* OK"
        return False

    def _configure(self) -> str:
        is_root = os.getuid() == 0
        user, group = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
        certificate = self._certificate
        return _CONFIG.format(
            base=self._base,
            ssl="yes" if certificate else "no",
            certificate=f"ssl_cert = <{certificate[0]}\nssl_key = <{certificate[1]}" if certificate else "",
            internal="dovecot" if is_root else user,
            group="dovecot" if is_root else group,
            login="dovenull" if is_root else user,
            prefix="INBOX." if self._is_plain else "",
            separator="." if self._is_plain else "/",
            capability="imap_capability = IMAP4rev1 NAMESPACE" if self._is_plain else "",
            uid=self._uid,
            gid=self._gid,
            port=self.port,
            tls_port=self.tls_port if certificate else 0,
        )
