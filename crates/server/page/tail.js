// Looks on while messages are published to one channel. It takes none from anybody: the broker copies some of them.

import * as api from "./api.js";
import { add } from "./messages.js";

export class Tail {
    constructor(channel, list, state) {
        this.list = list;
        this.state = state;
        this.channel = channel;
        this.open();
    }

    open() {
        this.source = new EventSource(api.tail(this.channel));
        this.say("connecting", false);
        this.source.onopen = () => this.say("Copies of what is published, at most 20 a second, for at most 5 minutes.", false);
        this.source.onmessage = ({ data }) => add(this.list, JSON.parse(data));
        this.source.addEventListener("end", ({ data }) => this.end(`It has ended: ${JSON.parse(data).reason}.`));
        this.source.onerror = () => {
            if (this.source.readyState === EventSource.CLOSED) {
                this.explain(api.tail(this.channel));
            } else {
                this.say("The broker is away, connecting again.", true);
            }
        };
    }

    renew() {
        this.source.close();
        this.open();
    }

    say(words, isBad) {
        this.state.textContent = words;
        this.state.dataset.bad = String(isBad);
    }

    /// The stream is closed for good.
    async explain(path) {
        let why;
        try {
            why = await api.refusal(path);
        } catch {
            why = "there is no answer";
        }
        if (!this.isClosed) {
            this.end(why === null ? "The broker has refused it, and would not now: watch again." : `The broker refuses it: ${why}.`);
        }
    }

    end(words) {
        this.close();
        this.say(words, false);
        this.onend?.();
    }

    close() {
        this.isClosed = true;
        this.source.close();
    }
}
