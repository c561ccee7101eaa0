"""What an operator does with the keyboard alone, on a real engine inside the console."""

import asyncio
from pathlib import Path

import pytest
from textual import events

from tests.conftest import EngineStarter, SporeStarter
from tests.console.screen import app_of, console, engine_of, settled, shown, submitted, until
from venom_tui.screens import dialog
from venom_tui.screens.confirm import Confirm
from venom_tui.screens.stop import EmergencyStop


async def test_an_empty_console_says_what_to_do(state_dir: Path) -> None:
    """A newcomer is told the first key to press."""
    async with console(state_dir) as pilot:
        await until(pilot, "No task yet. Press n")
        assert "RUNNING" in shown(app_of(pilot))


async def test_a_typed_command_runs_and_its_lines_and_its_end_are_seen(state_dir: Path) -> None:
    """`n`, a command, enter: the task is selected, its output comes live, then how it ended."""
    async with console(state_dir) as pilot:
        await pilot.press("n", *"!echo first; echo second >&2", "enter")

        await until(pilot, " ! second")
        await until(pilot, "D done")
        await until(pilot, "Completed on local")
        assert "   first" in shown(app_of(pilot))
        assert app_of(pilot).main.tasks.cursor.follows is False


async def test_a_blank_task_is_refused_in_place(state_dir: Path) -> None:
    """The dialog stays, says why, and what was typed is not lost."""
    async with console(state_dir) as pilot:
        await pilot.press("n", "space", "enter")
        await until(pilot, "Content must not be blank")

        await pilot.press("h", "i", "enter")
        await until(pilot, "D done")


async def test_abort_asks_first_and_then_kills(state_dir: Path) -> None:
    """`x` names the task and what will happen; `y` does it."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300 & sleep 300")
        await until(pilot, "R running")

        await pilot.press("x")
        await until(pilot, "every process that it started")
        await settled(pilot)
        await pilot.press("y")

        await until(pilot, "A aborted")


async def test_the_answer_at_first_is_no(state_dir: Path) -> None:
    """enter on a question that was not read does nothing."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300")
        await until(pilot, "R running")
        await pilot.press("x")
        await until(pilot, "Abort task")
        await settled(pilot)

        await pilot.press("enter")

        await until(pilot, lambda: not isinstance(app_of(pilot).screen, Confirm))
        assert (await engine_of(pilot).queue_status()).processing == 1


async def test_type_ahead_never_confirms(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`xy` typed at once leaves the question open; the task goes on."""
    monkeypatch.setattr(dialog, "QUIET_SECONDS", 60.0)  # However slow this machine is: at once.
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300")
        await until(pilot, "R running")

        await pilot.press("x")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, Confirm))
        await pilot.press("y", "tab", "enter")

        question = app_of(pilot).screen
        assert isinstance(question, Confirm) and question.marked is False
        assert (await engine_of(pilot).queue_status()).processing == 1


async def test_pause_and_resume_need_no_question(state_dir: Path) -> None:
    """`p` pauses, says by whom in the status line, and `p` again resumes."""
    async with console(state_dir) as pilot:
        await pilot.press("p")
        await until(pilot, "PAUSED by ")
        await submitted(pilot, "waits")
        await until(pilot, "P pending")

        await pilot.press("p")
        await until(pilot, "D done")
        await until(pilot, "RUNNING")


async def test_purge_says_how_many_and_asks(state_dir: Path) -> None:
    """`P` counts what waits; after yes every waiting task is aborted."""
    async with console(state_dir) as pilot:
        await engine_of(pilot).pause()
        await submitted(pilot, "one", "two", "three")
        await until(pilot, "3 waiting")

        await pilot.press("P")
        await until(pilot, "abort 3 waiting tasks?")
        await settled(pilot)
        await pilot.press("y")

        await until(pilot, "3 aborted")
        await until(pilot, lambda: shown(app_of(pilot)).count("A aborted") == 3)


async def test_purge_of_nothing_says_so(state_dir: Path) -> None:
    """No question where there is nothing to decide."""
    async with console(state_dir) as pilot:
        await pilot.press("P")
        await until(pilot, "Nothing waits in the queue.")


async def test_the_emergency_stop_takes_the_word_and_says_what_it_did(state_dir: Path) -> None:
    """`!`, `stop`, enter: everything is killed and purged, nothing starts, and the counts are shown."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300", "!sleep 300")
        await until(pilot, "2 running")

        await pilot.press("!")
        await until(pilot, "Kills 2 running tasks on all nodes")
        await pilot.press(*"stpo", "enter")
        await settled(pilot)
        await pilot.press("enter")
        await until(pilot, "Type the word `stop`")
        app_of(pilot).screen.query_one("Line").clear()  # type: ignore[attr-defined]
        await pilot.press(*"stop", "enter")

        await until(pilot, "2 tasks killed")
        await until(pilot, "STOPPED by ")
        await pilot.press("enter")
        await until(pilot, "2 aborted")
        assert (await engine_of(pilot).queue_status()).stopped


async def test_the_emergency_stop_opens_over_another_question(state_dir: Path) -> None:
    """`!` works from a dialog and from a page, and only once."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300")
        await until(pilot, "R running")
        await pilot.press("x")
        await until(pilot, "Abort task")

        await pilot.press("!")
        await until(pilot, "EMERGENCY STOP")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, Confirm))
        await pilot.press("escape", "enter")
        await until(pilot, "Stage log")
        await pilot.press("!")
        await until(pilot, lambda: isinstance(app_of(pilot).screen, EmergencyStop))


async def test_the_page_of_a_task_shows_everything_about_it(state_dir: Path) -> None:
    """enter: facts, parameters, stage log, output, result; esc: back."""
    async with console(state_dir, size=(120, 60)) as pilot:
        await submitted(pilot, "!echo the output; exit 3")
        await until(pilot, "F failed")
        await pilot.press("enter")

        for words in (
            "ShellSkill.run",
            "Parameters",
            "Stage log",
            "Accepted",
            "Output",
            "the output",
            "Error",
        ):
            await until(pilot, words)
        await pilot.press("escape")
        await until(pilot, "1 Tasks")


async def test_the_filter_lists_while_typing(state_dir: Path) -> None:
    """`/` lists what contains the text; esc in the list shows all again."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "red apple", "green pear", "red rose")

        await pilot.press("slash", *"red")
        await until(pilot, lambda: app_of(pilot).board.tasks.total == 2)
        await pilot.press("enter")
        await until(pilot, "/red/")
        await until(pilot, lambda: "green pear" not in shown(app_of(pilot)))

        await pilot.press("escape")
        await until(pilot, "green pear")


async def test_the_filter_that_is_given_up_changes_nothing(state_dir: Path) -> None:
    """esc in the filter's line puts the list back as it was."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "red apple", "green pear")
        await pilot.press("slash", *"red")
        await until(pilot, lambda: app_of(pilot).board.tasks.total == 1)

        await pilot.press("escape")
        await until(pilot, "green pear")


async def test_s_lists_one_state_after_the_other(state_dir: Path) -> None:
    """Each `s` lists the next state, and after the last all again."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "fine", "!exit 1")
        await until(pilot, "F failed")
        await until(pilot, "D done")

        await pilot.press("s", "s", "s")
        await until(pilot, "only done")
        await until(pilot, lambda: app_of(pilot).board.tasks.total == 1)
        assert "F failed" not in shown(app_of(pilot))
        await pilot.press("s", "s", "s")
        await until(pilot, lambda: app_of(pilot).board.tasks.total == 2)


async def test_the_log_stays_where_it_was_stopped(state_dir: Path) -> None:
    """Moving up in the log pauses it by line number; `f` follows again."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!for i in $(seq 1 200); do echo line $i; done; sleep 300")
        await until(pilot, "line 200")
        log = app_of(pilot).main.log_tail

        await pilot.press("l", "g")
        await until(pilot, "paused")
        assert "line 1 " in shown(app_of(pilot))
        first = log.first_line
        await submitted(pilot, "something else")
        assert log.first_line == first

        await pilot.press("f")
        await until(pilot, "line 200")


async def test_the_log_of_everything_names_the_task_of_each_line(state_dir: Path) -> None:
    """`a` in the log shows what all tasks print, with their ids."""
    async with console(state_dir) as pilot:
        await pilot.press("l", "a")
        one, two = await submitted(pilot, "!echo from one", "!echo from two")

        await until(pilot, f"{one[-8:]}   from one")
        await until(pilot, f"{two[-8:]}   from two")


async def test_help_shows_every_key(state_dir: Path) -> None:
    """`?` opens the list that the table of keys makes."""
    async with console(state_dir, size=(120, 70)) as pilot:
        await pilot.press("?")

        for words in ("Emergency stop", "Anywhere", "In a question", "Half a page down"):
            await until(pilot, words)
        await pilot.press("q")
        await until(pilot, "1 Tasks")


@pytest.mark.parametrize("key", ["n", "p", "x", "P", "!"])
async def test_a_read_only_console_refuses_with_a_sentence(state_dir: Path, key: str) -> None:
    """Whatever acts is refused before anything is asked."""
    async with console(state_dir, read_only=True) as pilot:
        await submitted(pilot, "!sleep 300")
        await until(pilot, "READ-ONLY")

        await pilot.press(key)

        await until(pilot, "This console is read-only.")
        assert not (await engine_of(pilot).queue_status()).paused


async def test_the_nodes_are_on_the_map(state_dir: Path) -> None:
    """The local node with its CPU and memory bars."""
    async with console(state_dir) as pilot:
        for words in ("1 online", "local", "CPU ", "RAM ", "/16 tasks"):
            await until(pilot, words)


async def test_ctrl_c_asks_before_it_takes_running_tasks_down(state_dir: Path) -> None:
    """An engine inside the console goes with it, so the console asks; No stays."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300")
        await until(pilot, "1 running")

        await pilot.press("ctrl+c")
        await until(pilot, "Quit, and stop the engine?")
        await settled(pilot)
        await pilot.press("n")

        await until(pilot, "1 Tasks")
        assert app_of(pilot).is_running


async def test_a_pasted_yes_is_no_answer(state_dir: Path) -> None:
    """What is pasted into a question is thrown away."""
    async with console(state_dir) as pilot:
        await submitted(pilot, "!sleep 300")
        await until(pilot, "R running")
        await pilot.press("x")
        await until(pilot, "Abort task")
        await settled(pilot)

        app_of(pilot).post_message(events.Paste("y\n"))
        await pilot.pause()

        assert isinstance(app_of(pilot).screen, Confirm)
        assert (await engine_of(pilot).queue_status()).processing == 1


async def test_a_pasted_word_does_not_stop_everything(state_dir: Path) -> None:
    """The word `stop` must be typed."""
    async with console(state_dir) as pilot:
        await pilot.press("!")
        await until(pilot, "Type stop and press enter")
        app_of(pilot).post_message(events.Paste("stop"))
        await settled(pilot)
        await pilot.press("enter")

        await until(pilot, "Type the word `stop`")
        assert not (await engine_of(pilot).queue_status()).stopped


async def test_a_pasted_command_is_a_new_task(state_dir: Path) -> None:
    """Where text is asked for, pasting is fine."""
    async with console(state_dir) as pilot:
        await pilot.press("n")
        await until(pilot, "New task")
        app_of(pilot).post_message(events.Paste("!echo pasted"))
        await pilot.pause()
        await pilot.press("enter")

        await until(pilot, "D done")
        await until(pilot, "   pasted")


async def test_a_slow_link_still_follows_the_selected_task(state_dir: Path) -> None:
    """Output is asked for, not told: the selected task's lines come, only less often."""
    async with console(state_dir, slow_link=True) as pilot:
        await pilot.press("n", *"!for i in 1 2 3; do echo line $i; sleep 0.2; done", "enter")

        await until(pilot, "   line 3")
        await until(pilot, "Completed on local")


async def test_an_engine_that_cannot_start_inside_says_why(state_dir: Path) -> None:
    """A second engine on the same folder: refused on the screen, the first one named and not disturbed."""
    async with console(state_dir) as first:
        async with console(state_dir, live=False) as pilot:
            await until(pilot, "REFUSED")
            await until(pilot, "belongs to the engine with pid")
        assert (await engine_of(first).queue_status()).problem is None


async def test_a_wrong_token_says_so_and_keeps_trying(engine_process: EngineStarter) -> None:
    """Refused by the engine: in words, and no crash."""
    engine = engine_process("--no-local-node")
    async with console(engine=engine.url, token="wrong", live=False) as pilot:
        await until(pilot, "REFUSED")
        await until(pilot, "The token is wrong.")


async def test_the_map_shows_a_spore_that_joins_and_one_that_leaves(
    engine_process: EngineStarter, spore_process: SporeStarter
) -> None:
    """A node comes onto the map by itself, and is shown as down when it has gone."""
    engine = engine_process("--no-local-node")
    async with console(engine=engine.url, token=engine.token) as pilot:
        await until(pilot, "No node is connected.")
        spore = spore_process(engine, name="orchid")
        await until(pilot, "orchid")
        await until(pilot, "1 online")

        await asyncio.to_thread(spore.kill)
        await until(pilot, "DOWN")
        await until(pilot, "1 down")
