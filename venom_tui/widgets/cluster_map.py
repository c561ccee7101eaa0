"""The cluster map: every node with its load, in one widget.

Few nodes get two lines each with bars; more get one line; very many one digit each, 0 to 9, so that
a thousand fit. What does not change is not drawn again: the output layer sees to that.
"""

from textual.strip import Strip

from venom_tui.cells import bar, count, fitted, heat, percent
from venom_tui.rows import NodeRow
from venom_tui.widgets.pane import Pane, Part


class ClusterMap(Pane):
    """All nodes: state, CPU, memory and tasks of each."""

    NUMBER, NAME = "4", "Nodes"
    DEFAULT_CSS = "ClusterMap { width: 44; height: 1fr; }"

    _at = 0  #: The node under the cursor, by its place.
    _top = 0  #: The first line in view.

    @property
    def nodes(self) -> list[NodeRow]:
        return list(self.board.nodes.values())

    def show(self) -> None:
        """The board has changed."""
        self._keep_in_view()
        self.refresh()

    def on_resize(self) -> None:
        self.show()

    @property
    def lines_per_node(self) -> int:
        """2: bars; 1: a line; 0: a digit."""
        nodes, height = len(self.board.nodes), self.body_height
        if nodes * 2 <= height or nodes <= 1:
            return 2
        return 1 if nodes <= height else 0

    @property
    def per_line(self) -> int:
        """Digits on a line of the heat view."""
        return max(1, self.size.width - 2)

    def move_by(self, by: int) -> None:
        self._at += by * (self.per_line if self.lines_per_node == 0 else 1)
        self.show()

    def to_first(self) -> None:
        self._at = 0
        self.show()

    def to_last(self) -> None:
        self._at = len(self.board.nodes) - 1
        self.show()

    def title_facts(self) -> list[Part]:
        nodes = self.nodes
        down = sum(not node.online for node in nodes)
        facts: list[Part] = [(f"{count(len(nodes) - down)} online", self.palette.text)] if nodes else []
        if down:
            facts.append((f"{count(down)} down", self.palette.bad))
        return facts

    def title_right(self) -> str:
        nodes = self.nodes
        if self.lines_per_node or not self.has_focus or not nodes:
            return ""
        node = nodes[self._at]
        return f"{node.name} {percent(node.cpu).strip()} {percent(node.memory).strip()}"

    def body_line(self, y: int) -> Strip:
        width, nodes = self.size.width, self.nodes
        if not nodes:
            return self.say("No node is connected." if self.board.is_live else "", y)
        line = self._top + y
        match self.lines_per_node:
            case 0:
                return self.line(*self._digits(nodes, line))
            case 1:
                return self.line(*(self._short(nodes, line, width) if line < len(nodes) else []))
            case _:
                place, second = divmod(line, 2)
                if place >= len(nodes):
                    return self.line()
                parts = self._bar_line if second else self._name_line
                return self.line(*parts(nodes[place], place == self._at and self.has_focus, width))

    def _name_line(self, node: NodeRow, here: bool, width: int) -> list[Part]:
        palette = self.palette
        state, style = self._state(node)
        tasks = f"{node.tasks}/{node.slots} tasks" if width >= 36 else f"{node.tasks}/{node.slots}"
        room = max(1, width - len(state) - len(tasks) - 6)
        name = palette.cursor if here else palette.strong
        mark = "▸" if here else " "
        return [
            (f"{mark}{'●' if node.online else '○'} ", style),
            (fitted(node.name, room), name),
            (f" {state} ", style),
            (tasks, palette.text if node.tasks else palette.second),
        ]

    def _bar_line(self, node: NodeRow, here: bool, width: int) -> list[Part]:
        room = max(2, (width - 3 - 2 * 10 - 2) // 2)
        palette = self.palette
        parts: list[Part] = [("   ", palette.text)]
        for word, share in (("CPU ", node.cpu), ("RAM ", node.memory)):
            parts += [
                (word, palette.second),
                *self._bar(node, share, room),
                (f" {percent(share)}  ", palette.text),
            ]
        return parts

    def _bar(self, node: NodeRow, share: float, room: int) -> list[Part]:
        text = bar(share if node.online else 0.0, room)
        filled = text.rstrip("·")
        return [(filled, self.palette.load(share)), (text[len(filled) :], self.palette.faint)]

    def _short(self, nodes: list[NodeRow], place: int, width: int) -> list[Part]:
        palette, node = self.palette, nodes[place]
        here = place == self._at and self.has_focus
        state, style = self._state(node)
        room = max(1, width - 22)
        return [
            (f"{'▸' if here else ' '}{'●' if node.online else '○'} ", style),
            (fitted(node.name, room), palette.cursor if here else palette.text),
            (f" {percent(node.cpu)}", palette.load(node.cpu) if node.online else palette.faint),
            (f" {percent(node.memory)}", palette.load(node.memory) if node.online else palette.faint),
            (f" {node.tasks:>3}" if node.online else f" {state}", palette.second if node.online else style),
        ]

    def _digits(self, nodes: list[NodeRow], line: int) -> list[Part]:
        first = line * self.per_line
        parts: list[Part] = [(" ", self.palette.text)]
        for place, node in enumerate(nodes[first : first + self.per_line], first):
            share = max(node.cpu, node.memory)
            here = place == self._at and self.has_focus
            style = self.palette.load(share) if node.online else self.palette.bad
            parts.append((heat(share) if node.online else "x", self.palette.cursor if here else style))
        return parts

    def _state(self, node: NodeRow) -> Part:
        return ("online", self.palette.good) if node.online else ("DOWN", self.palette.bad)

    def _keep_in_view(self) -> None:
        nodes = len(self.board.nodes)
        self._at = max(0, min(self._at, nodes - 1))
        height = max(1, self.body_height)
        per_node = self.lines_per_node
        line = self._at * per_node if per_node else self._at // self.per_line
        lines = nodes * per_node if per_node else -(-nodes // self.per_line)
        last = line + max(per_node, 1) - 1
        self._top = max(last - height + 1, min(self._top, line, max(0, lines - height)), 0)


def map_width(total: int) -> int:
    """How much of a line the map takes."""
    return 46 if total >= 120 else max(28, min(38, total * 9 // 20))
