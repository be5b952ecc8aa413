"""A request whose answer was lost, and `digest editions settle --ask-provider`: what the service's own records say."""

import json
import re
from datetime import UTC, datetime

from tests.acceptance.conftest import Desk
from tests.doubles.sendgrid_api import SendGridDouble


def test_the_provider_says_what_became_of_a_request_whose_answer_was_lost(sample_desk: Desk) -> None:
    config = sample_desk.folder / "config.toml"
    assert sample_desk.digest("subscribers", "add", "late@rehearsal.test").code == 0
    with SendGridDouble(answer=lambda _: "accept-and-drop") as api:
        key = {"DIGEST_SENDGRID_API_KEY": api.api_key}
        table = f'kind = "sendgrid"\nhost = "{api.url}"\n'
        config.write_text(re.sub(r'(?m)^kind = "outbox".*\n^path = .*\n', table, config.read_text()))
        assert sample_desk.digest("run", **key).code == 3
        assert len(api.delivered) == 2
        api.activity.at = datetime.now(UTC)
        hidden = next(one for one in api.delivered if one.email.startswith("late"))
        api.activity.hidden = {hidden.send_key}

        told = sample_desk.digest("editions", "settle", "--ask-provider", "--json", **key)
        assert told.code == 0, told.err
        said = json.loads(told.out)
        assert (said["unknown"], said["accepted"], said["left"]) == (2, 1, 1)
        missing = sample_desk.digest("editions", "show", "--missing", "--json", **key)
        assert [json.loads(line)["email"] for line in missing.out.splitlines()] == ["late@rehearsal.test"]

        both = sample_desk.digest("editions", "settle", "--ask-provider", "--failed", "--all", **key)
        assert both.code == 2
        assert "decide on those who are left" in both.err

        api.activity.is_paid = False
        refused = sample_desk.digest("editions", "settle", "--ask-provider", **key)
        assert refused.code == 1
        assert "bought at SendGrid" in refused.err
        assert len(api.requests) == 1, "nothing is sent again"
