// What gateways in TypeScript commonly do: parse the request, parse each chunk, and write both anew.

const encoder = new TextEncoder();

function rewriteEvents() {
  let rest = "";
  return new TransformStream({
    transform(text, controller) {
      rest += text;
      for (let end = rest.indexOf("\n\n"); end >= 0; end = rest.indexOf("\n\n")) {
        const data = rest.slice(0, end).replace(/^data: ?/, "");
        rest = rest.slice(end + 2);
        const written = data === "[DONE]" ? data : JSON.stringify(JSON.parse(data));
        controller.enqueue(encoder.encode(`data: ${written}\n\n`));
      }
    },
  });
}

export default {
  async fetch(request, env) {
    const body = await request.json();
    const answer = await fetch(`${env.OPENAI_BASE_URL}/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${env.QWEN_API_KEY}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!body.stream) {
      return Response.json(await answer.json());
    }
    const events = answer.body.pipeThrough(new TextDecoderStream()).pipeThrough(rewriteEvents());
    return new Response(events, { headers: { "content-type": "text/event-stream" } });
  },
};
