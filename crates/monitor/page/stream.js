// The stream of samples and annotations: one EventSource, held until it is closed. The browser connects again by itself where it
// may; where it gives up (an answer that is no stream, as while the collector starts) this does.

const PAUSES = [500, 1000, 2000, 4000];

export class Stream {
    /// `tell` gets { kind, data }: "sample" and "annotation" with the JSON as it came, "missed", "live" and "away".
    constructor(tell) {
        this.tell = tell;
        this.last = "";
        this.tries = 0;
        this.state = "connecting";
        this.heard = Date.now();
        this.source = null;
        this.open();
    }

    open() {
        this.source?.close();
        const from = this.last === "" ? "" : `?last_event_id=${encodeURIComponent(this.last)}`;
        const source = new EventSource(`/feed${from}`);
        this.source = source;
        const hears = (kind) => (event) => {
            this.heard = Date.now();
            if (event.lastEventId !== "") {
                this.last = event.lastEventId;
            }
            this.tell({ kind, data: event.data });
        };
        source.onopen = () => {
            this.tries = 0;
            this.is("live");
        };
        source.onmessage = hears("sample");
        source.addEventListener("annotation", hears("annotation"));
        source.addEventListener("missed", hears("missed"));
        source.onerror = () => {
            this.is("away");
            if (source.readyState === EventSource.CLOSED) {
                const pause = PAUSES[Math.min(this.tries++, PAUSES.length - 1)];
                setTimeout(() => this.source === source && this.open(), pause * (0.75 + Math.random() / 2));
            }
        };
    }

    is(state) {
        this.state = state;
        this.tell({ kind: state });
    }

    /// Opens it again if it has brought nothing for so many milliseconds.
    renew(silence) {
        if (Date.now() - this.heard > silence) {
            this.heard = Date.now();
            this.open();
        }
    }

    close() {
        this.source?.close();
        this.source = null;
    }
}
