import { type Answer, native } from "./native";

/** A miss may need one list for the key and another for what it names, each from the cache and then from Fallom. */
const MAX_LOADS = 16;

/** What the core said in the end: the value, or an error for the user. */
export type Answered<T> = Exclude<Answer<T>, { load: unknown }>;

/**
 * Asks the core until it knows: a hit answers at once, a miss names what must be loaded first.
 *
 * @param ask asks once; JSON text of an `Answer`
 * @param timeoutMs the longest to wait for a load; default: `getTimeoutMs`
 */
export async function answerOf<T>(ask: () => string, timeoutMs: number | undefined): Promise<Answered<T>> {
  let answer = JSON.parse(ask()) as Answer<T>;
  const begun = "load" in answer ? performance.now() : 0;
  for (let loads = 0; "load" in answer; loads++) {
    const { what, seen } = answer.load;
    const came = await native().load(what, seen, performance.now() - begun, timeoutMs);
    answer = JSON.parse(ask()) as Answer<T>;
    if ("load" in answer && (!came || loads >= MAX_LOADS)) return { error: answer.load.error };
  }
  return answer;
}

/**
 * Asks the core once. What would have to be loaded is loaded behind, for a later call.
 *
 * @param ask asks once; JSON text of an `Answer`
 * @param advice for the error while nothing is loaded
 */
export function answerNow<T>(ask: () => string, advice: string): Answered<T> {
  const answer = JSON.parse(ask()) as Answer<T>;
  if (!("load" in answer)) return answer;
  const { what, seen, error } = answer.load;
  void native().load(what, seen, 0, 0);
  return { error: native().isLoaded(what) ? error : `${error} ${advice}` };
}

/**
 * Waits until these lists are loaded.
 *
 * @param timeoutMs the longest to wait; default: `getTimeoutMs`
 * @returns whether they all are
 */
export async function loaded(lists: string[], timeoutMs: number | undefined): Promise<boolean> {
  const begun = performance.now();
  const each = lists.map(async (list) => {
    for (let loads = 0; !native().isLoaded(list) && loads <= MAX_LOADS; loads++) {
      if (!(await native().load(list, undefined, performance.now() - begun, timeoutMs))) break;
    }
    return native().isLoaded(list);
  });
  return (await Promise.all(each)).every(Boolean);
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

/**
 * How long a call waits, in ms, or `undefined` for the default.
 *
 * @throws TypeError if it is no such number
 */
export function timeoutOf(timeoutMs: unknown): number | undefined {
  if (timeoutMs === undefined || timeoutMs === null) return undefined;
  if (typeof timeoutMs === "number" && timeoutMs >= 0) return Math.min(timeoutMs, 2 ** 31 - 1);
  throw new TypeError("Option 'timeoutMs' must be a number of milliseconds, 0 or more.");
}
