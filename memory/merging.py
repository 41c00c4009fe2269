"""Two entities that turn out to be one (acts on a Store): everything of the one becomes the other's, and nothing is lost.

The number of the one that goes stands for the one that stays from then on. Where both have a property, that of the one that
stays counts. Relations that say the same become one with the evidence of both; those between the two stay, from it to itself.
"""

from collections.abc import Sequence

from memory.errors import Invalid
from memory.filters import packed_labels
from memory.graph import SQL, Entity, Ref, call, entity_of, find, fold, packed
from memory.store import Bindings, Store


def merge(store: Store, space: str, keep: Ref, gone: Ref, labels: Sequence[str] = ()) -> Entity:
    """The entity that stays. Raises Absent, and Invalid when they are one already."""
    with store.write():
        stays, goes = find(store, space, keep), find(store, space, gone)
        if stays.id == goes.id:
            raise Invalid(f"they are one entity already, {stays.number}")
        properties = {**goes.properties, **stays.properties}
        told = packed_labels((*stays.labels, *goes.labels, *labels))
        now = store.now()
        store.rows(SQL["change"], {"id": stays.id, "properties": packed(properties), "labels": told, "now": now})
        names = store.rows(SQL["names_of"], {"entity": goes.id})
        store.rows(SQL["unname"], {"entity": goes.id})
        for _folded, of_type, name in names:  # one of another type stays so: whoever says it is still understood
            call(store, space, stays.id, str(of_type), str(name))
        ends: Bindings = {"keep": stays.id, "gone": goes.id, "now": now}
        store.rows(SQL["turn_source"], ends)
        store.rows(SQL["turn_target"], ends)
        store.rows(SQL["merged_into"], ends)
        _fold(store, stays.id)
        return entity_of(store, stays.id)


def _fold(store: Store, entity: int) -> None:
    """Make one of the relations of an entity that now say the same."""
    for (row,) in store.rows(SQL["relations_of"], {"entity": entity}):
        edge = int(row or 0)
        if store.rows(SQL["relation"], {"id": edge}):  # else it went into an earlier one
            fold(store, edge)
