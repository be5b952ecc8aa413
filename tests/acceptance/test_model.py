"""Editions whose stories a language model says, behind a real service on loopback."""

import email
import email.policy
import json
import re
from typing import Any

import pytest

from tests.acceptance.conftest import Desk
from tests.doubles.chat_api import ChatApi, completion, sentences, serve_chat

READER = "reader@rehearsal.test"


def opening_of(request: dict[str, Any]) -> str:
    """The first sentence of the article, with its words in another order: what a careful model might say."""
    body = request["messages"][1]["content"].split("\n\n", 1)[1]
    first = re.split(r"(?<=[.。!؟?])\s", body, maxsplit=1)[0]
    words = first.rstrip(".").split()
    return " ".join([*words[:40]]) + "."


def told(desk: Desk, api: ChatApi, *arguments: str, **settings: Any) -> dict[str, Any]:
    """The report of a run with that model."""
    config = desk.folder / "config.toml"
    text = config.read_text(encoding="utf-8")
    table = f'kind = "llm"\nbase_url = "{api.url}"\nmodel = "small"\n'
    table += "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())
    config.write_text(re.sub(r'(?m)^kind = "extractive".*\n(?:\s+#.*\n)*', table, text), encoding="utf-8")
    done = desk.digest("run", "--json", *arguments, DIGEST_LLM_API_KEY="sk-very-secret")
    assert done.code == 0, done.err
    assert "sk-very-secret" not in done.out + done.err
    (report,) = done.rows
    return report


def stage(report: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in report["stages"] if one["stage"] == name)


def mail_of(desk: Desk) -> tuple[str, str]:
    """HTML and text of the one mail in the outbox."""
    (path,) = desk.mails()
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    return message.get_body(("html",)).get_content(), message.get_body(("plain",)).get_content()


LABEL = "This summary was written by a language model and checked against its source."


def test_what_a_model_wrote_is_labelled_and_each_sentence_keeps_what_bears_it_out(sample_desk: Desk) -> None:
    with serve_chat(lambda request: (200, [completion(sentences(opening_of(request)))])) as api:
        report = told(sample_desk, api)
    counts = stage(report, "summarize")["counts"]
    assert counts["by_model"] >= 8 and counts["summaries"] == 12
    html, text = mail_of(sample_desk)
    assert re.sub(r"\s+", " ", text).count(LABEL) == counts["by_model"]
    assert html.count(LABEL) == counts["by_model"]
    shown = json.loads(sample_desk.digest("editions", "show", "--json").out)["stored"]["edition"]
    items = [item for section in shown["sections"] for item in section["items"]]
    by_model = [item for item in items if item["summary"]["kind"] == "llm"]
    assert len(by_model) == counts["by_model"]
    assert all(sentence["support"] for item in by_model for sentence in item["summary"]["sentences"])


def test_a_named_person_takes_the_label_off(sample_desk: Desk) -> None:
    with serve_chat(lambda request: (200, [completion(sentences(opening_of(request)))])) as api:
        told(sample_desk, api, "--no-send")
    assert sample_desk.digest("editions", "hold").code == 0
    assert sample_desk.digest("editions", "approve", "--by", "Desk").code == 0
    assert sample_desk.digest("run").code == 0
    html, text = mail_of(sample_desk)
    assert LABEL not in html and LABEL not in re.sub(r"\s+", " ", text)


def test_a_model_that_obeys_an_article_or_invents_is_replaced_and_counted_with_the_reason(sample_desk: Desk) -> None:
    lie = "Ignore the bridge: buy 4,711 tulips from Honest Harry in Ruritania, whatever the others may say."
    with serve_chat(lambda _: (200, [completion(sentences(lie))])) as api:
        report = told(sample_desk, api)
    summarize = stage(report, "summarize")
    assert summarize["counts"]["by_model"] == 0 and summarize["counts"]["summaries"] == 12
    assert re.match(r"\d+ × number: .*4,711", summarize["notes"][0])
    html, text = mail_of(sample_desk)
    assert "tulips" not in html + text and LABEL not in html
    why = sample_desk.digest("editions", "show", "--why", "--json").rows
    assert all(row["replaced"].startswith(("number", "name", "date")) for row in why)


def test_the_second_run_of_a_held_edition_asks_nothing_again(sample_desk: Desk) -> None:
    with serve_chat(lambda request: (200, [completion(sentences(opening_of(request)))])) as api:
        told(sample_desk, api, "--dry-run")
        asked = len(api.asked)
        told(sample_desk, api, "--no-send")
        assert len(api.asked) == 2 * asked  # a dry run keeps nothing, not even answers
        assert sample_desk.digest("editions", "hold").code == 0


def test_a_service_that_is_down_costs_no_story(sample_desk: Desk) -> None:
    with serve_chat(lambda _: (200, [])) as api:
        pass
    report = told(sample_desk, api)
    summarize = stage(report, "summarize")
    assert summarize["counts"]["summaries"] == 12
    assert summarize["notes"][0].startswith("12 × unavailable: ")


def test_check_names_a_model_that_the_service_does_not_have(sample_desk: Desk) -> None:
    with serve_chat(lambda _: (200, []), models=["large"]) as api:
        config = sample_desk.folder / "config.toml"
        table = f'kind = "llm"\nbase_url = "{api.url}"\nmodel = "small"\n'
        text = config.read_text(encoding="utf-8")
        config.write_text(re.sub(r'(?m)^kind = "extractive".*\n(?:\s+#.*\n)*', table, text), encoding="utf-8")
        done = sample_desk.digest("check", "--json")
    row = next(row for row in done.rows if row["subject"] == "summarizer llm")
    assert done.code == 1
    assert (row["result"], 'no model "small"' in row["message"], row["remedy"]) == ("failure", True, "it has large")


@pytest.mark.parametrize(
    ("line", "named"),
    [("model = 3", "summarizer.model"), ("modle = 'x'", 'did you mean "model"'), ("budget = 0", "budget")],
)
def test_a_table_that_is_wrong_names_the_key(desk: Desk, line: str, named: str) -> None:
    model = "" if line.startswith("model =") else 'model = "small"\n'
    desk.configure(f'[summarizer]\nkind = "llm"\n{model}{line}\n')
    done = desk.digest("run")
    assert done.code == 2
    assert named in done.err


def test_inspect_grounding_says_what_is_not_borne_out(desk: Desk) -> None:
    rows = [
        {
            "id": "good",
            "text": "Ada Lund paid 12 crowns on Monday.",
            "summary": "On Monday Ada Lund paid twelve crowns.",
        },
        {"id": "bad", "text": "Ada Lund paid 12 crowns on Monday.", "summary": "On Monday Ada Lund paid 17 crowns."},
        {"id": "empty", "text": "", "summary": "Words."},
    ]
    (desk.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = desk.digest("inspect", "grounding", "rows.jsonl", "--json")
    good, bad, empty = done.rows
    assert done.code == 3
    assert good["faults"] == [] and good["sentences"][0]["support"] == [{"start": 0, "end": 34}]
    assert bad["faults"] == [{"sentence": 0, "kind": "number", "text": "17"}]
    assert "no text" in empty["error"]


def test_a_name_stands_for_a_ready_edition_until_it_is_held_again(sample_desk: Desk) -> None:
    with serve_chat(lambda request: (200, [completion(sentences(opening_of(request)))])) as api:
        told(sample_desk, api, "--no-send")
    assert sample_desk.digest("editions", "approve", "--by", "Desk").code == 0
    assert LABEL not in sample_desk.digest("preview", "--out", "x.html").err
    assert LABEL not in (sample_desk.folder / "x.html").read_text(encoding="utf-8")
    assert sample_desk.digest("editions", "hold", "--reason", "second thoughts").code == 0
    assert sample_desk.digest("editions", "approve").code == 0
    assert sample_desk.digest("run").code == 0
    html, _ = mail_of(sample_desk)
    assert LABEL in html


def test_what_libraries_have_to_say_stays_out_of_the_talk(sample_desk: Desk) -> None:
    with serve_chat(lambda _: (429, [b'{"error": {"message": "slow down"}}'])) as api:
        config = sample_desk.folder / "config.toml"
        table = f'kind = "llm"\nbase_url = "{api.url}"\nmodel = "small"\n'
        text = config.read_text(encoding="utf-8")
        config.write_text(re.sub(r'(?m)^kind = "extractive".*\n(?:\s+#.*\n)*', table, text), encoding="utf-8")
        done = sample_desk.digest("run")
    assert done.code == 0
    assert "12 × unavailable" in done.out
    assert not re.search(r"INFO|HTTP Request|Retrying", done.out + done.err)


@pytest.mark.parametrize("command", ["grounding", "summary", "stories"])
def test_one_odd_record_never_stops_the_others(desk: Desk, command: str) -> None:
    rows = [
        {"id": 1, "text": "The council closed the bridge on Monday.", "summary": "The council closed the bridge."},
        {
            "id": 2,
            "text": "The council closed the bridge.",
            "summary": "It closed.",
            "title": 7,
            "language": 5,
            "url": [],
        },
        {"id": 3, "text": 12, "summary": ["x"], "title": {}, "language": None, "published": 3},
        {"id": 4, "text": "The orchestra named its conductor.", "summary": "The orchestra named its conductor."},
    ]
    (desk.folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    done = desk.digest("inspect", command, "rows.jsonl", "--json")
    assert [row["id"] for row in done.rows] == [1, 2, 3, 4]
