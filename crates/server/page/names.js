// Names of channels: any bytes. Those that are no UTF-8 come as hex. They are shown as `switchboard status` shows them: what cannot be seen,
// bytes that are no text, and a % before two hexadecimal digits are written as %XX, so that a name can be given to any command.

/// Controls, marks that turn the direction of writing, and others without a glyph.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|%(?=[0-9a-fA-F]{2})/gu;
const ENCODED = /^%[0-9a-fA-F]{2}/;

const percent = (byte) => `%${byte.toString(16).padStart(2, "0").toUpperCase()}`;
const escaped = (text) => text.replace(HIDDEN, (sign) => [...new TextEncoder().encode(sign)].map(percent).join(""));
const bytesOf = (hex) => new Uint8Array((hex.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));

/// The text of these bytes; null if they are none.
function text(bytes) {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
        return null;
    }
}

/// Bytes, the parts of them that are text as text.
function mixed(bytes) {
    let [shown, plain] = ["", ""];
    for (let at = 0; at < bytes.length;) {
        const length = [1, 2, 3, 4].find((length) => at + length <= bytes.length && text(bytes.subarray(at, at + length)) !== null);
        if (length === undefined) {
            shown += escaped(plain) + percent(bytes[at]);
            plain = "";
        } else {
            plain += text(bytes.subarray(at, at + length));
        }
        at += length ?? 1;
    }
    return shown + escaped(plain);
}

/// A name as it is shown, and typed to confirm what cannot be taken back. Two names are never shown alike.
export const shown = ({ name, name_hex: hex }) => (hex === undefined ? escaped(name) : mixed(bytesOf(hex)));

/// A name that was typed as it is shown.
export function parsed(typed) {
    const bytes = [];
    for (let rest = typed; rest !== "";) {
        const sign = ENCODED.test(rest) ? rest.slice(0, 3) : String.fromCodePoint(rest.codePointAt(0));
        bytes.push(...(sign.length === 3 ? [parseInt(sign.slice(1), 16)] : new TextEncoder().encode(sign)));
        rest = rest.slice(sign.length);
    }
    return named(new Uint8Array(bytes));
}

function named(bytes) {
    const name = text(bytes);
    return name !== null ? { name } : { name: new TextDecoder().decode(bytes), name_hex: [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("") };
}

/// The name of these bytes, in hex.
export const ofHex = (hex) => named(bytesOf(hex));

/// The bytes of a name in an address.
export const encoded = ({ name, name_hex: hex }) => (hex === undefined ? encodeURIComponent(name) : hex.replace(/../g, "%$&"));

export const isQueue = (channel) => channel.name.startsWith("/queue");
