"""Merging of two entities that turn out to be one (acts on a Store). Nothing is lost.

The number of the removed entity refers to the kept one from then on. If both have a property, the kept entity's counts.
Equal relations become one with the evidence of both; relations between the two remain, from the kept entity to itself.
"""

from collections.abc import Sequence

from memory.errors import Invalid
from memory.filters import encode_labels
from memory.graph import SQL, Entity, Ref, add_name, entity_of, find, merge_same, pack
from memory.store import Bindings, Store


def merge(store: Store, space: str, keep: Ref, gone: Ref, labels: Sequence[str] = ()) -> Entity:
    """Merge `gone` into `keep`, and return the kept entity. Raises Absent, and Invalid if they are one already."""
    with store.write():
        stays, goes = find(store, space, keep), find(store, space, gone)
        if stays.id == goes.id:
            raise Invalid(f"they are one entity already, {stays.number}")
        properties = {**goes.properties, **stays.properties}
        told = encode_labels((*stays.labels, *goes.labels, *labels))
        now = store.now()
        store.rows(SQL["change"], {"id": stays.id, "properties": pack(properties), "labels": told, "now": now})
        names = store.rows(SQL["names_of"], {"entity": goes.id})
        store.rows(SQL["unname"], {"entity": goes.id})
        for _folded, of_type, name in names:  # each keeps its type, so that references by it still work
            add_name(store, space, stays.id, str(of_type), str(name))
        ends: Bindings = {"keep": stays.id, "gone": goes.id, "now": now}
        store.rows(SQL["move_source"], ends)
        store.rows(SQL["move_target"], ends)
        store.rows(SQL["merged_into"], ends)
        _fold(store, stays.id)
        return entity_of(store, stays.id)


def _fold(store: Store, entity: int) -> None:
    """Merge the relations of an entity that are now equal."""
    for (row,) in store.rows(SQL["relations_of"], {"entity": entity}):
        edge = int(row or 0)
        if store.rows(SQL["relation"], {"id": edge}):  # else it went into an earlier one
            merge_same(store, edge)
