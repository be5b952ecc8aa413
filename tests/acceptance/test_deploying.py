"""The recipes of deploy/ fit the program that there is; seeing that needs no container engine and no init system."""

import configparser
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.main
import yaml

from digest.cli import commands
from digest.config.schema import Secrets, Web

UNITS = ["digest-serve.service", "digest-worker@.service", "digest-run.service", "digest-run.timer"]
SERVICES = [name for name in UNITS if name.endswith(".service")]


@pytest.fixture(scope="module")
def deploy(repository: Path) -> Path:
    return repository / "deploy"


@pytest.fixture(scope="module")
def compose(deploy: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((deploy / "compose.yaml").read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def stages(deploy: Path) -> list[list[tuple[str, str]]]:
    """The Containerfile's instructions with their arguments, stage by stage."""
    text = re.sub(r"^#.*\n", "", (deploy / "Containerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.split(None, 1) for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]
    found: list[list[tuple[str, str]]] = []
    for name, arguments in lines:
        if name == "FROM":
            found.append([])
        if found:
            found[-1].append((name, arguments))
    return found


def _unit(path: Path) -> Mapping[str, list[tuple[str, str]]]:
    """Its sections; a key may stand more than once."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            sections[match[1]] = []
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections[list(sections)[-1]].append((key, value))
    return sections


def _assert_known(words: list[str]) -> None:
    """That these words after `digest` are a command, its subcommand and options it has."""
    command: Any = typer.main.get_command(commands)
    options: set[str] = set()
    rest = list(words)
    while rest and not rest[0].startswith("-"):
        subcommands = getattr(command, "commands", None)
        if subcommands is None:
            break
        assert rest[0] in subcommands, f"digest {' '.join(words)}"
        command = subcommands[rest.pop(0)]
    options.update(option for parameter in command.params for option in parameter.opts)
    for word in rest:
        if word.startswith("-"):
            assert word in options, f"digest {' '.join(words)}: {word}"


def _variables(deploy: Path) -> Iterator[tuple[str, str]]:
    """Every variable of ours that a recipe names, and where."""
    for path in deploy.rglob("*"):
        if path.is_file() and not path.name.startswith("requirements"):
            for name in re.findall(r"\bDIGEST_[A-Z_]+\b", path.read_text(encoding="utf-8")):
                yield name, path.name


def test_every_variable_is_one_that_the_program_reads(deploy: Path) -> None:
    known = {"DIGEST_CONFIG", "DIGEST_STORE_URL"} | {f"DIGEST_{name.upper()}" for name in Secrets.model_fields}
    found = list(_variables(deploy))
    assert {"DIGEST_CONFIG", "DIGEST_STORE_URL", "DIGEST_SECRET_KEY"} <= {name for name, _ in found}
    for name, where in found:
        assert name in known or name.startswith("DIGEST_CANARY_PASSWORD"), f"{where}: {name}"


@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_the_unit(deploy: Path, tmp_path: Path, name: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze")
    for unit in UNITS:
        text = (deploy / "systemd" / unit).read_text(encoding="utf-8")
        (tmp_path / unit).write_text(text.replace("/opt/digest/bin/digest", sys.executable), encoding="utf-8")
    shown = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / name)], capture_output=True, text=True, timeout=60
    )
    # What else is wrong on this machine is said, too.
    about_us = [line for line in (shown.stdout + shown.stderr).splitlines() if "digest-" in line]
    assert not about_us and shown.returncode == 0, shown.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_a_unit_runs_a_command_that_there_is_as_nobody_of_consequence(deploy: Path, name: str) -> None:
    service = _unit(deploy / "systemd" / name)["Service"]
    settings = dict(service)
    program, *words = settings["ExecStart"].split()
    assert program == "/opt/digest/bin/digest"
    _assert_known(words)
    expected = {
        "User": "digest",
        "StateDirectory": "digest",
        "ProtectSystem": "strict",
        "NoNewPrivileges": "yes",
        "CapabilityBoundingSet": "",
        "Restart": "on-failure",
        "KillMode": "mixed",
    }
    assert {key: settings.get(key) for key in expected} == expected
    assert "2" in settings["RestartPreventExitStatus"].split(), "a faulty configuration is tried again and again"
    # Whether another sender lives is read in /proc.
    assert not {"ProtectProc", "ProcSubset", "PrivatePIDs"} & set(settings)
    # Its secrets stand in no unit, which everybody may read.
    assert settings["EnvironmentFile"].startswith("-/etc/")
    assert [value for key, value in service if key == "Environment"] == ["DIGEST_CONFIG=/var/lib/digest/config.toml"]


@pytest.mark.parametrize("unit", ["digest-serve", "digest-worker@"])
def test_a_service_reads_its_configuration_again_on_reload(deploy: Path, unit: str) -> None:
    settings = dict(_unit(deploy / "systemd" / f"{unit}.service")["Service"])
    assert settings["ExecReload"].endswith("-HUP $MAINPID")
    assert settings["RestartForceExitStatus"] == "SIGHUP"


def test_the_timer_starts_the_daily_job(deploy: Path) -> None:
    timer = configparser.ConfigParser(interpolation=None)
    timer.read(deploy / "systemd" / "digest-run.timer")
    assert timer["Timer"]["Persistent"] == "true"
    assert (deploy / "systemd" / "digest-run.service").is_file()


def test_compose_runs_commands_that_there_are(compose: dict[str, Any]) -> None:
    ours = {name: service for name, service in compose["services"].items() if service["image"] == "digest"}
    assert set(ours) == {"upgrade", "serve", "worker"}
    for service in ours.values():
        _assert_known(service["command"])
        assert service["read_only"] and service["cap_drop"] == ["ALL"]
        assert service["depends_on"]["database"] == {"condition": "service_healthy"}
    assert ours["worker"]["deploy"]["replicas"] == 3
    assert ours["upgrade"]["restart"] == "no"
    for name in ("serve", "worker"):
        assert ours[name]["depends_on"]["upgrade"] == {"condition": "service_completed_successfully"}
        assert ours[name]["stop_grace_period"]


def test_the_journal_is_kept_in_a_volume_that_its_writers_own(
    compose: dict[str, Any], stages: list[list[tuple[str, str]]], repository: Path
) -> None:
    page = (repository / "docs/deploying.md").read_text(encoding="utf-8")
    journal = Path(re.search(r'^journal = "(.*)"$', page, re.MULTILINE)[1])  # type: ignore[index]
    for name in ("upgrade", "serve", "worker"):
        assert f"kept:{journal.parent}" in compose["services"][name]["volumes"], name
    final = stages[-1]
    user = dict(final)["USER"].partition(":")[0]
    made = " ".join(arguments for name, arguments in final if name == "RUN")
    assert f"install --directory --owner={user} --group={user} --mode=0750 {journal.parent}" in made
    assert "/etc/digest:ro" in str(compose["services"]["serve"]["volumes"])


def test_compose_names_only_what_is_there(compose: dict[str, Any], deploy: Path) -> None:
    for name, service in compose["services"].items():
        for other in service.get("depends_on", {}):
            assert other in compose["services"], f"{name} waits for {other}"
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert source.startswith("./") or source in compose["volumes"], f"{name}: {volume}"
        assert (deploy / f"{service['env_file']}.example").is_file()
        if build := service.get("build"):
            assert (deploy / build["context"] / build["dockerfile"]).is_file()
    # The address of the database names the service, its user and its database.
    example = (deploy / "digest.env.example").read_text(encoding="utf-8")
    url = urlsplit(re.search(r"^DIGEST_STORE_URL=(\S+)$", example, re.MULTILINE)[1])  # type: ignore[index]
    database = compose["services"]["database"]["environment"]
    assert (url.hostname, url.username, url.path) == (
        "database",
        database["POSTGRES_USER"],
        f"/{database['POSTGRES_DB']}",
    )


def test_the_ports_are_those_that_are_listened_on(compose: dict[str, Any], stages: list[list[tuple[str, str]]]) -> None:
    serve = compose["services"]["serve"]
    port = str(Web().port)
    assert serve["command"][serve["command"].index("--port") + 1] == port
    assert serve["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f":{port}/healthz" in serve["healthcheck"]["test"][-1]
    worker = compose["services"]["worker"]
    health = worker["command"][worker["command"].index("--health") + 1]
    assert f":{health}/livez" in worker["healthcheck"]["test"][-1]
    final = stages[-1]
    assert ("EXPOSE", port) in final
    assert f":{port}/healthz" in dict(final)["HEALTHCHECK"]


def test_the_image_is_built_of_files_that_are_there(
    deploy: Path, repository: Path, stages: list[list[tuple[str, str]]]
) -> None:
    ignored = (deploy / "Containerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    names = {arguments.split(" AS ")[1] for (_, arguments), *_ in stages if " AS " in arguments}
    for name, arguments in [line for stage in stages for line in stage]:
        if name != "COPY":
            continue
        *sources, _ = arguments.split()
        if sources[0].startswith("--from="):
            assert sources[0].removeprefix("--from=") in names
            continue
        for source in sources:
            assert (repository / source).exists(), source
            assert source in let_in, f"{source} is kept out by Containerfile.dockerignore"
    assert let_in == {
        source for stage in stages for name, text in stage if name == "COPY" and "--from" not in text
        for source in text.split()[:-1]
    }  # fmt: skip


def test_the_image_needs_what_the_wheel_takes_in(repository: Path, stages: list[list[tuple[str, str]]]) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    built = " ".join(arguments for name, arguments in stages[0] if name == "COPY").split()
    for source in project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]:
        assert source in built


def test_what_runs_is_no_root_and_has_no_tools_that_build(stages: list[list[tuple[str, str]]]) -> None:
    assert len(stages) == 2
    final = stages[-1]
    assert [arguments for name, arguments in final if name == "USER"] == ["10001:10001"]
    settings = dict(final)
    assert settings["ENTRYPOINT"] == '["/usr/bin/tini", "--", "digest"]'
    _assert_known(yaml.safe_load(settings["CMD"]))
    steps = " ".join(arguments for name, arguments in final if name == "RUN")
    assert "tini" in steps and not re.search(r"\bpip\b|gcc|build-essential|-dev\b", steps)
    assert all("--require-hashes" in step for step in re.findall(r"pip (?:install|wheel)[^&]*--requirement.*", steps))


def _pins(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)", path.read_text(encoding="utf-8"), re.MULTILINE))


def test_the_image_has_the_versions_that_the_tests_run_with(deploy: Path, repository: Path) -> None:
    tested = _pins(repository / "requirements-dev.txt")
    for name in ("requirements.txt", "requirements-build.txt"):
        pins = _pins(deploy / name)
        assert {package: tested[package] for package in pins if package in tested} == {
            package: version for package, version in pins.items() if package in tested
        }
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["postgresql"]]
    names = {re.split(r"[<>=\[;~! ]", line)[0].replace(".", "-") for line in wanted}
    assert names <= set(_pins(deploy / "requirements.txt"))


def test_the_source_distribution_brings_the_recipes(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))
    assert "/deploy" in project["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
