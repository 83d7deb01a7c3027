/* The server closes Gradio's stream of events when no event is running. An event that starts at that moment waits for ever, because
   the client believes the stream open until its end has arrived (gradio 6.31, `open_stream`). While an event is running, a new
   stream is opened. */
(() => {
  const plain = window.fetch.bind(window);
  const owed = new Set(), early = new Set();      // ids of events: started and not ended; ended before the response to their start arrived

  window.fetch = async (input, init) => {
    const path = new URL(input.url ?? input, location.href).pathname;
    if (path.endsWith('/queue/join')) return begun(await plain(input, init));
    return path.endsWith('/queue/data') ? followed(new Request(input, init)) : plain(input, init);
  };
  async function begun(response) {
    const answer = await response.clone().json().catch(() => null);
    if (answer?.event_id && !early.delete(answer.event_id)) owed.add(answer.event_id);
    return response;
  }
  async function followed(request) {
    const response = await plain(request.clone());
    if (!response.ok) return response;
    const {readable, writable} = new TransformStream();
    pass(response, request, writable.getWriter());
    return new Response(readable, response);
  }
  async function pass(response, request, writer) {
    try {
      while (response && await copied(response, writer)) response = await plain(request.clone());
      await writer.close();
    } catch (error) {
      await writer.abort(error).catch(() => {});      // the reader is gone
    }
  }
  async function copied(response, writer) {        // whether another stream must follow
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(), encoder = new TextEncoder();
    let text = '';
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const parts = (text + read.value).split('\n\n');
      text = parts.pop();
      for (const part of parts) {
        const [, kind, id] = part.match(/^data: {"msg":"(\w+)","event_id":"?(\w+)/) ?? [];
        if (kind === 'process_completed' && !owed.delete(id)) early.add(id);
        if (kind === 'unexpected_error') owed.clear();
        if (kind === 'close_stream' && owed.size) return true;
        await writer.write(encoder.encode(`${part}\n\n`));
      }
    }
    return false;
  }
})();

/* At every update Gradio clones each property of a component: 90,000 clones until the page is built, nearly all of strings, booleans
   and functions. Strings and booleans need no clone; for a function structuredClone throws, and Gradio uses the function itself. */
(() => {
  const clone = window.structuredClone.bind(window);
  window.structuredClone = (value, options) => (typeof value === 'object' && value !== null) ? clone(value, options) : value;
})();

/* At each step of an event Gradio passes its status to every component that ever took part in one, and walks over the whole page for
   each, even where the status is never shown: half the cost of following a reply. Components with hidden progress are left out. */
(() => {
  const entries = Object.entries.bind(Object);
  const isStatus = value => typeof value?.component_id === 'number' && 'show_progress' in value;
  Object.entries = object => {
    const all = entries(object);
    return all.length && isStatus(all[0][1]) ? all.filter(([, status]) => status.show_progress !== 'hidden') : all;
  };
})();
