"""What a service's runs left behind is there for people after the hub, the replica and the restart."""

from stage import Stage, document, until


def verb(stage: Stage, *arguments: str) -> str:
    """What `pierhead ...` prints."""
    done = stage.run(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_first_crash_can_be_read_after_a_kill_and_a_cure(stage: Stage) -> None:
    """Law: the first crash's log is still readable, whatever took its place since (F06)."""
    stage.up()
    command = ["sh", "-c", 'echo "no such tensor on port $PORT"; exit 3']
    body = document("ill", mark=stage.folder, command=command)
    stage.client.call("CreateService", "POST", "/api/v2/services", body=body)
    stage.failed("ill")
    first = verb(stage, "logs", "ill", "--attempt", "first")
    assert " run 1, " in first
    assert ": Crashed (exit code 3)\nno such tensor on port " in first

    stage.one("hub").kill()
    stage.ready()
    assert verb(stage, "logs", "ill", "--attempt", "first") == first

    replaced = first.split()[1]
    why = verb(stage, "why", "ill")
    assert f"  {replaced} run 1, " in why
    assert "`pierhead logs ill --attempt first`" in why

    stage.update("ill", document("ill", mark=stage.folder))
    stage.running("ill")
    until(lambda: not any(replaced in name for name in stage.folders()), "it is not removed")
    assert first in verb(stage, "logs", "ill", "--attempt", "first")
    assert "no such tensor" not in verb(
        stage, "logs", "ill", "--attempt", "1", "--keyword", "tensors"
    )
    stage.delete("ill")
    stage.gone("ill")
    assert list((stage.folder / "replicas").iterdir()) == []
