// What the system calls a disk that takes no more, for anybody or for this user. It is known here alone,
// however whoever met it has wrapped it since.

const codes: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT"]);

export function isDiskFull(error: unknown): boolean {
  return refusalOf(error) !== undefined;
}

/** What the system itself said; undefined where a full disk has no part in it. */
export function refusalOf(error: unknown): Error | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return codes.has(code ?? "") ? error : refusalOf(error.cause);
}
