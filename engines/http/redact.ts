// Texts from an engine as they may stand in an error or a log: a credential becomes `****` and the first six
// hex digits of its sha256, so that two lines about the same key can be told to be so, and nobody can use it.

import { createHash } from "node:crypto";

/** What follows a scheme or a well-known name is a credential, whoever it belongs to. */
const patterns = [
  /((?:Bearer|Basic)\s+)([\w.~+/=-]{4,})/gi,
  /(authorization["']?\s*[:=]\s*["']?(?!(?:Bearer|Basic)\s))([^\s"',;&]{4,})/gi,
  /((?:api[-_ ]?key|token|password|secret)["']?\s*[:=]\s*["']?)([^\s"',;&]{4,})/gi,
  /(:\/\/)([^\s/@]+)(?=@)/g,
];

export function redactor(secrets: readonly string[]): (text: string) => string {
  const known = secrets.filter((secret) => secret !== "").sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const secret of known) clean = clean.replaceAll(secret, concealed(secret));
    for (const pattern of patterns) {
      clean = clean.replace(pattern, (whole, before: string, secret: string) =>
        secret.startsWith("****") ? whole : `${before}${concealed(secret)}`,
      );
    }
    return clean;
  };
}

function concealed(secret: string): string {
  return `****${createHash("sha256").update(secret).digest("hex").slice(0, 6)}`;
}
