import { type Answered, answerNow, answerOf, keyText, loaded, timeoutOf, versionOf } from "./answer";
import { environmentText, optionsText, refuseAsTypeError } from "./init";
import { native } from "./native";
import { snapshot } from "./snapshot";
import type { ModelGetOptions, ModelSyncOptions, PreloadOptions, ServiceOptions } from "./types";

/** Models that are assigned in Fallom. */
export const models = { init, get, getSync, preload };

/**
 * Another key or URL for model configs than `init` named; without a call of `init`, it starts the reading of configs.
 *
 * @throws TypeError at once, naming the option, if one is misused
 */
function init(options?: ServiceOptions): Promise<void> {
  const text = optionsText(options);
  refuseAsTypeError(() => native().initCatalog("configs", text, environmentText()));
  return Promise.resolve();
}

/**
 * The model that a session gets: by the config's targeting, else by its weights, each time the same. Answers from
 * memory; waits only for what is not known yet, at most `timeoutMs`, and then takes the `fallback`.
 *
 * @param configKey the config
 * @param sessionId decides the model
 * @throws Error (the promise rejects) if there is no such config or version and no fallback
 * @throws TypeError (the promise rejects) if an option is misused
 */
async function get(configKey: string, sessionId: string, options?: ModelGetOptions): Promise<string> {
  const ask = askingFor(configKey, sessionId, options);
  const timeoutMs = timeoutOf(options?.timeoutMs);
  return modelOf(await answerOf<Assigned>(ask, timeoutMs), options?.fallback);
}

/**
 * As `get`, for code that cannot wait: from memory, else the `fallback`. Await `models.preload()` before.
 *
 * @param configKey the config
 * @param sessionId decides the model
 * @throws Error if there is no such config or version in memory, and no fallback
 * @throws TypeError if an option is misused
 */
function getSync(configKey: string, sessionId: string, options?: ModelSyncOptions): string {
  const advice = "models.getSync does not wait: await models.preload() before.";
  return modelOf(answerNow<Assigned>(askingFor(configKey, sessionId, options), advice), options?.fallback);
}

/**
 * Waits until the model configs are in memory, for those who want to at the start: then every `get` answers at once,
 * and `getSync` does not throw. Rejects only for a misused option.
 *
 * @returns whether they are; if not, reading goes on in the background
 */
async function preload(options?: PreloadOptions): Promise<boolean> {
  return loaded(["configs"], timeoutOf(options?.timeoutMs));
}

interface Assigned {
  model: string;
}

function askingFor(
  configKey: unknown,
  sessionId: unknown,
  options: ModelSyncOptions | undefined,
): () => string {
  const config = keyText(configKey, "config's key");
  const id = keyText(sessionId, "session id");
  const version = versionOf(options?.version);
  const customerId = customerOf(options?.customerId);
  const context = contextText(options?.context);
  return () => native().model(config, id, version, customerId, context);
}

function modelOf(answer: Answered<Assigned>, fallback: unknown): string {
  if ("ok" in answer) return answer.ok.model;
  const reason = "error" in answer ? answer.error : answer.misuse;
  if (typeof fallback !== "string" || fallback === "") throw new Error(reason);
  native().warn(`${reason} The fallback '${fallback}' is used.`);
  return fallback;
}

function customerOf(customerId: unknown): string | undefined {
  if (typeof customerId === "number") return String(customerId);
  return typeof customerId === "string" && customerId !== "" ? customerId : undefined;
}

function contextText(context: unknown): string | undefined {
  return typeof context === "object" && context !== null ? snapshot(context) : undefined;
}
