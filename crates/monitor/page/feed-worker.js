// Holds the one stream that all pages of this browser share: browsers open six connections to a server, and a seventh page
// would wait for ever. It is closed while no page is looked at.

import { Stream } from "./stream.js";

const pages = new Set();
let stream = null;

function tell(event) {
    pages.forEach((page) => page.postMessage(event));
}

const wishes = {
    begin(page) {
        pages.add(page);
        if (stream === null) {
            stream = new Stream(tell);
        } else {
            page.postMessage({ kind: stream.state });
        }
    },
    end(page) {
        pages.delete(page);
        if (pages.size === 0) {
            stream?.close();
            stream = null;
        }
    },
    renew(_, silence) {
        stream?.renew(silence);
    },
};

self.onconnect = ({ ports: [page] }) => {
    page.onmessage = ({ data: { wish, value } }) => wishes[wish]?.(page, value);
};
