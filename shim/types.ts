/** How spans are sent to the service. */
export interface TransportOptions {
  /**
   * How a request is written: one span (`single`), many, one JSON object a line (`ndjson`), or what the server says
   * that it takes (`auto`). Default: `auto`.
   */
  format?: "auto" | "single" | "ndjson" | undefined;
  /** How a request is compressed; `auto`: as the server says that it takes it. Default: `auto`. */
  compression?: "auto" | "none" | "gzip" | "zstd" | undefined;
  /** The longest that one request may take, in ms. Default: 10 000. */
  timeoutMs?: number | undefined;
  /** Requests under way at once. Default: 4. */
  maxConcurrent?: number | undefined;
}

/** When a batch of spans goes: when the first of these is reached. */
export interface BatchOptions {
  /** Spans in a batch. Default: 512. */
  maxSpans?: number | undefined;
  /** Encoded bytes of a batch, before compression. Default: 1 MiB. */
  maxBytes?: number | undefined;
  /** The longest that a span waits for others, in ms. Default: 1000. */
  maxDelayMs?: number | undefined;
}

/** How a failed delivery is tried again. A `Retry-After` of the server is honoured up to 5 minutes. */
export interface RetryOptions {
  /** Spans older than this are dropped as `expired`, or left to the spool, in ms. Default: 600 000 (10 minutes). */
  maxAgeMs?: number | undefined;
  /** Where the growing, random delay begins, in ms. Default: 500. */
  baseMs?: number | undefined;
  /** The longest delay, in ms. Default: 30 000. */
  maxMs?: number | undefined;
}

/** Where spans wait on disk, and how many of them. */
export interface SpoolOptions {
  /** The folder. Environment: `FALLOM_SPOOL_DIR`. Default: `fallom/spool` in the user's cache folder. */
  dir?: string | undefined;
  /** Bytes of its files, for each key and traces URL; beyond it, the oldest spans are dropped. Default: 256 MiB. */
  maxBytes?: number | undefined;
  /** Spans older than this are dropped as `expired`, in ms. Default: 86 400 000 (24 hours). */
  maxAgeMs?: number | undefined;
}

/** Where prompts, A/B tests and model configs are kept on disk. */
export interface CacheOptions {
  /**
   * The folder, made if missing, for the current user alone; several processes may share it. Environment:
   * `FALLOM_CACHE_DIR`. Default: `fallom/catalog` in the user's cache folder.
   */
  dir?: string | undefined;
}

/**
 * Options of `init`. All are optional. A misused one is a `TypeError` that names it; a bad environment variable is
 * one warning, and the default is used. An option beats its variable, an empty text counts as absent.
 */
export interface InitOptions {
  /** The key of your Fallom project. Environment: `FALLOM_API_KEY`. Without it: one warning, and nothing is traced. */
  apiKey?: string | undefined;
  /**
   * Where spans go. Environment: `FALLOM_TRACES_URL`, else `FALLOM_BASE_URL`. Default: `https://traces.fallom.com`.
   */
  tracesUrl?: string | undefined;
  /**
   * Where model configs are read. Environment: `FALLOM_CONFIGS_URL`, else `FALLOM_BASE_URL`.
   * Default: `https://configs.fallom.com`.
   */
  configsUrl?: string | undefined;
  /**
   * Where prompts and A/B tests are read. Environment: `FALLOM_PROMPTS_URL`, else `FALLOM_BASE_URL`.
   * Default: `https://prompts.fallom.com`.
   */
  promptsUrl?: string | undefined;
  /**
   * Whether messages, answers, arguments and results are sent. `false` here or in the environment
   * (`FALLOM_CAPTURE_CONTENT` = `false`, `0` or `no`) switches it off. Default: `true`.
   */
  captureContent?: boolean | undefined;
  /** One line on stderr for each decision. Environment: `FALLOM_DEBUG`. Default: `false`. */
  debug?: boolean | undefined;
  /** `false` makes everything a no-op. Environment: `FALLOM_ENABLED`. Default: `true`. */
  enabled?: boolean | undefined;
  /** Encoded bytes of one span; beyond it, the oldest content is cut, and the span says so. Default: 1 MiB. */
  maxSpanBytes?: number | undefined;
  /** Bytes of spans held in memory; beyond it, the oldest are dropped and counted. Default: 64 MiB. */
  maxQueueBytes?: number | undefined;
  /** A span open for longer than this is sent as incomplete, in ms. Default: 1 800 000 (30 minutes). */
  maxOpenMs?: number | undefined;
  /** When a batch of spans goes. */
  batch?: BatchOptions | undefined;
  /** How a failed delivery is tried again. */
  retry?: RetryOptions | undefined;
  /** How spans are sent. */
  transport?: TransportOptions | undefined;
  /** The longest that delivery may delay the end of the process, in ms. Default: 2000. */
  exitTimeoutMs?: number | undefined;
  /**
   * Keeps spans on disk until they are delivered: they outlive `kill -9`, a crash and an outage, and the next process
   * on the same folder delivers them. Content is written there in the clear, for the current user alone.
   * Environment: `FALLOM_SPOOL_DIR` turns it on and names the folder. Default: `false`.
   */
  spool?: boolean | SpoolOptions | undefined;
  /** How often prompts, A/B tests and model configs are read again, in ms. Default: 30 000. */
  refreshMs?: number | undefined;
  /** The longest that a `get` waits for what was not read yet, in ms. Default: 2000. */
  getTimeoutMs?: number | undefined;
  /**
   * Keeps prompts, A/B tests and model configs on disk as they were last read, so that a process starts with them at
   * once, and without Fallom. Environment: `FALLOM_CACHE_DIR` turns it on and names the folder. Default: `false`.
   */
  cache?: boolean | CacheOptions | undefined;
  /**
   * Called with what happens to spans, prompts and the connection, as far as it is worth knowing: the events of the
   * process, in each thread that passes it. Events of one kind and reason come once a second at most, summed. It does
   * not keep the process alive, and what it throws is ignored. A second `init` may bring another one for its thread.
   */
  onDiagnostic?: ((event: Diagnostic) => void) | undefined;
  /**
   * Called at the end of each trace with a promise of its delivery, which never rejects and takes 5 s at most, so that
   * a serverless platform does not stop before. Default: what Vercel, Next.js or a platform that is compatible with
   * Cloudflare has for the request at hand. A second `init` may bring another one for its thread.
   */
  waitUntil?: WaitUntil | undefined;
}

/** Has a platform wait for a promise before it stops or freezes the process, as `waitUntil` of `@vercel/functions`. */
export type WaitUntil = (promise: Promise<unknown>) => unknown;

/** What `onDiagnostic` is told. Neither the key nor content is ever in it. */
export interface Diagnostic {
  /**
   * What it is about: spans were `dropped`, will be sent again (`retrying`) or had content cut (`truncated`); the key
   * was refused (`unauthorized`); prompts or configs could not be read (`refresh-failed`, once for each outage); spans
   * on disk (`spool`); what the server takes or refused to take (`negotiated`); a `warning` as on stderr.
   */
  type:
    | "dropped"
    | "retrying"
    | "unauthorized"
    | "truncated"
    | "refresh-failed"
    | "spool"
    | "negotiated"
    | "warning";
  /** For people; its wording may change. */
  message: string;
  /** How many spans, since the last such event. */
  count?: number;
  /** Why, in one word: of `dropped`, a name of `Stats.dropped`. */
  reason?: string;
}

/** What `prompts.init` and `models.init` take: another key or service than `init` named. */
export interface ServiceOptions {
  /** Default: the key of `init`, else `FALLOM_API_KEY`. */
  apiKey?: string | undefined;
  /** Default: `promptsUrl` or `configsUrl` of `init`, else the environment's. */
  baseUrl?: string | undefined;
}

/** Whose conversation it is. Comes from data at run time, so nothing of it ever throws. */
export interface SessionOptions {
  /** The application or feature, as configured in Fallom. Missing: "unknown", and one warning. */
  configKey: string;
  /** Groups what belongs together: a conversation, a request. Missing: "unknown", and one warning. */
  sessionId: string;
  /** The customer it is done for; also decides the targeting of model configs. */
  customerId?: string | undefined;
  /** Further fields to search by; texts, numbers and booleans only. */
  metadata?: Record<string, string | number | boolean> | undefined;
  /** Labels to search by. */
  tags?: string[] | undefined;
  /** As the option of `init`, for the request at hand: `ctx.waitUntil.bind(ctx)`. It is not part of the context. */
  waitUntil?: WaitUntil | undefined;
}

/** The session as its spans carry it: checked, and unmoved by what happens to the options afterwards. */
export type SessionContext = Omit<SessionOptions, "waitUntil">;

/** What an operation is. */
export type SpanKind = "agent" | "llm" | "tool" | "retrieval" | "preprocessing" | "postprocessing" | "custom";

/** Options of a manual span. Without ids, it belongs to the span that is current where it is opened. */
export interface SpanOptions {
  /** The id of its parent, 16 hex digits: `parent.context().spanId`. */
  parentSpanId?: string | undefined;
  /** The id of its trace, 32 hex digits: `parent.context().traceId`. */
  traceId?: string | undefined;
  /** What it is. Default: `custom`, also for kinds that are not known. */
  kind?: SpanKind | (string & {}) | undefined;
}

/** Ids of a span, to name it as the parent of another. */
export interface SpanContext {
  traceId: string;
  spanId: string;
}

/** A rendered prompt. */
export interface PromptResult {
  /** The key of the prompt; of an A/B test, that of the variant. */
  key: string;
  /** 0 for a fallback. */
  version: number;
  /** The system prompt, its variables replaced. */
  system: string;
  /** The user template, its variables replaced. */
  user: string;
  /** The names that its templates use, each once, in the order of their first use. */
  variables: string[];
  /** The key of the A/B test, if it came from one. */
  abTestKey?: string;
  /** Which variant of the test, counted from 0. */
  variantIndex?: number;
  /** Fallom's own could not be had: this is the caller's `fallback`. */
  isFallback?: true;
}

/** Options of `prompts.get`. */
export interface PromptOptions {
  /** Values for `{{name}}`; each becomes text as `String(value)` does. Only own properties count. */
  variables?: Record<string, unknown> | undefined;
  /**
   * A variable that the prompt uses and that was not given is an error that names it, and the reverse, too; else it is
   * a line of `debug`. Default: `false`.
   */
  strict?: boolean | undefined;
  /** A version to pin, of those that Fallom lists. Default: the current one. */
  version?: number | undefined;
  /**
   * Used, with a warning, if the prompt cannot be had; its variables are replaced, too. A text is the system prompt,
   * and the empty one is a text.
   */
  fallback?: string | { system?: string | undefined; user?: string | undefined } | undefined;
  /** The longest to wait for what was not read yet, in ms. Default: `getTimeoutMs` of `init`. */
  timeoutMs?: number | undefined;
  /** Accepted for older callers; `init({ debug: true })` tells all. */
  debug?: boolean | undefined;
}

/** Options of `prompts.getSync`, which does not wait. */
export type PromptSyncOptions = Omit<PromptOptions, "timeoutMs">;

/** Options of `prompts.getAB`. */
export type PromptABOptions = Omit<PromptOptions, "version">;

/** Options of `session.wrapMastraAgent`. */
export interface WrapMastraOptions {
  /**
   * The prompt that the agent uses, as `prompts.get` or one of its relatives gave it; its traces name it whatever their
   * text is. Default: the one of `session.withPrompt`, else what the text tells, else the session's one A/B test.
   */
  prompt?: PromptResult | undefined;
}

/** Options of `session.getModel`. */
export interface ModelOptions {
  /** The version of the config to pin. Default: the current one. */
  version?: number | undefined;
  /** Used, with a warning, if no config can be had. Empty counts as absent. */
  fallback?: string | undefined;
  /** The longest to wait for what was not read yet, in ms. Default: `getTimeoutMs` of `init`. */
  timeoutMs?: number | undefined;
  /** Fields for targeting, beside the customer. */
  context?: Record<string, unknown> | undefined;
  /** Accepted for older callers; `init({ debug: true })` tells all. */
  debug?: boolean | undefined;
}

/** Options of `models.get`. */
export interface ModelGetOptions extends ModelOptions {
  /** The customer, for targeting; beats a `customerId` of the `context`. */
  customerId?: string | undefined;
}

/** Options of `models.getSync`, which does not wait. */
export type ModelSyncOptions = Omit<ModelGetOptions, "timeoutMs">;

/** Options of `prompts.preload` and `models.preload`. */
export interface PreloadOptions {
  /** The longest to wait, in ms. Default: `getTimeoutMs` of `init`. */
  timeoutMs?: number | undefined;
}

/** Options of `flush` and `shutdown`. */
export interface FlushOptions {
  /** The longest to wait, in ms. Default: 5000. */
  timeoutMs?: number | undefined;
}

/** What became of the spans that were there when `flush` was called. */
export interface FlushResult {
  delivered: number;
  spooled: number;
  dropped: number;
  /** Still under way. */
  pending: number;
  timedOut: boolean;
}

/**
 * Where the spans of this process are; each is counted once. At all times
 * `started = open + queued + inFlight + spooled + delivered + dropped.total`.
 */
export interface Stats {
  started: number;
  open: number;
  queued: number;
  inFlight: number;
  spooled: number;
  delivered: number;
  /** Spans that were given up, by reason. */
  dropped: {
    total: number;
    queueFull: number;
    tooLarge: number;
    rejected: number;
    unauthorized: number;
    expired: number;
    disabled: number;
    spoolFull: number;
  };
  queuedBytes: number;
  spooledBytes: number;
  sentBytes: number;
  requests: number;
  retries: number;
  lastError?: { at: string; message: string; status?: number };
}
