// The Vercel AI SDK with its provider for Anthropic, used as its users use it.
//
// Parameters: {operation, baseURL, apiKey, requestID, model, prompt}. Reports what the operation returns, or {error}.

import { createAnthropic } from "@ai-sdk/anthropic";
import { APICallError, generateObject, generateText, RetryError, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

import { report } from "../../worker/node/report.mjs";

const person = z.object({ name: z.string(), age: z.number() });

function weatherTool(asked) {
  return tool({
    description: "Tells the weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async (call) => {
      asked.push(call);
      return `21 degrees in ${call.city}`;
    },
  });
}

const operations = {
  async generateText(options) {
    const { text, reasoningText, finishReason, usage } = await generateText(options);
    return { text, reasoningText, finishReason, usage };
  },

  async streamText(options) {
    const errors = [];
    const result = streamText({ ...options, onError: ({ error }) => errors.push(error) });
    const deltas = [];
    for await (const delta of result.textStream) {
      deltas.push(delta);
    }
    if (errors.length > 0) {
      throw errors[0];
    }
    return {
      deltas,
      reasoningText: await result.reasoningText,
      finishReason: await result.finishReason,
      usage: await result.usage,
    };
  },

  async streamTools(options) {
    const asked = [];
    const errors = [];
    const result = streamText({
      ...options,
      tools: { get_weather: weatherTool(asked) },
      stopWhen: stepCountIs(3),
      onError: ({ error }) => errors.push(error),
    });
    await result.consumeStream();
    if (errors.length > 0) {
      throw errors[0];
    }
    return { text: await result.text, asked, steps: (await result.steps).length };
  },

  async generateObject(options) {
    return { object: (await generateObject({ ...options, schema: person })).object };
  },
};

globalThis.AI_SDK_LOG_WARNINGS = false;

await report(async ({ operation, baseURL, apiKey, requestID, model, prompt }) => {
  const provider = createAnthropic({ baseURL, apiKey, headers: { "x-request-id": requestID } });
  try {
    return await operations[operation]({ model: provider(model), prompt, maxRetries: 0 });
  } catch (error) {
    const cause = RetryError.isInstance(error) ? error.lastError : error;
    const { statusCode, isRetryable } = APICallError.isInstance(cause) ? cause : {};
    return { error: { name: error.name ?? "", message: error.message ?? JSON.stringify(error), statusCode, isRetryable } };
  }
});
