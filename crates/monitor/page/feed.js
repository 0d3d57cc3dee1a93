// The page's feed: through the worker that all pages of this browser share, or through a stream of its own without
// such a worker. A page that nobody looks at hears nothing, and asks for the history when it is looked at again.

import { SILENCE } from "/live.js";
import { Stream } from "./stream.js";

/// Pages of another version of the program speak with a worker of their own.
const WORKER = "switchboard-feed-1";

/// The worker's end of it, with the methods of a stream that a page needs.
class Shared {
    constructor(tell) {
        const worker = new SharedWorker(new URL("./feed-worker.js", import.meta.url), { name: WORKER, type: "module" });
        this.port = worker.port;
        this.port.onmessage = ({ data }) => tell(data);
        this.port.postMessage({ wish: "begin" });
    }

    renew(silence) {
        this.port.postMessage({ wish: "renew", value: silence });
    }

    close() {
        this.port.postMessage({ wish: "end" });
        this.port.close();
    }
}

function connect(tell) {
    if (typeof SharedWorker === "function") {
        try {
            return new Shared(tell);
        } catch {
            // Some browsers have it, and forbid it.
        }
    }
    return new Stream(tell);
}

export class Feed {
    /// `on` has sample(data), annotation(data), missed(), and state("connecting" | "live" | "away").
    constructor(on) {
        this.on = on;
        this.stream = null;
        // One that is opened in the background has missed what comes until it is looked at.
        this.wasClosed = document.visibilityState !== "visible";
        this.heard = Date.now();
        document.addEventListener("visibilitychange", () => this.look(document.visibilityState === "visible"));
        addEventListener("pagehide", () => this.look(false));
        addEventListener("pageshow", () => this.look(document.visibilityState === "visible"));
        this.look(document.visibilityState === "visible");
    }

    /// Whether somebody looks at the page.
    look(visible) {
        if (visible === (this.stream !== null)) {
            return;
        }
        if (!visible) {
            this.stream.close();
            this.stream = this.current = null;
            this.wasClosed = true;
            this.on.state("connecting");
            return;
        }
        this.heard = Date.now();
        // Events of an earlier stream are ignored.
        const mine = {};
        this.current = mine;
        this.stream = connect((event) => this.current === mine && this.take(event));
        if (this.wasClosed) {
            this.on.missed();
        }
    }

    take({ kind, data }) {
        if (kind === "live" || kind === "away") {
            this.on.state(kind);
            return;
        }
        this.heard = Date.now();
        if (kind === "missed") {
            this.on.missed();
        } else {
            this.on[kind](JSON.parse(data));
        }
    }

    /// A stream may bring nothing for so long, while somebody reports. To be called now and then with the time of the newest sample that the collector has, by its clock. A connection
    /// that has died without a word, as when a laptop has slept, looks like one on which nothing happens.
    check(newest, now) {
        if (Date.now() - this.heard > SILENCE && now - newest < SILENCE / 2) {
            this.heard = Date.now();
            this.renew();
        }
    }

    /// Opens the stream again if it has brought nothing for long.
    renew() {
        this.stream?.renew(SILENCE);
    }
}
