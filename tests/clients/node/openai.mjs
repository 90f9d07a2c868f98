// The OpenAI SDK for Node.js, used as its users use it.
//
// Parameters: {operation, baseURL, apiKey, maxRetries?, request}. Reports what the operation returns, or {error} with
// what the SDK's user sees.

import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

import { report } from "../../worker/node/report.mjs";

const Person = z.object({ name: z.string(), age: z.number(), languages: z.array(z.string()) });
const Weather = z.object({ city: z.string(), unit: z.enum(["celsius", "kelvin"]) });

const operations = {
  async models(client) {
    const models = [];
    for await (const model of client.models.list()) {
      models.push(model.id);
    }
    return { models, retrieved: (await client.models.retrieve(models[0])).id };
  },

  async complete(client, request) {
    const { data, response, request_id } = await client.chat.completions.create(request).withResponse();
    return { completion: data, requestID: request_id, headers: Object.fromEntries(response.headers) };
  },

  async stream(client, request) {
    const chunks = [];
    for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
      chunks.push(chunk);
    }
    return { chunks };
  },

  async streamHelper(client, request) {
    const contents = [];
    const stream = client.chat.completions.stream(request).on("content", (delta) => contents.push(delta));
    const completion = await stream.finalChatCompletion();
    return { contents, completion };
  },

  async parse(client, request) {
    const completion = await client.chat.completions.parse({
      ...request,
      response_format: zodResponseFormat(Person, "person"),
    });
    return { parsed: completion.choices[0].message.parsed };
  },

  async parseStream(client, request) {
    const stream = client.chat.completions.stream({ ...request, response_format: zodResponseFormat(Person, "person") });
    return { parsed: (await stream.finalChatCompletion()).choices[0].message.parsed };
  },

  async runTools(client, request) {
    const asked = [];
    const runner = client.chat.completions.runTools({
      ...request,
      tools: [
        zodFunction({
          name: "get_weather",
          parameters: Weather,
          function: (call) => {
            asked.push(call);
            return `21 degrees in ${call.city}`;
          },
        }),
      ],
    });
    return { content: await runner.finalContent(), asked };
  },

  async respond(client, request) {
    const { output_text, output, usage, status } = await client.responses.create(request);
    return { output_text, output, usage, status };
  },

  async respondStream(client, request) {
    const events = [];
    for await (const event of await client.responses.create({ ...request, stream: true })) {
      events.push(event);
    }
    return { events };
  },

  async respondStreamHelper(client, request) {
    const deltas = [];
    const stream = client.responses.stream(request).on("response.output_text.delta", ({ delta }) => deltas.push(delta));
    const { output_text, output } = await stream.finalResponse();
    return { deltas, output_text, output };
  },

  async respondParse(client, request) {
    const text = { format: zodTextFormat(Person, "person") };
    return { parsed: (await client.responses.parse({ ...request, text })).output_parsed };
  },

  async hangUp(client, request) {
    let count = 0;
    for await (const _ of await client.chat.completions.create({ ...request, stream: true })) {
      count += 1;
      if (count === 5) {
        break;
      }
    }
    return { count };
  },
};

await report(async ({ operation, baseURL, apiKey, maxRetries, request }) => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries });
  try {
    return await operations[operation](client, request);
  } catch (error) {
    if (!(error instanceof OpenAI.OpenAIError)) {
      throw error;
    }
    const { status, code, type, param, message, requestID } = error;
    return { error: { class: error.constructor.name, status, code, type, param, message, requestID } };
  }
});
