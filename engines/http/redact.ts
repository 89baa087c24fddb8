// Texts from an engine as they may stand in an error or a log: a credential becomes `****` and the first six
// hex digits of its sha256, so that two lines about the same key can be told to be so, and nobody can use it.

import { createHash } from "node:crypto";

const secretMin = 4;

/** What follows a scheme or a well-known name is a credential, whoever it belongs to. */
const patterns = [
  /((?:Bearer|Basic)\s+)([\w.~+/=-]{4,})/gi,
  /(authorization["']?\s*[:=]\s*["']?(?!(?:Bearer|Basic)\s))([^\s"',;&]{4,})/gi,
  /((?:api[-_ ]?key|token|password|secret)["']?\s*[:=]\s*["']?)([^\s"',;&]{4,})/gi,
  /(:\/\/)([^\s/@]+)(?=@)/g,
];

export function redactor(secrets: readonly string[]): (text: string) => string {
  const known = knownOf(secrets);
  return (text) => {
    let clean = known === undefined ? text : text.replace(known, concealed);
    for (const pattern of patterns) {
      clean = clean.replace(pattern, (whole, before: string, secret: string) =>
        secret.startsWith("****") ? whole : `${before}${concealed(secret)}`,
      );
    }
    return clean;
  };
}

/**
 * All of them at once, or one would be found in what stands for another; the longest first, since one may
 * begin another. What is shorter than a pattern takes would be found in every text.
 */
function knownOf(secrets: readonly string[]): RegExp | undefined {
  const known = [...new Set(secrets)].filter(({ length }) => length >= secretMin);
  if (known.length === 0) return undefined;
  const escaped = known
    .sort((a, b) => b.length - a.length)
    .map((secret) => secret.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
  return new RegExp(escaped.join("|"), "g");
}

function concealed(secret: string): string {
  return `****${createHash("sha256").update(secret).digest("hex").slice(0, 6)}`;
}
