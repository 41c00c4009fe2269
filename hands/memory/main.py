"""The Hand `memory`: the one process that opens memories, a file for each Hand and each shared space (acts; thin).

Each part of what it offers is a class of a module of its own, and Memory is all of them. What they stand on is in
memory_desk: whose memory a call is about, its file, the labels and the errors.
"""

from memory_consolidating import Consolidating
from memory_fragments import Fragments
from memory_graph import Graph
from memory_keys import Keys
from memory_sessions import Sessions
from memory_upkeep import Upkeep


class Memory(Fragments, Consolidating, Keys, Graph, Sessions, Upkeep):
    """Provides memory.*; a part is a base of this class."""
