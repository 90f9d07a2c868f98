// The Vercel AI SDK with its provider for OpenAI-compatible APIs (chat completions), for OpenAI (Responses) or for
// Anthropic (Messages), used as its users use it.
//
// Parameters: {operation, provider?, baseURL, apiKey, headers?, model, prompt, values?, maxRetries?, store?,
// extraBody?}. Reports what the operation returns, or {error} with what the SDK's user sees.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, embedMany, generateObject, generateText, Output, RetryError, stepCountIs, streamObject, streamText, tool } from "ai";
import { z } from "zod";

import { report } from "../../worker/node/report.mjs";

const person = z.object({ name: z.string(), age: z.number(), languages: z.array(z.string()) });

function weatherTool(asked) {
  return tool({
    description: "Tells the weather of a city.",
    inputSchema: z.object({ city: z.string(), unit: z.enum(["celsius", "kelvin"]).optional() }),
    execute: async (call) => {
      asked.push(call);
      return `21 degrees in ${call.city}`;
    },
  });
}

async function collect(iterable) {
  const items = [];
  for await (const item of iterable) {
    items.push(item);
  }
  return items;
}

const operations = {
  async generateText(options) {
    const { text, reasoningText, finishReason, usage } = await generateText(options);
    return { text, reasoningText, finishReason, usage };
  },

  async streamText(options) {
    const errors = [];
    const result = streamText({ ...options, onError: ({ error }) => errors.push(error) });
    const deltas = await collect(result.textStream);
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

  async generateTools(options) {
    const asked = [];
    const tools = { get_weather: weatherTool(asked) };
    const { text, steps } = await generateText({ ...options, tools, stopWhen: stepCountIs(3) });
    return { text, asked, steps: steps.length };
  },

  async streamTools(options) {
    const asked = [];
    const errors = [];
    const tools = { get_weather: weatherTool(asked) };
    const result = streamText({
      ...options,
      tools,
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

  async streamObject(options) {
    const result = streamObject({ ...options, schema: person });
    const partial = await collect(result.partialObjectStream);
    return { object: await result.object, partial: partial.length };
  },

  async output(options) {
    return { object: (await generateText({ ...options, output: Output.object({ schema: person }) })).output };
  },

  // Two turns, the second of which sends the first one's messages back as the SDK has made them.
  async generateTurns({ prompt, ...options }) {
    const first = await generateText({ ...options, prompt });
    const messages = [{ role: "user", content: prompt }, ...first.response.messages, { role: "user", content: "Go on." }];
    return { texts: [first.text, (await generateText({ ...options, messages })).text] };
  },

  async streamTurns({ prompt, ...options }) {
    const errors = [];
    const onError = ({ error }) => errors.push(error);
    const first = streamText({ ...options, prompt, onError });
    await first.consumeStream();
    const messages = [{ role: "user", content: prompt }, ...(await first.response).messages, { role: "user", content: "Go on." }];
    const second = streamText({ ...options, messages, onError });
    await second.consumeStream();
    if (errors.length > 0) {
      throw errors[0];
    }
    return { texts: [await first.text, await second.text] };
  },

  async abort(options) {
    const controller = new AbortController();
    const result = streamText({ ...options, abortSignal: controller.signal, onError: () => {} });
    let count = 0;
    for await (const _ of result.textStream) {
      count += 1;
      if (count === 5) {
        controller.abort();
      }
    }
    return { count };
  },
};

globalThis.AI_SDK_LOG_WARNINGS = false;

const providers = {
  compatible: (baseURL, apiKey, extraBody) =>
    createOpenAICompatible({
      name: "qwen",
      baseURL,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
      transformRequestBody: (body) => ({ ...body, ...extraBody }),
    }),
  openai: (baseURL, apiKey, extraBody) =>
    createOpenAI({
      baseURL,
      apiKey,
      fetch: (url, request) =>
        fetch(url, { ...request, body: JSON.stringify({ ...JSON.parse(request.body), ...extraBody }) }),
    }),
  anthropic: (baseURL, apiKey, _extraBody, headers) => createAnthropic({ baseURL, apiKey, headers }),
};

await report(async ({ operation, provider = "compatible", baseURL, apiKey, headers, model, ...given }) => {
  const { prompt, values, maxRetries, store, extraBody } = given;
  const models = providers[provider](baseURL, apiKey, extraBody, headers);
  const providerOptions = store === undefined ? undefined : { openai: { store } };
  try {
    if (operation === "embedMany") {
      const { embeddings, usage } = await embedMany({ model: models.textEmbeddingModel(model), values, maxRetries });
      return { embeddings, usage };
    }
    return await operations[operation]({ model: models(model), prompt, maxRetries, providerOptions });
  } catch (error) {
    const cause = RetryError.isInstance(error) ? error.lastError : error;
    const { statusCode, isRetryable, responseBody } = APICallError.isInstance(cause) ? cause : {};
    // Anthropic's provider throws the error of a stream as the object that came.
    const { name = "", message = JSON.stringify(error) } = error;
    return { error: { name, message, statusCode, isRetryable, responseBody } };
  }
});
