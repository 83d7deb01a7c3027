/* Gradio's stream of events ends as soon as the server owes nothing. An event that begins at that moment waits for ever: the client
   takes the stream for open until the end has reached it (gradio 6.31, `open_stream`). While something is owed, a new one follows. */
(() => {
  const plain = window.fetch.bind(window);
  const owed = new Set(), early = new Set();      // ids of events: begun and not over; over before their beginning was heard of

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
      await writer.abort(error).catch(() => {});      // the reader has gone
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

/* Gradio copies the properties of a component at every update, each by itself: 90,000 clones until the page stands, nearly all of
   strings, booleans and functions. The first two are their own copies; for a function the clone throws, and the function is taken. */
(() => {
  const clone = window.structuredClone.bind(window);
  window.structuredClone = (value, options) => (typeof value === 'object' && value !== null) ? clone(value, options) : value;
})();

/* At each step of each event Gradio tells every component that ever took part in one how its event stands, and walks over the whole
   page for each, also where that is never shown: half of what following an answer costs. What hides its progress is left out. */
(() => {
  const entries = Object.entries.bind(Object);
  const isStatus = value => typeof value?.component_id === 'number' && 'show_progress' in value;
  Object.entries = object => {
    const all = entries(object);
    return all.length && isStatus(all[0][1]) ? all.filter(([, status]) => status.show_progress !== 'hidden') : all;
  };
})();
