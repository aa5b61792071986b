// What is served to readers: prompts, A/B tests and configs, in Fallom's form and in Langfuse's.

const prompt = (key, text) => ({ key, version: 1, system_prompt: text, user_template: "" });
const FIVE = "You are {{tone}} to {{name}} of {{company}}, who is in {{ city }} and has the plan {{plan}}.";

/** By path. */
export const LISTS = {
  "/prompts": {
    prompts: [
      prompt("p", "You help {{company}}."),
      prompt("five", FIVE),
      prompt("five-b", `${FIVE} Be short.`),
      prompt("braces", "{".repeat(1_000_000)),
    ],
  },
  "/prompt-ab-tests": {
    prompt_ab_tests: [
      {
        key: "test",
        version: 1,
        variants: [
          { prompt_key: "five", prompt_version: null, weight: 50 },
          { prompt_key: "five-b", prompt_version: null, weight: 50 },
        ],
      },
    ],
  },
  "/configs": {
    configs: [
      {
        key: "targeted",
        version: 1,
        variants: ["small", "medium", "large"].map((model) => ({ model, weight: 33 })),
        targeting: {
          rules: [
            { conditions: [{ field: "country", operator: "in", value: ["DE", "AT"] }], variantIndex: 0 },
            {
              conditions: [
                { field: "customerId", operator: "eq", value: "vip-7" },
                { field: "plan", operator: "eq", value: "pro" },
              ],
              variantIndex: 2,
            },
          ],
        },
      },
    ],
  },
};

/** What a GET is answered with, if it asks for one of these. */
export function listed(url) {
  const [, name] = /^\/api\/public\/v2\/prompts\/([^?]+)/.exec(url) ?? [];
  return name ? langfusePrompt(name) : LISTS[url];
}

/** The same prompts, as Langfuse serves them. */
function langfusePrompt(name) {
  const { version, system_prompt } = LISTS["/prompts"].prompts.find(({ key }) => key === name);
  return { name, version, prompt: system_prompt, type: "text", labels: ["production"], tags: [], config: {} };
}
