"""WebAssembly Hands: the engine and its limits, the imports of a guest, and the Hand class that runs guests.

    library.py     the functions of wasmtime's C interface that are used here
    engine.py      the engine, with settings that make guests deterministic; compiles and loads modules
    ends.py        the ends of a guest's call, with their codes and texts (pure)
    program.py     a module that is ready for calls: resolved imports, threads
    guest.py       one call: a fresh store and instance, its limits, its memory, its metering
    seeded.py      random bytes from a seed (pure)
    bus.py         the imports of the module `maniple`
    wasi.py        the imports of the module `wasi_snapshot_preview1`
    offered.py     both as one table, to resolve a module's imports
    sections.py    the sizes of a module's sections (pure)
    exports.py     the exports that a module needs for its HAND.toml (pure)
    hand.py        the Hand class that answers calls by a module's exports
    compiling.py   the program that `maniple install` runs to compile a module

The engine is created only by `engine.Engine`, which is made only in a run, after the fork.
"""
