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
  /** Takes a finished span: the envelope that stands there in `bytes` (`bytes.ts`), which are copied before it returns. */
  record(bytes: Uint8Array, from: number, to: number): void;
  /** How long a span may stay open, in ms, before it is sent as incomplete. */
  maxOpenMs(): number;
  /** Waits until what is queued and in flight now has settled; JSON text of a `FlushResult`. Never rejects. */
  flush(timeoutMs: number): Promise<string>;
  /** As `flush`, but does not hold the event loop open meanwhile; `done` must not throw. */
  flushInBackground(timeoutMs: number, done: () => void): void;
  /** Flushes, then stops. */
  shutdown(timeoutMs: number): Promise<string>;
  /**
   * Sees to the end of this thread, and of the process should a signal end it: `finishOpen` is called when the open
   * spans must be finished because of something that happens elsewhere. It never holds the event loop open.
   * `false` while nothing is traced; then call again later.
   */
  seeToExit(isMainThread: boolean, finishOpen: () => void): boolean;
  /** The user's last listener for a signal is gone: the core may take the signal over again. */
  armSignals(): void;
  /**
   * At the `exit` event, when this thread's open spans are finished: blocks until all is delivered, at most
   * `exitTimeoutMs`; returns at once when there is nothing to send.
   */
  drain(): void;
  /** JSON text of `Stats`. */
  stats(): string;
  /** Writes one warning to stderr, once per process for each text. */
  warn(message: string): void;
  /** Writes one line to stderr if `debug` is on. */
  debug(message: string): void;
  /**
   * From now on, this realm's events go to `hear`, as JSON text of a `Diagnostic`, and to nobody before it; without it,
   * to nobody. It is called on the event loop, does not hold it open, and must not throw.
   */
  onDiagnostic(hear?: (event: string) => void): void;

  /** Keeps where a suspended run stands in its trace, by the run's id; a bounded table. */
  rememberRun(runId: string, run: string): void;
  /** What was remembered of a run; `null` as text if nothing was. */
  recallRun(runId: string): string;

  /** JSON text of an `Answer<PromptResult>`. `variables`: JSON text, name to text. */
  prompt(key: string, version: number | undefined, variables: string | undefined, strict: boolean): string;
  /** JSON text of an `Answer<PromptResult>`. */
  promptAB(test: string, sessionId: string, variables: string | undefined, strict: boolean): string;
  /** A prompt was asked for by this session itself. */
  promptFor(sessionId: string, key: string, version: number): void;
  /** Whether the texts of calls are wanted, to link them (`linkTexts`): a prompt was fetched in this process. */
  links(): boolean;
  /** JSON text of an `Answer<{ model: string }>`. `context`: JSON text of an object. */
  model(
    configKey: string,
    sessionId: string,
    version: number | undefined,
    customerId: string | undefined,
    context: string | undefined,
  ): string;
  /**
   * Loads `what` of an `Answer`, or a list that is not in memory. Never rejects.
   * @param seen of that `Answer`
   * @param waitedMs what of the timeout is spent
   * @param timeoutMs default: `getTimeoutMs`
   * @returns whether something came, so that asking again may help
   */
  load(
    what: string,
    seen: number | undefined,
    waitedMs: number,
    timeoutMs: number | undefined,
  ): Promise<boolean>;
  /** Whether a list is in memory: `prompts`, `prompt_ab_tests`, `configs`; or that of what an `Answer` names. */
  isLoaded(list: string): boolean;
  /** Brings another key or base URL for prompts (`prompts.init`) or configs (`models.init`). */
  initCatalog(which: "prompts" | "configs", options: string, environment: string): void;
}

/** Bits of what `open` returns. */
export const OpenFlags = {
  /** The span is counted and must be recorded exactly once. */
  recording: 1,
  /** Content may be serialized. Without it, content must not leave the shim. */
  capture: 2,
} as const;

/**
 * What the core answers to a read: the value, why there is none, what is wrong with the call, or what must be loaded
 * first, with the error for those who will not wait for it.
 */
export type Answer<T> =
  | { ok: T }
  | { error: string }
  | { misuse: string }
  | { load: { what: string; seen: number; error: string } };

let loaded: Native | undefined;

/** The core, loaded at first use. Where it cannot be loaded, a stand-in that lets the application run untraced. */
export function native(): Native {
  loaded ??= load(platform());
  return loaded;
}

/** What the core is called on this machine: `<platform>-<arch>[-<abi>]`. */
export function platform(): string {
  const name = `${process.platform}-${process.arch}`;
  if (process.platform === "linux") return `${name}-${isMusl() ? "musl" : "gnu"}`;
  return process.platform === "win32" ? `${name}-msvc` : name;
}

function load(target: string): Native {
  let reason: unknown;
  for (const local of [true, false]) {
    try {
      const addon = addonOf(target, local);
      if (addon !== undefined) return addon;
    } catch (error) {
      // Of "no such file" and "cannot be loaded", the second is worth telling.
      if (reason === undefined || (error as { code?: unknown } | null)?.code !== "MODULE_NOT_FOUND")
        reason = error;
    }
  }
  return absent(target, reason);
}

/**
 * Loads a build that lies beside this package (`local`), or the package of the platform. File tracers (Next.js
 * standalone) follow only static specifiers: nft through a `createRequire` that is written just so, Turbopack through
 * `require.resolve`. Bundlers without a loader for `.node` leave both alone and still build.
 */
function addonOf(target: string, local: boolean): Native | undefined {
  const { createRequire } = require("node:module") as typeof import("node:module");
  // In a bundle written as an ES module there is no `__filename`.
  const find = createRequire(typeof __filename === "string" ? __filename : `${process.cwd()}/`);
  switch (target) {
    case "linux-x64-gnu":
      return local
        ? find("../fallom-trace.linux-x64-gnu.node")
        : find(require.resolve("@fallom/trace-linux-x64-gnu"));
    case "linux-arm64-gnu":
      return local
        ? find("../fallom-trace.linux-arm64-gnu.node")
        : find(require.resolve("@fallom/trace-linux-arm64-gnu"));
    case "linux-x64-musl":
      return local
        ? find("../fallom-trace.linux-x64-musl.node")
        : find(require.resolve("@fallom/trace-linux-x64-musl"));
    case "linux-arm64-musl":
      return local
        ? find("../fallom-trace.linux-arm64-musl.node")
        : find(require.resolve("@fallom/trace-linux-arm64-musl"));
    case "darwin-x64":
      return local
        ? find("../fallom-trace.darwin-x64.node")
        : find(require.resolve("@fallom/trace-darwin-x64"));
    case "darwin-arm64":
      return local
        ? find("../fallom-trace.darwin-arm64.node")
        : find(require.resolve("@fallom/trace-darwin-arm64"));
    case "win32-x64-msvc":
      return local
        ? find("../fallom-trace.win32-x64-msvc.node")
        : find(require.resolve("@fallom/trace-win32-x64-msvc"));
    default:
      return undefined;
  }
}

/** Reading `ldd`, as UTF-8, takes a hundredth of the time of a process report, which settles the rest. */
function isMusl(): boolean {
  try {
    const { readFileSync } = require("node:fs") as typeof import("node:fs");
    const ldd = readFileSync("/usr/bin/ldd", "utf8");
    if (ldd.includes("musl")) return true;
    if (ldd.includes("GNU")) return false;
  } catch {
    // No `ldd` in a slim image.
  }
  try {
    const report = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
    return report.header?.glibcVersionRuntime === undefined;
  } catch {
    return false;
  }
}

/** What stands in for the core: it records nothing, and answers reads with an error that says why. */
function absent(target: string, reason: unknown): Native {
  const missing = `native module @fallom/trace-${target} not found`;
  const why = reason instanceof Error ? ` (${reason.message.split("\n", 1)[0]})` : "";
  console.warn(
    `[fallom] ${missing}, so nothing is traced${why}. It is an optional dependency of @fallom/trace: install with ` +
      "optional dependencies on the platform the application runs on, and keep @fallom/trace out of bundles.",
  );
  const error = JSON.stringify({ error: `${missing}: prompts and models cannot be read` });
  const settled = JSON.stringify({ delivered: 0, spooled: 0, dropped: 0, pending: 0, timedOut: false });
  const nothing = (): void => {};
  return {
    init: nothing,
    open: () => 0,
    record: nothing,
    maxOpenMs: () => Number.MAX_SAFE_INTEGER,
    flush: async () => settled,
    flushInBackground: (_timeoutMs, done) => done(),
    shutdown: async () => settled,
    seeToExit: () => false,
    armSignals: nothing,
    drain: nothing,
    stats: () => NO_STATS,
    warn: (message) => console.warn(`[fallom] ${message}`),
    debug: nothing,
    onDiagnostic: nothing,
    prompt: () => error,
    promptAB: () => error,
    promptFor: nothing,
    links: () => false,
    model: () => error,
    load: async () => false,
    isLoaded: () => false,
    initCatalog: nothing,
    rememberRun: nothing,
    recallRun: () => "null",
  };
}

const NO_STATS = JSON.stringify({
  started: 0,
  open: 0,
  queued: 0,
  inFlight: 0,
  spooled: 0,
  delivered: 0,
  dropped: {
    total: 0,
    queueFull: 0,
    tooLarge: 0,
    rejected: 0,
    unauthorized: 0,
    expired: 0,
    disabled: 0,
    spoolFull: 0,
  },
  queuedBytes: 0,
  spooledBytes: 0,
  sentBytes: 0,
  requests: 0,
  retries: 0,
});
