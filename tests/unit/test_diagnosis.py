"""From evidence to one word: each known end has its own, and unknown ones claim nothing."""

import pytest

from pierhead.core.diagnosis import Cause, crash, never_ready
from pierhead.core.replicas import Exit

ENDS = [
    (Exit(0, signal=9, oom=True), (), "OutOfMemory"),
    (Exit(0, code=1), ("OSError: [Errno 98] Address already in use",), "PortTaken"),
    (
        Exit(0, code=127),
        ("[pierhead] cannot run nope: No such file or directory",),
        "CommandNotFound",
    ),
    (Exit(0, code=126), ("[pierhead] cannot run ./x: Exec format error",), "CommandNotExecutable"),
    (
        Exit(0, code=126),
        ("[pierhead] cannot run python3: Argument list too long",),
        "CommandTooLong",
    ),
    (Exit(0, code=126), ("rm: Argument list too long",), "CommandNotExecutable"),
    (Exit(0, code=125), ("[pierhead] cannot run /nowhere: No such file",), "NotStarted"),
    (
        Exit(0, code=127),
        ("x: error while loading shared libraries: libcuda.so.1",),
        "LibraryMissing",
    ),
    (Exit(0, signal=4), (), "IllegalInstruction"),
    (Exit(0, code=132), (), "IllegalInstruction"),
    (Exit(0, signal=6), ("GGML_ASSERT(x) failed",), "Aborted"),
    (Exit(0, signal=11), (), "SegmentationFault"),
    (Exit(0, signal=9), (), "Killed"),
    (Exit(0, code=137), (), "Killed"),
    (Exit(0, signal=15), (), "Terminated"),
    (Exit(0, lost=True), (), "Lost"),
    (Exit(0, code=0), ("bye",), "Exited"),
    (Exit(0, code=3), ("what now",), "Crashed"),
    (Exit(0, code=1), ("gguf_init_from_file: invalid magic characters",), "ModelFileBroken"),
    (Exit(0, code=1), ("unknown model architecture: 'chatglm'",), "ArchitectureUnsupported"),
    (Exit(0, code=1), ("llama_init: failed to create context with model",), "ContextTooLarge"),
    (Exit(0, code=1), ("RuntimeError: No CUDA-capable device is detected",), "AcceleratorLost"),
    (Exit(0, code=1), ("common_init: failed to load model 'x.gguf'",), "ModelLoadFailed"),
    (Exit(0, code=1), ("MemoryError",), "OutOfMemory"),
    (Exit(0, code=1), ("ModuleNotFoundError: No module named 'torch'",), "ModuleMissing"),
    (Exit(0, code=1), ("PermissionError: [Errno 13] Permission denied: '/x'",), "PermissionDenied"),
]


@pytest.mark.parametrize(("end", "lines", "reason"), ENDS)
def test_each_end_has_its_word(end: Exit, lines: tuple[str, ...], reason: str) -> None:
    cause = crash(end, lines)
    assert cause.reason == reason
    assert cause.message.endswith((".", ")"))


def test_the_line_that_says_it_is_shown() -> None:
    lines = ("loading", "gguf_init: invalid magic characters: 'hell', expected 'GGUF'", "exiting")
    assert "'hell'" in crash(Exit(0, code=1), lines).message


def test_what_a_killed_program_wrote_before_is_not_the_cause() -> None:
    assert (
        crash(Exit(0, signal=9), ("permission denied for the cache, going on",)).reason == "Killed"
    )


def test_an_unknown_end_shows_its_last_words() -> None:
    message = crash(Exit(0, code=42), ("first", "the last words", "")).message
    assert "exit code 42" in message
    assert "the last words" in message


def test_a_silent_end_says_so() -> None:
    assert "it wrote nothing" in crash(Exit(0, code=42), ()).message


def test_of_several_last_lines_three_are_shown() -> None:
    message = crash(Exit(0, code=7), ("one", "two", "", "three", "four")).message
    assert "last lines: two | three | four" in message
    assert "one" not in message


def test_what_the_platform_ended_itself_keeps_its_reason() -> None:
    end = Exit(0, signal=9, reason="NeverListened", message="Nothing listened.")
    assert crash(end, ("MemoryError",)) == Cause("NeverListened", "Nothing listened.")
    assert str(end) == "ended by the platform: NeverListened"


def test_one_that_never_listens_is_told_which_ports_were_looked_at() -> None:
    cause = never_ready(9.0, (21001, 3000, 3001), "refused", listens=False)
    assert cause.reason == "NeverListened"
    for words in ("(21001)", "declared port 3000", "declared port 3001", "$PORT", "9 s"):
        assert words in cause.message
    cause = never_ready(9.0, (21001,), "GET / answered 503", listens=True)
    assert cause.reason == "StartDeadlineExceeded"
    assert "GET / answered 503" in cause.message


def test_the_keepers_own_words_are_not_taken_for_the_programs() -> None:
    line = "[pierhead] cannot run /etc/passwd: Permission denied"
    cause = crash(Exit(0, code=126), (line,))
    assert cause.reason == "CommandNotExecutable"
    assert "Permission denied" in cause.message
