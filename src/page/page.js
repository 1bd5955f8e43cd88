// Buttons that copy, files that are dropped on the form, and events as they happen. The page works without this.
"use strict";

document.documentElement.classList.add("scripted");

// Browsers allow it on this machine and with TLS.
if (navigator.clipboard) {
  for (const code of document.querySelectorAll("code.copy")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-button";
    button.textContent = "Copy";
    const text = code.textContent;
    const what = text.length > 40 ? text.slice(0, 40) + "…" : text;
    button.setAttribute("aria-label", "Copy " + what);
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
    code.after(button);
  }
}

const area = document.getElementById("go-sum");
if (area) {
  const mark = (event, over) => {
    event.preventDefault();
    area.classList.toggle("over", over);
  };
  area.addEventListener("dragover", (event) => mark(event, true));
  area.addEventListener("dragleave", (event) => mark(event, false));
  area.addEventListener("drop", async (event) => {
    mark(event, false);
    const file = event.dataTransfer.files[0];
    area.value = file ? await file.text() : event.dataTransfer.getData("text");
  });
}

const events = document.getElementById("events");
if (events && window.EventSource) follow(events);

// Adds a row for each event, made of the template of its outcome. Texts are only ever set as text.
function follow(list) {
  const at = (id) => document.getElementById(id);
  const most = Number(list.dataset.most);
  const pause = at("pause");
  let after = list.dataset.after;
  let paused = false;
  let waiting = [];
  let source, retry;

  const tell = (text, isGood) => {
    const state = at("live-state");
    if (state.textContent !== text) state.textContent = text;
    state.classList.toggle("good", isGood);
  };

  const size = (bytes) => {
    if (bytes < 1000) return bytes + " bytes";
    return bytes < 1e6 ? Math.floor(bytes / 100) / 10 + " KB" : Math.floor(bytes / 1e5) / 10 + " MB";
  };

  const subject = (event) => event.module && event.module + (event.version ? "@" + event.version : "");

  const proof = (event) => {
    if (event.outcome !== "released") return "";
    if (event.basis === "pin") return "pinned on first use";
    return event.record === undefined ? "" : "proved by record " + event.record + " of " + event.database;
  };

  const texts = (event) => ({
    subject: subject(event) || event.database,
    kind: event.kind,
    time: event.time.slice(0, 19).replace("T", " "),
    reason: event.reason,
    advice: event.advice,
    proof: proof(event),
    code: event.code,
    rule: event.rule,
    source: event.source,
    size: event.bytes === undefined ? "" : size(event.bytes),
    client: event.client,
    request: event.request,
    warnings: (event.warnings || []).join("; "),
    evidence: event.evidence || (event.quarantine || []).join(", "),
  });

  const row = (event) => {
    const item = at("event-" + event.outcome).content.firstElementChild.cloneNode(true);
    const found = texts(event);
    for (const part of item.querySelectorAll("[data-part]")) {
      const name = part.dataset.part;
      part.textContent = found[name] || "";
      if (found[name]) continue;
      (part.closest("[data-needs]") || part).remove();
    }
    const link = item.querySelector("a[data-part]");
    if (link && event.module) link.href = list.dataset.module + encodeURIComponent(subject(event));
    if (link && !event.module) link.removeAttribute("href");
    return item;
  };

  const put = (rows, item, limit) => {
    rows.prepend(item);
    while (rows.children.length > limit) rows.lastElementChild.remove();
  };

  const show = (event) => {
    put(list, row(event), most);
    at("none").hidden = true;
    if (event.outcome !== "quarantined" && event.outcome !== "fork") return;
    const alarm = row(event);
    const evidence = (item) => item.querySelector("[data-part=evidence]")?.textContent;
    // The same case stands there once.
    for (const other of [...at("alarm-rows").children]) if (evidence(other) === evidence(alarm)) other.remove();
    put(at("alarm-rows"), alarm, 20);
    at("alarms").hidden = false;
  };

  const take = (message) => {
    after = message.lastEventId;
    const event = JSON.parse(message.data);
    if (!paused) return show(event);
    waiting.push(event);
    if (waiting.length > most) waiting.shift();
    pause.textContent = "Resume (" + waiting.length + " new)";
  };

  // A window that nobody sees needs no stream: browsers open six connections to a server at most.
  const connect = () => {
    clearTimeout(retry);
    if (source) source.close();
    if (document.hidden) return;
    const url = new URL(list.dataset.stream, location.href);
    url.searchParams.set("after", after);
    source = new EventSource(url);
    source.onopen = () => tell(paused ? "Paused" : "Live", !paused);
    source.onmessage = take;
    source.addEventListener("left-out", () => { at("left-out").hidden = false; });
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return tell("Reconnecting", false);
      tell("Not live: load the page again to see new events", false);
      retry = setTimeout(connect, 30000);
    };
  };

  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Resume" : "Pause";
    for (const event of waiting.splice(0)) show(event);
    if (source.readyState === EventSource.OPEN) tell(paused ? "Paused" : "Live", !paused);
  });
  document.addEventListener("visibilitychange", connect);
  connect();
}
