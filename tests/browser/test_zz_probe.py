import time
from tests.browser.conftest import *
from tests.browser.test_conversations import *
def test_probe(visit, serve):
    page = visit(serve(ScriptedEngine(answer("Words"))))
    talk(page, "First")
    other = second_tab(page)
    expect(asked(other)).to_have_text("First")
    t=time.time()
    def on(r):
        if "predict" in r.url or "queue" in r.url:
            try: body=r.text()[:300] if "predict" in r.url else ""
            except Exception as e: body=str(e)
            print(f"{time.time()-t:.2f}", r.url[-40:], r.status, body)
    other.on("response", on)
    other.on("console", lambda m: print("console", m.text))
    send(page, "Second")
    for i in range(12):
        other.wait_for_timeout(1000)
        print(f"{time.time()-t:.2f}", asked(other).all_inner_texts())
