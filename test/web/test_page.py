"""What the page shows is what the collections hold: live, paused, filtered, searched, older, after a restart."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import http1
from conftest import ETL
from deadline import until
from identities import SECRET, b64, b64_json
from mongod import free_port

SCHEDULE = {"heartbeat_s": 1, "retry_ms": 500}
NUMBERED = [f"line {n}" for n in range(2000)]


def test_lines_arrive(serve, page, insert):
    """It loads under its policy, shows what is there already, and then what comes."""
    insert("before")
    page.open(serve(ETL))
    page.wait_messages(["before"], "the line from before")
    insert("now")
    page.wait_messages(["before", "now"], "the new line")
    until(lambda: page.in_sight() == ["before", "now"], "both are drawn")
    assert page.text("#pill-text") == "Live" and not page.visible("#empty")


def test_replacements_are_lines_too(serve, page, db):
    keys = {"_id": 1, "workspace_id": "w1", "workflow_id": "f1"}
    db.etl_logs.insert_one(keys | {"message": "first"})
    page.open(serve(mappings=[ETL.config | {"operations": ["insert", "replace"]}]))
    page.wait_messages(["first"], "the document")
    for message in ["second", "third"]:
        db.etl_logs.replace_one({"_id": 1}, keys | {"message": message})
    page.wait_messages(["first", "second", "third"], "its replacements")


def test_empty_page_tells_how_to_begin(serve, page, db, insert):
    page.open(serve(ETL), "/?channels=logs:etl:w7:*")
    until(lambda: page.visible("#empty"), "the snippets")
    snippets = page.text("#snippets")
    assert 'db.getCollection("etl_logs").insertOne({workspace_id: "w7"' in snippets and "/api/logs/publish" in snippets
    insert("hello", workspace_id="w7")
    page.wait_messages(["hello"], "the first line")
    until(lambda: not page.visible("#empty"), "the snippets are gone")


def test_log_content_stays_text(serve, page, db):
    """Nothing in a log becomes markup or a script, in a row, in its JSON, in the palette or in a gap."""
    nasty = ["<img src=x onerror='window.hit=1'>", "<script>window.hit=1</script>", "</span><b id=got>b</b>", "javascript:alert(1)",
             "\x1b[31mred\x1b[0m", "\u202eabc", '"><svg onload=window.hit=1>', "a\nb\r\nc", "x" * 50_000]
    db.etl_logs.insert_many([{"workspace_id": "<img src=x>", "workflow_id": n[:40], "message": n, n.replace(".", "_").replace("$", "_"): {n: n}, "level": n}
                             for n in nasty if "\x00" not in n])
    page.open(serve(ETL))
    until(lambda: len(page.messages()) == len(nasty), "all lines")
    page.keys("G", "w")
    page.js("tailwater.view.lines.forEach(l => tailwater.view.toggle(l))")
    page.keys("g")
    until(lambda: nasty[0] in page.text("#view"), "the first line as text")
    page.js("document.getElementById('open-palette').click()")
    until(lambda: page.visible("#palette-list li"), "the palette")
    assert page.js("return [window.hit, document.querySelectorAll('img, b, script:not([src])').length]") == [None, 0]


def test_pause_and_follow(serve, page, insert):
    """Paused, the lines in sight stay; what comes is counted; following shows it."""
    page.open(serve(ETL))
    insert(*NUMBERED[:200])
    until(lambda: "line 199" in page.in_sight(), "the newest line in sight")
    page.keys(" ")
    page.wait_state("paused")
    sight = page.in_sight()
    insert(*NUMBERED[200:320])
    until(lambda: page.text("#follow") == "↓ 120 new lines", "the count of what waits")
    assert page.in_sight() == sight and page.state == "paused"
    page.click("#follow")
    until(lambda: "line 319" in page.in_sight(), "the newest line again")
    page.wait_state("live")


def test_scrolling_pauses(serve, page, insert):
    page.open(serve(ETL))
    insert(*NUMBERED[:300])
    until(lambda: "line 299" in page.in_sight(), "the newest line in sight")
    page.scroll_up(1500)
    page.wait_state("paused")
    sight = page.in_sight()
    insert("more")
    until(lambda: "1 new line" in page.text("#follow"), "the count")
    assert page.in_sight() == sight
    page.js("const s = document.querySelector('.tw-scroller'); s.scrollTop = s.scrollHeight")
    page.wait_state("live")


def test_levels(serve, page, insert):
    page.open(serve(ETL))
    for level in ["INFO", "ERROR", "warn", "debug", 50, None]:
        insert(f"of {level}", level=level)
    until(lambda: len(page.messages()) == 6, "all")
    page.click("#levels [data-level=info]")
    page.wait_messages(["of ERROR", "of warn", "of debug", "of 50", "of None"], "without info")
    page.keys("l")
    page.wait_messages(["of ERROR", "of warn", "of 50"], "warnings and worse")
    page.keys("l")
    page.wait_messages(["of ERROR", "of 50"], "errors")
    insert("later", level="ERROR")
    insert("not this")
    page.wait_messages(["of ERROR", "of 50", "later"], "new lines are filtered too")
    page.keys("l")
    until(lambda: len(page.messages()) == 8, "all again")
    assert page.text("#levels [data-level=error]") == "error 3"


def test_search(serve, page, insert):
    """Matches are marked, counted and stepped through; on request they are all that is shown."""
    page.open(serve(ETL))
    insert(*[f"order {n} {'failed (a.b)' if n % 10 == 0 else 'done'}" for n in range(300)], user="ann")
    until(lambda: len(page.messages()) == 300, "all")
    page.keys("/", "FAILED (a.b)")
    until(lambda: page.text("#matches") == "30", "30 matches")
    until(lambda: page.js("return document.querySelectorAll('.tw-line mark').length") > 0, "marks")
    assert page.js("return document.querySelector('.tw-line mark').innerText") == "failed (a.b)"
    page.keys("\ue007")  # Enter: the newest match
    selected = lambda: page.js("return tailwater.view.selected?.message")  # noqa: E731
    until(lambda: selected() == "order 290 failed (a.b)", "the newest match")
    page.js("document.getElementById('search').blur()")
    page.keys("N")
    until(lambda: selected() == "order 280 failed (a.b)", "the one before")
    page.keys("n")
    until(lambda: selected() == "order 290 failed (a.b)", "the next one")
    page.click("#only")
    page.wait_messages([f"order {n} failed (a.b)" for n in range(0, 300, 10)], "only matches")
    page.click("#regex")
    page.js("const s = document.getElementById('search'); s.value = '^order 1?5 '; s.dispatchEvent(new Event('input'))")
    page.wait_messages(["order 5 done", "order 15 done"], "a regular expression")
    page.js("const s = document.getElementById('search'); s.value = '('; s.dispatchEvent(new Event('input'))")
    until(lambda: page.js("return document.getElementById('search').ariaInvalid") == "true", "a wrong expression is said")


def test_expand_a_line(serve, page, insert, db):
    """Enter opens the selected line: its document as JSON; one that was cut to fit is loaded whole on request."""
    page.open(serve(ETL, max_event_bytes=2000))
    insert("plain", order={"id": 7, "items": ["a", "b"]})
    insert("long", text="x" * 5000)
    until(lambda: len(page.messages()) == 2, "both")
    page.keys("k", "k", "\ue007")
    until(lambda: page.visible(".tw-detail"), "the detail")
    document = json.loads(page.text(".tw-json"))
    assert document["order"] == {"id": 7, "items": ["a", "b"]} and document["_id"] == str(db.etl_logs.find_one({"message": "plain"})["_id"])
    page.keys("\ue007", "j", "\ue007")
    until(lambda: "Load whole" in page.text(".tw-actions"), "it says that it was cut")
    page.js("[...document.querySelectorAll('.tw-action')].find(b => b.innerText === 'Load whole').click()")
    until(lambda: "x" * 5000 in page.text(".tw-json"), "the whole document")


def test_load_older(serve, page, insert):
    """Scrolling up brings what came before, in order, without doubles, and the line in sight stays where it is."""
    insert(*NUMBERED)
    page.open(serve(ETL), "/?tail=100")
    page.wait_messages(NUMBERED[-100:], "the newest 100")
    page.keys("g")
    until(lambda: len(page.messages()) >= 400, "a page of older ones")
    assert "line 1900" in page.in_sight()[:3]
    for _ in range(20):
        if len(page.messages()) == 2000:
            break
        held = len(page.messages())
        page.keys("g")
        until(lambda: len(page.messages()) > held, "more older ones")
    assert page.messages() == NUMBERED
    page.keys("g")
    until(lambda: "oldest line" in page.text(".tw-lead"), "it says that this is all")
    insert("and now")
    page.wait_messages([*NUMBERED, "and now"], "still live")


def test_restart_of_the_server(serve, page, insert):
    """It says that it reconnects, and then holds each line once, also those of the meantime."""
    port = free_port()
    first = serve(ETL, port=port, **SCHEDULE)
    page.open(first)
    insert("a", "b")
    page.wait_messages(["a", "b"], "the first lines")
    first.stop()
    page.wait_state("reconnecting")
    assert page.text("#pill-text").startswith("Reconnecting") and page.visible("#retry")
    insert("c", "d")
    serve(ETL, port=port, **SCHEDULE)
    page.click("#retry")
    page.wait_messages(["a", "b", "c", "d"], "what was written in the meantime")
    insert("e")
    page.wait_messages(["a", "b", "c", "d", "e"], "live again")
    assert page.js("return tailwater.view.lines.filter(l => l.kind === 'gap').length") == 0
    page.wait_state("live")


def test_restarts_while_lines_come(serve, page, db):
    """Three restarts while 200 lines a second are written: each line once, in order, and no gap."""
    port = free_port()
    server = serve(ETL, port=port, **SCHEDULE)
    page.open(server)
    stopping, count = threading.Event(), 0

    def write() -> None:
        nonlocal count
        while not stopping.wait(0.05):
            db.etl_logs.insert_many([{"workspace_id": "w1", "workflow_id": "f1", "message": str(count + n)} for n in range(10)])
            count += 10

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    for _ in range(3):
        held = len(page.messages())
        until(lambda: len(page.messages()) > held + 50, "lines come", every_s=0.05)
        server.stop()
        page.wait_state("reconnecting")
        server = serve(ETL, port=port, **SCHEDULE)
        page.wait_state("live")
    stopping.set()
    writer.join()
    page.wait_messages([str(n) for n in range(count)], "every line once")
    assert page.js("return tailwater.view.lines.filter(l => l.kind === 'gap').length") == 0


def test_permalink_and_jump(serve, page, insert, db):
    """A link to a line opens the page around it, and from there in both directions; so does a moment."""
    insert(*NUMBERED[:1500])
    server = serve(ETL)
    row = db.etl_logs.find_one({"message": "line 700"})
    page.open(server, f"/?channels=logs:etl:w1:f1#channel=logs:etl:w1:f1&id={row['_id']}", live=False)
    page.wait_state("past")
    until(lambda: "line 700" in page.in_sight(), "the line")
    assert page.messages() == NUMBERED[600:1001] and page.visible(".tw-detail")
    page.keys("g")
    until(lambda: page.messages() == NUMBERED[300:1001], "older ones")
    page.js("const s = document.querySelector('.tw-scroller'); s.scrollTop = s.scrollHeight")
    until(lambda: page.messages() == NUMBERED[300:1301], "newer ones")
    page.click("#banner-button")
    page.wait_state("live")
    page.wait_messages(NUMBERED[1000:1500], "live again")
    at = row["_id"].generation_time.timestamp() - 60
    page.js("tailwater.view.lines[0].time = arguments[0] * 1000", at)
    page.keys("6")
    until(lambda: page.visible("#jump-dialog"), "the dialog")
    page.js("document.getElementById('jump-at').value = arguments[0]; document.querySelector('#jump-form button').click()", "2020-01-01T00:00:00")
    page.wait_state("past")
    page.wait_messages(NUMBERED[:300], "from the beginning on")


def test_gap_and_skipped_rows(serve, page, insert):
    """What the stream says of itself stands between the lines."""
    page.open(serve(ETL, **SCHEDULE), "/?max_rate=5&tail=3")
    insert(*NUMBERED[:300])
    until(lambda: page.js("return tailwater.view.lines.some(l => l.kind === 'skipped')"), "skipped", every_s=0.1)
    assert "SKIPPED" in page.js("return tailwater.view.lines.find(l => l.kind === 'skipped').message")
    # An id that no server made: the gap says so, and live goes on.
    page.js("""const s = tailwater.session.subscription; s.pause(); s.lastEventId = 'nonsense'; s.resume();""")
    until(lambda: page.js("return tailwater.view.lines.some(l => l.kind === 'gap')"), "the gap")
    until(lambda: page.visible(".tw-gap"), "the gap in sight")


def test_token(serve, page, insert):
    """Where the server asks for a token the page does; it stays in the tab."""
    head = b64_json({"alg": "HS256", "typ": "JWT"}) + "." + b64_json({"sub": "ann", "channels": ["logs:etl:w1:*"], "exp": int(time.time()) + 600})
    token = head + "." + b64(hmac.new(SECRET.encode(), head.encode(), hashlib.sha256).digest())
    page.open(serve(ETL, auth={"jwt": {"secret": SECRET}}), live=False)
    until(lambda: page.visible("#login"), "the field")
    page.wait_state("unauthorized")
    insert("secret")
    page.keys("wrong token", "\ue007")
    until(lambda: "does not take" in page.text("#login-why"), "a wrong one is said")
    page.js("document.getElementById('token').value = arguments[0]; document.querySelector('#login-form button').click()", token)
    page.wait_state("live")
    page.wait_messages(["secret"], "what the token may read")
    assert not page.visible("#login")
    assert page.js("return [Object.values(sessionStorage), JSON.stringify(localStorage).includes(arguments[0])]", token) == [[token], False]


def test_mongodb_away(more_mongod, launch, page):
    """The pill says it, and that it is back."""
    node = more_mongod()
    config = {"mongodb": {"uri": node.uri, "max_await_ms": 100}, "heartbeat_s": 1,
              "sources": [{"name": "logs", "tag": "a", "database": "x", "mappings": [ETL.config]}]}
    page.open(launch(config))
    node._end(signal.SIGKILL)  # noqa: SLF001
    page.wait_state("away")
    assert page.text("#pill-text") == "MongoDB is away"
    node.start()
    page.wait_state("live", 60)


def test_channels(serve, page, insert):
    """The palette lists what was seen, hides a channel, and watches one."""
    page.open(serve(ETL))
    insert("one")
    insert("two", workflow_id="f2")
    page.wait_messages(["one", "two"], "both")
    page.driver.execute_script("document.body.focus()")
    page.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', ctrlKey: true, bubbles: true}))")
    until(lambda: page.visible("#palette"), "the palette")
    assert {"logs:etl:w1:f1", "logs:etl:w1:f2", "logs:etl:w1:*", "logs:*"} <= set(page.js(
        "return [...document.querySelectorAll('#palette-list button span:first-child')].map(e => e.innerText)"))
    page.js("document.querySelector('[aria-label=\"Show lines of logs:etl:w1:f1\"]').click()")
    page.wait_messages(["two"], "one is hidden")
    page.js("document.querySelector('[aria-label=\"Show lines of logs:etl:w1:f1\"]').click()")
    page.keys("logs:etl:w1:f2", "\ue007")
    page.wait_state("live")
    page.wait_messages(["two"], "one channel only", "lines")
    assert "channels=logs:etl:w1:f2" in page.driver.current_url


def test_looks(serve, page, insert):
    """Wrap, timestamps and theme are switched, and remembered."""
    server = serve(ETL)
    page.open(server)
    insert("word " * 200)
    until(lambda: len(page.messages()) == 1, "the line")
    height = lambda: page.js("return document.querySelector('.tw-line').offsetHeight")  # noqa: E731
    one = height()
    page.keys("w")
    until(lambda: height() > 2 * one, "wrapped")
    page.keys("t")
    until(lambda: page.text(".tw-time").endswith("Z"), "UTC")
    page.keys("t")
    until(lambda: "ago" in page.text(".tw-time"), "relative")
    page.click("#theme")
    page.open(server)
    until(lambda: page.visible(".tw-time") and "ago" in page.text(".tw-time") and height() > 2 * one, "remembered")
    assert page.js("return document.documentElement.dataset.theme") == "dark"


def test_gzip(serve):
    """The page's files come gzipped to who takes that, and plain to others; together they are small."""
    import gzip

    server = serve(ETL)
    total = 0
    for path in ["/", "/live.js", "/live.css"]:
        small, plain = server.get(path, {"Accept-Encoding": "br, gzip"}), server.get(path)
        assert small.headers["content-encoding"] == "gzip" and "content-encoding" not in plain.headers
        assert gzip.decompress(small.body) == plain.body
        total += len(small.body)
    assert total <= 60 * 1024


def test_copy(serve, page, insert, db):
    """The line, and a link to it that opens the page there."""
    page.open(serve(ETL), "/?channels=logs:etl:*")
    insert("first", "second", order=7)
    until(lambda: len(page.messages()) == 2, "both")
    page.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"], "origin": page.base})
    page.js("window.focus(); window.copied = []; navigator.clipboard.writeText = async text => { copied.push(text); }")
    page.keys("k", "k", "c", "y")
    until(lambda: page.js("return copied.length") == 2, "both copies")
    line, link = page.js("return copied")
    assert line.endswith(" INFO logs:etl:w1:f1 first order=7")
    row = db.etl_logs.find_one({"message": "first"})
    assert link == f"{page.base}/?channels=logs:etl:*#channel=logs%3Aetl%3Aw1%3Af1&id={row['_id']}"
    page.goto(link, live=False)
    page.wait_state("past")
    page.wait_messages(["first", "second"], "the line and its neighbours")


def test_behind_nginx_with_a_prefix(serve, page, insert, tmp_path):
    """The page asks for everything below the path that it is at."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert nginx, "nginx is not installed"
    server, port = serve(ETL), free_port()
    temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    Path(tmp_path, "nginx.conf").write_text(f"""{user} pid {tmp_path}/pid; events {{}} http {{ access_log off; {temporary}
        server {{ listen 127.0.0.1:{port}; location /ops/logs/ {{ proxy_pass http://127.0.0.1:{server.port}/; proxy_http_version 1.1; }} }} }}""")
    process = subprocess.Popen([nginx, "-c", f"{tmp_path}/nginx.conf", "-e", f"{tmp_path}/error.log", "-g", "daemon off;"])

    def answers() -> bool:
        try:
            return http1.request(port, "GET", "/ops/logs/health").status == 200
        except OSError:
            return False

    try:
        until(answers, "nginx answers")
        page.goto(f"http://127.0.0.1:{port}/ops/logs/")
        insert("through nginx")
        page.wait_messages(["through nginx"], "the line")
        page.keys("g")
        until(lambda: "oldest line" in page.text(".tw-lead"), "history, too")
    finally:
        page.driver.get("about:blank")
        process.terminate()
        process.wait(10)


def test_opened_while_mongodb_is_away(launch, page):
    """A page that begins before the server ever reached MongoDB says so at once."""
    config = {"mongodb": {"uri": f"mongodb://127.0.0.1:{free_port()}/?replicaSet=x&serverSelectionTimeoutMS=500"},
              "sources": [{"name": "logs", "tag": "a", "database": "x", "mappings": [ETL.config]}]}
    page.open(launch(config, healthy=False), live=False)
    page.wait_state("away", 10)
    page.keys("g")
    until(lambda: "MongoDB did not answer" in page.text("#banner"), "older lines cannot be read now")
