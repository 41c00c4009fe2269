"""WebAssembly Hands: the engine and its limits, what a guest may import, and the Hand that answers through a guest.

    library.py     the few functions of wasmtime's C interface that are used here
    engine.py      one engine with the settings that make guests deterministic; modules compiled and loaded
    ends.py        how a guest's call can end, and the words for it (pure)
    program.py     a module that is ready to be called: its imports resolved, its threads
    guest.py       one call: a fresh store and instance, its limits, its memory, its metering
    seeded.py      random bytes that a seed decides (pure)
    bus.py         the imports of the module `maniple`
    wasi.py        the imports of the module `wasi_snapshot_preview1`
    offered.py     both as one table, by which a module's imports are resolved
    exports.py     what a module must export for its HAND.toml (pure)
    hand.py        the Hand whose calls are answered by a module's exports
    compiling.py   the program that `maniple install` runs to compile a module

Nothing of the engine exists before `engine.Engine` is made, and that happens only in a run, after the fork.
"""
