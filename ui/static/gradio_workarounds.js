/* Gradio's server closes the stream of events when no event is running. An event that starts at that moment would wait for ever,
   because the client takes the stream for open until its end has arrived (gradio 6.31, `open_stream`). So if the stream ends while
   an event is running, another one is opened. */
(() => {
  const plain = window.fetch.bind(window);
  const running = new Set(), endedEarly = new Set();      // ids of events; early: before the response to their start arrived

  window.fetch = async (input, init) => {
    const path = new URL(input.url ?? input, location.href).pathname;
    if (path.endsWith('/queue/join')) return addEvent(await plain(input, init));
    return path.endsWith('/queue/data') ? openStream(new Request(input, init)) : plain(input, init);
  };
  async function addEvent(response) {
    const answer = await response.clone().json().catch(() => null);
    if (answer?.event_id && !endedEarly.delete(answer.event_id)) running.add(answer.event_id);
    return response;
  }
  async function openStream(request) {
    const response = await plain(request.clone());
    if (!response.ok) return response;
    const {readable, writable} = new TransformStream();
    forward(response, request, writable.getWriter());
    return new Response(readable, response);
  }
  async function forward(response, request, writer) {
    try {
      while (response && await copyStream(response, writer)) response = await plain(request.clone());
      await writer.close();
    } catch (error) {
      await writer.abort(error).catch(() => {});      // nobody reads the stream any more
    }
  }
  async function copyStream(response, writer) {        // returns whether another stream must be opened
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(), encoder = new TextEncoder();
    let text = '';
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const parts = (text + read.value).split('\n\n');
      text = parts.pop();
      for (const part of parts) {
        const [, kind, id] = part.match(/^data: {"msg":"(\w+)","event_id":"?(\w+)/) ?? [];
        if (kind === 'process_completed' && !running.delete(id)) endedEarly.add(id);
        if (kind === 'unexpected_error') running.clear();
        if (kind === 'close_stream' && running.size) return true;
        await writer.write(encoder.encode(`${part}\n\n`));
      }
    }
    return false;
  }
})();

/* At every update Gradio clones each property of a component with structuredClone. Building the page takes 90,000 clones, nearly all
   of them of strings, booleans and functions. Strings and booleans need no clone. For a function structuredClone throws, and Gradio
   then uses the function itself. */
(() => {
  const clone = window.structuredClone.bind(window);
  window.structuredClone = (value, options) => (typeof value === 'object' && value !== null) ? clone(value, options) : value;
})();

/* At each step of an event Gradio passes the event's status to every component that was ever part of an event, and searches the whole
   page for each, even if the component never shows the status. That is half the cost of following a reply. Components with hidden
   progress are left out here. */
(() => {
  const entries = Object.entries.bind(Object);
  const isStatus = value => typeof value?.component_id === 'number' && 'show_progress' in value;
  Object.entries = object => {
    const all = entries(object);
    return all.length && isStatus(all[0][1]) ? all.filter(([, status]) => status.show_progress !== 'hidden') : all;
  };
})();
