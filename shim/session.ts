import { bindIdentity, identify, identityOf } from "./identity";
import { FallomSpan } from "./manual-span";
import { models } from "./models";
import type { ModelOptions, SessionContext, SessionOptions, SpanOptions } from "./types";
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
    return FallomSpan.open(this, name, options);
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
   * A Mastra agent like the one given, whose runs are traced for this session. The agent itself stays as it is and
   * may be wrapped by any number of sessions.
   */
  wrapMastraAgent<T>(agent: T): T {
    return wrapMastraAgent(this, agent);
  }
}

/** Starts a session: `new FallomSession(options)`. */
export function session(options: SessionOptions): FallomSession {
  return new FallomSession(options);
}
