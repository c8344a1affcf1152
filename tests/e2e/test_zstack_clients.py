"""Every request that real ZStack clients were seen to send, against a whole platform in every mode."""

import hashlib
from pathlib import Path

import pytest
from running_platform import running
from zstack_client import ZStack

from zstack_replay import CAPTURES, Replay


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_every_captured_request_is_answered_as_its_client_accepts(
    mode: str, tmp_path: Path
) -> None:
    with running(tmp_path, PIERHEAD_ZSTACK_ASYNC=mode) as platform:
        client = ZStack(platform).log_in()

        def without_groups(replay: Replay) -> None:
            client.delete_group(replay.group)

        replay = Replay(
            port=int(platform.address.rpartition(":")[2]),
            mode=mode,
            password=hashlib.sha512(
                platform.credentials["zstack"]["password"].encode()
            ).hexdigest(),
            key_id=platform.credentials["access_key_id"],
            key_secret=platform.credentials["access_key_secret"],
            center=client.center,
            zone=client.zone,
            before={"java-always-delete-1": without_groups},
        )
        replay.run(CAPTURES["captures"])
        fitting = [capture["id"] for capture in CAPTURES["captures"] if replay.fits(capture)]
        assert replay.played == fitting
        client.http.close()
