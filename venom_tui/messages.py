"""What parts of the console tell each other, beside what a widget's own messages say."""

from textual.message import Message

from venom_tui.board import Topic
from venom_tui.rows import TaskRow


class BoardChanged(Message):
    """Part of the board is new; whoever draws it may draw it again."""

    def __init__(self, topic: Topic) -> None:
        super().__init__()
        self.topic = topic

    def can_replace(self, message: Message) -> bool:
        """Two of the same say no more than one."""
        return isinstance(message, BoardChanged) and message.topic is self.topic


class AbortAsked(Message):
    """The operator wants to abort this task."""

    def __init__(self, row: TaskRow) -> None:
        super().__init__()
        self.row = row
