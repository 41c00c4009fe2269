"""The Hand `memory`: the one process that opens memories, one file per Hand and per shared space (acts; thin).

Each group of its methods is a class in a module of its own; Memory inherits from all. Their common base is memory_desk:
whose memory a call is about, its file, labels and errors.
"""

from memory_consolidating import Consolidating
from memory_fragments import Fragments
from memory_graph import Graph
from memory_keys import Keys
from memory_sessions import Sessions
from memory_upkeep import Upkeep


class Memory(Fragments, Consolidating, Keys, Graph, Sessions, Upkeep):
    """Provides memory.*."""
