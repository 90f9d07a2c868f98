// The native part of our way B (platform/streams.py), as JavaScript: what the pipes themselves cost on a runtime that
// cannot run our Python here.

const LOOK_BYTES = 131072;
const LONGEST_LOOK_MS = 8000;

async function follow(answer, head, pipe, branch) {
  const tail = branch.getReader({ mode: "byob" });
  let writer = pipe.writable.getWriter();
  writer.write(head);
  writer.releaseLock();
  let timer;
  const look = (pause) => {
    timer = setTimeout(async () => {
      await tail.readAtLeast(1, new Uint8Array(LOOK_BYTES));
      look(Math.min(LONGEST_LOOK_MS, pause * 2));
    }, pause);
  };
  look(500);
  await answer.body.pipeTo(pipe.writable, { preventClose: true, preventAbort: true });
  clearTimeout(timer);
  await tail.readAtLeast(1, new Uint8Array(LOOK_BYTES));
  writer = pipe.writable.getWriter();
  await writer.close();
}

export default {
  async fetch(request, env) {
    const answer = await fetch(new Request(`${env.OPENAI_BASE_URL}/chat/completions`, request));
    const reader = answer.body.getReader();
    const { value } = await reader.read();
    reader.releaseLock();
    const pipe = new IdentityTransformStream();
    const [body, branch] = pipe.readable.tee();
    follow(answer, value, pipe, branch);
    return new Response(body, { headers: answer.headers });
  },
};
