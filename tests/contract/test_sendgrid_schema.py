"""Our requests against the service's own OpenAPI document."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from digest.transports.sendgrid import SendGridTransport
from tests.contract.test_transports import make_batch
from tests.doubles.sendgrid_api import judge


@pytest.fixture(scope="module")
def validator(shared: Path) -> Draft202012Validator:
    """A validator of the body of POST /v3/mail/send."""
    document = yaml.safe_load((shared / "data" / "sendgrid" / "oai" / "tsg_mail_v3.yaml").read_text(encoding="utf-8"))
    components = document["components"]
    name = document["paths"]["/v3/mail/send"]["post"]["requestBody"]["$ref"].rpartition("/")[2]
    schema: dict[str, Any] = components["requestBodies"][name]["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": components})


@pytest.mark.parametrize("sandbox", [False, True])
def test_a_request_is_what_the_api_describes(validator: Draft202012Validator, sandbox: bool) -> None:
    transport = SendGridTransport(api_key="SG.key", sandbox=sandbox)
    (body,) = transport.render(make_batch(4))
    transport.close()
    assert [error.message for error in validator.iter_errors(json.loads(body))] == []
    assert judge(body) is None


def test_a_message_of_no_list_has_no_way_out_and_is_what_the_api_describes(validator: Draft202012Validator) -> None:
    batch = make_batch(1)
    transport = SendGridTransport(api_key="SG.key")
    (raw,) = transport.render(replace(batch, letterhead=replace(batch.letterhead, is_bulk=False)))
    transport.close()
    body = json.loads(raw)
    assert [error.message for error in validator.iter_errors(body)] == []
    assert judge(raw) is None
    assert set(body["headers"]) == {"Auto-Submitted", "Date"}
    [one] = body["personalizations"]
    assert set(one["headers"]) == {"Message-ID"} and "substitutions" not in one


def test_only_mail_that_one_person_asked_for_goes_past_the_services_own_lists(
    validator: Draft202012Validator,
) -> None:
    batch = make_batch(1)
    for is_bulk, sandbox, wanted in (
        (True, False, None),
        (True, True, {"sandbox_mode"}),
        (False, False, {"bypass_list_management"}),
        (False, True, {"sandbox_mode", "bypass_list_management"}),
    ):
        transport = SendGridTransport(api_key="SG.key", sandbox=sandbox)
        (raw,) = transport.render(replace(batch, letterhead=replace(batch.letterhead, is_bulk=is_bulk)))
        transport.close()
        settings = json.loads(raw).get("mail_settings")
        assert (settings and set(settings)) == wanted
        assert [error.message for error in validator.iter_errors(json.loads(raw))] == []


def test_the_double_refuses_what_the_documentation_forbids() -> None:
    assert judge(b"{}")
    assert judge(b"not json")
    assert judge(b'{"personalizations": [{"to": []}]}')
