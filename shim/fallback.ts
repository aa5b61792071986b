import type { PromptResult } from "./types";

/** A prompt of the caller's own, for when Fallom's cannot be had. */
export interface PromptFallback {
  system: string;
  user: string;
}

/** A placeholder (`wire.md`, "Templates"). The core replaces them in Fallom's own prompts. */
const PLACEHOLDER = /\{\{\s*([A-Za-z0-9_]+)\s*\}\}/g;

/**
 * The fallback that a caller gave: a text is the system prompt, and the empty one is a text.
 *
 * @throws TypeError if it is neither a text nor an object of texts
 */
export function fallbackOf(fallback: unknown): PromptFallback | undefined {
  if (fallback === undefined || fallback === null) return undefined;
  if (typeof fallback === "string") return { system: fallback, user: "" };
  if (typeof fallback === "object") {
    const { system = "", user = "" } = fallback as { system?: unknown; user?: unknown };
    if (typeof system === "string" && typeof user === "string") return { system, user };
  }
  throw new TypeError("Option 'fallback' must be a text, or an object { system?, user? } of texts.");
}

/** The fallback as a prompt, its variables replaced as those of Fallom's prompts are. */
export function rendered(
  key: string,
  { system, user }: PromptFallback,
  texts: Record<string, string> | undefined,
): PromptResult {
  const names = [system, user].flatMap((text) =>
    [...text.matchAll(PLACEHOLDER)].map(([, name]) => name ?? ""),
  );
  const render = (text: string) => text.replace(PLACEHOLDER, (whole, name: string) => texts?.[name] ?? whole);
  return {
    key,
    version: 0,
    system: render(system),
    user: render(user),
    variables: [...new Set(names)],
    isFallback: true,
  };
}
