import { bindIdentity, identify, identityOf } from "./identity";
import { FallomSpan } from "./manual-span";
import { models } from "./models";
import { native } from "./native";
import { runWithPrompt } from "./prompt-scope";
import { prompts } from "./prompts";
import type {
  ModelOptions,
  PromptABOptions,
  PromptOptions,
  PromptResult,
  SessionContext,
  SessionOptions,
  SpanOptions,
  WrapMastraOptions,
} from "./types";
import { wrapMastraAgent } from "./wrap/mastra";

/**
 * A conversation or a request: what its spans have in common, and the wrappers that make them. Cheap; make one for
 * each. Wrong values never throw: see `SessionOptions`.
 */
export class FallomSession {
  constructor(options: SessionOptions) {
    bindIdentity(this, identify(options));
  }

  /** What the session's spans carry. A copy: changing it changes nothing. */
  getContext(): SessionContext {
    const { metadata, tags, ...ids } = identityOf(this).context;
    return {
      ...ids,
      ...(metadata !== undefined && { metadata: { ...metadata } }),
      ...(tags !== undefined && { tags: [...tags] }),
    };
  }

  /**
   * Opens a span, to be ended by its `end()`. Until then, what this session does after it in the same async scope
   * belongs to it: spans, wrapped agents, functions of `wrapTraced`. Steps that run in parallel do better with
   * `wrapTraced`, which knows where each begins and ends, or with the ids of their parent.
   */
  span(name: string, options?: SpanOptions): FallomSpan {
    return FallomSpan.open(this, name, options, opener);
  }

  /**
   * The model that Fallom assigns to this session, by its config's targeting and weights; the same session gets the
   * same model each time.
   *
   * The session's customer counts for the targeting, and the fields of `context` beside it.
   *
   * @param configKey the config. Default: the session's own
   * @throws Error (the promise rejects) if there is no such config and no fallback
   */
  getModel(configKey?: string | undefined, options?: ModelOptions): Promise<string>;
  getModel(options?: ModelOptions): Promise<string>;
  getModel(keyOrOptions?: string | ModelOptions, options?: ModelOptions): Promise<string> {
    const { configKey, sessionId, customerId } = identityOf(this).context;
    const own = typeof keyOrOptions === "object" ? keyOrOptions : options;
    const key = typeof keyOrOptions === "string" && keyOrOptions !== "" ? keyOrOptions : configKey;
    return models.get(key, sessionId, { ...own, customerId });
  }

  /**
   * `prompts.get`, for this session: where two prompts have the same text, its traces name the one that it asked for.
   *
   * @param key the prompt
   * @throws as `prompts.get` does (the promise rejects)
   */
  async prompt(key: string, options?: PromptOptions): Promise<PromptResult> {
    const prompt = await prompts.get(key, options);
    native().promptFor(identityOf(this).context.sessionId, prompt.key, prompt.version);
    return prompt;
  }

  /**
   * `prompts.getAB`, for this session: the variant of the test that it gets, each time the same.
   *
   * @param test the A/B test
   * @throws as `prompts.getAB` does (the promise rejects)
   */
  promptAB(test: string, options?: PromptABOptions): Promise<PromptResult> {
    return prompts.getAB(test, identityOf(this).context.sessionId, options);
  }

  /**
   * Runs `fn`, and names the prompt that this session's agents use in it, also where their text does not tell. It
   * holds for the agents that `fn` calls, in its whole async scope, unless one was wrapped with a prompt of its own;
   * not for the sub-agents that those ask: these go by their own text. It holds for spans of your own of the kinds
   * `agent` and `llm`, too. A `fallback` names no prompt.
   *
   * @param prompt as `prompt`, `promptAB`, `prompts.get` or `prompts.getAB` gave it
   * @returns what `fn` returns
   * @throws TypeError if it is no such prompt, or `fn` no function; and whatever `fn` throws
   */
  withPrompt<R>(prompt: PromptResult, fn: () => R): R {
    return runWithPrompt(this, prompt, fn);
  }

  /**
   * A Mastra agent like the one given, whose runs are traced for this session. The agent itself stays as it is and
   * may be wrapped by any number of sessions.
   *
   * @throws TypeError if it is no agent, or `options.prompt` no prompt
   */
  wrapMastraAgent<T>(agent: T, options?: WrapMastraOptions): T {
    return wrapMastraAgent(this, agent, options);
  }
}

/** Starts a session: `new FallomSession(options)`. */
export function session(options: SessionOptions): FallomSession {
  return new FallomSession(options);
}

/** The method itself, which is on the stack whatever may have been put in its place. */
const opener = FallomSession.prototype.span;
