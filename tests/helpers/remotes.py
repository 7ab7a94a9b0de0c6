"""Real places to share through: a folder, an S3 server and an SSH server of this machine."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.helpers.project import call

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")


class FolderRemote:
    """A folder; an SSH server of this machine keeps its objects in one, too."""

    def __init__(self, folder, url=None, options=None):
        self.folder, self.url, self.options = folder, url or str(folder), options or {}

    def objects(self):
        return {path.relative_to(self.folder).as_posix(): path.stat().st_size for path in self._files()}

    def _files(self):
        return [path for path in self.folder.rglob("*") if path.is_file()]

    def flip(self, name, place):
        path = self.folder / name
        content = bytearray(path.read_bytes())
        content[place] ^= 1
        path.chmod(0o644)
        path.write_bytes(content)

    def delete(self, url):
        (self.folder / url[url.index("files/md5") :]).unlink()


class S3Remote:
    """A bucket of a server that the test started."""

    def __init__(self, client, endpoint):
        self.client, self.url, self.options = client, "s3://team/outliers", {"endpointurl": endpoint}

    def objects(self):
        listed = self.client.list_objects_v2(Bucket="team").get("Contents", [])
        return {one["Key"].removeprefix("outliers/"): one["Size"] for one in listed}

    def flip(self, name, place):
        key = f"outliers/{name}"
        content = bytearray(self.client.get_object(Bucket="team", Key=key)["Body"].read())
        content[place] ^= 1
        self.client.put_object(Bucket="team", Key=key, Body=bytes(content))

    def delete(self, url):
        self.client.delete_object(Bucket="team", Key="outliers/" + url[url.index("files/md5") :])


def use(remote, folder):
    """Make a remote the default one of a project; secrets go where git does not see them."""
    call(folder, "dvc", "remote", "add", "--default", "team", remote.url)
    call(folder, "dvc", "remote", "modify", "team", "verify", "true")
    configure(remote, folder)


def configure(remote, folder):
    for name, value in remote.options.items():
        call(folder, "dvc", "remote", "modify", "--local", "team", name, value)


@contextmanager
def open_remote(kind, folder, monkeypatch):
    with {"local": local, "s3": s3, "ssh": ssh}[kind](folder, monkeypatch) as remote:
        yield remote


@contextmanager
def local(folder, _):
    yield FolderRemote(folder / "remote")


@contextmanager
def s3(_, monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="team")
        yield S3Remote(client, f"http://{host}:{port}")
        client.close()
    finally:
        server.stop()


@contextmanager
def ssh(folder, _):
    if SSHD is None:
        pytest.skip("no sshd on this machine; on Debian: apt-get install openssh-server")
    home = folder / "sshd"
    home.mkdir()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
    shutil.copy(home / "user.pub", home / "authorized")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where root's sshd wants to live
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (home / "config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    server = subprocess.Popen([SSHD, "-D", "-f", home / "config"], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        objects = folder / "remote"
        objects.mkdir()
        url = f"ssh://{getpass.getuser()}@127.0.0.1:{port}{objects}"
        yield FolderRemote(objects, url, {"keyfile": str(home / "user")})
    finally:
        server.terminate()
        server.wait()


def wait_for(port):
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError(port)
