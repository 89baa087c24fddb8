// Text of models and of other people, made harmless for a terminal: control characters, by which a text could
// move the cursor or set a title, are shown instead of sent.

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const control = /[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
const controlButLines = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** For one line. */
export function safeText(text: string): string {
  return text.replace(control, shown);
}

/** For a text of its own, whose lines and tabs are kept. */
export function safeLines(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(controlButLines, shown);
}

function shown(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}
