// The stream of samples and marks, held for ever: the browser connects again by itself where it may, and where
// it gives up (an answer that is no stream, as while the collector starts) we do.

const PAUSES = [500, 1000, 2000, 4000];
/// So long, in milliseconds, a stream may bring nothing while somebody reports.
const SILENCE = 10_000;

export class Feed {
    /// `on` has sample(data), mark(data), missed(), and state("live" | "away").
    constructor(on) {
        this.on = on;
        this.last = "";
        this.tries = 0;
        this.heard = Date.now();
        this.open();
        // A page that is put aside keeps no connection: browsers have few to one server.
        addEventListener("pagehide", () => this.source.close());
        addEventListener("pageshow", (event) => event.persisted && this.open());
    }

    open() {
        this.source?.close();
        const from = this.last === "" ? "" : `?last_event_id=${encodeURIComponent(this.last)}`;
        const source = new EventSource(`/feed${from}`);
        this.source = source;
        const hears = (handle) => (event) => {
            this.heard = Date.now();
            if (event.lastEventId !== "") {
                this.last = event.lastEventId;
            }
            handle(event);
        };
        source.onopen = () => {
            this.tries = 0;
            this.on.state("live");
        };
        source.onmessage = hears((event) => this.on.sample(JSON.parse(event.data)));
        source.addEventListener("annotation", hears((event) => this.on.mark(JSON.parse(event.data))));
        source.addEventListener("missed", hears(() => this.on.missed()));
        source.onerror = () => {
            this.on.state("away");
            if (source.readyState === EventSource.CLOSED) {
                const pause = PAUSES[Math.min(this.tries++, PAUSES.length - 1)];
                setTimeout(() => this.source === source && this.open(), pause * (0.75 + Math.random() / 2));
            }
        };
    }

    /// To be called now and then with the time of the newest sample that the collector has, by its clock. A connection
    /// that has died without a word, as when a laptop has slept, looks like one on which nothing happens.
    check(newest, now) {
        if (Date.now() - this.heard > SILENCE && now - newest < SILENCE / 2) {
            this.heard = Date.now();
            this.open();
        }
    }
}
