// Keeps a page up to date: it hears from the event stream that something changed, fetches the page anew and puts what
// differs in its place. Without it, or where the stream is not there, a page is what it was when it was loaded.
"use strict";
(() => {
  const LEAST_MS = 1500;
  const POLL_MS = 5000;
  const body = document.body;
  const shown = document.getElementById("live");
  const source = body.dataset.events;
  const queue = body.dataset.queue;
  let stream = null;
  let poll = 0;
  let due = 0;
  let busy = false;
  let again = false;
  let pause = LEAST_MS;
  let last = 0;

  const asked = new URL(location.href);
  if (asked.searchParams.has("done")) { // what a form did is said once
    for (const name of ["done", "n", "more"]) asked.searchParams.delete(name);
    history.replaceState(null, "", asked);
  }
  const heard = document.querySelector(".said");

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    for (const open of document.querySelectorAll("details.confirm[open]")) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });

  if (source === undefined || !shown) return;

  function say(on, text) {
    shown.dataset.on = on ? "yes" : "no";
    shown.lastElementChild.textContent = text;
  }

  function same(one, other) {
    return one.nodeType === other.nodeType && one.nodeName === other.nodeName && (one.id || "") === (other.id || "");
  }

  // Make `there` look like `wanted`, touching only what differs: focus, open panels and scroll stay where they are.
  function morph(there, wanted) {
    if (there.nodeType === Node.TEXT_NODE) {
      if (there.data !== wanted.data) there.data = wanted.data;
      return;
    }
    if (there.nodeType !== Node.ELEMENT_NODE || there.isEqualNode(wanted)) return;
    const keepsOpen = there.nodeName === "DETAILS";
    const typed = there === document.activeElement && /^(INPUT|SELECT)$/.test(there.nodeName);
    if (typed) return;
    for (const { name } of [...there.attributes]) {
      if (!wanted.hasAttribute(name) && !(keepsOpen && name === "open")) there.removeAttribute(name);
    }
    for (const { name, value } of [...wanted.attributes]) {
      if (there.getAttribute(name) !== value && !(keepsOpen && name === "open")) there.setAttribute(name, value);
    }
    const known = new Map();
    for (const child of there.children) if (child.id) known.set(child.id, child);
    let place = there.firstChild;
    for (const next of [...wanted.childNodes]) {
      let found = next.id ? known.get(next.id) : place;
      if (!next.id) while (found && (found.id || !same(found, next))) found = found.nextSibling;
      if (found && same(found, next)) {
        if (found === place) place = place.nextSibling;
        else there.insertBefore(found, place);
        morph(found, next);
      } else {
        there.insertBefore(document.adoptNode(next), place);
      }
    }
    while (place) {
      const gone = place;
      place = place.nextSibling;
      gone.remove();
    }
  }

  async function refresh() {
    if (busy) { again = true; return; }
    busy = true;
    const begun = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "error" });
      if (answer.status === 401 || answer.status === 403 || answer.status === 404) { location.reload(); return; }
      if (!answer.ok) { say(false, "no answer; trying on"); return; }
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const wanted = page.getElementById("main");
      if (!wanted) return;
      if (heard) wanted.prepend(document.importNode(heard, true));
      morph(document.getElementById("main"), wanted);
      say(true, stream ? "Live" : "Every 5 s");
    } catch {
      say(false, "no answer; trying on");
    } finally {
      busy = false;
      last = performance.now();
      pause = Math.max(LEAST_MS, 3 * (last - begun)); // a slow server is asked less
      if (again) { again = false; soon(); }
    }
  }

  function soon() {
    if (due) return;
    due = setTimeout(() => { due = 0; refresh(); }, Math.max(0, last + pause - performance.now()));
  }

  function changed(event) {
    if (queue) {
      const told = JSON.parse(event.data);
      if (!told.gap && !(queue in told.queues)) return;
    }
    soon();
  }

  function poll_on() {
    if (!poll) poll = setInterval(refresh, POLL_MS);
  }

  function open() {
    if (document.hidden || stream || poll) return;
    if (!source || !window.EventSource) { poll_on(); refresh(); return; }
    stream = new EventSource(source);
    let first = true;
    const begin = () => { if (first) say(true, "Live"); first = false; };
    stream.addEventListener("open", begin);
    stream.addEventListener("queues", (event) => { begin(); changed(event); });
    stream.addEventListener("job", () => { begin(); soon(); });
    stream.addEventListener("gone", () => { close(); say(false, "The job is gone"); soon(); });
    stream.addEventListener("error", () => {
      say(false, "no answer; trying on");
      if (stream && stream.readyState === EventSource.CLOSED) { stream = null; poll_on(); }
    });
  }

  function close() {
    if (stream) stream.close();
    stream = null;
    clearInterval(poll);
    poll = 0;
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else { soon(); open(); }
  });
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", open);
})();
