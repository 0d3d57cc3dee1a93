// Looks on while messages are published to one channel. It takes none from anybody: the broker copies some of them.

import * as api from "./api.js";
import { add } from "./messages.js";

export class Tail {
    constructor(channel, list, state) {
        this.list = list;
        this.state = state;
        this.source = new EventSource(api.tail(channel));
        this.say("connecting", false);
        this.source.onopen = () => this.say("Copies of what is published, at most 20 a second, for at most 5 minutes.", false);
        this.source.onmessage = ({ data }) => add(list, JSON.parse(data));
        this.source.addEventListener("end", ({ data }) => this.end(`It has ended: ${JSON.parse(data).reason}.`));
        this.source.onerror = () => {
            if (this.source.readyState === EventSource.CLOSED) {
                this.end("The broker refuses it: too many pages watch a channel already.");
            } else {
                this.say("The broker is away, connecting again.", true);
            }
        };
    }

    say(words, isBad) {
        this.state.textContent = words;
        this.state.dataset.bad = String(isBad);
    }

    end(words) {
        this.close();
        this.say(words, false);
        this.onend?.();
    }

    close() {
        this.source.close();
    }
}
