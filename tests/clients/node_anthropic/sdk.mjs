// The Anthropic SDK for Node.js, used as its users use it.
//
// Parameters: {operation, baseURL, apiKey, requestID, request}. Reports what the operation returns, or {error} with what
// the SDK's user sees. Each request of the operation has the id, so that it can be found again.

import Anthropic from "@anthropic-ai/sdk";

import { report } from "../../worker/node/report.mjs";

const operations = {
  async create(client, request) {
    const { data, request_id } = await client.messages.create(request).withResponse();
    return { message: data, requestID: request_id };
  },

  async stream(client, request) {
    const texts = [];
    const stream = client.messages.stream(request).on("text", (delta) => texts.push(delta));
    return { texts, message: await stream.finalMessage() };
  },

  async beta(client, request) {
    return { message: await client.beta.messages.create({ ...request, betas: ["context-management-2025-06-27"] }) };
  },

  async tools(client, request) {
    const first = await client.messages.create(request);
    const results = first.content
      .filter((block) => block.type === "tool_use")
      .map((block) => ({ type: "tool_result", tool_use_id: block.id, content: `sunny in ${block.input.city}` }));
    const last = await client.messages.stream({
      ...request,
      messages: [
        ...request.messages,
        { role: "assistant", content: first.content },
        { role: "user", content: results },
      ],
    }).finalMessage();
    return { first, last };
  },

  async countTokens(client, { max_tokens, ...request }) {
    return client.messages.countTokens(request);
  },

  async models(client) {
    const ids = [];
    for await (const model of client.models.list({ limit: 2 })) {
      ids.push(model.id);
    }
    return { ids, retrieved: await client.models.retrieve(ids[0]) };
  },
};

await report(async ({ operation, baseURL, apiKey, requestID, request }) => {
  const client = new Anthropic({
    baseURL: baseURL.replace(/\/v1$/, ""),
    apiKey,
    maxRetries: 0,
    defaultHeaders: { "x-request-id": requestID },
  });
  try {
    return await operations[operation](client, request);
  } catch (error) {
    return { error: { name: error.constructor.name, message: error.message, status: error.status, type: error.type } };
  }
});
