import { type Answer, native } from "./native";

/** A miss may need one list for the key and another for what it names. */
const MAX_LOADS = 3;

/**
 * Asks the core until it knows: a hit answers at once, a miss names what must be loaded first.
 *
 * @param ask asks once; JSON text of an `Answer`
 * @param missing the error if the core wants to load for ever
 */
export async function answerOf<T>(
  ask: () => string,
  missing: string,
): Promise<{ ok: T } | { error: string }> {
  for (let loads = 0; loads <= MAX_LOADS; loads++) {
    const answer = JSON.parse(ask()) as Answer<T>;
    if (!("load" in answer)) return answer;
    await native().load(answer.load);
  }
  return { error: missing };
}

/**
 * A key or session id as text: it comes from data at run time.
 *
 * @throws TypeError if it has no text
 */
export function keyText(key: unknown, name: string): string {
  if (typeof key === "string") return key;
  if (typeof key === "number" || typeof key === "bigint") return String(key);
  throw new TypeError(`The ${name} must be a string.`);
}

/**
 * A pinned version, or `undefined` for the current one.
 *
 * @throws TypeError if it is no whole number
 */
export function versionOf(version: unknown): number | undefined {
  if (version === undefined || version === null) return undefined;
  if (Number.isSafeInteger(version) && (version as number) >= 0) return version as number;
  throw new TypeError("Option 'version' must be a whole number.");
}
