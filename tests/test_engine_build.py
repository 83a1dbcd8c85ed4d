"""Finding llama.cpp, and building it once: with real pip, cmake and a compiler, from a made-up source distribution."""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import threading
import time
from pathlib import Path

import pytest

from deploy import engine, engine_build
from deploy.adapter import Refusal
from deploy.engine import Sdist, find_converters, find_quantize, find_server, main

FILES = {
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n',
    "backend.py": (
        "import pathlib\n"
        "def prepare_metadata_for_build_wheel(folder, config_settings=None):\n"
        "    info = pathlib.Path(folder, 'tiny_engine-1.0.dist-info')\n"
        "    info.mkdir()\n"
        "    (info / 'METADATA').write_text('Metadata-Version: 2.1\\nName: tiny-engine\\nVersion: 1.0\\n')\n"
        "    return info.name\n"
    ),
    "PKG-INFO": "Metadata-Version: 2.1\nName: tiny-engine\nVersion: 1.0\n",
    "vendor/llama.cpp/CMakeLists.txt": (
        "cmake_minimum_required(VERSION 3.14)\nproject(tiny C)\n"
        "set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)\n"
        "add_executable(llama-server main.c)\nadd_executable(llama-quantize main.c)\n"
    ),
    "vendor/llama.cpp/main.c": '#include <stdio.h>\nint main(void) { puts("version: 1"); return 0; }\n',
    "vendor/llama.cpp/convert_hf_to_gguf.py": "",
    "vendor/llama.cpp/convert_lora_to_gguf.py": "",
    "vendor/llama.cpp/conversion/__init__.py": "",
    "vendor/llama.cpp/gguf-py/gguf/__init__.py": "",
}
needs_compiler = pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("cc")), reason="no cmake or no C compiler here: apt install cmake gcc"
)


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with an empty cache, and no engine but that of PATH."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("LLAMA_SERVER", "LLAMA_QUANTIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sdist:
    """A small sdist in the place of llama.cpp's, in a folder instead of PyPI."""
    return publish(tmp_path / "index", FILES, monkeypatch)


def publish(index: Path, files: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Sdist:
    index.mkdir(exist_ok=True)
    archive = index / "tiny_engine-1.0.tar.gz"
    with tarfile.open(archive, "w:gz") as out:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"tiny_engine-1.0/{name}")
            entry.size = len(text.encode())
            out.addfile(entry, io.BytesIO(text.encode()))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    sdist = Sdist("tiny-engine", "1.0", hashlib.sha256(archive.read_bytes()).hexdigest())
    monkeypatch.setattr(engine, "PINNED", sdist)
    return sdist


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_named_server_comes_first_then_that_of_path_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert find_server() is None and find_quantize() is None and find_converters() is None
    cached = program(engine.cache_folder() / "bin" / "llama-server")
    assert find_server() == cached
    of_path = program(tmp_path / "bin" / "llama-server")
    assert find_server() == of_path
    named = program(tmp_path / "mine" / "my-server")
    monkeypatch.setenv("LLAMA_SERVER", str(named))
    assert find_server() == named
    assert find_quantize() is None


def test_a_named_server_that_is_none_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLAMA_SERVER", str(tmp_path / "gone"))
    with pytest.raises(Refusal, match=r"\$LLAMA_SERVER is .*gone, which is no program. Correct it, or unset it."):
        find_server()


def test_all_that_is_missing_is_said_before_anything_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(engine_build, "DISK_BYTES", shutil.disk_usage(tmp_path).total + 1_000_000)
    assert main([]) == 1
    said = capsys.readouterr().err
    for part in ("cmake (pip install cmake", "ninja (pip install ninja", "a C++ compiler", "MB more free disk"):
        assert part in said
    assert said.count("\n") == 1 and not (tmp_path / "cache").exists()


def test_a_dry_run_tells_the_steps_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", "--build"]) == 0
    said = capsys.readouterr().out
    assert "fetch llama-cpp-python 0.3.36 from PyPI and check that its sha256 is 832db0699007" in said
    assert "-DGGML_NATIVE=OFF" in said and str(engine.cache_folder()) in said
    assert not (tmp_path / "cache").exists()


def test_the_command_for_docker_is_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--docker"]) == 0
    script = capsys.readouterr().out
    checked = subprocess.run(["shellcheck", "-"], input=script, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    assert script.startswith("#!/bin/sh\n") and "ghcr.io/ggml-org/llama.cpp:server" in script


@needs_compiler
@pytest.mark.slow
def test_an_engine_is_built_once_and_then_found(pinned: Sdist, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--build"]) == 0, capsys.readouterr().err
    place = engine.cache_folder()
    assert subprocess.run([place / "bin" / "llama-server"], capture_output=True, check=True).stdout == b"version: 1\n"
    assert sorted(path.name for path in (place / "converters").iterdir()) == sorted(engine_build.CONVERTERS)
    assert f"converters: {place / 'converters'}" in capsys.readouterr().out
    # Neither the sources nor half a build stay behind, and the second call fetches nothing.
    assert [path.name for path in place.parent.iterdir() if path.is_dir()] == [place.name]
    before = (place / "bin" / "llama-server").stat().st_mtime_ns
    assert main(["--build"]) == 0
    assert (place / "bin" / "llama-server").stat().st_mtime_ns == before
    assert capsys.readouterr().err == ""


@needs_compiler
@pytest.mark.slow
def test_a_build_that_fails_shows_its_end_and_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(
        tmp_path / "index", {**FILES, "vendor/llama.cpp/main.c": "int main(void) { return missing; }\n"}, monkeypatch
    )
    assert main(["--build"]) == 1
    said = capsys.readouterr().err
    assert "cmake failed; the whole log is" in said and "missing" in said
    place = engine.cache_folder()
    assert not (place / "bin").exists()
    # Somebody mends the sources: nothing is fetched again.
    sources = place.with_name(f".{place.name}.build") / "sources" / "tiny_engine-1.0" / "vendor" / "llama.cpp"
    (sources / "main.c").write_text(FILES["vendor/llama.cpp/main.c"], encoding="utf-8")
    assert main(["--build"]) == 0
    assert "fetching" not in capsys.readouterr().err and (place / "bin" / "llama-quantize").is_file()


@pytest.mark.slow
def test_another_file_under_the_same_name_is_not_built(
    tmp_path: Path, pinned: Sdist, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path / "index", {**FILES, "vendor/llama.cpp/main.c": "// evil\n"}, monkeypatch)
    monkeypatch.setattr(engine, "PINNED", pinned)
    monkeypatch.setenv("LLAMA_SERVER", str(program(tmp_path / "server")))
    monkeypatch.setenv("LLAMA_QUANTIZE", str(program(tmp_path / "quantize")))
    assert main([]) == 1
    assert "pip cannot fetch tiny-engine 1.0: ERROR: " in capsys.readouterr().err
    assert find_converters() is None


@pytest.mark.slow
def test_with_an_engine_in_path_only_the_converters_come(
    tmp_path: Path, pinned: Sdist, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in engine_build.PROGRAMS:
        program(tmp_path / "bin" / name)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    assert main([]) == 0
    assert f"llama-server: {tmp_path / 'bin' / 'llama-server'}" in capsys.readouterr().out
    assert find_converters() is not None and not (engine.cache_folder() / "bin").exists()


def test_a_second_process_waits_and_then_has_nothing_to_do(
    pinned: Sdist, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place = engine.cache_folder()
    monkeypatch.setattr(engine_build, "what_is_missing", lambda folder, wanted: [])
    place.parent.mkdir(parents=True)
    with place.with_name(f".{place.name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = threading.Thread(target=main, args=(["--build"],))
        second.start()
        time.sleep(0.2)
        assert second.is_alive()
        for name in engine_build.PROGRAMS:
            program(place / "bin" / name)
        for name in engine_build.CONVERTERS:
            program(place / "converters" / name)
    second.join(timeout=10)
    assert not second.is_alive()
    said = capsys.readouterr()
    assert said.err == "engine: another process builds the engine; waiting for it\n"
    assert f"llama-quantize: {find_quantize()}" in said.out
