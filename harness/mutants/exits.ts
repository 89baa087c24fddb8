// How a mutant's process tells what became of it. A failing test leaves with 1 by itself, and so does any
// error that nobody expected, which is why the simulation has a code of its own.

export const exits = { survived: 0, testFailed: 1, impossible: 2, noticed: 3 } as const;
