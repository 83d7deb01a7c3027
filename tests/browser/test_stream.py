"""Events over a connection whose parts arrive late, one after the other: none is lost."""

from playwright.sync_api import expect

from tests.ui.scripted_engine import ScriptedEngine, answer

from .test_chat import Serve, Visit, send, wait_for_end

# Beneath the page's own scripts: what the server streams arrives 0.3 s late, what it answers at once does not.
LATE_JS = """
const plain = window.fetch;
window.fetch = async (input, init) => {
  const response = await plain(input, init);
  if (!String(input.url ?? input).includes('/queue/data')) return response;
  const late = new TransformStream({async transform(part, out) { await new Promise(done => setTimeout(done, 300)); out.enqueue(part); }});
  return new Response(response.body.pipeThrough(late), response);
};
"""


def test_no_answer_is_lost_between_two_streams(visit: Visit, serve: Serve) -> None:
    page = visit(serve(ScriptedEngine(answer("Words"))))
    page.add_init_script(LATE_JS)
    page.reload()
    page.locator(".mc-status").wait_for()
    for count in range(1, 9):
        send(page, "Hello")
        wait_for_end(page, count)
    expect(page.get_by_role("alert")).to_have_count(0)
