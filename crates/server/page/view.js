// The view: table, order and channel. It lives in the address, so that a link shows the same.

import { ofHex } from "./names.js";

export const STEP = 100;
export const MOST = 1000;
const SORT = /^-?[a-z]{1,20}$/;

export class View {
    constructor(address) {
        const query = new URLSearchParams(address.search);
        this.table = query.get("view") === "connections" ? "connections" : "channels";
        this.filter = (query.get("filter") ?? "").slice(0, 200);
        this.sort = SORT.test(query.get("sort") ?? "") ? query.get("sort") : "";
        this.limit = STEP;
        const hex = query.get("hex");
        if (hex !== null && /^([0-9a-f]{2})+$/.test(hex)) {
            this.channel = ofHex(hex);
        } else {
            this.channel = query.get("channel") ? { name: query.get("channel") } : null;
        }
    }

    more() {
        this.limit = Math.min(this.limit + STEP, MOST);
    }

    canShowMore(matched) {
        return matched > this.limit && this.limit < MOST;
    }

    /// Another table: what was chosen for this one has no meaning there.
    show(table) {
        Object.assign(this, { table, filter: "", sort: "", limit: STEP });
    }

    search() {
        const query = new URLSearchParams();
        const add = (name, value) => value && query.set(name, value);
        add("view", this.table === "channels" ? "" : this.table);
        add("filter", this.filter);
        add("sort", this.sort);
        add("hex", this.channel?.name_hex);
        add("channel", this.channel?.name_hex === undefined && this.channel?.name);
        const text = query.toString();
        return text === "" ? "" : `?${text}`;
    }
}
