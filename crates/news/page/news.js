// Fills the page in while results come. Without it the page works, and stays as it was loaded.

import { Link, SILENCE } from "/live.js";

const content = document.querySelector("#content");
const link = new Link(() => fill());
const RETRY = 2000;
/// Milliseconds between two tries while the server is silent.
const AGAIN = 3000;
/// Milliseconds after the last key before the filter applies.
const TYPING = 200;
let busy = false;
let again = false;
/// On a phone the sites would hide the headlines: they are folded until somebody opens them.
const phone = matchMedia("(max-width: 640px)");
let isOpen = false;

/// The same page, with what is known by now.
function here() {
    const query = new URLSearchParams(location.search);
    query.delete("refresh");
    query.delete("token");
    return query.toString();
}

async function fill() {
    if (busy) {
        again = true;
        return;
    }
    busy = true;
    try {
        do {
            again = false;
            const answer = await fetch(`/news/list?${here()}`, { signal: AbortSignal.timeout(SILENCE) });
            if (answer.ok) {
                // The server has escaped every text of a site.
                const page = new DOMParser().parseFromString(await answer.text(), "text/html");
                const focused = document.activeElement?.getAttribute?.("href");
                content.replaceChildren(...page.body.childNodes);
                fold();
                state();
                // The sites may be others now, and each one's color goes by its place among them.
                const colors = `/colors.css?${content.querySelector(".sites")?.dataset.colors ?? ""}`;
                const sheet = document.querySelector('link[href^="/colors.css"]');
                if (sheet && sheet.getAttribute("href") !== colors) {
                    sheet.setAttribute("href", colors);
                }
                if (focused) {
                    content.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
                }
            }
        } while (again);
    } catch {
        // The stream says that the server is away.
    } finally {
        busy = false;
    }
}

/// Elements of the sites that tell when they are folded.
const watched = new WeakSet();

/// The sites, as they were left. In a wide window there is no way to fold them.
function fold() {
    const sites = content.querySelector(".fold");
    if (sites === null) {
        return;
    }
    sites.open = isOpen || !phone.matches;
    if (!watched.has(sites)) {
        watched.add(sites);
        // A wide window opens them by itself.
        sites.addEventListener("toggle", () => { isOpen = phone.matches ? sites.open : isOpen; });
    }
}

let events = null;
let isConnected = false;

/// The connection, and what it brings: a page that is up to date may have nothing to show.
function state() {
    if (!isConnected) {
        return;
    }
    const sites = [...content.querySelectorAll(".site")];
    const failed = sites.filter((site) => ["failed", "broken"].includes(site.dataset.state));
    if (sites.length > 0 && failed.length === sites.length) {
        link.say("down", sites.length === 1 ? "the site has failed" : "all sites have failed");
    } else {
        link.say("live", "live");
    }
}

const form = document.querySelector("form");

/// Shows what the form says, and keeps it in the address.
function apply() {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
    history.replaceState(null, "", location.pathname + (query === "" ? "" : `?${query}`));
    fill();
}

/// With this script no button is needed but "Refresh".
function applies() {
    let typing = 0;
    form.querySelector("button:not([name])").hidden = true;
    form.addEventListener("input", ({ target }) => {
        clearTimeout(typing);
        typing = setTimeout(apply, target.type === "search" ? TYPING : 0);
    });
    form.addEventListener("submit", (event) => {
        if (event.submitter?.name !== "refresh") {
            event.preventDefault();
            apply();
        }
    });
}

function listen() {
    events?.close();
    const source = new EventSource("/news/events");
    events = source;
    source.onopen = () => {
        isConnected = true;
        state();
        fill();
    };
    source.addEventListener("changed", () => {
        link.heard();
        fill();
    });
    source.addEventListener("beat", () => link.heard());
    source.onerror = () => {
        isConnected = false;
        link.say("away", "not connected");
        if (source.readyState === EventSource.CLOSED) {
            setTimeout(() => events === source && listen(), RETRY);
        }
    };
}

function ago(seconds) {
    const [count, unit] = seconds < 60 ? [seconds, "s"] : seconds < 3600 ? [seconds / 60, "min"] : seconds < 172800 ? [seconds / 3600, "h"] : [seconds / 86400, "d"];
    return `${Math.floor(count)} ${unit} ago`;
}

function age() {
    for (const time of content.querySelectorAll("time")) {
        const then = Date.parse(time.dateTime);
        if (!Number.isNaN(then)) {
            time.textContent = ago(Math.max(0, (Date.now() - then) / 1000));
        }
    }
}

fold();
applies();
phone.addEventListener("change", fold);
listen();
setInterval(age, 5000);
// A stream that has been silent for too long may be none any more, and so may be connections that the browser has kept: each try
// takes one of those.
setInterval(() => link.isSilent && listen(), AGAIN);
