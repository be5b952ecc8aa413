"""What `digest serve` and `digest worker` say, hour after hour: lines for people, or one JSON object a line.

    {"at": …, "level": "warning", "event": …, "newsletter": "brief", "run": "3f9a61c2", "edition": "2026-11-27"}

No address stands in it in full, and no secret, whoever said it: also what libraries log goes through here.
"""

import logging
import re
import sys
from collections.abc import Callable, Collection, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, Final

from digest.about import read_about
from digest.cli.output import to_json, write_stage

if TYPE_CHECKING:
    from digest.config import Config
    from digest.models import Report, StageReport

# As mail programs take them, and as they stand in links: reader%40example.org. One begins where a word does: no part of
# a word is read again and again, however long it is.
_ATOM: Final = r"[\w.!#$%&'*+/=?^`{|}~-]"
_QUOTED: Final = r'\\?"(?:[^"\\\r\n]|\\.){1,128}?\\?"'
_ADDRESS: Final = re.compile(
    rf"(?:(?<!{_ATOM})(?<!@)(?!\*\*\*@)(@*{_ATOM})(?:{_ATOM}|@)*|{_QUOTED})"
    r"(@|%(?:25)*40)(\[[\w.:-]+\]|[\w-]+(?:\.[\w-]+)*)"
)
_PASSWORD: Final = re.compile(r"(://[^/\s:@]+:)[^/\s@]+@")
_TOKEN: Final = re.compile(r"\bdigest_[A-Za-z0-9_-]{20,}")
_SHORTEST_SECRET: Final = 6  # characters; a shorter one would be found in ordinary words
_OURS: Final = "digest: "  # before what went wrong
_BETWEEN: Final = re.compile(rf"\n(?={_OURS})")


def mask(text: str, secrets: Collection[str] = ()) -> str:
    """A text without secrets, and without what names a reader. Pure."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _PASSWORD.sub(r"\1***@", text)
    text = _TOKEN.sub("digest_***", text)
    return _ADDRESS.sub(r"\1…\2\3", text)


def list_secrets(config: "Config") -> list[str]:
    """All that came from the environment, and is to stand nowhere."""
    parts = [part for secret in config.secrets.list_values() for part in secret.split()]
    hooks = [url for url in (config.alerts.webhook, config.alerts.heartbeat) if url]
    return sorted({part for part in [*parts, *hooks] if len(part) >= _SHORTEST_SECRET}, key=len, reverse=True)


class Log:
    """Writes to stderr what is said in the course of a process."""

    def __init__(self, config: "Config") -> None:
        """Takes over what libraries log, too."""
        import structlog

        self._secrets = list_secrets(config)
        shared: list[Any] = [
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            _add_about,
            structlog.processors.format_exc_info,
            _make_masking(self._secrets),
        ]
        is_json = config.log.format == "json"
        renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False) if is_json else _write_plainly
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            )
        )
        root = logging.getLogger()
        root.handlers[:] = [handler]
        root.setLevel(logging.WARNING)
        ours = logging.getLogger("digest.log")
        ours.setLevel(logging.INFO)
        self._log = structlog.wrap_logger(
            ours,
            processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
            wrapper_class=structlog.stdlib.BoundLogger,
        )
        self._is_json = is_json
        self._newsletter = config.newsletter.slug

    def learn(self, config: "Config") -> None:
        """The secrets of another configuration, beside those that are known."""
        self._secrets[:] = sorted({*self._secrets, *list_secrets(config)}, key=len, reverse=True)

    def say(self, line: str) -> None:
        """A line, or several faults at once, a line each; what begins as our faults do is a warning."""
        for one in _BETWEEN.split(line):
            write: Callable[..., Any] = self._log.warning if one.startswith(_OURS) else self._log.info
            write(one.removeprefix(_OURS) if self._is_json else one, newsletter=self._newsletter)

    def note_stage(self, stage: "StageReport") -> None:
        """What a stage of a run did."""
        if self._is_json:
            told = {"stage": stage.stage, "seconds": stage.seconds, "counts": to_json(stage.counts)}
            self._log.info("stage", **told, notes=list(stage.notes), newsletter=self._newsletter)
        else:
            self._log.info(write_stage(stage))

    def note_report(self, report: "Report") -> None:
        """What a run came to; and, for programs, which sources failed in it."""
        if not self._is_json:
            self._log.info(f"{report.reference}: {report.message}")
            return
        which = {"newsletter": report.newsletter, "edition": report.reference}
        for source in report.sources:
            if not source.ok:
                self._log.warning("source failed", source=source.id, error=source.error, **which)
        write: Callable[..., Any] = self._log.info if report.status == "done" else self._log.warning
        deliveries = to_json(report.deliveries)
        write(report.message, status=report.status, state=to_json(report.state), deliveries=deliveries, **which)


def _add_about(_: Any, __: str, told: MutableMapping[str, Any]) -> Mapping[str, Any]:
    for name, value in read_about().items():
        told.setdefault(name, value)
    return told


def _make_masking(secrets: Collection[str]) -> Callable[[Any, str, MutableMapping[str, Any]], Mapping[str, Any]]:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return mask(value, secrets)
        if isinstance(value, list):
            return [clean(one) for one in value]
        if isinstance(value, dict):
            return {name: clean(one) for name, one in value.items()}
        return value

    def mask_all(_: Any, __: str, told: MutableMapping[str, Any]) -> Mapping[str, Any]:
        return {name: value if name.startswith("_") else clean(value) for name, value in told.items()}

    return mask_all


def _write_plainly(_: Any, __: str, told: MutableMapping[str, Any]) -> str:
    """As people read it; a library's words as they were."""
    fault = told.get("exception")
    return f"{told['event']}\n{fault}" if fault else str(told["event"])
