"""`venom`: everything the console can do, for scripts."""

import typer

from venom_engine.cli import looking, queue, watching
from venom_engine.cli.out import ended
from venom_engine.cli.submitting import submit

app = typer.Typer(
    name="venom",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Submit tasks to an engine, follow them, control the queue.",
    epilog="Exit codes: 0 done, 1 the engine said no or the task failed, 2 wrong usage, 3 no engine reached.",
)
app.command()(submit)
app.command()(looking.tasks)
app.command()(looking.show)
app.command()(looking.logs)
app.command()(looking.abort)
app.command()(looking.nodes)
app.add_typer(queue.app, name="queue")
app.command()(watching.watch)


def main() -> int:
    """The command `venom`; its exit code."""
    return ended(app)
