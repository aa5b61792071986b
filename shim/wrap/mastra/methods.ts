/** What a method gives, which decides how its end is seen. */
type Gives = "output" | "stream" | "network";

/** A method of an agent that runs a model. */
export interface Method {
  readonly name: string;
  /** As `fallom.method`. */
  readonly label: string;
  readonly gives: Gives;
  /** Which argument holds the options. */
  readonly optionsAt: 0 | 1;
  /** Whether it goes on with a run that was suspended. */
  readonly resumes: boolean;
  /** Whether it says no to a tool call, which then never runs. */
  readonly declines?: true;
  /** Which of the agent's methods gives the defaults of the options, by Mastra's line; the first that exists counts. */
  readonly defaultsBy: readonly string[];
  /** Whether the options are touched at all: an object that is no Mastra agent may take something else there. */
  readonly plain?: true;
}

/** 1.x, then 0.24. The latter's `getDefaultGenerateOptions` counts for the legacy methods only. */
const DEFAULTS = ["getDefaultOptions", "getDefaultVNextStreamOptions"] as const;
const LEGACY_GENERATE = ["getDefaultGenerateOptionsLegacy", "getDefaultGenerateOptions"] as const;
const LEGACY_STREAM = ["getDefaultStreamOptionsLegacy", "getDefaultStreamOptions"] as const;
const NETWORK = ["getDefaultNetworkOptions"] as const;

function method(name: string, gives: Gives, more: Partial<Method> = {}): [string, Method] {
  const label = `agent.${name}`;
  return [name, { name, label, gives, optionsAt: 1, resumes: false, defaultsBy: DEFAULTS, ...more }];
}

const RESUMES = { resumes: true } as const;
/** `approve…` and `decline…` take their options as the only argument. */
const ANSWERS = { resumes: true, optionsAt: 0 } as const;
const DECLINES = { ...ANSWERS, declines: true } as const;

/** By name: in 0.24 the methods are no own names of `Agent.prototype` (@mastra/core 0.24.9, 1.71.0). */
export const METHODS: ReadonlyMap<PropertyKey, Method> = new Map<PropertyKey, Method>([
  method("generate", "output"),
  method("generateLegacy", "output", { defaultsBy: LEGACY_GENERATE }),
  method("resumeGenerate", "output", RESUMES),
  method("approveToolCallGenerate", "output", ANSWERS),
  method("declineToolCallGenerate", "output", DECLINES),
  method("stream", "stream"),
  method("streamLegacy", "stream", { defaultsBy: LEGACY_STREAM }),
  method("streamUntilIdle", "stream"),
  method("resumeStream", "stream", RESUMES),
  method("resumeStreamUntilIdle", "stream", RESUMES),
  method("approveToolCall", "stream", ANSWERS),
  method("declineToolCall", "stream", DECLINES),
  method("network", "network", { defaultsBy: NETWORK }),
  method("resumeNetwork", "network", { ...RESUMES, defaultsBy: NETWORK }),
  method("approveNetworkToolCall", "network", { ...ANSWERS, defaultsBy: NETWORK }),
  method("declineNetworkToolCall", "network", { ...DECLINES, defaultsBy: NETWORK }),
]);

/** For any other object with a `generate`: its arguments go through as they are. */
export const ONLY_GENERATE: ReadonlyMap<PropertyKey, Method> = new Map<PropertyKey, Method>([
  method("generate", "output", { plain: true, defaultsBy: [] }),
]);

/** Whether an object is an agent of Mastra's, of either line. */
export function isMastraAgent(agent: object): boolean {
  const { getInstructions, __registerMastra } = agent as Record<string, unknown>;
  return typeof getInstructions === "function" && typeof __registerMastra === "function";
}
