/**
 * The native core as the shim sees it. Everything that is one per process lives behind this interface.
 * Strings that carry structure are JSON text: one cheap crossing instead of one per property.
 */
export interface Native {
  /**
   * Checks the options and starts the core; a second call may bring a new key or URL.
   * Throws an `Error` whose message names the misused option; nothing else throws.
   * @param options JSON text of the options as the user gave them
   * @param environment JSON text of the `FALLOM_*` variables (and `NODE_EXTRA_CA_CERTS`) of this process
   */
  init(options: string, environment: string): void;
  /** Starts a span: counts it as open and says how to record it, as `OpenFlags`. 0: do nothing at all. */
  open(): number;
  /** Takes a finished span, as UTF-8 JSON text of a `SpanEnvelope`. Copies the bytes before it returns. */
  record(envelope: Uint8Array): void;
  /** How long a span may stay open, in ms, before it is sent as incomplete. */
  maxOpenMs(): number;
  /** Waits until what is queued and in flight now has settled; JSON text of a `FlushResult`. Never rejects. */
  flush(timeoutMs: number): Promise<string>;
  /** Flushes, then stops. */
  shutdown(timeoutMs: number): Promise<string>;
  /** Blocks until all is delivered, at most `exitTimeoutMs`; returns at once when there is nothing to send. */
  drain(): void;
  /** JSON text of `Stats`. */
  stats(): string;
  /** Writes one warning to stderr, once per process for each text. */
  warn(message: string): void;
  /** Writes one line to stderr if `debug` is on. */
  debug(message: string): void;

  /** JSON text of an `Answer<PromptResult>`. `variables`: JSON text, name to text. */
  prompt(key: string, version: number | undefined, variables: string | undefined): string;
  /** JSON text of an `Answer<PromptResult>`. */
  promptAB(test: string, sessionId: string, variables: string | undefined): string;
  /** JSON text of an `Answer<{ model: string }>`. `context`: JSON text of an object. */
  model(
    configKey: string,
    sessionId: string,
    version: number | undefined,
    customerId: string | undefined,
    context: string | undefined,
  ): string;
  /** Waits until `what` of an `Answer` was loaded or given up, at most `getTimeoutMs`. Never rejects. */
  load(what: string): Promise<void>;
  /** Brings another key or base URL for prompts (`prompts.init`) or configs (`models.init`). */
  initCatalog(which: "prompts" | "configs", options: string, environment: string): void;
}

/** Bits of what `open` returns. */
export const OpenFlags = {
  /** The span is counted and must be recorded exactly once. */
  recording: 1,
  /** Content may be serialized. Without it, content must not leave the shim. */
  capture: 2,
  /** Prompts were fetched in this process: the texts of the call are wanted, to link it (`linkTexts`). */
  link: 4,
} as const;

/** What the core answers to a read: the value, an error for the user, or what must be loaded first. */
export type Answer<T> = { ok: T } | { error: string } | { load: string };

/** A finished span as it crosses to the core. */
export interface SpanEnvelope {
  session: unknown;
  trace_id: string;
  span_id: string;
  parent_span_id?: string;
  name: string;
  kind: string;
  model?: string;
  /** ms since 1970, whole. */
  start_ms: number;
  end_ms: number;
  status: "OK" | "ERROR";
  error_message?: string;
  time_to_first_token_ms?: number;
  is_streaming?: true;
  /** Scalars; `fallom.sdk_version` and `fallom.sdk` are added by the core. */
  attributes: Record<string, string | number | boolean>;
  /** Any JSON; they become JSON text under `fallom.raw.*`. */
  request?: unknown;
  response?: unknown;
  usage?: unknown;
  metadata?: unknown;
  timings?: unknown;
  /** Texts that may be a rendered prompt; compared by the core, never sent. */
  link_texts?: string[];
}
