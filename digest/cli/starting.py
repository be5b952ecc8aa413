"""digest init and digest check: from nothing to a configuration that works."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from digest.cli.options import ConfigOption, JsonOption, open_app
from digest.cli.output import FAILED, leave, put, put_rows, say
from digest.errors import ConfigError

_ENVIRONMENT = """\
# Secrets come from the environment only. Copy this file to .env, fill in what you use, and load it before `digest`
# (systemd: EnvironmentFile=; a shell: set -a; . ./.env; set +a). Never commit the copy.

# Signs the links in every mail. When absent, one is made and kept in the database.
# To rotate: the old keys first, the new one last, separated by a space.
#DIGEST_SECRET_KEY=

# The password for [transport] kind = "smtp" with a username.
#DIGEST_SMTP_PASSWORD=

# The key for [transport] kind = "sendgrid".
#DIGEST_SENDGRID_API_KEY=

# The password for [inbox] kind = "imap".
#DIGEST_IMAP_PASSWORD=

# The password for the mailbox of [canary]; for one of [[canary.mailboxes]] its name follows, as in
# DIGEST_CANARY_PASSWORD_GMAIL for name = "gmail".
#DIGEST_CANARY_PASSWORD=

# The key for [summarizer] kind = "llm", where the service wants one.
#DIGEST_LLM_API_KEY=

# Another database than [store] url.
#DIGEST_STORE_URL=
"""


def register(commands: typer.Typer) -> None:
    """Add the commands."""
    commands.command("init")(init)
    commands.command("check")(check)


def init(
    directory: Annotated[Path, typer.Argument(help="Where to put it; made when it is not there.")] = Path(),
) -> None:
    """Write a commented config.toml, templates, sample sources and .env.example."""
    from digest.decisions import shipped

    taken = [name for name in ("config.toml", "templates", "samples") if (directory / name).exists()]
    if taken:
        remedy = "choose another folder, or move it away"
        raise ConfigError(str(directory / taken[0]), "it is there already; nothing was written", remedy=remedy)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        # The operators' pages are the program's own: a copy would hide those of a newer version.
        own = shutil.ignore_patterns("preview.*", "approval*.html", "status.html")
        shutil.copytree(shipped("templates"), directory / "templates", ignore=own)
        shutil.copytree(shipped("samples"), directory / "samples")
        example = directory / ".env.example"
        if not example.exists():
            example.write_text(_ENVIRONMENT, encoding="utf-8")
        shutil.copyfile(shipped("config.toml"), directory / "config.toml")
    except OSError as error:
        raise ConfigError(str(directory), "it cannot be written to", remedy="choose a folder of your own") from error
    place = "" if directory == Path() else f"cd {directory} && "
    put(f"wrote {directory / 'config.toml'}, templates, samples and .env.example")
    say("Next:")
    steps = {
        f"{place}digest preview": "see the edition; nothing is sent",
        "digest subscribers add you@example.com": "who gets it",
        "digest run": "one edition now, into the outbox folder",
    }
    for command, meaning in steps.items():
        say(f"  {command:<{max(map(len, steps)) + 3}}{meaning}")


def check(context: typer.Context, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Try everything that a run needs, and say what is right."""
    from digest.operate.check import check_everything

    with open_app(context, config) as app:
        results = check_everything(app)
        put_rows(
            [{"subject": r.subject, "result": r.result, "message": r.message, "remedy": r.remedy} for r in results],
            as_json=as_json,
            empty="nothing to check",
        )
    if any(result.result == "failure" for result in results):
        leave(FAILED)
