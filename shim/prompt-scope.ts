import { AsyncLocalStorage } from "node:async_hooks";
import { identityOf } from "./identity";
import type { PromptResult } from "./types";

/** A prompt that was named for what runs here. */
interface Scope {
  /** The session that named it, by its id: another session's calls never take it. */
  readonly sessionId: string;
  /** As `linkJson` gives it. */
  readonly link: string;
}

/** One storage a realm, even where two copies of this package are loaded. */
const KEY = Symbol.for("fallom.trace.prompt.1");
const shared = globalThis as unknown as { [KEY]?: AsyncLocalStorage<Scope | undefined> };
shared[KEY] ??= new AsyncLocalStorage<Scope | undefined>();
const storage: AsyncLocalStorage<Scope | undefined> = shared[KEY];

/**
 * JSON text of the link to a prompt that the user names: key and version, test and variant. Empty for a caller's own
 * `fallback`, which is no prompt of Fallom's.
 *
 * @param taker the function that was given the prompt
 * @throws TypeError if it is no `PromptResult`
 */
export function linkJson(prompt: unknown, taker: string): string {
  const { key, version, abTestKey, variantIndex, isFallback } = (prompt ?? {}) as Record<string, unknown>;
  if (typeof key !== "string" || !Number.isSafeInteger(version)) {
    const found = prompt instanceof Promise ? "; this is a promise of one: await it first" : "";
    throw new TypeError(
      `${taker} takes a prompt as prompts.get, getAB, session.prompt and promptAB give it${found}.`,
    );
  }
  if (isFallback === true) return "{}";
  const fromTest = typeof abTestKey === "string" && isIndex(variantIndex);
  return JSON.stringify({
    prompt_key: key,
    prompt_version: version,
    ...(fromTest && { prompt_ab_test_key: abTestKey, prompt_variant_index: variantIndex }),
  });
}

/** As `session.withPrompt`. */
export function runWithPrompt<R>(session: unknown, prompt: PromptResult, fn: () => R): R {
  const link = linkJson(prompt, "withPrompt");
  if (typeof fn !== "function") throw new TypeError("withPrompt takes a function, after the prompt.");
  return storage.run({ sessionId: identityOf(session).context.sessionId, link }, fn);
}

/** The prompt that was named for this session's calls here, as `linkJson` gives it. */
export function promptHere(sessionId: string): string | undefined {
  const scope = storage.getStore();
  return scope?.sessionId === sessionId ? scope.link : undefined;
}

/** Runs an agent: the prompt that was named for it is not that of the agents which it asks. */
export function withoutPrompt<R>(fn: () => R): R {
  return storage.getStore() === undefined ? fn() : storage.run(undefined, fn);
}

/** What the wire takes: counted from 0, 32 bits. */
function isIndex(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 32;
}
