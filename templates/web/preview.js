// The preview's behaviour: what is chosen goes into the address, so that it can be linked to; the mail follows; a changed
// file reloads the mail where it was scrolled to. Nothing is asked of any other host.
"use strict";
history.scrollRestoration = "manual";
const page = document.body;
const frames = () => [...document.querySelectorAll("iframe")];
const query = new URLSearchParams(location.search);
const choices = () => [...document.querySelectorAll(".bar input[type=radio], .bar input[type=checkbox]")];

function readHash() {
  return new URLSearchParams(location.hash.slice(1));
}

function apply() {
  const wanted = readHash();
  for (const input of choices()) {
    const value = input.id.slice(input.name.length + 1);
    const isChosen = wanted.has(input.name) ? wanted.get(input.name) === value : input.defaultChecked;
    if (isChosen || input.type === "checkbox") input.checked = isChosen;
  }
  const width = wanted.get("px");
  if (width) setWidth(Number(width));
  showMails();
}

function remember() {
  const kept = new URLSearchParams();
  for (const input of choices()) {
    if (input.checked && !input.defaultChecked) kept.set(input.name, input.id.slice(input.name.length + 1));
  }
  const handle = document.querySelector("#width-px");
  if (handle && document.querySelector("#width-free").checked) kept.set("px", handle.value);
  history.replaceState(null, "", `${location.pathname}${location.search}#${kept}`);
}

function valueOf(name) {
  const input = document.querySelector(`input[name=${name}]:checked`);
  return input ? input.id.slice(name.length + 1) : "";
}

function showMails() {
  for (const frame of frames()) {
    const wanted = new URLSearchParams(query);
    const mode = valueOf("as");
    if (mode && mode !== "sent") wanted.set("mode", mode);
    if (valueOf("pictures")) wanted.set("pictures", valueOf("pictures"));
    if (frame.dataset.which) wanted.set("which", frame.dataset.which);
    const source = `/html?${wanted}`;
    if (frame.getAttribute("src") !== source) frame.src = source;
  }
}

function setWidth(width) {
  const handle = document.querySelector("#width-px");
  if (!handle) return;
  handle.value = width;
  document.documentElement.style.setProperty("--free", `${width}px`);
  document.querySelector("#width-said").textContent = `${width} px`;
}

async function look() {
  try {
    const answer = await fetch("/version", {cache: "no-store"});
    const {version} = await answer.json();
    if (version !== page.dataset.version) {
      location.reload();
      return;
    }
  } catch {
    // the preview was ended; look again in case it comes back
  }
  setTimeout(look, 1000);
}

// A frame is as high as its mail, so that the page scrolls and not the frame: a reload then keeps the place.
function fit(frame) {
  const inner = frame.contentDocument;
  if (!inner || !inner.body) return;
  const scrolled = window.scrollY; // the page is short for a moment, and would lose its place
  frame.style.height = "0";
  frame.style.height = `${Math.max(200, inner.documentElement.scrollHeight + 2)}px`;
  if (window.scrollY !== scrolled) window.scrollTo(0, scrolled);
}

// The page that says what is wrong has no place of its own: it hands on that of the mail.
window.addEventListener("pagehide", () => {
  if (frames().length) sessionStorage.setItem("scrolled", String(window.scrollY));
});

function restore() {
  const [arrival] = performance.getEntriesByType("navigation");
  const kept = arrival.type === "reload" ? sessionStorage.getItem("scrolled") : null;
  if (kept === null || !frames().some((frame) => frame.dataset.shown)) return;
  sessionStorage.removeItem("scrolled");
  window.scrollTo(0, Number(kept));
}

for (const frame of frames()) {
  frame.addEventListener("load", () => {
    if (frame.getAttribute("src") === "about:blank") return;
    fit(frame);
    frame.dataset.shown = "yes";
    restore();
  });
  let width = 0;
  new ResizeObserver(() => {
    if (frame.clientWidth !== width) {
      width = frame.clientWidth;
      fit(frame);
    }
  }).observe(frame);
}
for (const input of choices()) {
  input.addEventListener("change", () => { remember(); showMails(); });
}
const handle = document.querySelector("#width-px");
if (handle) {
  handle.addEventListener("input", () => {
    document.querySelector("#width-free").checked = true;
    setWidth(Number(handle.value));
    remember();
  });
}
for (const form of document.querySelectorAll("form[data-goes]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = new URLSearchParams();
    const topics = [...form.querySelectorAll("input[name=topics]:checked")].map((input) => input.value);
    const subscriber = form.querySelector("input[name=subscriber]").value.trim();
    const language = form.querySelector("select[name=language]")?.value;
    if (language) wanted.set("language", language);
    if (topics.length) wanted.set("topics", topics.join("+"));
    // Nobody in particular is a choice too: the command line may have named somebody.
    if (subscriber || !wanted.size) wanted.set("subscriber", subscriber);
    location.assign(`/?${wanted}${location.hash}`);
  });
}
// The address holds the choices, so the way past the mail's many links leaves it alone.
document.querySelector(".skip")?.addEventListener("click", (event) => {
  event.preventDefault();
  document.querySelector("#beside").focus();
});
window.addEventListener("hashchange", apply);
apply();
look();
