"""Who may run what, and who is asked first."""

from hypothesis import given
from hypothesis import strategies as st

from venom_engine.protocol.node import Capabilities
from venom_engine.protocol.task import Requirements
from venom_engine.rules.placement import ROUND, NodeView, best, deal, fits, load_score, serves
from venom_engine.rules.records import Lane


def a_node(
    name: str = "a", *, free: int = 4, cpu: float = 0.0, local: bool = False, **has: object
) -> NodeView:
    capabilities = Capabilities.model_validate({"skills": ["Echo"], "slots": max(free, 1), **has})
    return NodeView(
        node_id=f"id-{name}",
        name=name,
        capabilities=capabilities,
        cpu=cpu,
        memory=0.0,
        active=0,
        free=free,
        is_local=local,
    )


def a_lane(skill: str = "Echo", **needs: object) -> Lane:
    return Lane("default", skill, Requirements.model_validate(needs))


def test_the_load_score_is_the_originals() -> None:
    """cpu*0.4 + memory*0.3 + (active_tasks/10)*0.3."""
    assert load_score(0.5, 0.2, 5) == 0.5 * 0.4 + 0.2 * 0.3 + 0.5 * 0.3


def test_a_node_must_have_skill_tags_gpu_and_name() -> None:
    """Everything asked for, nothing less."""
    node = a_node("rack", tags=("gpu", "edge"), has_gpu=True)

    assert fits(node, a_lane(tags=("edge", "gpu"), gpu=True, node="rack"))
    assert fits(node, a_lane(node="id-rack"))
    assert not fits(node, a_lane("Other"))
    assert not fits(node, a_lane(tags=("edge", "arm")))
    assert not fits(node, a_lane(node="other"))
    assert not fits(a_node(), a_lane(gpu=True))


def test_the_local_node_steps_in_only_when_nobody_fits_and_the_task_allows_it() -> None:
    """Fallback is asked for, never assumed."""
    local, edge = a_node("local", local=True), a_node("edge", tags=("edge",))

    assert serves(local, a_lane(tags=("edge",), local_fallback=True), [local])
    assert not serves(local, a_lane(tags=("edge",), local_fallback=True), [local, edge])
    assert not serves(local, a_lane(tags=("edge",)), [local])
    assert not serves(local, a_lane("Missing", local_fallback=True), [local])


def test_the_least_loaded_node_is_best() -> None:
    """Of equals the id that sorts first, so that the choice is repeatable."""
    assert best([a_node("b", cpu=0.9), a_node("a", cpu=0.1)]) == a_node("a", cpu=0.1)
    assert best([a_node("b"), a_node("a")]) == a_node("a")
    assert best([]) is None


def test_tasks_spread_over_equal_nodes() -> None:
    """Six tasks on three empty nodes: two each."""
    deals = deal([a_node(name) for name in "abc"], [a_lane()], 6)
    given: dict[str, int] = {}
    for one in deals:
        given[one.node_id] = given.get(one.node_id, 0) + one.limit

    assert given == {"id-a": 2, "id-b": 2, "id-c": 2}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1)), max_size=6),
    st.integers(0, 400),
)
def test_no_node_is_dealt_more_than_its_slots_and_no_more_than_there_is_room(
    nodes: list[tuple[int, float]], room: int
) -> None:
    """Slots and room hold for every mix; as much is dealt as both allow."""
    views = [a_node(str(n), free=free, cpu=cpu) for n, (free, cpu) in enumerate(nodes)]
    deals = deal(views, [a_lane()], room)

    for view in views:
        assert sum(one.limit for one in deals if one.node_id == view.node_id) <= view.free
    assert sum(one.limit for one in deals) == min(sum(view.free for view in views), room, ROUND)
