import { answerOf, keyText, versionOf } from "./answer";
import { environmentText, optionsText, refuseAsTypeError } from "./init";
import { native } from "./native";
import { snapshot } from "./snapshot";
import type { ModelGetOptions, ServiceOptions } from "./types";

/** Models that are assigned in Fallom. */
export const models = { init, get };

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
 * The model that a session gets: by the config's targeting, else by its weights, each time the same. Waits only for
 * what was never read yet, at most `getTimeoutMs`.
 *
 * @param configKey the config
 * @param sessionId decides the model
 * @throws Error (the promise rejects) if there is no such config or version and no fallback
 */
async function get(configKey: string, sessionId: string, options?: ModelGetOptions): Promise<string> {
  const config = keyText(configKey, "config's key");
  const id = keyText(sessionId, "session id");
  const version = versionOf(options?.version);
  const customerId = customerOf(options?.customerId);
  const context = contextText(options?.context);
  const answer = await answerOf<{ model: string }>(
    () => native().model(config, id, version, customerId, context),
    `Config '${config}' not found.`,
  );
  if ("ok" in answer) return answer.ok.model;
  const fallback: unknown = options?.fallback;
  if (typeof fallback !== "string" || fallback === "") throw new Error(answer.error);
  native().warn(`${answer.error} The fallback '${fallback}' is used.`);
  return fallback;
}

function customerOf(customerId: unknown): string | undefined {
  if (typeof customerId === "number") return String(customerId);
  return typeof customerId === "string" && customerId !== "" ? customerId : undefined;
}

function contextText(context: unknown): string | undefined {
  return typeof context === "object" && context !== null ? snapshot(context) : undefined;
}
