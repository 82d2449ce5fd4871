// A first look at the stream with the browser's own EventSource. Content from logs is only ever set as text.
"use strict";

const MAX_LINES = 500;
const log = document.getElementById("log");
const empty = document.getElementById("empty");
const status = document.getElementById("status");
const form = document.getElementById("form");
const input = document.getElementById("channels");
let source = null;

function show(state) {
  status.dataset.state = state;
  status.textContent = state;
}

function cell(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function add(kind, ...cells) {
  const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 40;
  const line = document.createElement("li");
  line.className = kind;
  line.append(...cells);
  log.append(line);
  while (log.childElementCount > MAX_LINES) {
    log.firstElementChild.remove();
  }
  empty.hidden = true;
  if (atEnd) {
    window.scrollTo(0, document.body.scrollHeight);
  }
}

function onEvent(message) {
  const event = JSON.parse(message.data);
  const data = event.log_data ?? event.data ?? {};
  const text = data.message ?? data.msg ?? JSON.stringify(data);
  const level = String(data.level ?? "");
  add("event", cell("time", (event.ts ?? "").slice(11, 23)), cell("level " + level.toLowerCase(), level),
      cell("channel", event.channel), cell("text", String(text)));
}

function onGap(message) {
  add("gap", cell("text", "gap: " + message.data));
}

function watch() {
  source?.close();
  log.replaceChildren();
  empty.hidden = false;
  show("connecting");
  source = new EventSource("/api/logs/stream?channels=" + encodeURIComponent(input.value));
  source.addEventListener("ready", () => show("live"));
  source.addEventListener("gap", onGap);
  // Event names are the first segment of the channel unless a mapping says otherwise.
  for (const name of ["logs", "metrics", "workflows", "functions", "alerts", "dashboards"]) {
    source.addEventListener(name, onEvent);
  }
  source.onerror = () => show(source.readyState === EventSource.CLOSED ? "closed" : "reconnecting");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  history.replaceState(null, "", "?channels=" + encodeURIComponent(input.value));
  watch();
});

const asked = new URLSearchParams(location.search).get("channels");
if (asked) {
  input.value = asked;
}
watch();
