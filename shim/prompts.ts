import { answerOf, keyText, versionOf } from "./answer";
import { environmentText, optionsText, refuseAsTypeError } from "./init";
import { native } from "./native";
import type { PromptABOptions, PromptOptions, PromptResult, ServiceOptions } from "./types";

/** Prompts that are managed in Fallom. */
export const prompts = { init, get, getAB, getPromptContext, clearPromptContext };

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
 * A prompt, its variables replaced. Waits only for what was never read yet, at most `getTimeoutMs`.
 *
 * @param key the prompt
 * @throws Error (the promise rejects) if there is no such prompt or version
 * @throws TypeError (the promise rejects) if a variable cannot be turned into text
 */
async function get(key: string, options?: PromptOptions): Promise<PromptResult> {
  const prompt = keyText(key, "prompt's key");
  const version = versionOf(options?.version);
  const variables = variablesText(options?.variables);
  return resultOf(() => native().prompt(prompt, version, variables), `Prompt '${prompt}' not found.`);
}

/**
 * The variant of an A/B test that this session gets, each time the same, its variables replaced.
 *
 * @param test the A/B test
 * @param sessionId decides the variant
 * @throws Error (the promise rejects) if there is no such test, or no such prompt
 * @throws TypeError (the promise rejects) if a variable cannot be turned into text
 */
async function getAB(test: string, sessionId: string, options?: PromptABOptions): Promise<PromptResult> {
  const key = keyText(test, "A/B test's key");
  const id = keyText(sessionId, "session id");
  const variables = variablesText(options?.variables);
  return resultOf(() => native().promptAB(key, id, variables), `Prompt A/B test '${key}' not found.`);
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

async function resultOf(ask: () => string, missing: string): Promise<PromptResult> {
  const answer = await answerOf<PromptResult>(ask, missing);
  if ("error" in answer) throw new Error(answer.error);
  return answer.ok;
}

/** JSON text of the variables, each as `String(value)`; own properties only, so `{{constructor}}` reads nothing. */
function variablesText(variables: unknown): string | undefined {
  if (typeof variables !== "object" || variables === null) return undefined;
  const texts: Record<string, string> = Object.create(null);
  for (const name of Object.getOwnPropertyNames(variables)) {
    try {
      texts[name] = String((variables as Record<string, unknown>)[name]);
    } catch {
      throw new TypeError(`Variable '${name}' cannot be turned into text.`);
    }
  }
  return JSON.stringify(texts);
}
