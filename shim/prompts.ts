import { type Answered, answerNow, answerOf, keyText, loaded, timeoutOf, versionOf } from "./answer";
import { fallbackOf, type PromptFallback, rendered } from "./fallback";
import { environmentText, optionsText, refuseAsTypeError } from "./init";
import { native } from "./native";
import type {
  PreloadOptions,
  PromptABOptions,
  PromptOptions,
  PromptResult,
  PromptSyncOptions,
  ServiceOptions,
} from "./types";

/** Prompts that are managed in Fallom. */
export const prompts = { init, get, getSync, getAB, preload, getPromptContext, clearPromptContext };

/**
 * Another key or URL for prompts than `init` named; without a call of `init`, it starts the reading of prompts.
 *
 * @throws TypeError at once, naming the option, if one is misused
 */
function init(options?: ServiceOptions): Promise<void> {
  const text = optionsText(options);
  refuseAsTypeError(() => native().initCatalog("prompts", text, environmentText()));
  return Promise.resolve();
}

/**
 * A prompt, its variables replaced. Answers from memory; waits only for what is not known yet, at most `timeoutMs`,
 * and then takes the `fallback`.
 *
 * @param key the prompt
 * @throws Error (the promise rejects) if there is no such prompt or version, and no fallback; if `strict` and the
 *   variables are not those that the prompt uses
 * @throws TypeError (the promise rejects) if an option is misused, or a variable cannot be turned into text
 */
async function get(key: string, options?: PromptOptions): Promise<PromptResult> {
  const call = callOf(keyText(key, "prompt's key"), options);
  const timeoutMs = timeoutOf(options?.timeoutMs);
  return resultOf(call, await answerOf<PromptResult>(askingFor(call, options), timeoutMs));
}

/**
 * As `get`, for code that cannot wait: from memory, else the `fallback`. Await `prompts.preload()` before.
 *
 * @param key the prompt
 * @throws Error if there is no such prompt or version in memory, and no fallback; if `strict` and the variables are
 *   not those that the prompt uses
 * @throws TypeError if an option is misused, or a variable cannot be turned into text
 */
function getSync(key: string, options?: PromptSyncOptions): PromptResult {
  const call = callOf(keyText(key, "prompt's key"), options);
  const advice = "prompts.getSync does not wait: await prompts.preload() before.";
  return resultOf(call, answerNow<PromptResult>(askingFor(call, options), advice));
}

/**
 * The variant of an A/B test that this session gets, each time the same, its variables replaced. Waits as `get` does.
 *
 * @param test the A/B test
 * @param sessionId decides the variant
 * @throws Error (the promise rejects) if there is no such test, or no such prompt, and no fallback; if `strict` and
 *   the variables are not those that the prompt uses
 * @throws TypeError (the promise rejects) if an option is misused, or a variable cannot be turned into text
 */
async function getAB(test: string, sessionId: string, options?: PromptABOptions): Promise<PromptResult> {
  const call = callOf(keyText(test, "A/B test's key"), options);
  const id = keyText(sessionId, "session id");
  const timeoutMs = timeoutOf(options?.timeoutMs);
  const ask = () => native().promptAB(call.key, id, call.variables, call.strict);
  return resultOf(call, await answerOf<PromptResult>(ask, timeoutMs));
}

/**
 * Waits until the prompts and A/B tests are in memory, for those who want to at the start: then every `get` answers
 * at once, and `getSync` does not throw. Rejects only for a misused option.
 *
 * @returns whether they are; if not, reading goes on in the background
 */
async function preload(options?: PreloadOptions): Promise<boolean> {
  return loaded(["prompts", "prompt_ab_tests"], timeoutOf(options?.timeoutMs));
}

/**
 * Always `null`: no prompt is kept aside for the next call, which might be another request's. Spans are linked to
 * prompts by the texts of their own call, and by their session's A/B test. For code written for the older SDK.
 */
function getPromptContext(): null {
  return null;
}

/** Does nothing, since nothing is kept: see `getPromptContext`. */
function clearPromptContext(): void {}

/** What a caller asked for, checked. */
interface Call {
  key: string;
  texts: Record<string, string> | undefined;
  /** The texts as JSON. */
  variables: string | undefined;
  strict: boolean;
  fallback: PromptFallback | undefined;
}

function callOf(key: string, options: PromptABOptions | undefined): Call {
  const texts = textsOf(options?.variables);
  return {
    key,
    texts,
    variables: texts && JSON.stringify(texts),
    strict: options?.strict === true,
    fallback: fallbackOf(options?.fallback),
  };
}

function askingFor({ key, variables, strict }: Call, options: PromptSyncOptions | undefined): () => string {
  const version = versionOf(options?.version);
  return () => native().prompt(key, version, variables, strict);
}

function resultOf({ key, texts, fallback }: Call, answer: Answered<PromptResult>): PromptResult {
  if ("ok" in answer) return answer.ok;
  if ("misuse" in answer) throw new Error(answer.misuse);
  if (fallback === undefined) throw new Error(answer.error);
  native().warn(`${answer.error} The fallback is used.`);
  return rendered(key, fallback, texts);
}

/** The variables, each as `String(value)`; own properties only, so `{{constructor}}` reads nothing. */
function textsOf(variables: unknown): Record<string, string> | undefined {
  if (typeof variables !== "object" || variables === null) return undefined;
  const texts: Record<string, string> = Object.create(null);
  for (const name of Object.getOwnPropertyNames(variables)) {
    try {
      texts[name] = String((variables as Record<string, unknown>)[name]);
    } catch {
      throw new TypeError(`Variable '${name}' cannot be turned into text.`);
    }
  }
  return texts;
}
