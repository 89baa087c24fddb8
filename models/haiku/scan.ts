// Judges a poem: whether its three lines have five, seven and five syllables by the grammar's own counts,
// and whether it names its subject. A word that the grammar does not know has no count and fails its line.

export const FORM = [5, 7, 5] as const;

/** The words of a text, lower case; an apostrophe belongs to its word. */
export function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\p{L}\p{N}]+(?:'[\p{L}]+)*/gu) ?? [];
}

/** The syllables of a text, or undefined where a word has no known count. */
export function countSyllables(text: string, syllables: ReadonlyMap<string, number>): number | undefined {
  let sum = 0;
  for (const word of wordsOf(text)) {
    const count = syllables.get(word);
    if (count === undefined) return undefined;
    sum += count;
  }
  return sum;
}

export function scans(poem: string, syllables: ReadonlyMap<string, number>): boolean {
  const lines = poem.trim().split("\n");
  return (
    lines.length === FORM.length && lines.every((line, at) => countSyllables(line, syllables) === FORM[at])
  );
}

/** Whether the poem holds the subject, word for word, in the number in which it was asked for. */
export function names(poem: string, subject: string): boolean {
  return ` ${wordsOf(poem).join(" ")} `.includes(` ${wordsOf(subject).join(" ")} `);
}
